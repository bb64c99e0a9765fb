"""Training a student by perturbed gradient descent, on an exact or a sampled risk.

A step costs O(p·h·(d + 1)) for one hidden layer of h units: p is 512 points of the quadrature at
d = 2, 64·d points beyond three dimensions, 50 in a sampled batch. From h = 1000 on memory traffic
dominates: the p×h matrix is read and written a dozen times. Below, the overhead of torch does.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from derandomization import (
    Certificate,
    History,
    MonteCarlo,
    PerturbedGradientDescent,
    QuasiMonteCarlo,
    certify,
)
from derandomization.checks import require_at_least, require_between, require_positive
from derandomization.descent import StepCallback
from derandomization.hessian import Hessian
from derandomization.laboratory.checkpoints import Checkpoints, resumable_descend
from derandomization.laboratory.trace import log_spaced_steps
from NeuralNetworks.expectations import NODES, Antithetic, exact_expectation
from NeuralNetworks.losses import Loss, LossFunction, as_loss
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset, Examples, Population, PopulationRisk
from NeuralNetworks.settings import LossName, RiskEvaluation

Layers = Sequence[tuple[int, Sequence[Tensor]]]  # widths and the parameters of each layer


@dataclass(frozen=True)
class DescentDefaults:
    """How a student descends. Learning rates are per hidden unit: gradients in W are O(1/h)."""

    max_steps: int
    learning_rate_per_unit: float
    momentum: float = 0.9
    decrease_threshold: float = -math.inf  # on fresh batches a decrease may be noise


# W_⊥ shrinks as exp(−2λ·lr/(1−β)·t): at λ = 1e-5 and h = 1000, to 1e-6 of the start in about 250
# steps. The remaining steps leave saddles of curvature −1e-5, until Lemma 3.1 gives a bound. After
# that, f decreases by at most 6e-7 per perturbation interval; escaping from a saddle gains more.
EXACT = DescentDefaults(2_000, learning_rate_per_unit=0.3, decrease_threshold=1e-6)
DEFAULTS = {
    "exact": EXACT,
    "antithetic": DescentDefaults(2_000, learning_rate_per_unit=0.1),
    "sampled": DescentDefaults(10_000, learning_rate_per_unit=0.014, momentum=0.0),  # the paper's
}

BATCH_SIZE = 50  # the paper's
ANTITHETIC_PAIRS = 64
# Trained output weights grow, and with them the curvature in W: full steps would raise the risk.
TRAINED_OUTPUT_FACTOR = 1 / 3
# Upper limit on step size × curvature at the start, for activations and losses that grow fast.
MAX_RELATIVE_STEP = 0.5
GRADIENT_THRESHOLD = 1e-6  # the paper's, at its λ = 1e-5
# Jin et al.'s r = ε/(χ²ℓ) at ε = 1e-6, ℓ = 1e-3, χ = 12 is 7e-6, which is below 1e-6 of ‖W‖.
PERTURBATION_RADIUS = 1e-5
PERTURBATION_INTERVAL = 200
# Inputs count as standardised if every mean is at most 1 in size and every standard deviation is
# between 1/4 and 4, as those of small samples of standardised inputs are.
FARTHEST_MEAN, WIDEST = 1.0, 4.0


@dataclass(frozen=True)
class Training:
    """A finished training: its history, and the risk E ℓ(ŷ, y) at the end, exact if possible.

    In the history and the certificate ``weight_norm`` is ‖W_⊥‖_F, since W_⊥ is Eq. 1's W.

    The certificate and the objective that was certified, a dataset's empirical risk or a teacher's
    exact one, are None where a teacher's risk can only be sampled, or where no direction of a
    dataset is known. ``estimated_directions`` then says which ones W keeps.
    """

    history: History
    risk: float
    certificate: Certificate | None
    exact_objective: PopulationRisk | None

    @property
    def weight_norm(self) -> float:
        """‖W‖_F at the end."""
        return float(self.history.observations["total_weight_norm"][-1])

    @property
    def orthogonal_norm(self) -> float:
        """‖W_⊥‖_F at the end."""
        return float(self.history.weight_norm[-1])

    @property
    def parallel_norm(self) -> float:
        """‖W_∥‖_F at the end."""
        return math.sqrt(max(0.0, self.weight_norm**2 - self.orthogonal_norm**2))

    @property
    def first_layer(self) -> Float[Tensor, "width dimension"]:
        """W at the end."""
        return list(self.history.snapshots.values())[-1]["student.weight"]

    @property
    def singular_values(self) -> Float[Tensor, " values"]:
        """Of W at the end, largest first: as many stay large as the labels use directions."""
        return torch.linalg.svdvals(self.first_layer)

    def estimated_directions(self, num_components: int) -> Float[Tensor, "indices dimension"]:
        """The k leading right singular vectors of W, as rows: an estimate of U from W alone.

        ``PrincipalSubspace`` finds U more exactly. ``ValueError`` unless 1 ≤ k ≤ d.
        """
        require_between("num_components", num_components, 1, self.first_layer.shape[1])
        _, _, rows = torch.linalg.svd(self.first_layer)
        return rows[:num_components]

    @property
    def relative_orthogonal_norm(self) -> float:
        """‖W_⊥‖_F/‖W‖_F at the end; meaningless if all of W vanished."""
        return self.orthogonal_norm / self.weight_norm if self.weight_norm else 0.0


def train(
    student: Student,
    data: Teacher | Dataset,
    *,
    regularization: float,
    generator: torch.Generator,
    loss: LossName | LossFunction | Loss = "squared",
    estimator: RiskEvaluation = "exact",
    nodes: tuple[int, int] = NODES,
    learning_rate: float | None = None,
    gradient_threshold: float | None = None,
    max_steps: int | None = None,
    device: torch.device | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> Training:
    """Train ``student`` in place, then certify the point where it ended.

    Args:
        data: a teacher, whose population risk is minimised, or a dataset. Its inputs should
            be standardised: a warning says so if they are far from that.
        regularization: λ > 0.
        generator: draws the batches and the perturbations.
        loss: a name, or any function of (predictions, labels) with one loss per point.
        estimator: how a teacher's risk is evaluated: "exact", at fixed points (a quadrature up to 3
            dimensions; beyond, a rule that is exact at W_⊥ = 0); "antithetic", in fresh
            quasi-random batches mirrored across the teacher's subspace; "sampled", in the paper's
            fresh batches of 50. A dataset is "exact" without a batch size, else "sampled".
        nodes: of the quadrature, along and across the teacher (see ``quadrature``).
        learning_rate: step size per hidden unit; None chooses by the estimator and the curvature.
        gradient_threshold: ‖∇f‖ below which PGD perturbs, and ends if f then does not decrease;
            None is 1e-6, and less for λ below 1e-5.
        max_steps, device: None chooses by the estimator, and the CPU.
        progress, checkpoints: called with step, f and ‖W_⊥‖_F; where the descent is stored.

    Raises ``ValueError`` if a setting is out of range or the exact risk needs too many points;
    ``Diverged``, which holds what was measured before, if f is no longer finite.
    """
    chosen = as_loss(loss)
    if estimator not in DEFAULTS:
        raise ValueError(f"estimator is {estimator!r}: it must be one of {', '.join(DEFAULTS)}")
    if learning_rate is not None:
        require_positive("learning_rate", learning_rate)
    if gradient_threshold is not None:
        require_positive("gradient_threshold", gradient_threshold)
    taken, offered = student.weight.shape[1], data.directions.shape[1]
    if taken != offered:
        raise ValueError(f"the student takes inputs of dimension {taken}, the data have {offered}")
    examples: Examples
    exact_examples: Examples | None = None
    if isinstance(data, Dataset):
        chosen.require_labels(data.labels)
        _warn_unless_standardised(data.inputs)
        examples, exact_examples = data, data.whole()
        estimator = "exact" if data.batch_size is None else "sampled"
    else:
        exact_rule = exact_expectation(data, sum(student.widths), nodes)
        exact_examples = Population(data, exact_rule, chosen) if exact_rule else None
        rule = exact_rule if estimator == "exact" else _batches(data, estimator, generator)
        if rule is None:
            raise ValueError(
                f"dimension is {offered} and the widths are {student.widths}: an exact rule for "
                "this student would be too large; use estimator antithetic or sampled"
            )
        examples = Population(data, rule, chosen)
    defaults = DEFAULTS[estimator]
    objective = PopulationRisk(student, examples, regularization, chosen).to(device)
    max_steps = (
        defaults.max_steps if max_steps is None else require_at_least("max_steps", max_steps, 1)
    )
    copied = sum(p.numel() for p in student.parameters())
    num_snapshots = min(40, max(2, 2 * 10**7 // copied))  # fewer of students that fill the memory
    history = resumable_descend(
        objective,
        descent_optimizer(objective, defaults, generator, learning_rate, gradient_threshold),
        max_steps=max_steps,
        observe=lambda: {"total_weight_norm": float(student.weight.detach().norm())},
        snapshot_steps=log_spaced_steps(max_steps, num_snapshots),
        progress=progress,
        checkpoints=checkpoints,
    )
    exact: PopulationRisk | None = None
    if exact_examples:
        exact = PopulationRisk(student, exact_examples, regularization, chosen).to(device)
    with torch.no_grad():
        risk = float((exact or objective).risk())
    if len(data.directions) == 0:  # a bound on all of W would say nothing
        exact = None
    return Training(history, risk, certify(exact) if exact else None, exact)


def _warn_unless_standardised(inputs: Tensor) -> None:
    """Warn where a feature's mean or standard deviation is far from 0 or 1."""
    means, deviations = inputs.mean(dim=0).abs(), inputs.std(dim=0, correction=0)
    largest, smallest = float(deviations.max()), float(deviations.min())
    if float(means.max()) > FARTHEST_MEAN or largest > WIDEST or smallest < 1 / WIDEST:
        warnings.warn(
            f"inputs have means up to {float(means.max()):.3g} and standard deviations from "
            f"{smallest:.3g} to {largest:.3g}: most of W may stay outside the directions that "
            "matter unless inputs are standardised, better whitened",
            stacklevel=3,
        )


