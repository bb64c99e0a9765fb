"""Is the second order needed? A strict saddle with W_⊥ ≠ 0, where gradient descent stays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import SGD, Optimizer

from derandomization import (
    GaussHermite,
    History,
    PerturbedGradientDescent,
    certify,
    descend,
)
from derandomization.checks import require_at_least
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import (
    Measurement,
    Row,
    StudyConfig,
    measure_rows,
    spawn_seeds,
    tabulate,
)
from NeuralNetworks.activations import Quadratic
from NeuralNetworks.model import Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk

Method = Literal["gradient descent", "PGD"]
DIMENSIONS = (2, 3)
REGULARIZATIONS = (0.01, 0.03, 0.1)
SHOWN = (2, 0.03)  # d and λ of the trajectories
SHOWN_STEPS = np.arange(0, 801, 25)

CONSTANT = 1.0  # c of the teacher
NODES = 4  # an axis: exact up to degree 7, and the loss has degree 4
# 0.6/L near the saddle, per hidden unit: at 1/L momentum overshoots at some starts, and restarts
# halve the step, by which the perturbation interval is reckoned.
STEP_PER_UNIT = 0.02
MOMENTUM = 0.9
PERTURBATION_RADIUS = 1e-4
DECREASE_THRESHOLD = 1e-9  # far below what leaving the saddle gains, above what rounding feigns
ESCAPE_TIME = 8  # e-foldings: enough if 1/300 of the noise points out of the saddle
FIRST_ORDER = 1e-10  # ‖∇f‖ at which PGD perturbs, and which gradient descent must reach
STAYED, COLLAPSED = 0.1, 1e-6  # ‖W_⊥‖ where it did not go, and where it did


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Gradient descent and PGD from the same starts on the stable manifold of a strict saddle.

    The teacher is y = (u·x)² + 1, the student Σ (w_j·x + b_j)²/h with h = d units, b = 0 at the
    start. By symmetry ∂f/∂b = 0 at b = 0, so gradient descent keeps b = 0, spends W⊥x⊥ on the
    missing constant and ends with W⊥ ≠ 0. There ∂f/∂W⊥ = (∂²f/∂b² + 2λI)W⊥ = 0 (Stein): the
    Hessian has the eigenvalue −2λ in b. PGD leaves, puts the constant into b, and W⊥ vanishes.
    """

    output_dir: Path = Path("results/NeuralNetworks/saddles")
    """Folder for results.json, table.csv and the figure; made if missing."""
    steps: int = 800
    """Steps of gradient descent. Rounding errors are noise too and grow by 1 + 2λη a step: at
    λ = 0.1 a few thousand steps are enough to leave the saddle by them alone."""
    pgd_steps: int = 20_000
    """Most steps of PGD, which ends by its own rule long before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("steps", self.steps, 1)
        require_at_least("pgd_steps", self.pgd_steps, 1)


@dataclass(frozen=True)
class Setting:
    """One optimizer on one saddle."""

    method: Method
    dimension: int
    regularization: float
    steps: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/saddles", config)
    settings = {
        f"{method}, d = {dimension}, λ = {value:g}": _setting(config, method, dimension, value)
        for method in get_args(Method)
        for dimension in DIMENSIONS
        for value in REGULARIZATIONS
    }
    rows = measure_rows(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "orthogonal_norm": "‖W⊥‖",
            "bias_norm": "‖b‖",
            "value": "f",
            "gradient_norm": "‖∇f‖",
            "min_curvature": "λ_min",
            "steps": "steps",
        },
    )
    half = len(rows) // 2
    _claim(run, rows[:half], rows[half:])
    run.figure("saddles", _figure(rows, _trajectories(run, config)))
    run.finish()


def _setting(config: Config, method: Method, dimension: int, regularization: float) -> Setting:
    steps = config.pgd_steps if method == "PGD" else config.steps
    return Setting(method, dimension, regularization, steps)


def saddle_risk(
    dimension: int, regularization: float, generator: torch.Generator
) -> PopulationRisk:
    """E(Σ_j (w_j·x + b_j)²/h − (u·x)² − c)² + λ‖W‖², h = d, at a random W, ‖W‖ = 1, and b = 0.

    With h > d units some direction of b sees curvature of order one at the saddle, and rounding
    errors grow so fast that gradient descent leaves it within hundreds of steps.
    """
    teacher = Teacher(dimension, link=_parabola)
    student = Student(dimension, dimension, generator, activation=Quadratic())
    with torch.no_grad():
        student.output.fill_(1)
        student.bias.zero_()
        student.weight.div_(student.weight.norm())
    rule = GaussHermite((NODES,) * dimension, basis=complete_basis(teacher.directions))
    return PopulationRisk(student, Population(teacher, rule), regularization)


def _parabola(indices: Float[Tensor, "points 1"]) -> Float[Tensor, " points"]:
    return indices[:, 0].square() + CONSTANT


def measure(setting: Setting, seed: int) -> Measurement:
    """Descend from the seed's start and certify the end."""
    objective, history = _descend(setting, seed)
    certificate = certify(objective)
    return {
        "orthogonal_norm": certificate.weight_norm,
        "bias_norm": float(objective.bias().detach().norm()),
        "value": float(history.value[-1]),
        "gradient_norm": certificate.gradient_norm,
        "min_curvature": certificate.min_curvature,
        "perturbations": len(history.perturbation_steps),
        "steps": history.num_steps,
        "terminated": float(history.terminated),
    }


