"""What the commands share: their options, reading files, and writing what was found."""

import csv
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np

from derandomization.files.quadratic import QuadraticTerms, write_quadratic_file
from derandomization.laboratory.run import Run, RunConfig
from derandomization.laboratory.settings import AtLeast, Between, Positive
from MAXCUT import plot
from MAXCUT.formulas import least_energy, maximum_solution
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import QuadraticSolution, minimize
from MAXCUT.sdp import MEAN_TOLERANCE

ContentT = TypeVar("ContentT")
# What results.json has, of the attributes of a QuadraticSolution.
RECORDED = (
    "energy",
    "lower_bound",
    "bound_proof",
    "gap",
    "relative_gap",
    "gap_in_range",
    "proven_optimal",
    "expected_energy",
    "derandomized_energy",
    "highest_energy",
    "stopped_by",
    "certificate",
)


@dataclass(frozen=True, kw_only=True)
class MinimizerConfig(RunConfig):
    """The options that all commands share."""

    file: Path
    """File to read; .gz or .bz2 after its suffix says that it is compressed."""
    restarts: Annotated[int, Between(0, 10**5)] = 2
    """Searches for a better solution after the descent."""
    time_limit: Annotated[float | None, Positive()] = None
    """Seconds of wall time after which the best solution so far is written."""
    target: float | None = None
    """Stop as soon as a solution is at least this good."""
    workers: Annotated[int, AtLeast(1)] = 1
    """Processes that share the restarts."""
    write_model: Path | None = None
    """Also write the quadratic function that is minimised, as .qubo, .coo or .json."""


def read_file(config: MinimizerConfig, read: Callable[[], ContentT]) -> tuple[ContentT, list[str]]:
    """What the file holds, and the warnings about it; an error names the option."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        try:
            content = read()
        except OSError as problem:
            reason = problem.strerror
            raise ValueError(f"file is {config.file}: it can't be read ({reason})") from None
    return content, [f"warning: {warning.message}" for warning in caught]


def model_of(terms: QuadraticTerms) -> QuadraticModel:
    """The model of what a file lists."""
    return QuadraticModel(*terms)


def solve(
    run: Run,
    config: MinimizerConfig,
    model: QuadraticModel,
    *,
    spin: bool,
    target: float | None,
    least: Fraction | None = None,
) -> QuadraticSolution:
    """Write the model if asked to, minimise it, and record what was found."""
    if path := config.write_model:
        terms = QuadraticTerms(model.labels, model.ends, model.values, model.spin)
        try:
            write_quadratic_file(path, terms)
        except OSError as problem:
            reason = problem.strerror
            raise ValueError(f"write_model is {path}: it can't be written ({reason})") from None
    with run.stage("minimising"):
        solution = minimize(
            model,
            spin=spin,
            least=least,
            restarts=config.restarts,
            time_limit=config.time_limit,
            target=target,
            seed=config.seed,
            workers=config.workers,
        )
    run.results |= {"num_variables": model.num_variables, "num_terms": len(model.values)}
    run.results |= {name: getattr(solution, name) for name in RECORDED}
    return solution


def write_assignment(path: Path, name: str, assignment: Mapping[Hashable, int]) -> None:
    """Write a CSV with one line per variable: its label and its value."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([name, "value"])
        writer.writerows(assignment.items())


def minimize_file(
    name: str,
    config: MinimizerConfig,
    read: Callable[[], QuadraticModel],
    *,
    spin: bool,
) -> None:
    """Minimise the function in a file, and print and write what was found."""
    model, warned = read_file(config, read)
    run = Run(f"MAXCUT/{name}", config, inputs=model)
    for line in warned:
        run.say(line)
    solution = solve(run, config, model, spin=spin, target=config.target)
    run.write(
        "assignment.csv", lambda path: write_assignment(path, "variable", solution.assignment)
    )
    optimal = ": the assignment is optimal" if solution.proven_optimal else ""
    run.say(
        f"variables           {model.num_variables}\n"
        f"energy              {solution.energy:.15g}\n"
        f"  hyperplanes         {solution.expected_energy:.10g} on average\n"
        f"  derandomized        {solution.derandomized_energy:.10g}\n"
        f"proven lower bound  {solution.lower_bound:.15g}  ({solution.bound_proof})\n"
        f"gap                 {solution.gap:.6g}, {solution.relative_gap:.3%} of the energy, "
        f"{solution.gap_in_range:.3%} of its range{optimal}"
    )
    finish(run, model, solution, "energy")


def maximize_file(
    name: str,
    config: MinimizerConfig,
    read: Callable[[], tuple[QuadraticModel, np.ndarray]],
    *,
    counted: str,
) -> None:
    """Maximise what a file lists: ``read`` gives minus the weight reached, and all weights."""
    (model, weights), warned = read_file(config, read)
    total = float(weights.sum())
    run = Run(f"MAXCUT/{name}", config, inputs=model)
    for line in warned:
        run.say(line)
    target = None if config.target is None else -config.target
    least = least_energy(weights)
    solution = solve(run, config, model, spin=False, target=target, least=least)
    found = maximum_solution(solution, total)
    run.results |= {
        "value": found.value,
        "upper_bound": found.upper_bound,
        "total_weight": found.total_weight,
        "proven_ratio": found.proven_ratio,
    }
    run.write("assignment.csv", lambda path: write_assignment(path, "variable", found.assignment))
    optimal = ": the assignment is optimal" if found.proven_optimal else ""
    run.say(
        f"variables           {model.num_variables}\n"
        f"{counted:<20}{found.value:.15g} of {total:.15g}\n"
        f"  hyperplanes         {-solution.expected_energy:.10g} on average\n"
        f"  derandomized        {-solution.derandomized_energy:.10g}\n"
        f"proven upper bound  {found.upper_bound:.15g}  ({solution.bound_proof})\n"
        f"proven ratio        {found.proven_ratio:.4f}{optimal}"
    )
    finish(run, model, solution, f"minus the {counted}")


def finish(run: Run, model: QuadraticModel, solution: QuadraticSolution, quantity: str) -> None:
    """Print which limit stopped the work, claim the certificate's bounds, draw, and write."""
    if solution.stopped_by:
        run.say(f"stopped by          --{solution.stopped_by.replace('_', '-')}")
    expected = solution.expected_energy
    tolerance = MEAN_TOLERANCE * float(np.abs(model.values).sum())
    run.claim(
        "T5.2",
        f"{quantity} is at most the mean of the hyperplanes",
        baseline=expected,
        measured=solution.energy,
        holds=solution.energy <= expected + tolerance,
    )
    if solution.certificate:
        run.claim_bounds(solution.certificate, "‖V‖")
    levels = {"mean hyperplane": expected, "largest seen": solution.highest_energy}
    figure = plot.energy_figure(solution.energy, solution.lower_bound, levels, quantity)
    run.figure("bracket", figure)
    run.finish()
