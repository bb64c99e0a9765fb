"""Training a student by perturbed gradient descent, on an exact or a sampled risk.

A step costs O(p·h·(d + 1)) for one hidden layer of h units: p is 512 points of the exact rule at
d = 2, 64·d beyond three dimensions, 50 where it samples. From h = 1000 on it is memory traffic, the
p×h matrix read and written a dozen times; below, what a torch call costs from Python.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from derandomization import (
    Certificate,
    Expectation,
    History,
    MonteCarlo,
    PerturbedGradientDescent,
    QuasiMonteCarlo,
    certify,
)
from derandomization.certificate import Hessian
from derandomization.checks import require_positive
from derandomization.descent import StepCallback
from derandomization.laboratory.checkpoints import Checkpoints, resumable_descend
from derandomization.laboratory.trace import log_spaced_steps
from NeuralNetworks.losses import Loss, LossFunction, LossName, as_loss
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset, Examples, Population, PopulationRisk
from NeuralNetworks.rules import NODES, Antithetic, exact_rule

Estimator = Literal["exact", "antithetic", "sampled"]
Layers = Sequence[tuple[int, Sequence[Tensor]]]  # a width and the parameters it scales


@dataclass(frozen=True)
class DescentSettings:
    """How a student descends. Learning rates are per hidden unit: gradients in W are O(1/h)."""

    max_steps: int
    learning_rate_per_unit: float
    momentum: float
    decrease_threshold: float


# The collapse goes as exp(−2λ·lr/(1−β)·t): at λ = 1e-5 and h = 1000 this step reaches 1e-6 of
# the start in about 250 steps. The rest leaves shallow saddles, curvature −1e-5, until ‖∇f‖ is
# where Lemma 3.1 speaks; a third of the step takes twice as long, four thirds fare no better.
# From there on slow valleys give at most 6e-7 in the interval, an escape from a saddle more.
EXACT = DescentSettings(
    max_steps=2_000, learning_rate_per_unit=0.3, momentum=0.9, decrease_threshold=1e-6
)
# The paper's run: plain steps on fresh batches, where no decrease can be told from noise.
SAMPLED = DescentSettings(
    max_steps=10_000, learning_rate_per_unit=0.014, momentum=0.0, decrease_threshold=-float("inf")
)
ANTITHETIC = DescentSettings(
    max_steps=2_000, learning_rate_per_unit=0.1, momentum=0.9, decrease_threshold=-float("inf")
)
SETTINGS = {"exact": EXACT, "antithetic": ANTITHETIC, "sampled": SAMPLED}

BATCH_SIZE = 50  # the paper's
ANTITHETIC_PAIRS = 64
# A trained a grows, and the curvature in W with it: at the full step the risk climbs again.
TRAINED_OUTPUT_FACTOR = 1 / 3
# Activations and losses that grow fast want smaller steps: this much of 1/curvature at the start.
MAX_RELATIVE_STEP = 0.5
GRADIENT_THRESHOLD = 1e-6  # the paper's, at its λ = 1e-5
PAPER_REGULARIZATION = 1e-5
# Jin et al.'s r = ε/(χ²ℓ) at ε = 1e-6, ℓ = 1e-3, χ = 12 is 7e-6; it also stays below the 1e-6
# of ‖W‖ to which W_⊥ is to vanish.
PERTURBATION_RADIUS = 1e-5
PERTURBATION_INTERVAL = 200
NUM_SNAPSHOTS = 40
MAX_SNAPSHOT_NUMBERS = 2 * 10**7


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        history: what the descent did.
        risk: E ℓ(ŷ, y) where it ended, by the exact rule where there is one.
        certificate: of where it ended; None where only sampling is possible, and for a dataset:
            Stein's lemma, on which the bounds rest, does not hold on a sample.
        exact_objective: what was certified; None as above.
    """

    history: History
    risk: float
    certificate: Certificate | None
    exact_objective: PopulationRisk | None

    @property
    def relative_orthogonal_norm(self) -> float:
        """‖W_⊥‖_F/‖W‖_F at the end."""
        return float(
            self.history.weight_norm[-1] / self.history.observations["total_weight_norm"][-1]
        )


