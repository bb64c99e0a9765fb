"""Satisfy as many clauses of a file as possible."""

from dataclasses import dataclass
from pathlib import Path

from derandomization.files.formulas import read_formula_file
from MAXCUT.commands.common import MinimizerConfig, maximize_file
from MAXCUT.formulas import two_sat_model


@dataclass(frozen=True, kw_only=True)
class Config(MinimizerConfig):
    """Satisfy as many clauses of one or two literals as possible, with a proven upper bound.

    Reads DIMACS cnf, and wcnf with weights. Writes assignment.csv, with 1 for true.
    """

    output_dir: Path = Path("results/MAXCUT/max-2-sat")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


def main(config: Config) -> None:
    """Solve the formula and write everything to ``config.output_dir``."""
    maximize_file(
        "max-2-sat",
        config,
        lambda: read_formula_file(config.file, lambda found: (two_sat_model(found), found.weights)),
        counted="weight satisfied",
    )
