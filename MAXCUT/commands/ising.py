"""Minimise the quadratic function of spins in a file."""

from dataclasses import dataclass
from pathlib import Path

from derandomization.files.quadratic import QuadraticFormat, read_quadratic_file
from MAXCUT.commands.common import MinimizerConfig, minimize_file, model_of


@dataclass(frozen=True, kw_only=True)
class Config(MinimizerConfig):
    """Minimise a quadratic function of spins −1 and +1, with a proven bound on the minimum.

    Reads COO text (.coo, .txt), which is of spins unless it says otherwise, BQM JSON of dimod, and
    .qubo, where s = 2x − 1. Writes assignment.csv.
    """

    output_dir: Path = Path("results/MAXCUT/ising")
    """Folder for results.json, assignment.csv and the figure; made if missing."""
    format: QuadraticFormat | None = None
    """Format of the file; by default that of its suffix."""


def main(config: Config) -> None:
    """Minimise the function and write everything to ``config.output_dir``."""
    minimize_file(
        "ising",
        config,
        lambda: read_quadratic_file(config.file, model_of, spin=True, format=config.format),
        spin=True,
    )