def _descend(setting: Setting, seed: int) -> tuple[PopulationRisk, History]:
    generator = torch.Generator().manual_seed(seed)
    objective = saddle_risk(setting.dimension, setting.regularization, generator)
    optimizer = _optimizer(setting, objective, generator)
    return objective, descend(objective, optimizer, max_steps=setting.steps)


def _optimizer(
    setting: Setting, objective: PopulationRisk, generator: torch.Generator
) -> Optimizer:
    params = [objective.student.weight, objective.student.bias]
    rate = STEP_PER_UNIT * setting.dimension
    if setting.method == "gradient descent":
        return SGD(params, lr=rate)
    growth = 2 * setting.regularization * rate / (1 - MOMENTUM)  # a step, along the way out
    return PerturbedGradientDescent(
        params,
        lr=rate,
        momentum=MOMENTUM,
        nesterov=True,
        restart=True,
        gradient_threshold=FIRST_ORDER,
        perturbation_radius=PERTURBATION_RADIUS,
        perturbation_interval=math.ceil(ESCAPE_TIME / growth),
        decrease_threshold=DECREASE_THRESHOLD,
        generator=generator,
    )


def _values(rows: Sequence[Row[Setting]], quantity: str) -> Float[np.ndarray, "rows seeds"]:
    return np.array([row.measured[quantity] for row in rows])


def _claim(run: Run, stayed: Sequence[Row[Setting]], left: Sequence[Row[Setting]]) -> None:
    """What the first order leaves and the second order does not, setting by setting."""
    norms, curvatures = _values(stayed, "orthogonal_norm"), _values(stayed, "min_curvature")
    first_order = _values(stayed, "gradient_norm") <= FIRST_ORDER
    at_saddle = first_order & (curvatures < 0) & (norms >= STAYED)
    run.claim(
        "FOSP",
        f"gradient descent is at ‖∇f‖ ≤ {FIRST_ORDER:g}, λ_min < 0 and ‖W⊥‖ ≥ {STAYED:g} after "
        f"{stayed[0].setting.steps} steps on {at_saddle.sum()} of {norms.size} runs; smallest ‖W⊥‖",
        paper="W⊥ ≠ 0",
        measured=float(norms.min()),
        holds=bool(at_saddle.all()),
    )
    doubled = np.array([[2 * row.setting.regularization] for row in stayed])
    errors = np.abs(curvatures / doubled + 1)
    run.claim(
        "FOSP",
        "Stein's identity at that saddle: λ_min = −2λ; largest |λ_min + 2λ|/2λ",
        paper=0.0,
        measured=float(errors.max()),
        holds=bool((errors <= 1e-6).all()),
    )
    ends = _values(left, "orthogonal_norm")
    collapsed = (ends <= COLLAPSED) & (_values(left, "terminated") == 1)
    run.claim(
        "FOSP",
        f"PGD from the same start ends by its own rule with ‖W⊥‖ ≤ {COLLAPSED:g} on "
        f"{collapsed.sum()} of {ends.size} runs; the largest",
        paper=0.0,
        measured=float(ends.max()),
        holds=bool(collapsed.all()),
    )
    gains = _values(stayed, "value") - _values(left, "value")
    run.claim(
        "FOSP",
        f"f where PGD ends is lower on {(gains > 0).sum()} of {gains.size} runs; by at least",
        paper="> 0",
        measured=float(gains.min()),
        holds=bool((gains > 0).all()),
    )


def _trajectories(run: Run, config: Config) -> dict[str, np.ndarray]:
    """‖W_⊥‖ at some steps, ``[steps, seeds]`` for each method; kept in the run's arrays."""
    seeds = spawn_seeds(config.seed, config.seeds)
    found = {}
    for method in get_args(Method):
        setting = Setting(method, *SHOWN, steps=int(SHOWN_STEPS[-1]))
        norms = [_descend(setting, seed)[1].weight_norm for seed in seeds]
        # A descent that has ended stays where it is.
        found[method] = np.array([n[np.minimum(SHOWN_STEPS, len(n) - 1)] for n in norms]).T
    names = {method: method.lower().replace(" ", "_") for method in found}
    run.arrays |= {f"{names[method]}_weight_norm": norm for method, norm in found.items()}
    run.arrays["trajectory_steps"] = SHOWN_STEPS
    return found


def _figure(rows: Sequence[Row[Setting]], trajectories: dict[str, np.ndarray]) -> Figure:
    dimension, regularization = SHOWN
    paths = Panel(
        series={f"{method}, d = {dimension}": norm for method, norm in trajectories.items()},
        x=[float(step) for step in SHOWN_STEPS],
        x_label="step",
        y_label="‖W⊥‖",
        title=f"On the way, λ = {regularization:g}",
    )
    ends = Panel(
        series={
            f"{method}, d = {d}": np.array(
                [
                    row.measured["orthogonal_norm"]
                    for row in rows
                    if (row.setting.method, row.setting.dimension) == (method, d)
                ]
            )
            for d in DIMENSIONS  # first, so that a method looks the same in both panels
            for method in get_args(Method)
        },
        x=REGULARIZATIONS,
        x_label="regularization λ",
        y_label="‖W⊥‖ at the end",
        title="Where they end",
        log_x=True,
    )
    return study_figure(paths, ends)
