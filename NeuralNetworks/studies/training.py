"""One training that studies repeat under varied settings: its measurements and its claims."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, claim_lemma, measured
from NeuralNetworks.activations import ACTIVATIONS, ActivationName
from NeuralNetworks.losses import LossName
from NeuralNetworks.model import Student, Teacher, orthogonal_part
from NeuralNetworks.train import RiskEvaluation, train

# A third of figure 3's points: the risk is exact to 1e-4, and as W_⊥ → 0 nothing is lost.
NODES = (24, 4)
COLLAPSED = 1e-6  # ‖W_⊥‖/‖W‖ below which a first layer counts as collapsed
NEGLIGIBLE_SINGULAR_VALUE = 1e-6  # relative to the largest
CERTIFIED = (
    "gradient_norm",
    "min_curvature",
    "hessian_lipschitz",
    "rho",
    "weight_bound",
    "sharp_weight_bound",
)
HEADINGS = {
    "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
    "remaining_orthogonal_norm": "‖W⊥‖/start",
    "parallel_norm": "‖W∥‖",
    "principal_angle": "principal angle (rad)",
    "rank": "rank of W",
    "weight_bound": "bound at ρ",
    "sharp_weight_bound": "sharp bound",
    "rho": "ρ",
    "risk": "risk",
    "gradient_norm": "‖∇f‖",
    "steps": "steps",
    "seconds": "seconds",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A student, a teacher and how the student is trained; see the classes and ``train``."""

    dimension: int = 2
    indices: int = 1
    noise: float = 0.0
    widths: tuple[int, ...] = (100,)
    activation: ActivationName = "smooth-relu"
    frozen: tuple[str, ...] = ("output",)
    loss: LossName = "squared"
    regularization: float = 1e-3
    estimator: RiskEvaluation = "exact"
    nodes: tuple[int, int] = NODES
    gradient_threshold: float | None = None
    max_steps: int = 1000


def train_and_certify(setting: Setting, seed: int) -> dict[str, float]:
    """Train once and certify the end; NaN where there is no certificate or no bound."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(setting.dimension, setting.indices, noise=setting.noise)
    student = Student(
        setting.dimension,
        setting.widths,
        generator,
        activation=ACTIVATIONS[setting.activation](),
        frozen=setting.frozen,
    )
    training = train(
        student,
        teacher,
        regularization=setting.regularization,
        generator=generator,
        loss=setting.loss,
        estimator=setting.estimator,
        nodes=setting.nodes,
        gradient_threshold=setting.gradient_threshold,
        max_steps=setting.max_steps,
    )
    history, certificate = training.history, training.certificate
    learned = learned_directions(student.weight.detach())
    certified = {name: getattr(certificate, name, None) for name in CERTIFIED}
    return {
        "relative_orthogonal_norm": training.relative_orthogonal_norm,
        "orthogonal_norm": float(history.weight_norm[-1]),
        "remaining_orthogonal_norm": float(history.weight_norm[-1] / history.weight_norm[0]),
        "rank": len(learned),
        "principal_angle": largest_principal_angle(learned, teacher.directions),
        "risk": training.risk,
        **{name: math.nan if each is None else float(each) for name, each in certified.items()},
        "steps": history.num_steps,
        "seconds": history.seconds,
    }


def learned_directions(weight: Tensor) -> Tensor:
    """Right singular vectors of W whose singular values exceed 1e-6 of the largest."""
    values, directions = torch.linalg.svd(weight, full_matrices=False)[1:]
    return directions[values > NEGLIGIBLE_SINGULAR_VALUE * values[0]]


def largest_principal_angle(learned: Tensor, directions: Tensor) -> float:
    """The largest angle, in radians, from a subspace to another; orthonormal rows span each.

    Computed from the sine, ‖V − VUᵀU‖₂, because the cosine does not resolve angles below 1e-8.
    """
    sine = float(torch.linalg.matrix_norm(orthogonal_part(learned, directions), ord=2))
    return math.asin(min(1.0, sine))


def claim_on_every_run(
    run: Run,
    id: str,
    statement: str,
    met: np.ndarray,
    what: str,
    measured: float | None,
    **reference: float | str,
) -> None:
    """Claim that ``met`` is true everywhere, or report it if there is no reference.

    ``what`` says which number is ``measured``; ``reference`` is that of ``Run.claim``.
    """
    run.claim(
        id,
        f"{statement} on {met.sum()} of {met.size} runs; {what}",
        **reference,
        measured=measured,
        holds=bool(met.all()) if reference else None,
    )


def claim_collapse(
    run: Run, rows: Sequence[Row[Any]], id: str, tolerance: float = COLLAPSED
) -> None:
    """Claim ‖W_⊥‖/‖W‖ ≤ tolerance in every run; rows where it fails are named."""
    norms = measured(rows, "relative_orthogonal_norm")
    met = norms <= tolerance
    failed = [row.name for row, each in zip(rows, met, strict=True) if not each.all()]
    run.claim(
        id,
        f"‖W⊥‖/‖W‖ ≤ {tolerance:g} on every run: {met.sum()} of {met.size}"
        + (f"; not at {', '.join(failed)}" if failed else ""),
        paper=0.0,
        measured=float(norms.max()),
        holds=not failed,
    )


def claim_bounds(run: Run, rows: Sequence[Row[Any]]) -> None:
    """Claim that ‖W_⊥‖_F is within the theorem's bound and its sharp form where these exist."""
    claim_lemma(run, rows, "orthogonal_norm", "‖W⊥‖", theorem="T4.1", lipschitz="K estimated")
