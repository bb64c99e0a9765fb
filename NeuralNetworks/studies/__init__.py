"""Questions around Theorems 4.1 and 4.2, each a subcommand: many runs, one table, one figure."""

# The subcommand and the module that answers it, imported only when asked for.
STUDIES = {
    name: f"NeuralNetworks.studies.{name.replace('-', '_')}"
    for name in (
        "biases",
        "regularization",
        "depth",
        "losses",
        "multi-index",
        "optimizers",
        "accuracy",
        "saddles",
        "strong-regularization",
        "inputs",
        "generalization",
    )
}
