"""One training that studies repeat under varied settings: its measurements and its claims."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from derandomization import Expectation, GaussHermite, PerturbedGradientDescent, certify, descend
from derandomization.laboratory.intervals import confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, claim_lemma, measured
from NeuralNetworks.activations import ACTIVATIONS, SmoothReLU
from NeuralNetworks.expectations import FixedPoints, exact_expectation
from NeuralNetworks.losses import LOSSES
from NeuralNetworks.model import Student, Teacher, complete_basis, orthogonal_part
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.settings import ActivationName, LossName, RiskEvaluation
from NeuralNetworks.studies.newton import CubicNewton
from NeuralNetworks.train import Training, train

# A third of figure 3's points: the risk is exact to 1e-4, and as W_⊥ → 0 nothing is lost.
NODES = (24, 4)
COLLAPSED = 1e-6  # ‖W_⊥‖/‖W‖ below which a first layer counts as collapsed
NEGLIGIBLE_SINGULAR_VALUE = 1e-6  # relative to the largest
SMALLEST_NORM = 1e-16  # of ‖W_⊥‖: below, it is rounding
CERTIFIED = (
    "gradient_norm",
    "min_curvature",
    "min_curvature_residual",
    "stein_defect",
    "hessian_lipschitz",
    "rho",
    "weight_bound",
    "sharp_weight_bound",
    "gaussian_bound",
    "gaussian_sharp_bound",
)
HEADINGS = {
    "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
    "orthogonal_norm": "‖W⊥‖",
    "remaining_orthogonal_norm": "‖W⊥‖/start",
    "parallel_norm": "‖W∥‖",
    "principal_angle": "principal angle (rad)",
    "rank": "rank of W",
    "weight_bound": "bound at ρ",
    "sharp_weight_bound": "sharp bound",
    "stein_defect": "‖δ‖",
    "hessian_lipschitz": "K",
    "min_curvature": "λ_min",
    "rho": "ρ",
    "risk": "risk",
    "gradient_norm": "‖∇f‖",
    "second_order": "share ended at a second-order point",
    "steps": "steps",
    "seconds": "seconds",
}
BOUNDS = ("orthogonal_norm", "weight_bound", "sharp_weight_bound")


def accuracy_for(regularization: float) -> float:
    """ρ = λ·min(1e-6, 10λ), at which the lemma gives a bound where K < 0.4.

    Where K ≤ 0.1, Kρ ≤ λ² and the bound is at most ρ/λ. At λ = 1e-8, ρ is 1e-15: a smaller ‖∇f‖ is
    within the rounding errors of some students.
    """
    return regularization * min(COLLAPSED, 10 * regularization)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A student, a teacher and how the student is trained; see the classes and ``train``.

    Attributes:
        bias_deviation: of the starting biases; None is the student's own, 1/h.
        sharpness: ι of a smooth ReLU instead of ``activation``; ``math.inf`` is ReLU.
        equally_spaced: whether the nodes along the teacher are equally spaced: a sharp activation
            needs more of them than a Gauss–Hermite rule has.
        optimizer, accuracy: with an accuracy, a descent by PGD or Newton that ends where ‖∇f‖ is at
            most that and the point is second-order stationary; else that of ``train``.
        max_steps: a limit; with an accuracy the descent should end before it.
    """

    dimension: int = 2
    indices: int = 1
    noise: float = 0.0
    widths: tuple[int, ...] = (100,)
    activation: ActivationName = "smooth-relu"
    sharpness: float | None = None
    frozen: tuple[str, ...] = ("output",)
    bias_deviation: float | None = None
    loss: LossName = "squared"
    regularization: float = 1e-3
    estimator: RiskEvaluation = "exact"
    nodes: tuple[int, int] = NODES
    equally_spaced: bool = False
    optimizer: Literal["PGD", "Newton"] = "PGD"
    accuracy: float | None = None
    max_steps: int = 1000


