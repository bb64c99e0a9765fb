"""One training with everything about it that a study may vary, and the claims about many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, claim_lemma
from NeuralNetworks.activations import ACTIVATIONS, ActivationName
from NeuralNetworks.losses import LossName
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.train import Estimator, train

# A third of figure 3's points: the risk to 1e-4, and as exact for W_⊥ → 0.
NODES = (24, 4)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A student, a teacher and how the one learns from the other; see their docstrings."""

    dimension: int = 2
    indices: int = 1
    noise: float = 0.0
    widths: tuple[int, ...] = (100,)
    activation: ActivationName = "smooth-relu"
    frozen: tuple[str, ...] = ("output",)
    loss: LossName = "squared"
    regularization: float = 1e-3
    estimator: Estimator = "exact"
    nodes: tuple[int, int] = NODES
    gradient_threshold: float | None = None
    max_steps: int = 1000


CERTIFIED = (
    "gradient_norm",
    "min_curvature",
    "hessian_lipschitz",
    "rho",
    "weight_bound",
    "sharp_weight_bound",
)
KEPT = 1e-6  # of the largest singular value: a direction that W has kept


def measure(trial: Trial, seed: int) -> Measurement:
    """Train once and certify; bounds that are silent and certificates that are not are NaN."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(trial.dimension, trial.indices, noise=trial.noise)
    student = Student(
        trial.dimension,
        trial.widths,
        generator,
        activation=ACTIVATIONS[trial.activation](),
        frozen=trial.frozen,
    )
    training = train(
        student,
        teacher,
        regularization=trial.regularization,
        generator=generator,
        loss=trial.loss,
        estimator=trial.estimator,
        nodes=trial.nodes,
        gradient_threshold=trial.gradient_threshold,
        max_steps=trial.max_steps,
    )
    certificate = training.certificate
    learned = learned_directions(student.weight.detach())

    def certified(name: str) -> float:
        value = getattr(certificate, name) if certificate else None
        return math.nan if value is None else float(value)

    return {
        "relative_orthogonal_norm": training.relative_orthogonal_norm,
        "orthogonal_norm": float(training.history.weight_norm[-1]),
        "remaining_orthogonal_norm": float(
            training.history.weight_norm[-1] / training.history.weight_norm[0]
        ),
        "rank": len(learned),
        "principal_angle": largest_principal_angle(learned, teacher.directions),
        "risk": training.risk,
        **{name: certified(name) for name in CERTIFIED},
        "steps": training.history.num_steps,
        "seconds": training.history.seconds,
    }


def learned_directions(weight: Tensor) -> Tensor:
    """Right singular vectors of W whose singular values are above 1e-6 of the largest."""
    values, directions = torch.linalg.svd(weight, full_matrices=False)[1:]
    return directions[values > KEPT * values[0]]


def largest_principal_angle(learned: Tensor, directions: Tensor) -> float:
    """Radians by which a subspace sticks out of another, both given by orthonormal rows.

    By the sine, ‖V − VUᵀU‖₂: the cosine can't tell angles below 1e-8 from none.
    """
    across = learned - (learned @ directions.T) @ directions
    sine = float(torch.linalg.matrix_norm(across, ord=2))
    return math.asin(min(1.0, sine))


def claim_collapse(run: Run, rows: Sequence[Row[Any]], id: str, tolerance: float) -> None:
    """Claim ‖W_⊥‖/‖W‖ ≤ tolerance on every seed of every row, or name the rows where not."""
    norms = {row.name: row.measured["relative_orthogonal_norm"] for row in rows}
    total = sum(len(values) for values in norms.values())
    failed = [name for name, values in norms.items() if not (values <= tolerance).all()]
    met = sum(int((values <= tolerance).sum()) for values in norms.values())
    statement = f"‖W⊥‖/‖W‖ ≤ {tolerance:g} on every run: {met} of {total}"
    run.claim(
        id,
        statement + (f"; not at {', '.join(failed)}" if failed else ""),
        paper=0.0,
        measured=float(max(values.max() for values in norms.values())),
        holds=not failed,
    )


def claim_bounds(run: Run, rows: Sequence[Row[Any]]) -> None:
    """Claim ‖W_⊥‖_F within the theorem's bound and its sharp form wherever they speak."""
    claim_lemma(run, rows, "orthogonal_norm", "‖W⊥‖", theorem="T4.1", lipschitz="K estimated")