def _batches(
    teacher: Teacher, estimator: RiskEvaluation, generator: torch.Generator
) -> MonteCarlo | Antithetic:
    """Fresh batches for a teacher's risk."""
    if estimator == "sampled":
        return MonteCarlo(teacher.sample_dimension, BATCH_SIZE, generator)
    points = QuasiMonteCarlo(teacher.sample_dimension, ANTITHETIC_PAIRS, generator)
    return Antithetic(points, teacher.sample_directions())


def descent_optimizer(
    objective: PopulationRisk,
    defaults: DescentDefaults,
    generator: torch.Generator,
    learning_rate: float | None = None,
    gradient_threshold: float | None = None,
) -> PerturbedGradientDescent:
    """PGD whose step size in a layer of h units is h times the step size per hidden unit."""
    layers = _trained_layers(objective.student)
    if learning_rate is None:
        learning_rate = defaults.learning_rate_per_unit
        if len(layers) > 1:
            learning_rate *= TRAINED_OUTPUT_FACTOR
        curvature = curvature_per_unit(objective, layers)
        if not (math.isfinite(curvature) and curvature > 0):
            raise ValueError(
                f"regularization is {objective.regularization:g}: the curvature at the start is "
                f"computed as {curvature}, for which there is no step size"
            )
        learning_rate = min(learning_rate, MAX_RELATIVE_STEP / curvature)
    # Lemma 3.1 needs √(Kρ) < 2λ: below the paper's λ both thresholds shrink with it.
    scale = min(1.0, objective.regularization / 1e-5)
    return PerturbedGradientDescent(
        [{"params": parameters, "lr": learning_rate * width} for width, parameters in layers],
        lr=learning_rate,
        momentum=defaults.momentum,
        nesterov=defaults.momentum > 0,
        restart=defaults is EXACT,
        gradient_threshold=gradient_threshold or GRADIENT_THRESHOLD * scale,
        perturbation_radius=PERTURBATION_RADIUS,
        perturbation_interval=PERTURBATION_INTERVAL,
        decrease_threshold=defaults.decrease_threshold * scale,
        generator=generator,
    )


def _trained_layers(student: Student) -> Layers:
    """The width that scales each layer's steps, and the layer's trained parameters."""
    widths = (student.widths[0], student.widths[-1], *student.widths[1:])
    hidden = (layer.parameters() for layer in student.hidden)
    layers = zip(widths, ([student.weight, student.bias], [student.output], *hidden), strict=True)
    trained = [(width, [p for p in layer if p.requires_grad]) for width, layer in layers]
    return [(width, parameters) for width, parameters in trained if parameters]


def curvature_per_unit(objective: PopulationRisk, layers: Layers) -> float:
    """The spectral norm of the Hessian in parameters divided by √width, at the current point."""
    scales = torch.cat([p.new_full((p.numel(),), w**0.5) for w, layer in layers for p in layer])
    return Hessian(objective, [p for _, layer in layers for p in layer]).spectral_norm(scales)
