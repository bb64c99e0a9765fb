"""Is second-order stationarity needed? Gradient descent stays at a strict saddle, W_⊥ ≠ 0."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch.optim import SGD, Optimizer

from derandomization import History, PerturbedGradientDescent, certify, descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import (
    Row,
    StudyConfig,
    grouped,
    measure_rows,
    measured,
    spawn_seeds,
    tabulate,
)
from NeuralNetworks.activations import Quadratic
from NeuralNetworks.expectations import quadrature
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies.training import claim_on_every_run

Method = Literal["gradient descent", "PGD"]
DIMENSIONS = (2, 3)
REGULARIZATIONS = (0.01, 0.03, 0.1)
SHOWN = (2, 0.03)  # d and λ of the trajectories
SHOWN_STEPS = np.arange(0, 801, 25)

CONSTANT = 1.0  # c of the teacher
NODES = (4, 4)  # on each axis: exact up to degree 7, and the loss has degree 4
# 0.6/L near the saddle, per hidden unit. At 1/L momentum overshoots from some starts and restarts
# halve the step size, on which the perturbation interval depends.
STEP_PER_UNIT = 0.02
MOMENTUM = 0.9
PERTURBATION_RADIUS = 1e-4
DECREASE_THRESHOLD = 1e-9  # far below the decrease after the saddle, above rounding errors
ESCAPE_TIME = 8  # e-foldings: enough if 1/300 of the noise points out of the saddle
FIRST_ORDER = 1e-10  # ‖∇f‖ at which PGD perturbs, and which gradient descent must reach
STAYED, COLLAPSED = 0.1, 1e-6  # ‖W_⊥‖ at least at the saddle, at most where it vanished


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Gradient descent and PGD from the same starts on the stable manifold of a strict saddle.

    The teacher is y = (u·x)² + 1, the student Σ (w_j·x + b_j)²/h with h = d units, b = 0 at the
    start. By symmetry ∂f/∂b = 0 at b = 0, so gradient descent keeps b = 0, fits the constant with
    W⊥x⊥ and ends with W⊥ ≠ 0. There ∂f/∂W⊥ = (∂²f/∂b² + 2λI)W⊥ = 0 (Stein): the Hessian has the
    eigenvalue −2λ in b. PGD leaves the saddle and fits the constant with b, and W⊥ vanishes.
    """

    output_dir: Path = Path("results/NeuralNetworks/saddles")
    steps: PositiveInt = 800
    """Steps of gradient descent. Rounding errors grow by 1 + 2λη per step as any noise does: at
    λ = 0.1 they leave the saddle within a few thousand steps."""
    pgd_steps: PositiveInt = 20_000
    """Maximum number of steps of PGD, which terminates long before."""


@dataclass(frozen=True)
class Setting:
    """An optimizer and the saddle's dimension and λ."""

    method: Method
    dimension: int
    regularization: float
    steps: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/saddles", config)
    steps: dict[Method, int] = {"gradient descent": config.steps, "PGD": config.pgd_steps}
    settings = {
        f"{method}, d = {dimension}, λ = {value:g}": Setting(method, dimension, value, most)
        for method, most in steps.items()
        for dimension in DIMENSIONS
        for value in REGULARIZATIONS
    }
    headings = {"orthogonal_norm": "‖W⊥‖", "bias_norm": "‖b‖", "value": "f"}
    headings |= {"gradient_norm": "‖∇f‖", "min_curvature": "λ_min", "steps": "steps"}
    rows = measure_rows(run, config, descend_and_certify, settings)
    tabulate(run, rows, headings)
    by_method = grouped(rows, lambda setting: setting.method)
    _claim(run, by_method["gradient descent"], by_method["PGD"])
    run.figure("saddles", _figure(rows, _trajectories(run, config)))
    run.finish()


def saddle_risk(
    dimension: int, regularization: float, generator: torch.Generator
) -> PopulationRisk:
    """E(Σ_j (w_j·x + b_j)²/h − (u·x)² − c)² + λ‖W‖², h = d, at a random W, ‖W‖ = 1, and b = 0.

    With h > d units the curvature at the saddle is of order one in some direction of b, and
    rounding errors grow so fast that gradient descent leaves it within hundreds of steps.
    """
    teacher = Teacher(dimension, link=lambda indices: indices[:, 0].square() + CONSTANT)
    student = Student(dimension, dimension, generator, activation=Quadratic())
    with torch.no_grad():
        student.output.fill_(1)
        student.bias.zero_()
        student.weight.div_(student.weight.norm())
    return PopulationRisk(student, Population(teacher, quadrature(teacher, NODES)), regularization)


