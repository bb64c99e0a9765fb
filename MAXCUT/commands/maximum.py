"""The commands max-2-sat and max-dicut: as many clauses or arcs of a file as possible."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derandomization.files.formulas import read_formula_file
from derandomization.files.graphs import read_arc_file
from derandomization.laboratory.run import Run
from MAXCUT.commands.common import (
    Command,
    MinimizerConfig,
    finish,
    keeps_mean,
    read_file,
    solve,
    write_assignment,
)
from MAXCUT.formulas import dicut_model, least_energy, maximum_solution, two_sat_model
from MAXCUT.quadratic import QuadraticModel


@dataclass(frozen=True, kw_only=True)
class FormulaConfig(MinimizerConfig):
    """Satisfy as many clauses of one or two literals as possible, with a proven upper bound.

    Reads DIMACS cnf, and wcnf with weights. Writes assignment.csv, with 1 for true.
    """

    output_dir: Path = Path("results/MAXCUT/max-2-sat")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


@dataclass(frozen=True, kw_only=True)
class DicutConfig(MinimizerConfig):
    """Find the vertices of a directed graph from which most weight leads to the others.

    Reads a line n m and then m lines i j [weight], each an arc from i to j, from 1. Writes
    assignment.csv, with 1 where the arcs start.
    """

    output_dir: Path = Path("results/MAXCUT/max-dicut")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


def _max_2_sat(config: FormulaConfig) -> None:
    maximize_file(
        "max-2-sat",
        config,
        lambda: read_formula_file(config.file, lambda found: (two_sat_model(found), found.weights)),
        counted="weight satisfied",
    )


def _max_dicut(config: DicutConfig) -> None:
    maximize_file(
        "max-dicut",
        config,
        lambda: read_arc_file(config.file, lambda found: (dicut_model(found), found.weights)),
        counted="weight leading out",
    )


def maximize_file(
    name: str,
    config: MinimizerConfig,
    read: Callable[[], tuple[QuadraticModel, np.ndarray]],
    *,
    counted: str,
) -> None:
    """Maximise what a file lists: ``read`` gives minus the weight reached, and all weights."""
    (model, weights), warned = read_file(config, read)
    run = Run(f"MAXCUT/{name}", config, inputs=model)
    for line in warned:
        run.say(line)
    target = None if config.target is None else -config.target
    least = least_energy(weights)
    solution = solve(run, config, model, spin=False, target=target, least=least)
    found = maximum_solution(solution, weights)
    run.results |= {
        "value": found.value,
        "upper_bound": found.upper_bound,
        "total_weight": found.total_weight,
        "proven_ratio": found.proven_ratio,
    }
    run.write("assignment.csv", lambda path: write_assignment(path, "variable", found.assignment))
    rounded = ", up to rounding" if found.solution.gap else ""
    optimal = f": the assignment is optimal{rounded}" if found.proven_optimal else ""
    run.say(
        f"variables           {model.num_variables}\n"
        f"{counted:<20}{found.value:.15g} of {found.total_weight:.15g}\n"
        f"  hyperplanes         {0.0 - solution.expected_energy:.10g} on average\n"
        f"  derandomized        {0.0 - solution.derandomized_energy:.10g}\n"
        f"proven upper bound  {found.upper_bound:.15g}  ({solution.bound_proof})\n"
        f"proven ratio        {found.proven_ratio:.4f}{optimal}"
    )
    run.claim(
        "T5.2",
        f"the {counted} is at least the mean of the hyperplanes",
        baseline=0.0 - solution.expected_energy,
        measured=found.value,
        holds=keeps_mean(model, solution),
    )
    finish(run, solution, f"minus the {counted}")


MAX_2_SAT = Command(FormulaConfig, _max_2_sat)
MAX_DICUT = Command(DicutConfig, _max_dicut)
