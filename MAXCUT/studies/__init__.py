"""Studies of Theorem 5.2, each a subcommand: many cuts, one table, one figure."""

# Each subcommand and its module, which is imported only when it runs.
STUDIES = {
    name: f"MAXCUT.studies.{name}" for name in ("guarantee", "sparse", "baselines", "formulas")
}
