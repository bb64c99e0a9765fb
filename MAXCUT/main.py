"""Figures 4 and 5: Goemans and Williamson's random cut becomes one deterministic cut."""

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, so that Ctrl-C is one line there too

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from derandomization.laboratory.claims import Command, ExperimentClaims, PaperClaim
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import RunConfig, WorkersConfig
from derandomization.laboratory.settings import AtLeast, Between, Positive
from MAXCUT.commands import COMMANDS
from MAXCUT.settings import MAX_RESTARTS, Bound, Estimator, GraphConfig
from MAXCUT.studies import STUDIES

CLAIMS = ExperimentClaims(
    paper={
        "F4": PaperClaim(
            "The deterministic cut reaches the optimum, 41",
            ("figure4_cut_value",),
            default_seed_only=True,
        ),
        "T5.2": PaperClaim(
            "The deterministic cut is worth at least 0.878·OPT, and at least the smoothed expected "
            "cut at the start less λ(‖V₀‖² − ‖V‖²)/c, c = n/Σ|w|",
            ("bracket",),
        ),
        "F5": PaperClaim("MAXCUT's random part V → 0", ("figure5_largest_deviation",)),
    },
    commands={
        "exact": Command(("F4", "T5.2", "F5", "L3.1"), seconds=6),
        "sampled": Command(("F4", "T5.2", "F5", "L3.1"), seconds=8),
        "guarantee": Command(("T5.2", "F5", "L3.1"), seconds=400),
        "sparse": Command(("T5.2",), seconds=200),
        "baselines": Command(("T5.2",), seconds=200),
        "formulas": Command(("SAT",), seconds=100),
    },
    questions={
        "SAT": PaperClaim(
            "The same descent solves MAX-2-SAT within Goemans and Williamson's 0.878 and MAX-DICUT "
            "within 0.796, with a proven bound"
        ),
    },
)


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig, WorkersConfig, GraphConfig):
    """Cut a graph by derandomizing Goemans and Williamson's method, with a proven ratio.

    Without a file the graph is random, by default that of figures 4 and 5. Theorem 5.2 is checked
    at the end of the descent.
    """

    seed: int = 42
    """Seed of the graph and of every other random choice; 42 is the paper's graph."""
    output_dir: Path = Path("results/MAXCUT")
    """Folder for results.json, partition.csv, history.npz and the figures; made if missing."""
    steps: Annotated[int | None, AtLeast(1)] = None
    """Maximum number of descent steps; default 2100 exact, 4050 from 100 vertices on, 5000 (paper)
    sampled."""
    restarts: Annotated[int, Between(0, MAX_RESTARTS)] = 0
    """Searches that start from that cut and the SDP's hyperplanes. The workers share them, and the
    cuts they find are combined."""
    estimator: Estimator = "exact"
    """exact: the expected cut in closed form; sampled: 100 score-function samples per step."""
    initial_cut: Path | None = None
    """A partition.csv to improve: the cut returned is at least as large."""
    num_cuts: Annotated[int, Between(1, 1_000)] = 1
    """How many different good cuts to write, into cuts.csv."""
    bound: Bound = "sdp"
    """sdp: the relaxation's bound; triangle: a tighter one, for at most 400 vertices."""
    time_limit: Annotated[float | None, Positive()] = None
    """Seconds of wall time after which the best cut so far is written; --resume counts anew."""
    target: float | None = None
    """Stop as soon as a cut is worth at least this."""


def main(config: Config) -> None:
    """Run figures 4 and 5 and write everything to ``config.output_dir``."""
    from MAXCUT.experiment import run_experiment

    run_experiment(config)


def command() -> None:
    """Run what the command line says."""
    launch(main, Config, STUDIES | COMMANDS)


if __name__ == "__main__":
    command()
