"""Figures 1 to 3: structure discovery in the first layer of a neural network."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from derandomization.checks import require_between
from derandomization.laboratory.claims import Command, ExperimentClaims, PaperClaim
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.run import Run, RunConfig
from derandomization.laboratory.settings import (
    AtLeast,
    Between,
    Positive,
    PositiveFloat,
    PositiveInt,
)
from derandomization.laboratory.trace import trace_norm
from NeuralNetworks import plot, toy
from NeuralNetworks.activations import ACTIVATIONS, ActivationName
from NeuralNetworks.losses import LossName
from NeuralNetworks.model import Part, Student, Teacher, complete_basis
from NeuralNetworks.studies import STUDIES
from NeuralNetworks.train import DEFAULTS, RiskEvaluation, Training, train

TOY_REGULARIZATIONS = np.array([0.05, 0.2, 0.35, 0.44, 0.46, 0.7])
TOY_TOLERANCE = 1e-6  # largest distance of PGD's toy minimisers from the exact ones
MAX_DEPTH = 1_000  # a step through so many layers takes a second
# Largest ‖W_⊥‖/‖W‖ at which claim F3 holds.
COLLAPSED = {"exact": 1e-6, "antithetic": 1e-3, "sampled": 0.1}

CLAIMS = ExperimentClaims(
    paper={
        "F1": PaperClaim(
            "Toy neuron, frozen bias: w* = 0 only for large λ, from λ* on",
            ("figure1_frozen_bias",),
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
            "PGD takes O(1/ρ²) steps to a ρ-SOSP, Hessian descent O(1/ρ^1.5), and W⊥ goes with ρ"
        ),
    },
    questions={
        "BIAS": PaperClaim("Biases must be trained: frozen ones carry no guarantee"),
        "REG": PaperClaim("W⊥ vanishes at every λ, however small"),
        "DEPTH": PaperClaim("W⊥ vanishes at every depth and width"),
        "LOSS": PaperClaim("W⊥ vanishes under every smooth loss"),
        "OPT": PaperClaim(
            "Which methods make W⊥ vanish: PGD, Hessian descent and strong regularization compared"
        ),
        "NG": PaperClaim("Open question: does W⊥ vanish for inputs that are not Gaussian?"),
        "GEN": PaperClaim("Open question: how many samples does it take to generalize?"),
        "SGD": PaperClaim("Open question: does W⊥ vanish under SGD without explicit noise?"),
    },
    commands={
        "exact": Command(("F1", "F2", "F3", "T4.1", "L3.1"), seconds=15),
        "sampled": Command(("F1", "F2", "F3", "T4.1", "L3.1"), seconds=23),
        "biases": Command(("BIAS", "T4.1", "L3.1"), seconds=200),
        "regularization": Command(("REG", "T4.1", "L3.1"), seconds=140),
        "depth": Command(("DEPTH", "T4.1", "L3.1"), seconds=300),
        "losses": Command(("LOSS", "T4.1", "L3.1"), seconds=100),
        "multi-index": Command(("T4.1", "L3.1"), seconds=200),
        "optimizers": Command(("OPT", "SGD"), seconds=90),
        "accuracy": Command(("T4.2",), seconds=160),
        "saddles": Command(("FOSP",), seconds=200),
        "strong-regularization": Command(("OPT",), seconds=260),
        "inputs": Command(("NG",), seconds=100),
        "generalization": Command(("GEN",), seconds=80),
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
    indices: PositiveInt = 1
    """Number k of input directions on which the teacher depends."""
    noise: Annotated[float, Between(0, math.inf)] = 0.0
    """Standard deviation σ of the noise on the teacher's labels."""
    width: PositiveInt = 1000
    """Units h of each hidden layer of the student."""
    depth: Annotated[int, Between(2, MAX_DEPTH)] = 2
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
    """Most descent steps; default 2000 exact and antithetic, 10000 (the paper's) sampled."""
    learning_rate: Annotated[float | None, Positive()] = None
    """Step size per hidden unit; the default depends on the estimator, and is smaller where
    curvature is high."""
    estimator: RiskEvaluation = "exact"
    """How the risk is evaluated. exact: at fixed points; antithetic: in fresh batches mirrored
    across the teacher's directions, for any dimension; sampled: in the paper's fresh batches of
    50."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_between("indices", self.indices, 1, self.dimension - 1)


def main(config: Config) -> None:
    """Run figures 1 to 3 and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks", config)
    generator = config.generator()
    _toy_neuron(run, config)
    teacher = Teacher(config.dimension, config.indices, noise=config.noise)
    student = Student(
        config.dimension,
        (config.width,) * (config.depth - 1),
        generator,
        activation=ACTIVATIONS[config.activation](),
        frozen=config.frozen,
    )
    max_steps = config.steps or DEFAULTS[config.estimator].max_steps
    with run.descent("figure 3", max_steps) as progress:
        training = train(
            student,
            teacher,
            regularization=config.regularization,
            generator=generator,
            loss=config.loss,
            estimator=config.estimator,
            learning_rate=config.learning_rate,
            max_steps=max_steps,
            device=config.torch_device(),
            progress=progress,
            checkpoints=run.checkpoints,
        )
    _collapse(run, config, teacher, training)
    run.finish()


