"""Questions around Theorem 5.5, each a subcommand: many runs, one table, one figure."""

# The subcommand and the module that answers it, imported only when asked for.
STUDIES = {name: f"JohnsonLindenstrauss.studies.{name}" for name in ("guarantee", "baselines")}
