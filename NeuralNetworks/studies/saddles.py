"""Is second-order stationarity needed? Gradient descent stays at a strict saddle, W_⊥ ≠ 0."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from derandomization import (
    DerandomizationObjective,
    History,
    PerturbedGradientDescent,
    certify,
    descend,
)
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
REGULARIZATIONS = (0.02, 0.1)
SHOWN = (2, 0.1)  # d and λ of the trajectories
LONGER = (3, 0.1)  # d and λ of the longer descents, where rounding errors grow fastest
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

    Gradient descent stays in exact arithmetic. In float64 its rounding errors grow by a factor of
    1 + 2λη per step, as any noise does, and it leaves after some thousand steps: the study claims
    that it stays for --steps and reports how many descents still stay after --longer-steps.
    """

    output_dir: Path = Path("results/NeuralNetworks/saddles")
    steps: PositiveInt = 800
    """Steps of gradient descent, fewer than rounding errors need to leave the saddle."""
    longer_steps: PositiveInt = 4000
    """Steps of the longer descents, at d = 3 and λ = 0.1."""
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
    name = "gradient descent, d = {}, λ = {:g}, longer".format(*LONGER)
    longer = {name: Setting("gradient descent", *LONGER, config.longer_steps)}
    headings = {"orthogonal_norm": "‖W⊥‖", "bias_norm": "‖b‖", "value": "f"}
    headings |= {"gradient_norm": "‖∇f‖", "min_curvature": "λ_min", "steps": "steps"}
    *rows, last = measure_rows(run, config, descend_and_certify, settings | longer)
    tabulate(run, [*rows, last], headings)
    by_method = grouped(rows, lambda setting: setting.method)
    _claim(run, by_method["gradient descent"], by_method["PGD"])
    _report_longer(run, last)
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