def _toy_neuron(run: Run, config: Config) -> None:
    """Make figures 1 and 2 and their claims."""
    threshold = toy.frozen_threshold()
    ends = toy.sweep(TOY_REGULARIZATIONS, config.generator())
    curve_x = np.sort(np.append(np.linspace(0.01, 0.8, 400), [threshold - 1e-9, threshold + 1e-9]))
    curve = (curve_x, np.array([toy.frozen_minimizer(value) for value in curve_x]))
    expected = np.array([toy.frozen_minimizer(value) for value in TOY_REGULARIZATIONS])
    frozen_error = float(np.abs(ends.frozen_weights - expected).max())
    trained_weight = float(ends.trained_weights.max())
    bias_error = float(np.abs(ends.trained_biases - 1).max())
    run.results["toy_frozen_threshold"] = threshold
    run.arrays |= {f"toy_{name}": array for name, array in asdict(ends).items()}
    run.claim(
        "F1",
        "frozen bias: w* = 0 only from λ* on, PGD agrees on both sides",
        paper=0.4501,
        measured=threshold,
        holds=frozen_error < TOY_TOLERANCE and round(threshold, 4) == 0.4501,
    )
    run.claim(
        "F2",
        "trained bias: largest |w*| over λ is 0, and b* = 1",
        paper=0.0,
        measured=trained_weight,
        holds=max(trained_weight, bias_error) < TOY_TOLERANCE,
    )
    run.figure(
        "figure1_frozen_bias",
        plot.frozen_bias_figure(TOY_REGULARIZATIONS, ends.frozen_weights, curve, threshold),
    )
    run.figure(
        "figure2_trained_bias",
        plot.trained_bias_figure(
            TOY_REGULARIZATIONS, ends.trained_weights, ends.trained_biases, curve
        ),
    )


def _collapse(run: Run, config: Config, teacher: Teacher, training: Training) -> None:
    """Record the numbers of the training, claim the collapse and the bounds, and draw figure 3."""
    history, certificate = training.history, training.certificate
    weight_norm = float(history.observations["total_weight_norm"][-1])
    orthogonal_norm = float(history.weight_norm[-1])
    relative = orthogonal_norm / weight_norm
    run.results |= {
        "weight_norm": weight_norm,
        "orthogonal_norm": orthogonal_norm,
        "relative_orthogonal_norm": relative,
        "risk": training.risk,
        "steps": history.num_steps,
        "perturbations": len(history.perturbation_steps),
        "certificate": asdict(certificate) if certificate else None,
        "seconds": history.seconds,
    }
    run.claim(
        "F3",
        f"‖W⊥‖/‖W‖ ≤ {COLLAPSED[config.estimator]:g}: rows of W end on span(u)",
        paper=0.0,
        measured=relative,
        holds=relative <= COLLAPSED[config.estimator],
    )
    if certificate:
        run.claim_bounds(certificate, "‖W⊥‖", theorem="T4.1")
    _draw(run, teacher, training)


def _draw(run: Run, teacher: Teacher, training: Training) -> None:
    """Draw figure 3 as figure and animation, the norms and the singular values."""
    history = training.history
    steps = np.array(list(history.snapshots))
    weights = np.stack([s["student.weight"].numpy() for s in history.snapshots.values()])
    plane, line, names = _plane(teacher)
    in_plane = weights @ plane.T
    singular_values = np.linalg.svd(weights, compute_uv=False)
    run.figure("figure3_collapse", plot.collapse_figure(in_plane, line, names))
    run.animation("figure3_collapse", plot.collapse_animation(in_plane, steps, line, names))
    trace = trace_norm(history, training.exact_objective, training.certificate)
    run.figure(
        "figure3_weight_norm",
        plot.weight_norm_figure(trace, history.observations["total_weight_norm"]),
    )
    run.figure(
        "figure3_singular_values",
        plot.singular_values_figure(steps, singular_values, len(teacher.directions)),
    )
    run.arrays |= history.arrays()
    run.arrays |= {
        "snapshot_steps": steps,
        "snapshot_weights": in_plane,
        "snapshot_singular_values": singular_values,
        "sharp_bound_steps": trace.bound_steps,
        "sharp_bound": trace.sharp_bound,
    }


def _plane(teacher: Teacher) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Two directions to project on, the teacher's line in them, and the names of the axes."""
    directions = teacher.directions.cpu()
    indices, dimension = directions.shape
    if (indices, dimension) == (1, 2):
        return np.eye(2), directions[0].numpy(), ("w₁", "w₂")
    basis = complete_basis(directions)
    return basis[[0, indices]].numpy(), np.array([1.0, 0.0]), ("w·u", "w·u⊥")


if __name__ == "__main__":
    launch(main, Config, STUDIES)
