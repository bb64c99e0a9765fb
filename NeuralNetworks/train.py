"""Training a student by perturbed gradient descent on the exact or the sampled risk."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from derandomization import (
    Certificate,
    Expectation,
    GaussHermite,
    History,
    MonteCarlo,
    PerturbedGradientDescent,
    certify,
    descend,
    log_spaced_steps,
)
from derandomization.descent import ProgressCallback
from derandomization.expectations import MAX_QUADRATURE_DIMENSION
from NeuralNetworks.model import PopulationRisk, Student, Teacher, complete_basis

Estimator = Literal["exact", "sampled"]


@dataclass(frozen=True)
class DescentSettings:
    """How a student descends. Learning rates are per hidden unit: gradients in W are O(1/h)."""

    max_steps: int
    learning_rate_per_unit: float
    momentum: float
    decrease_threshold: float


# Along the teacher 64 nodes give the risk to 1e-7, where 24 leave 2e-5; across it 8 are enough
# while W_⊥ is on its way to 0, where any number is exact.
NODES_ALONG = 64
NODES_ACROSS = 8

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
SETTINGS = {"exact": EXACT, "sampled": SAMPLED}

BATCH_SIZE = 50  # the paper's
# A trained a grows, and the curvature in W with it: at the full step the risk climbs again.
TRAINED_OUTPUT_FACTOR = 1 / 3
GRADIENT_THRESHOLD = 1e-6  # the paper's
# Jin et al.'s r = ε/(χ²ℓ) at ε = 1e-6, ℓ = 1e-3, χ = 12 is 7e-6; it also stays below the 1e-6
# of ‖W‖ to which W_⊥ is to vanish.
PERTURBATION_RADIUS = 1e-5
PERTURBATION_INTERVAL = 200
NUM_SNAPSHOTS = 40


@dataclass(frozen=True)
class Training:
    """A finished training: its record, the certificate (None where only sampling is possible)."""

    history: History
    risk: float
    certificate: Certificate | None
    exact_objective: PopulationRisk | None


def train(
    student: Student,
    teacher: Teacher,
    *,
    regularization: float,
    generator: torch.Generator,
    estimator: Estimator = "exact",
    max_steps: int | None = None,
    device: torch.device | None = None,
    progress: ProgressCallback | None = None,
) -> Training:
    """Train ``student`` in place on the teacher's population risk, then certify where it ended.

    Args:
        student: the network to train.
        teacher: what it learns from.
        regularization: λ > 0.
        generator: of the batches and the perturbations.
        estimator: "exact" quadrature (input dimension up to 3) or "sampled" fresh batches of 50.
        max_steps: the most steps; the estimator's own number if None.
        device: where to compute; the CPU if None.
        progress: called with step, f and ‖W_⊥‖_F.

    Raises:
        ValueError: exact estimation asked for in more than 3 dimensions.
    """
    settings = SETTINGS[estimator]
    quadrature = _quadrature(teacher)
    expectation: Expectation | None = quadrature
    if estimator == "sampled":
        expectation = MonteCarlo(student.weight.shape[1], BATCH_SIZE, generator)
    if expectation is None:
        raise ValueError(
            f"dimension is {student.weight.shape[1]}: exact quadrature reaches "
            f"{MAX_QUADRATURE_DIMENSION}; use estimator sampled"
        )
    objective = PopulationRisk(student, teacher, expectation, regularization).to(device)
    max_steps = max_steps or settings.max_steps
    history = descend(
        objective,
        _optimizer(student, settings, generator),
        max_steps=max_steps,
        observe=lambda: {"total_weight_norm": float(student.weight.detach().norm())},
        snapshot_steps=log_spaced_steps(max_steps, NUM_SNAPSHOTS),
        progress=progress,
    )
    exact = None
    if quadrature is not None:
        exact = PopulationRisk(student, teacher, quadrature, regularization).to(device)
    with torch.no_grad():
        risk = float((exact or objective).risk())
    return Training(history, risk, certify(exact) if exact else None, exact)


def _quadrature(teacher: Teacher) -> GaussHermite | None:
    """The exact expectation, laid along the teacher; None in more dimensions than it reaches."""
    indices, dimension = teacher.directions.shape
    if dimension > MAX_QUADRATURE_DIMENSION:
        return None
    nodes = (NODES_ALONG,) * indices + (NODES_ACROSS,) * (dimension - indices)
    return GaussHermite(nodes, basis=complete_basis(teacher.directions.cpu()))


def _optimizer(
    student: Student, settings: DescentSettings, generator: torch.Generator
) -> PerturbedGradientDescent:
    width = len(student.bias)
    learning_rate = settings.learning_rate_per_unit * width
    groups: list[dict[str, Any]] = [{"params": [student.weight, student.bias]}]
    if student.output.requires_grad:
        learning_rate *= TRAINED_OUTPUT_FACTOR
        # ∂f/∂a is O(h) times larger than ∂f/∂W and its curvature O(h²) times.
        groups.append({"params": [student.output], "lr": learning_rate / width**2})
    return PerturbedGradientDescent(
        groups,
        lr=learning_rate,
        momentum=settings.momentum,
        nesterov=settings.momentum > 0,
        gradient_threshold=GRADIENT_THRESHOLD,
        perturbation_radius=PERTURBATION_RADIUS,
        perturbation_interval=PERTURBATION_INTERVAL,
        decrease_threshold=settings.decrease_threshold,
        generator=generator,
    )
