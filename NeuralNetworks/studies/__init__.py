"""Questions around Theorems 4.1 and 4.2, each a subcommand: many runs, one table, one figure."""

# The module, or the object in a module, with the Config and the main of each subcommand.
STUDIES = {
    "biases": "NeuralNetworks.studies.conditions:biases",
    "regularization": "NeuralNetworks.studies.conditions:regularization",
    "smoothing": "NeuralNetworks.studies.conditions:smoothing",
    "depth": "NeuralNetworks.studies.conditions:depth",
    "losses": "NeuralNetworks.studies.conditions:losses",
    "multi-index": "NeuralNetworks.studies.conditions:multi_index",
    "optimizers": "NeuralNetworks.studies.optimizers",
    "accuracy": "NeuralNetworks.studies.accuracy",
    "saddles": "NeuralNetworks.studies.saddles",
    "strong-regularization": "NeuralNetworks.studies.strong_regularization",
    "inputs": "NeuralNetworks.studies.inputs",
    "generalization": "NeuralNetworks.studies.generalization",
    "real-data": "NeuralNetworks.studies.real_data",
    "directions": "NeuralNetworks.studies.directions",
}