def train_and_certify(setting: Setting, seed: int) -> dict[str, float]:
    """Train once and certify the end; NaN where there is no certificate or no bound."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(setting.dimension, setting.indices, noise=setting.noise)
    with warnings.catch_warnings():
        if setting.sharpness == math.inf:  # ReLU on purpose
            warnings.simplefilter("ignore", UserWarning)
        student = Student(
            setting.dimension,
            setting.widths,
            generator,
            activation=_activation(setting),
            frozen=setting.frozen,
        )
    if setting.bias_deviation is not None:
        with torch.no_grad():
            student.bias.normal_(std=setting.bias_deviation, generator=generator)
    if setting.accuracy is None:
        training = train(
            student,
            teacher,
            regularization=setting.regularization,
            generator=generator,
            loss=setting.loss,
            estimator=setting.estimator,
            nodes=setting.nodes,
            max_steps=setting.max_steps,
        )
    else:
        training = _train_to_accuracy(student, teacher, setting, setting.accuracy, generator)
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
        "second_order": float(history.reason == "second-order stationary"),
        "steps": history.num_steps,
        "seconds": history.seconds,
    }


def _activation(setting: Setting) -> nn.Module:
    if setting.sharpness is None:
        return ACTIVATIONS[setting.activation]()
    return nn.ReLU() if math.isinf(setting.sharpness) else SmoothReLU(setting.sharpness)


def _train_to_accuracy(
    student: Student,
    teacher: Teacher,
    setting: Setting,
    accuracy: float,
    generator: torch.Generator,
) -> Training:
    """Descend on the exact risk until the optimizer finds a second-order stationary point."""
    rule = exact_expectation(teacher, sum(student.widths), setting.nodes)
    if setting.equally_spaced:
        rule = equally_spaced_rule(teacher, setting.nodes)
    if rule is None:
        raise ValueError(f"dimension is {setting.dimension}: an exact rule would be too large")
    loss = LOSSES[setting.loss]
    objective = PopulationRisk(
        student, Population(teacher, rule, loss), setting.regularization, loss
    )
    optimizer: CubicNewton | PerturbedGradientDescent
    if setting.optimizer == "Newton":
        optimizer = CubicNewton(objective, accuracy=accuracy)
    else:
        optimizer = PerturbedGradientDescent.for_objective(
            objective, accuracy=accuracy / (2 * setting.regularization), generator=generator
        )
        # As in Jin et al. the perturbation is O(ρ), one gradient step with ‖∇f‖ = ρ; the descent
        # ends where f falls by less than such steps guarantee.
        options = optimizer.param_groups[0]
        options["perturbation_radius"] = options["lr"] * accuracy
        steps = options["perturbation_interval"]
        options["decrease_threshold"] = steps * options["lr"] * accuracy**2 / 2
    history = descend(
        objective,
        optimizer,
        max_steps=setting.max_steps,
        observe=lambda: {"total_weight_norm": float(student.weight.detach().norm())},
    )
    with torch.no_grad():
        risk = float(objective.risk())
    return Training(history, risk, certify(objective), objective)


def equally_spaced_rule(teacher: Teacher, nodes: tuple[int, int]) -> Expectation:
    """Equally spaced points to 6.5 along one direction, Gauss–Hermite across another, d = 2."""
    along = torch.linspace(-6.5, 6.5, nodes[0], dtype=torch.float64)
    density = torch.exp(-along.square() / 2)
    across, weights = GaussHermite((nodes[1],))()
    points = torch.cartesian_prod(along, across.flatten())
    products = torch.outer(density / density.sum(), weights).flatten()
    return FixedPoints(points @ complete_basis(teacher.directions), products)


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
    """Claim that ``met`` is true everywhere.

    ``what`` says which number is ``measured``; ``reference`` is that of ``Run.claim``, if any.
    """
    run.claim(
        id,
        f"{statement} on {met.sum()} of {met.size} runs; {what}",
        **reference,
        measured=measured,
        holds=bool(met.all()),
    )


def claim_collapse(
    run: Run, rows: Sequence[Row[Any]], id: str, tolerance: float = COLLAPSED
) -> None:
    """Claim ‖W_⊥‖/‖W‖ ≤ tolerance in every run; rows where it fails are named."""
    norms = measured(rows, "relative_orthogonal_norm")
    met = norms <= tolerance
    run.claim(
        id,
        f"‖W⊥‖/‖W‖ ≤ {tolerance:g} on every run: {met.sum()} of {met.size}{_not_at(rows, met)}",
        paper=0.0,
        measured=float(norms.max()),
        holds=bool(met.all()),
    )


def claim_second_order(run: Run, rows: Sequence[Row[Setting]], id: str) -> None:
    """Claim that every run ends at a second-order point by its own rule, where ‖W_⊥‖ ≤ ρ/λ.

    That is what the lemma guarantees at the accuracy ρ of the setting if Kρ ≤ λ². A run that
    reaches its limit of steps fails, and so does one at whose end the lemma gives no bound.
    """
    settings = [row.setting for row in rows]
    limits = np.array([[(s.accuracy or math.nan) / s.regularization] for s in settings])
    ended = measured(rows, "second_order") == 1
    norms, bounds = measured(rows, "orthogonal_norm"), measured(rows, "weight_bound")
    met = ended & (norms <= bounds) & (norms <= limits)  # False where there is no bound
    run.claim(
        id,
        f"every run ends by its own rule at a second-order point ({ended.sum()} of {ended.size}) "
        f"with ‖W⊥‖ within the lemma's bound and ρ/λ ≤ {limits.max():.0e} ({met.sum()} of "
        f"{met.size}){_not_at(rows, met)}; the largest ‖W⊥‖λ/ρ",
        bound="ratio ≤ 1",
        measured=float((norms / limits).max()),
        holds=bool(met.all()),
    )


def _not_at(rows: Sequence[Row[Any]], met: np.ndarray) -> str:
    """The names of the rows with a run that is not met."""
    failed = [row.name for row, each in zip(rows, met, strict=True) if not each.all()]
    return f"; not at {', '.join(failed)}" if failed else ""


def claim_norm_falls(run: Run, rows: Sequence[Row[Any]]) -> None:
    """Claim that ‖W_⊥‖ → 0 as ρ → 0, at least in proportion to ρ: a slope of 1 in logarithms.

    A run in which ρ varies by less than a factor of 2 has no slope, and the claim fails.
    """
    rho = measured(rows, "rho")
    norms = np.maximum(measured(rows, "orthogonal_norm"), SMALLEST_NORM)
    pairs = zip(np.log(rho).T, np.log(norms).T, strict=True)
    slopes = [np.polyfit(x, y, 1)[0] if np.ptp(x) > math.log(2) else math.nan for x, y in pairs]
    slope = confidence_interval(slopes)
    lower_end = slope.mean if math.isnan(slope.low) else slope.low
    run.claim(
        "L3.1",
        f"‖W⊥‖ falls at least in proportion to ρ, from ρ = {rho.max():.1e} to {rho.min():.1e}: "
        "the slope of log ‖W⊥‖ over log ρ",
        bound="slope ≥ 1",
        measured=str(slope),
        holds=lower_end >= 1 and not np.isnan(slopes).any(),
    )


def claim_bounds(run: Run, rows: Sequence[Row[Any]]) -> None:
    """Claim that ‖W_⊥‖_F is within the theorem's bound and its sharp form where these exist.

    Beyond three dimensions the rule is Gaussian as W⊥ → 0 only, which is where the descents end.
    """
    claim_lemma(run, rows, "orthogonal_norm", "‖W⊥‖", theorem="T4.1", lipschitz="K estimated")