def train(
    student: Student,
    source: Teacher | Dataset,
    *,
    regularization: float,
    generator: torch.Generator,
    loss: LossName | LossFunction | Loss = "squared",
    estimator: Estimator = "exact",
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
        student: the network to train.
        source: a teacher, whose population risk is minimised, or a dataset with a known subspace.
        regularization: λ > 0.
        generator: of the batches and the perturbations.
        loss: by name, or any function of (predictions, labels), one loss a point.
        estimator: how a teacher's risk is had: "exact", a rule that never changes (quadrature up
            to 3 dimensions; beyond, exact as W_⊥ → 0); "antithetic", fresh quasi-random batches
            mirrored across the teacher's subspace; "sampled", the paper's fresh batches of 50. A
            dataset decides by itself: "exact" with full batches, else "sampled".
        nodes: of the exact rule, along and across the teacher (see ``exact_rule``).
        learning_rate: step size per hidden unit; the estimator's own if None.
        gradient_threshold: ‖∇f‖ at which PGD perturbs and, where that leads nowhere, ends; 1e-6,
            less for λ below 1e-5, if None.
        max_steps: the most steps; the estimator's own number if None.
        device: where to compute; the CPU if None.
        progress: called with step, f and ‖W_⊥‖_F.
        checkpoints: where to keep the descent, and to go on from.

    Raises:
        ValueError: a setting out of its range, or exact estimation where no rule is small enough.
        Diverged: f is no longer finite; holds what was measured up to there.
    """
    chosen = as_loss(loss)
    given = {"learning_rate": learning_rate, "gradient_threshold": gradient_threshold}
    for name, value in given.items():
        if value is not None:
            require_positive(name, value)
    _require_same_dimension(student, source)
    if isinstance(source, Dataset):
        estimator = "exact" if source.batch_size is None else "sampled"
    examples, exactly = _examples(student, source, chosen, estimator, nodes, generator)
    settings = SETTINGS[estimator]
    objective = PopulationRisk(student, examples, regularization, chosen).to(device)
    max_steps = max_steps or settings.max_steps
    history = resumable_descend(
        objective,
        descent_optimizer(objective, settings, generator, learning_rate, gradient_threshold),
        max_steps=max_steps,
        observe=lambda: {"total_weight_norm": float(student.weight.detach().norm())},
        snapshot_steps=log_spaced_steps(max_steps, _num_snapshots(student)),
        progress=progress,
        checkpoints=checkpoints,
    )
    exact = PopulationRisk(student, exactly, regularization, chosen).to(device) if exactly else None
    with torch.no_grad():
        risk = float((exact or objective).risk())
    return Training(history, risk, certify(exact) if exact else None, exact)


def _require_same_dimension(student: Student, source: Teacher | Dataset) -> None:
    taken, given = student.weight.shape[1], source.directions.shape[1]
    if taken != given:
        raise ValueError(f"the student takes inputs of dimension {taken}, its source gives {given}")


def _examples(
    student: Student,
    source: Teacher | Dataset,
    loss: Loss,
    estimator: Estimator,
    nodes: tuple[int, int],
    generator: torch.Generator,
) -> tuple[Examples, Examples | None]:
    """What the descent sees, and what the certificate does: None where there is no exact rule."""
    if isinstance(source, Dataset):
        loss.require_labels(source.labels)
        return source, None  # Stein's lemma, and so the bounds, do not hold on a sample
    rule = exact_rule(source, sum(student.widths), nodes)
    exact = Population(source, rule, loss) if rule else None
    if estimator == "exact":
        if exact is None:
            raise ValueError(
                f"dimension is {source.directions.shape[1]}: an exact rule for this student "
                "would be too large; use estimator antithetic or sampled"
            )
        return exact, exact
    dimension = source.sample_dimension
    expectation: Expectation = MonteCarlo(dimension, BATCH_SIZE, generator)
    if estimator == "antithetic":
        points = QuasiMonteCarlo(dimension, ANTITHETIC_PAIRS, generator)
        expectation = Antithetic(points, source.sample_directions())
    return Population(source, expectation, loss), exact


def _num_snapshots(student: Student) -> int:
    """As many as fit into ``MAX_SNAPSHOT_NUMBERS``: a wide student's copies are large."""
    size = sum(p.numel() for p in student.parameters())
    return min(NUM_SNAPSHOTS, max(2, MAX_SNAPSHOT_NUMBERS // size))


def descent_optimizer(
    objective: PopulationRisk,
    settings: DescentSettings,
    generator: torch.Generator,
    learning_rate: float | None = None,
    gradient_threshold: float | None = None,
) -> PerturbedGradientDescent:
    """One step size per hidden unit: a layer of h units takes steps of h times as much."""
    layers = _trained_layers(objective.student)
    rate = learning_rate
    if rate is None:
        rate = settings.learning_rate_per_unit
        if len(layers) > 1:
            rate *= TRAINED_OUTPUT_FACTOR
        curvature = curvature_per_unit(objective, layers)
        if not (math.isfinite(curvature) and curvature > 0):
            reason = f"the curvature at the start comes out as {curvature}: no step suits it"
            raise ValueError(f"regularization is {objective.regularization:g}: {reason}")
        rate = min(rate, MAX_RELATIVE_STEP / curvature)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate * width} for width, parameters in layers
    ]
    # Lemma 3.1 speaks where √(Kρ) < 2λ: below the paper's λ both thresholds shrink with it.
    patience = min(1.0, objective.regularization / PAPER_REGULARIZATION)
    return PerturbedGradientDescent(
        groups,
        lr=rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        restart=settings is EXACT,
        gradient_threshold=gradient_threshold or GRADIENT_THRESHOLD * patience,
        perturbation_radius=PERTURBATION_RADIUS,
        perturbation_interval=PERTURBATION_INTERVAL,
        decrease_threshold=settings.decrease_threshold * patience,
        generator=generator,
    )


def _trained_layers(student: Student) -> Layers:
    """The width that scales each layer's steps, and its trained parameters."""
    hidden = zip(student.widths[1:], student.hidden, strict=True)
    layers: Layers = [
        (student.widths[0], [student.weight, student.bias]),
        (student.widths[-1], [student.output]),
        *((width, list(layer.parameters())) for width, layer in hidden),
    ]
    trained = [(width, [p for p in layer if p.requires_grad]) for width, layer in layers]
    return [(width, parameters) for width, parameters in trained if parameters]


def curvature_per_unit(objective: PopulationRisk, layers: Layers) -> float:
    """The spectral norm of the Hessian in parameters divided by √width, at the start."""
    scales = torch.cat([p.new_full((p.numel(),), w**0.5) for w, layer in layers for p in layer])
    return Hessian(objective, [p for _, layer in layers for p in layer]).spectral_norm(scales)
