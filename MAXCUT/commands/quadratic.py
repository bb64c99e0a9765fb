"""The commands qubo and ising: minimise the quadratic function in a file."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from derandomization.files.quadratic import QuadraticFormat, read_quadratic_file
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
from MAXCUT.quadratic import QuadraticModel


@dataclass(frozen=True, kw_only=True)
class QuadraticConfig(MinimizerConfig):
    """The options that both commands share."""

    format: QuadraticFormat | None = None
    """Format of the file; by default that of its suffix."""


@dataclass(frozen=True, kw_only=True)
class QuboConfig(QuadraticConfig):
    """Minimise a quadratic function of bits, with a proven lower bound on the minimum.

    Reads .qubo (n m, then i j q from 1: off-diagonal entries count twice; or p qubo 0 n nodes
    couplers, then i j q from 0, each pair once), COO text (.coo, .txt) and BQM JSON of dimod.
    Writes assignment.csv.
    """

    output_dir: Path = Path("results/MAXCUT/qubo")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


@dataclass(frozen=True, kw_only=True)
class IsingConfig(QuadraticConfig):
    """Minimise a quadratic function of spins −1 and +1, with a proven bound on the minimum.

    Reads COO text (.coo, .txt), which is of spins unless it says otherwise, BQM JSON of dimod, and
    .qubo, where s = 2x − 1. Writes assignment.csv.
    """

    output_dir: Path = Path("results/MAXCUT/ising")
    """Folder for results.json, assignment.csv and the figure; made if missing."""


def minimize_file(name: str, config: QuadraticConfig, *, spin: bool) -> None:
    """Minimise the function in a file, and print and write what was found."""
    model, warned = read_file(
        config,
        lambda: read_quadratic_file(
            config.file, lambda terms: QuadraticModel(*terms), spin=spin, format=config.format
        ),
    )
    run = Run(f"MAXCUT/{name}", config, inputs=model)
    for line in warned:
        run.say(line)
    solution = solve(run, config, model, spin=spin, target=config.target)
    run.write(
        "assignment.csv", lambda path: write_assignment(path, "variable", solution.assignment)
    )
    rounded = ", up to rounding" if solution.gap else ""
    optimal = f": the assignment is optimal{rounded}" if solution.proven_optimal else ""
    run.say(
        f"variables           {model.num_variables}\n"
        f"energy              {solution.energy:.15g}\n"
        f"  hyperplanes         {solution.expected_energy:.10g} on average\n"
        f"  derandomized        {solution.derandomized_energy:.10g}\n"
        f"proven lower bound  {solution.lower_bound:.15g}  ({solution.bound_proof})\n"
        f"gap                 {solution.gap:.6g}, {solution.relative_gap:.3%} of the energy, "
        f"{solution.gap_in_range:.3%} of its range{optimal}"
    )
    run.claim(
        "T5.2",
        "the energy is at most the mean of the hyperplanes",
        baseline=solution.expected_energy,
        measured=solution.energy,
        holds=keeps_mean(model, solution),
    )
    finish(run, solution, "energy")


QUBO = Command(QuboConfig, partial(minimize_file, "qubo", spin=False))
ISING = Command(IsingConfig, partial(minimize_file, "ising", spin=True))
