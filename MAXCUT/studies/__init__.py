"""Questions around Theorem 5.2, each a subcommand: many cuts, one table, one figure."""

# The subcommand and the module that answers it, imported only when asked for.
STUDIES = {name: f"MAXCUT.studies.{name}" for name in ("guarantee", "baselines", "cost")}
