"""Figures 1 to 3: structure discovery in the first layer of a neural network."""

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, so that Ctrl-C is one line there too

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from derandomization.laboratory.claims import Command, ExperimentClaims, PaperClaim
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.settings import AtLeast, Between, Positive, PositiveFloat
from NeuralNetworks.settings import ActivationName, LossName, Part, RiskEvaluation
from NeuralNetworks.studies import STUDIES

# The subcommand that finds the directions on which a column of a table depends.
OWN_DATA = {"subspace": "NeuralNetworks.own_data"}

CLAIMS = ExperimentClaims(
    paper={
        "F1": PaperClaim(
            "Toy neuron, frozen bias: w* = 0 only for large λ, from λ* on", ("figure1_frozen_bias",)
        ),
        "F2": PaperClaim(
            "Toy neuron, trained bias: w* = 0 at every λ > 0", ("figure2_trained_bias",)
        ),
        "F3": PaperClaim(
            "The rows of the first layer end on the line that the teacher sees",
            ("figure3_collapse",),
        ),
        "T4.1": PaperClaim(
            "Networks: every ρ-SOSP has ‖W⊥‖ within the lemma's bound", ("figure3_weight_norm",)
        ),
        "T4.2": PaperClaim(
            "PGD ends at a ρ-SOSP after O(1/ρ²) steps, Hessian descent after O(1/ρ^1.5) curvature "
            "steps, and ‖W⊥‖ ≤ ρ/Δ there"
        ),
    },
    questions={
        "BIAS": PaperClaim("Biases must be trained: frozen ones carry no guarantee"),
        "REG": PaperClaim("W⊥ vanishes at every λ, however small"),
        "IOTA": PaperClaim("W⊥ vanishes for every smooth ReLU, also as it approaches ReLU (ι → ∞)"),
        "DEPTH": PaperClaim("W⊥ vanishes at every depth and width"),
        "LOSS": PaperClaim("W⊥ vanishes under every smooth loss"),
        "OPT": PaperClaim(
            "PGD and Hessian descent make W⊥ vanish from strict saddles, gradient descent does not"
        ),
        "NG": PaperClaim(
            "Open question: does W⊥ vanish for inputs that are not Gaussian?", is_open=True
        ),
        "GEN": PaperClaim(
            "Open question: how many samples does it take to generalize?", is_open=True
        ),
        "REAL": PaperClaim(
            "Open question: how much of W⊥ remains on real inputs, if the labels depend on two "
            "known directions?",
            is_open=True,
        ),
        "DIR": PaperClaim(
            "Open question: how well are the directions on which labels depend found from few "
            "points?",
            is_open=True,
        ),
        "SGD": PaperClaim(
            "Open question: does SGD leave strict saddles without added noise, and does W⊥ vanish?",
            is_open=True,
        ),
    },
    commands={
        "exact": Command(("F1", "F2", "F3", "T4.1", "L3.1"), seconds=15),
        "sampled": Command(("F1", "F2", "F3", "T4.1", "L3.1"), seconds=23),
        "biases": Command(("BIAS", "T4.1", "L3.1"), seconds=120),
        "regularization": Command(("REG", "T4.1", "L3.1"), seconds=90),
        "smoothing": Command(("IOTA", "T4.1", "L3.1"), seconds=120),
        "depth": Command(("DEPTH", "T4.1", "L3.1"), seconds=140),
        "losses": Command(("LOSS", "T4.1", "L3.1"), seconds=150),
        "multi-index": Command(("T4.1", "L3.1"), seconds=200),
        "optimizers": Command(("OPT", "SGD"), seconds=90),
        "accuracy": Command(("T4.2",), seconds=160),
        "saddles": Command(("FOSP",), seconds=200),
        "strong-regularization": Command(("OPT",), seconds=260),
        "inputs": Command(("NG",), seconds=140),
        "generalization": Command(("GEN",), seconds=150),
        "real-data": Command(("REAL",), seconds=120),
        "directions": Command(("DIR",), seconds=290),
    },
)


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """Train a student network on a teacher with few directions; its first layer collapses.

    Reproduces figures 1 to 3 and checks Theorem 4.1 at the point where training ends.
    """

    output_dir: Path = Path("results/NeuralNetworks")
    """Folder for results.json, history.npz and the figures; made if missing."""
    dimension: Annotated[int, AtLeast(2)] = 2
    """Dimension d of the input."""
    indices: Annotated[int, AtLeast(1)] = 1
    """Number k of input directions on which the teacher depends."""
    noise: Annotated[float, Between(0, math.inf)] = 0.0
    """Standard deviation σ of the noise on the teacher's labels."""
    width: Annotated[int, AtLeast(1)] = 1000
    """Units h of each hidden layer of the student."""
    depth: Annotated[int, Between(2, 1_000)] = 2  # a step through 1 000 takes a second
    """Layers of the student; 2 is one hidden layer."""
    activation: ActivationName = "smooth-relu"
    """Activation of the hidden units; smooth-relu is the paper's, with ι = 2."""
    frozen: tuple[Part, ...] = ("output",)
    """Parts of the student that are not trained; the paper keeps the output weights fixed. Without
    a value, everything is trained."""
    loss: LossName = "squared"
    """Loss; logistic takes the teacher's signal as log odds of ±1, poisson as a log rate."""
    regularization: PositiveFloat = 1e-5
    """Weight λ > 0 of ‖W‖²; the paper's is 1e-5."""
    steps: Annotated[int | None, AtLeast(1)] = None
    """Maximum number of descent steps; default 2000 exact and antithetic, 10000 (paper) sampled."""
    learning_rate: Annotated[float | None, Positive()] = None
    """Step size per hidden unit; the default depends on the estimator, and is smaller where
    curvature is high."""
    estimator: RiskEvaluation = "exact"
    """How the risk is evaluated. exact: at fixed points, beyond three dimensions by a rule that is
    exact at W⊥ = 0; antithetic: in fresh batches mirrored
    across the teacher's directions, for any dimension; sampled: in the paper's fresh batches of
    50."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.indices >= self.dimension:
            raise ValueError(
                f"indices is {self.indices}: it must be below dimension, which is {self.dimension}"
            )


def main(config: Config) -> None:
    """Run figures 1 to 3 and write everything to ``config.output_dir``."""
    from NeuralNetworks.experiment import run_experiment

    run_experiment(config)


def command() -> None:
    """Run what the command line says."""
    launch(main, Config, STUDIES | OWN_DATA)


if __name__ == "__main__":
    command()
