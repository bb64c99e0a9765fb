"""What the commands share: their options, reading files, and writing what was found."""

import csv
import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import numpy as np

from derandomization.files.quadratic import QuadraticTerms, write_quadratic_file
from derandomization.laboratory.configs import BasicRunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, Between, Positive
from MAXCUT import plot
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import QuadraticSolution, minimize
from MAXCUT.sdp import MEAN_TOLERANCE
from MAXCUT.settings import MAX_RESTARTS, Bound

ContentT = TypeVar("ContentT")
ConfigT = TypeVar("ConfigT", bound="MinimizerConfig")
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
class MinimizerConfig(BasicRunConfig):
    """The options that all commands share."""

    file: Path
    """File to read; .gz or .bz2 after its suffix says that it is compressed."""
    restarts: Annotated[int, Between(0, MAX_RESTARTS)] = 2
    """Searches for a better solution after the descent."""
    bound: Bound = "sdp"
    """sdp: the relaxation's bound; triangle: a tighter one, for at most 399 variables."""
    time_limit: Annotated[float | None, Positive()] = None
    """Seconds of wall time after which the best solution so far is written."""
    target: float | None = None
    """Stop as soon as a solution is at least this good."""
    workers: Annotated[int, AtLeast(1)] = 1
    """Processes that share the restarts."""
    write_model: Path | None = None
    """Also write the quadratic function that is minimised, as .qubo, .coo or .json."""


@dataclass(frozen=True)
class Command(Generic[ConfigT]):
    """A subcommand: its options, and the function that runs it."""

    Config: type[ConfigT]
    main: Callable[[ConfigT], None]


def read_file(config: MinimizerConfig, read: Callable[[], ContentT]) -> tuple[ContentT, list[str]]:
    """What the file holds, and the warnings about it; an error names the option."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        try:
            content = read()
        except OSError as problem:
            reason = problem.strerror
            raise ValueError(f"file is {config.file}: it can't be read ({reason})") from None
    return content, [f"warning: {warning.message}" for warning in caught]


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
            bound=config.bound,
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


def finish(run: Run, solution: QuadraticSolution, quantity: str) -> None:
    """Print which limit stopped the work, claim the certificate's bounds, draw, and write."""
    if solution.stopped_by:
        run.say(f"stopped by          --{solution.stopped_by.replace('_', '-')}")
    if solution.certificate:
        run.claim_bounds(solution.certificate, "‖V‖")
    levels = {
        "mean hyperplane": solution.expected_energy,
        "largest seen": solution.highest_energy,
    }
    figure = plot.energy_figure(solution.energy, solution.lower_bound, levels, quantity)
    run.figure("bracket", figure)
    run.finish()


def keeps_mean(model: QuadraticModel, solution: QuadraticSolution) -> bool:
    """Whether the energy is at most the mean of the random hyperplanes, up to rounding."""
    tolerance = MEAN_TOLERANCE * float(np.abs(model.values).sum())
    return solution.energy <= solution.expected_energy + tolerance
