"""Figures 1 to 3: structure discovery in the first layer of a neural network."""

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, which take seconds

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from derandomization import stein_bounds
from derandomization.expectations import MAX_QUADRATURE_DIMENSION
from derandomization.laboratory.claims import Command, ExperimentClaims, PaperClaim
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.run import Run, RunConfig, report_end
from derandomization.laboratory.settings import AtLeast, Between, Positive, PositiveFloat
from derandomization.laboratory.trace import trace_norm
from NeuralNetworks import plot, toy
from NeuralNetworks.activations import ACTIVATIONS, ActivationName
from NeuralNetworks.expectations import gaussian_points
from NeuralNetworks.losses import LossName
from NeuralNetworks.model import Part, Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies import STUDIES
from NeuralNetworks.train import DEFAULTS, RiskEvaluation, Training, train

TOY_REGULARIZATIONS = np.array([0.05, 0.2, 0.35, 0.44, 0.46, 0.7])
TOY_TOLERANCE = 1e-6  # largest distance of PGD's toy minimisers from the exact ones
PAPER_THRESHOLD, PAPER_ROUNDING = 0.4501, 5e-5  # the paper's λ*, given to four digits
COLLAPSED = {"exact": 1e-6, "antithetic": 1e-3, "sampled": 0.1}  # largest ‖W_⊥‖/‖W‖ of claim F3

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
    run = Run("NeuralNetworks", config)
    _toy_neuron(run, config)
    generator = config.generator()
    teacher = Teacher(config.dimension, config.indices, noise=config.noise)
    widths = (config.width,) * (config.depth - 1)
    activation = ACTIVATIONS[config.activation]()
    student = Student(
        config.dimension, widths, generator, activation=activation, frozen=config.frozen
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
        report_end(progress, training.history)
    _collapse(run, config, teacher, training)
    _draw(run, teacher, training)
    run.finish()


def _toy_neuron(run: Run, config: Config) -> None:
    """Make figures 1 and 2 and their claims."""
    generator = config.generator()
    threshold = toy.frozen_threshold()
    ends = toy.sweep(TOY_REGULARIZATIONS, generator)
    low, high = toy.bracket_threshold(ends, generator)
    minimizers = np.vectorize(toy.frozen_minimizer)
    curve_x = np.sort(np.append(np.linspace(0.01, 0.8, 400), [threshold - 1e-9, threshold + 1e-9]))
    curve = (curve_x, minimizers(curve_x))
    frozen_error = float(np.abs(ends.frozen_weights - minimizers(TOY_REGULARIZATIONS)).max())
    trained_weight = float(ends.trained_weights.max())
    bias_error = float(np.abs(ends.trained_biases - 1).max())
    run.results["toy_frozen_threshold"] = (low + high) / 2
    run.arrays |= {f"toy_{name}": array for name, array in asdict(ends).items()}
    run.arrays["toy_threshold_interval"] = np.array([low, high])
    run.claim(
        "F1",
        f"frozen bias: PGD's w* becomes 0 between λ = {low:.6f} and {high:.6f}; "
        f"for each λ it differs from the exact minimiser by at most {frozen_error:.0e}",
        paper=PAPER_THRESHOLD,
        measured=(low + high) / 2,
        holds=max(low - PAPER_THRESHOLD, PAPER_THRESHOLD - high) <= PAPER_ROUNDING
        and frozen_error < TOY_TOLERANCE,
    )
    run.claim(
        "F2",
        f"trained bias: largest |w*| over λ is 0, and |b* − 1| ≤ {bias_error:.0e}",
        paper=0.0,
        measured=trained_weight,
        holds=max(trained_weight, bias_error) < TOY_TOLERANCE,
    )
    run.figure("figure1_frozen_bias", plot.frozen_bias_figure(ends, curve, threshold))
    run.figure("figure2_trained_bias", plot.trained_bias_figure(ends, curve))


def _collapse(run: Run, config: Config, teacher: Teacher, training: Training) -> None:
    """Record the numbers of the training, and claim the collapse and the bounds."""
    history, certificate = training.history, training.certificate
    relative, largest = training.relative_orthogonal_norm, COLLAPSED[config.estimator]
    guaranteed = not {"weight", "bias"} & set(config.frozen)
    vanished = training.weight_norm <= largest * float(history.observations["total_weight_norm"][0])
    norms = f"‖W∥‖ = {training.parallel_norm:.3g}, ‖W⊥‖ = {training.orthogonal_norm:.3g}"
    run.results |= {
        "weight_norm": training.weight_norm,
        "parallel_norm": training.parallel_norm,
        "orthogonal_norm": training.orthogonal_norm,
        "relative_orthogonal_norm": relative,
        "risk": training.risk,
        "steps": history.num_steps,
        "perturbations": len(history.perturbation_steps),
        "reason": history.reason,
        "certificate": certificate,
        "seconds": history.seconds,
    }
    run.claim(
        "F3",
        f"all of W vanished: {norms}"
        if vanished
        else f"‖W⊥‖/‖W‖ ≤ {largest:g}: rows of W end on span(u), {norms}",
        paper=0.0,
        measured=relative,
        holds=None if vanished else relative <= largest or (False if guaranteed else None),
    )
    if certificate:
        # Beyond three dimensions the rule is not Gaussian away from W⊥ = 0.
        gaussian = config.dimension <= MAX_QUADRATURE_DIMENSION
        run.claim_bounds(certificate, "‖W⊥‖", theorem="T4.1", gaussian=gaussian)
    if training.exact_objective and config.dimension > MAX_QUADRATURE_DIMENSION:
        _check_on_gaussian_points(run, teacher, training.exact_objective)


def _check_on_gaussian_points(run: Run, teacher: Teacher, objective: PopulationRisk) -> None:
    """Claim the sharp bound on points that are Gaussian at every W, not at W⊥ = 0 only."""
    rule = gaussian_points(teacher).to(teacher.directions.device)
    examples = Population(teacher, rule, objective.loss)
    gaussian = PopulationRisk(objective.student, examples, objective.regularization, objective.loss)
    bounds = stein_bounds(gaussian)
    run.results["on_gaussian_points"] = bounds
    norm, bound = bounds.weight_norm, bounds.sharp_weight_bound
    run.claim(
        "L3.1",
        f"‖W⊥‖ is at most the sharp bound on {len(rule.weights)} Gaussian points "
        f"(‖δ‖ = {bounds.stein_defect:.2g})",
        bound=bound,
        measured=norm,
        holds=None if bound is None else norm <= bound,
    )


def _draw(run: Run, teacher: Teacher, training: Training) -> None:
    """Draw figure 3 as figure and animation, the norms and the singular values."""
    history = training.history
    steps = np.array(list(history.snapshots))
    weights = np.stack([s["student.weight"].numpy() for s in history.snapshots.values()])
    directions = teacher.directions.cpu()
    if directions.shape == (1, 2):
        plane, line, names = np.eye(2), directions[0].numpy(), ("w₁", "w₂")
    else:  # u and a direction across
        plane = complete_basis(directions)[[0, len(directions)]].numpy()
        line, names = np.array([1.0, 0.0]), ("w·u", "w·u⊥")
    in_plane = weights @ plane.T
    singular_values = np.linalg.svd(weights, compute_uv=False)
    run.figure("figure3_collapse", plot.collapse_figure(in_plane, line, names))
    run.animation("figure3_collapse", plot.collapse_animation(in_plane, steps, line, names))
    trace = trace_norm(history, training.exact_objective, training.certificate)
    norms = plot.weight_norm_figure(trace, history.observations["total_weight_norm"])
    run.figure("figure3_weight_norm", norms)
    spectrum = plot.singular_values_figure(steps, singular_values, len(directions))
    run.figure("figure3_singular_values", spectrum)
    run.arrays |= history.arrays() | {
        "snapshot_steps": steps,
        "snapshot_weights": in_plane,
        "snapshot_singular_values": singular_values,
        "sharp_bound_steps": trace.bound_steps,
        "sharp_bound": trace.sharp_bound,
    }


def command() -> None:
    """Run what the command line says."""
    launch(main, Config, STUDIES | OWN_DATA)


if __name__ == "__main__":
    command()
