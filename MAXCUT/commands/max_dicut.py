"""Find the vertices of a directed graph from which most weight leads out."""

from dataclasses import dataclass
from pathlib import Path

from derandomization.files.arcs import read_arc_file
from MAXCUT.commands.common import MinimizerConfig, maximize_file
from MAXCUT.formulas import dicut_model


@dataclass(frozen=True, kw_only=True)
class Config(MinimizerConfig):
    """Find the vertices of a directed graph from which most weight leads to the others.

    Reads a line n m and then m lines i j [weight], each an arc from i to j, from 1. Writes
    assignment.csv, with 1 where the arcs start.
    """

    output_dir: Path = Path("results/MAXCUT/max-dicut")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


def main(config: Config) -> None:
    """Cut the graph and write everything to ``config.output_dir``."""
    maximize_file(
        "max-dicut",
        config,
        lambda: read_arc_file(config.file, lambda found: (dicut_model(found), found.weights)),
        counted="weight leading out",
    )