class ManySaddles(DerandomizationObjective):
    """Σ_j a_j E(Σ_i (w_ji·x + b_ji)² − s·x₁² − c_j)² + λ‖W‖²: one saddle for each output j.

    A student with one output j for each constant c_j > 0 has its own quadratic units for each
    output, and no output shares a unit with another. The teacher's output is s·x₁² + c_j with
    s = 0 or 1, the signal: W⊥ is W at s = 0, and W without its first column at s = 1. By symmetry
    ∂f/∂b = 0 at b = 0, as for ``saddle_risk``. The expectation is exact, by the moments
    E(xᵀAx + v·x + t)² = 2‖A‖² + ‖v‖² + (tr A + t)². W and b are one parameter, ``units``, so that
    ∇²f is block diagonal with one block for each output.
    """

    def __init__(
        self,
        weight: Float[Tensor, "outputs units dimension"],
        constants: Float[Tensor, " outputs"],
        regularization: float,
        *,
        scales: Float[Tensor, " outputs"] | None = None,
        signal: int = 0,
    ) -> None:
        super().__init__(regularization)
        self.units = nn.Parameter(torch.cat([weight, torch.zeros_like(weight[..., :1])], dim=2))
        self.signal = signal
        self.constants: Tensor
        self.scales: Tensor
        self.register_buffer("constants", constants)
        self.register_buffer("scales", torch.ones_like(constants) if scales is None else scales)
        size = weight.shape[2] + 1
        self._is_seen = (torch.arange(size) < signal).double()
        self._is_weight = (torch.arange(size) < size - 1).double()
        # Of the Gram matrix of (W, b): all of A and twice v/2, but not ‖b‖², which is in the mean.
        self._in_variance = torch.full((size, size), 2.0).double()
        self._in_variance[-1, -1] = 0
        self._trace = torch.eye(size).double().flatten()

    def expected_value(self) -> Float[Tensor, ""]:
        return _ExactValue.apply(self.units, self, self.regularization * self._is_seen)

    def forward(self) -> Float[Tensor, ""]:
        """f, with λ(‖W_∥‖² + ‖W_⊥‖²) computed as λ‖W‖²."""
        return _ExactValue.apply(self.units, self, self.regularization * self._is_weight)

    def moments(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """The Gram matrix of (W, b), less s in its first entry, and the error's mean, by output."""
        gram = torch.bmm(units.mT, units)
        if self.signal:
            gram = gram - torch.diag(self._is_seen)
        return gram, torch.addmv(self.constants, gram.flatten(1), self._trace, beta=-1)

    def random_weights(self) -> Float[Tensor, "all_units dimension"]:
        return self.units[..., self.signal : -1].flatten(0, 1)

    def bias(self) -> Float[Tensor, " all_units"]:
        return self.units[..., -1].flatten()

    def radius(self) -> Float[Tensor, " outputs"]:
        """The norm of the weights and biases of each output's units."""
        return self.units.detach().square().sum(dim=(1, 2)).sqrt()

    def lipschitz_constants(self, radius: Float[Tensor, " outputs"]) -> tuple[float, float]:
        """L and K of f where each output's ``radius()`` is at most that given here.

        The part of degree four is 2‖WᵀW‖² + 4‖Wᵀb‖² + (‖W‖² + ‖b‖²)², at most 3 on the unit
        sphere, which is the norm of its symmetric tensor (Banach 1938); the part of degree two
        is negative, at least −2(3s + c_j) times the square of the norm.
        """
        fourth_order = 36 * radius.square()
        second_order = 4 * (3 * self.signal + self.constants)
        curvature = self.scales * torch.maximum(fourth_order, second_order)
        third_derivative = self.scales * 72 * radius
        return float(curvature.max()) + 2 * self.regularization, float(third_derivative.max())


class _ExactValue(torch.autograd.Function):
    """The risk of ``ManySaddles`` plus a penalty on the square of each column of (W, b).

    The gradient is written out: torch's own backward pass takes twice as long.
    """

    @staticmethod
    def forward(ctx: Any, units: Tensor, objective: ManySaddles, penalty: Tensor) -> Tensor:
        ctx.save_for_backward(units, penalty)
        ctx.objective = objective
        gram, mean = objective.moments(units)
        variance = torch.mv(gram.flatten(1).square(), objective._in_variance.flatten())
        risk = torch.dot(objective.scales, variance.addcmul_(mean, mean))
        return risk + torch.mv(units.flatten(0, 1).square(), penalty).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        units, penalty = ctx.saved_tensors
        gram, mean = ctx.objective.moments(units)  # differentiated again by products with ∇²f
        inner = torch.bmm(units, gram * ctx.objective._in_variance).addcmul(
            units, mean[:, None, None]
        )
        along = (inner * (4 * ctx.objective.scales[:, None, None])).addcmul(units, 2 * penalty)
        return gradient * along, None, None


def descend_and_certify(setting: Setting, seed: int) -> dict[str, float]:
    """Descend from the seed's start and certify the end."""
    objective, history = _descend(setting, seed)
    certificate = certify(objective)
    left = np.flatnonzero(history.weight_norm < STAYED)
    return {
        "orthogonal_norm": certificate.weight_norm,
        "bias_norm": float(objective.bias().detach().norm()),
        "value": float(history.value[-1]),
        "gradient_norm": certificate.gradient_norm,
        "min_curvature": certificate.min_curvature,
        "perturbations": len(history.perturbation_steps),
        "steps": history.num_steps,
        "left_step": float(left[0]) if len(left) else math.nan,
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
        f"{stayed[0].setting.steps} steps (rounding errors need more steps to leave the saddle)",
        first_order & (curvatures < 0) & (norms >= STAYED),
        "the smallest ‖W⊥‖",
        float(norms.min()),
    )
    errors = np.abs(curvatures / [[2 * row.setting.regularization] for row in stayed] + 1)
    run.claim(
        "FOSP",
        "Stein's identity at that saddle: λ_min = −2λ; largest |λ_min + 2λ|/2λ",
        measured=float(errors.max()),
        holds=bool((errors <= 1e-6).all()),
    )
    ends = measured(left, "orthogonal_norm")
    collapsed = (ends <= COLLAPSED) & (measured(left, "terminated") == 1)
    vanished = f"PGD from the same start ends by its own rule with ‖W⊥‖ ≤ {COLLAPSED:g}"
    claim_on_every_run(
        run, "FOSP", vanished, collapsed, "the largest ‖W⊥‖", float(ends.max()), paper=0.0
    )
    gains = measured(stayed, "value") - measured(left, "value")
    lower = "PGD ends at a lower f"
    claim_on_every_run(run, "FOSP", lower, gains > 0, "the smallest difference", float(gains.min()))


def _report_longer(run: Run, row: Row[Setting]) -> None:
    """Report how many descents still stay after many more steps: rounding errors leave too."""
    left = row.measured["left_step"]
    known = left[~np.isnan(left)]
    when = f"; the others leave from step {known.min():.0f} on" if len(known) else ""
    run.claim(
        "FOSP",
        f"number of runs in which gradient descent in float64 still has ‖W⊥‖ ≥ {STAYED:g} after "
        f"{row.setting.steps} steps, d = {row.setting.dimension}, "
        f"λ = {row.setting.regularization:g}{when}",
        measured=f"{len(left) - len(known)} of {len(left)}",
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
