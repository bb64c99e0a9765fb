"""Minimise the quadratic function of bits in a file."""

from dataclasses import dataclass
from pathlib import Path

from derandomization.files.quadratic import QuadraticFormat, read_quadratic_file
from MAXCUT.commands.common import MinimizerConfig, minimize_file, model_of


@dataclass(frozen=True, kw_only=True)
class Config(MinimizerConfig):
    """Minimise a quadratic function of bits, with a proven lower bound on the minimum.

    Reads .qubo (n m, then i j q from 1: off-diagonal entries count twice), COO text (.coo, .txt)
    and BQM JSON of dimod. Writes assignment.csv.
    """

    output_dir: Path = Path("results/MAXCUT/qubo")
    """Folder for results.json, assignment.csv and the figure; made if missing."""
    format: QuadraticFormat | None = None
    """Format of the file; by default that of its suffix."""


def main(config: Config) -> None:
    """Minimise the function and write everything to ``config.output_dir``."""
    minimize_file(
        "qubo",
        config,
        lambda: read_quadratic_file(config.file, model_of, format=config.format),
        spin=False,
    )