def descend_and_certify(setting: Setting, seed: int) -> dict[str, float]:
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
    params = [objective.student.weight, objective.student.bias]
    rate = STEP_PER_UNIT * setting.dimension
    optimizer: Optimizer = SGD(params, lr=rate)
    if setting.method == "PGD":
        growth = 2 * setting.regularization * rate / (1 - MOMENTUM)  # per step, out of the saddle
        optimizer = PerturbedGradientDescent(
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
    return objective, descend(objective, optimizer, max_steps=setting.steps)


def _claim(run: Run, stayed: list[Row[Setting]], left: list[Row[Setting]]) -> None:
    """Claim that gradient descent stays at the saddle and PGD leaves it, setting by setting."""
    norms, curvatures = measured(stayed, "orthogonal_norm"), measured(stayed, "min_curvature")
    first_order = measured(stayed, "gradient_norm") <= FIRST_ORDER
    claim_on_every_run(
        run,
        "FOSP",
        f"gradient descent is at ‖∇f‖ ≤ {FIRST_ORDER:g}, λ_min < 0 and ‖W⊥‖ ≥ {STAYED:g} after "
        f"{stayed[0].setting.steps} steps",
        first_order & (curvatures < 0) & (norms >= STAYED),
        "smallest ‖W⊥‖",
        float(norms.min()),
        bound=STAYED,
    )
    errors = np.abs(curvatures / [[2 * row.setting.regularization] for row in stayed] + 1)
    run.claim(
        "FOSP",
        "Stein's identity at that saddle: λ_min = −2λ; largest |λ_min + 2λ|/2λ",
        paper=0.0,
        measured=float(errors.max()),
        holds=bool((errors <= 1e-6).all()),
    )
    ends = measured(left, "orthogonal_norm")
    collapsed = (ends <= COLLAPSED) & (measured(left, "terminated") == 1)
    vanished = f"PGD from the same start ends by its own rule with ‖W⊥‖ ≤ {COLLAPSED:g}"
    claim_on_every_run(
        run, "FOSP", vanished, collapsed, "the largest", float(ends.max()), paper=0.0
    )
    gains = measured(stayed, "value") - measured(left, "value")
    lower = "f where PGD ends is lower"
    claim_on_every_run(
        run, "FOSP", lower, gains > 0, "by at least", float(gains.min()), bound="> 0"
    )


def _trajectories(run: Run, config: Config) -> dict[str, Float[np.ndarray, "steps seeds"]]:
    """‖W_⊥‖ at ``SHOWN_STEPS`` by method; also stored in the run's arrays."""
    seeds = spawn_seeds(config.seed, config.seeds)
    found = {}
    for method in get_args(Method):
        setting = Setting(method, *SHOWN, steps=int(SHOWN_STEPS[-1]))
        norms = [_descend(setting, seed)[1].weight_norm for seed in seeds]
        # After a descent has terminated, its last norm is repeated.
        found[method] = np.array([n[np.minimum(SHOWN_STEPS, len(n) - 1)] for n in norms]).T
        run.arrays[f"{method.lower().replace(' ', '_')}_weight_norm"] = found[method]
    run.arrays["trajectory_steps"] = SHOWN_STEPS
    return found


def _figure(rows: list[Row[Setting]], trajectories: dict[str, np.ndarray]) -> Figure:
    dimension, regularization = SHOWN
    # Sorted by dimension first, so that a method has the same colour in both panels.
    by_dimension = sorted(rows, key=lambda row: row.setting.dimension)
    ends = grouped(by_dimension, lambda each: f"{each.method}, d = {each.dimension}")
    return study_figure(
        Panel(
            series={f"{method}, d = {dimension}": norm for method, norm in trajectories.items()},
            x=[float(step) for step in SHOWN_STEPS],
            x_label="step",
            y_label="‖W⊥‖",
            title=f"On the way, λ = {regularization:g}",
        ),
        Panel(
            series={name: measured(each, "orthogonal_norm") for name, each in ends.items()},
            x=REGULARIZATIONS,
            x_label="regularization λ",
            y_label="‖W⊥‖ at the end",
            title="Where they end",
            log_x=True,
        ),
    )
