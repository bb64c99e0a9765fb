"""Studies of Theorem 5.5, each a subcommand: many runs, one table, one figure."""

from dataclasses import dataclass

# Each subcommand and its module, which is imported only when the subcommand is used.
STUDIES = {
    name: f"JohnsonLindenstrauss.studies.{name.replace('-', '_')}"
    for name in ("guarantee", "baselines", "new-points")
}


@dataclass(frozen=True)
class Setting:
    """The sizes of a problem and the most steps to solve it in."""

    num_points: int
    num_components: int
    dimension: int
    steps: int
