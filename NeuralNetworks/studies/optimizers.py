"""Which optimizers leave strict saddles? PGD, Hessian descent, gradient descent, Adam and SGD."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from derandomization import HessianDescent, PerturbedGradientDescent, descend
from derandomization.hessian import Hessian
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveFloat, PositiveInt
from derandomization.laboratory.study import (
    Row,
    StudyConfig,
    measure_rows,
    measured,
    record_rows,
    spawn_seeds,
    sweep_rows,
    tabulate,
)
from NeuralNetworks.studies.saddles import ManySaddles
from NeuralNetworks.studies.training import claim_on_every_run

Method = Literal["PGD", "PGD, momentum", "Hessian descent", "gradient descent", "Adam"]
PAPER_METHODS: tuple[Method, ...] = ("PGD", "PGD, momentum", "Hessian descent")
CONSTANTS = (0.6, 0.9, 1.1, 1.4)  # c_j of the teacher's outputs, one saddle each
DIMENSION = 2
ACCURACY = 1e-7  # ‖W⊥‖ about which PGD perturbs and Hessian descent may end: ‖∇f‖ ≤ 2λ·1e-7
COLLAPSED = 1e-6  # largest ‖W⊥‖ where it counts as vanished
FIRST_ORDER = 1e-10  # largest ‖∇f‖ of gradient descent at a saddle
LEFT = 0.1  # of ‖W⊥‖ at the saddles: below it they have all been left
REACH = 1.1  # L and K of Hessian descent hold up to 1.1 times the norm at the minimum
# Compared on figure 3's problem from 0.01 to 1: smaller ones take longer, larger ones end further
# from 0; 0.1 is alike.
ADAM_LEARNING_RATE = 0.2

BATCHES = (10, 50, 250)
STEP_FRACTIONS = (1.0, 0.5, 0.25, 0.125)  # of 1/L, L the largest curvature at the saddles
BASE_BATCH, BASE_FRACTION = 50, 0.5
DECAY_STEPS = 300  # a decaying step is η/(1 + t/300)
SGD_TIME = 1500  # steps of SGD at step size 1/L; as many times more as the step is smaller
TAIL = 0.25  # of the steps, at the end, over which the norm that remains is averaged
RECORD_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Start every optimizer at the same strict saddles; does it leave them, and how fast?

    The teacher has the outputs x₁² + c_j, the student two quadratic units for each of them. A
    descent starts at a point with W⊥ ≠ 0 and ∇f = 0 where ∇²f has the eigenvalue −2λ once for each
    output. Gradient descent and Adam use the exact f and add no noise; nor does SGD, which draws
    fresh batches from x ~ N(0, I). PGD has the settings of for_objective, Hessian descent those
    that theory gives for L, K and ρ = 2λ·1e-7.
    """

    output_dir: Path = Path("results/NeuralNetworks/optimizers")
    regularization: PositiveFloat = 0.3
    """Weight λ of ‖W‖²; below 1.2 all outputs have a saddle with W⊥ ≠ 0."""
    steps: PositiveInt = 20_000
    """Most steps of PGD and Hessian descent, which terminate before."""
    unaided_steps: PositiveInt = 1000
    """Steps of gradient descent and Adam."""


@dataclass(frozen=True)
class Setting:
    """An optimizer of the exact f, λ, and the most steps."""

    method: Method
    regularization: float
    steps: int


@dataclass(frozen=True)
class Sampling:
    """SGD: its first step size as a fraction of 1/L, its batches, whether steps decay, and λ."""

    fraction: float
    batch: int
    decays: bool
    regularization: float

    @property
    def steps(self) -> int:
        return round(SGD_TIME / self.fraction)

    def __str__(self) -> str:
        step = f"1/({1 / self.fraction:g}L)" if self.fraction != 1 else "1/L"
        return f"SGD, step {step}{' decaying' if self.decays else ''}, batches of {self.batch}"


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/optimizers", config)
    settings = {
        method: Setting(
            method,
            config.regularization,
            config.steps if method in PAPER_METHODS else config.unaided_steps,
        )
        for method in get_args(Method)
    }
    samplings = [
        *(Sampling(each, BASE_BATCH, False, config.regularization) for each in STEP_FRACTIONS),
        *(
            Sampling(BASE_FRACTION, batch, False, config.regularization)
            for batch in BATCHES
            if batch != BASE_BATCH
        ),
        Sampling(BASE_FRACTION, BASE_BATCH, True, config.regularization),
    ]
    exact = measure_rows(run, config, descend_from_saddles, settings)
    seeds = spawn_seeds(config.seed, config.seeds)
    by_name = {str(each): each for each in samplings}
    sampled = sweep_rows(run, config, sample_from_saddles, by_name, [tuple(seeds)])
    record_rows(run, [*exact, *sampled], seeds)
    columns = {
        "left_step": f"steps to {LEFT:g} of ‖W⊥‖",
        "orthogonal_norm": "‖W⊥‖ left",
        "steps": "steps",
        "cpu_seconds": "CPU s",
    }
    tabulate(run, [*exact, *sampled], columns)
    _claim_exact(run, exact)
    _report_sampled(run, sampled, exact[0])
    run.figure("optimizers", _figure(exact, sampled))
    run.finish()


def at_saddles(regularization: float, generator: torch.Generator) -> ManySaddles:
    """The objective at W_j = Q_j(uuᵀ + m_jI)^½, m_j = (2c_j − λ)/(4 + 2d), Q_j random rotations."""
    constants = torch.tensor(CONSTANTS, dtype=torch.float64)
    level = (2 * constants - regularization) / (4 + 2 * DIMENSION)
    root = torch.diag_embed(level.sqrt()[:, None].repeat(1, DIMENSION))
    root[:, 0, 0] = (1 + level).sqrt()
    drawn = torch.randn(*root.shape, generator=generator, dtype=torch.float64)
    return ManySaddles(torch.linalg.qr(drawn)[0] @ root, constants, regularization, signal=1)


def largest_curvature(objective: ManySaddles) -> float:
    """‖∇²f‖ at the current point, L of the step sizes of gradient descent and SGD."""
    return Hessian(objective, objective.parameters()).spectral_norm()


def descend_from_saddles(setting: Setting, seed: int) -> dict[str, float]:
    """Descend on the exact f; the step at which the saddles are left is NaN if they are not."""
    generator = torch.Generator().manual_seed(seed)
    objective = at_saddles(setting.regularization, generator)
    optimizer = _optimizer(setting.method, objective, generator)
    optimizer.zero_grad()  # the first call in a process imports torch's compiler: not to be timed
    began = time.process_time()  # other processes may use the same core
    history = descend(objective, optimizer, max_steps=setting.steps)
    return {
        "left_step": first_below(history.weight_norm, LEFT),
        "orthogonal_norm": float(history.weight_norm[-1]),
        "steps": history.num_steps,
        "cpu_seconds": time.process_time() - began,
        "start_norm": float(history.weight_norm[0]),
        "gradient_norm": float(history.gradient_norm[-1]),
        "second_order": float(history.reason == "second-order stationary"),
        "escapes": float(
            len(history.perturbation_steps) + len(getattr(optimizer, "curvature_steps", []))
        ),
    }


def _optimizer(method: Method, objective: ManySaddles, generator: torch.Generator) -> Optimizer:
    params = list(objective.parameters())
    if method == "gradient descent":
        return SGD(params, lr=1 / largest_curvature(objective))
    if method == "Adam":
        return Adam(params, lr=ADAM_LEARNING_RATE)
    if method == "Hessian descent":
        at_minimum = (1 + objective.constants).sqrt()
        smoothness, hessian_lipschitz = objective.lipschitz_constants(REACH * at_minimum)
        return HessianDescent(
            params,
            smoothness=smoothness,
            hessian_lipschitz=hessian_lipschitz,
            accuracy=2 * objective.regularization * ACCURACY,
        )
    momentum = 0.9 if method == "PGD, momentum" else 0.0
    return PerturbedGradientDescent.for_objective(
        objective, accuracy=ACCURACY, momentum=momentum, generator=generator
    )


def first_below(norms: Float[np.ndarray, " records"], fraction: float) -> float:
    """The first record at most this fraction of the first one; NaN if there is none."""
    below = np.flatnonzero(norms <= fraction * norms[0])
    return float(below[0]) if len(below) else math.nan


def sample_from_saddles(setting: Sampling, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """SGD from the saddles of every seed at once, each with its own batches.

    ‖W_⊥‖ is NaN from where f is no longer finite.
    """
    starts = [
        at_saddles(setting.regularization, torch.Generator().manual_seed(seed)) for seed in seeds
    ]
    units = torch.stack([each.units.detach() for each in starts]).requires_grad_(True)
    # The saddles of two seeds are rotations of each other and have the same curvature.
    optimizer = SGD([units], lr=setting.fraction / largest_curvature(starts[0]))
    decay = LambdaLR(optimizer, lambda t: 1 / (1 + t / DECAY_STEPS) if setting.decays else 1.0)
    generator = torch.Generator().manual_seed(seeds[0])
    norms = []
    began = time.process_time()
    for step in range(setting.steps + 1):
        if step % RECORD_EVERY == 0:
            norms.append(units.detach()[..., 1:-1].square().sum(dim=(1, 2, 3)).sqrt().numpy())
        points = torch.randn(
            len(seeds), setting.batch, DIMENSION, generator=generator, dtype=torch.float64
        )
        optimizer.zero_grad()
        sampled_values(units, points, starts[0].constants, setting.regularization).sum().backward()
        optimizer.step()
        decay.step()
    cpu_seconds = (time.process_time() - began) / len(seeds)
    paths = np.array(norms).T
    tail = paths[:, -math.ceil(TAIL * paths.shape[1]) :]
    same = np.ones(len(seeds))
    return {
        "left_step": RECORD_EVERY * np.array([first_below(path, LEFT) for path in paths]),
        "orthogonal_norm": np.sqrt(np.square(tail).mean(axis=1)),
        "steps": setting.steps * same,
        "cpu_seconds": cpu_seconds * same,
        "start_norm": paths[:, 0],
        **dict.fromkeys(("gradient_norm", "second_order", "escapes"), np.nan * same),
    }


def sampled_values(
    units: Float[Tensor, "seeds outputs units columns"],
    points: Float[Tensor, "seeds batch dimension"],
    constants: Float[Tensor, " outputs"],
    regularization: float,
) -> Float[Tensor, " seeds"]:
    """f of ``ManySaddles`` at s = 1 on a batch, for each seed."""
    by_unit = units.flatten(1, 2)
    weight, bias = by_unit[..., :-1], by_unit[..., -1]
    hidden = torch.baddbmm(bias.unsqueeze(1), points, weight.mT)
    outputs = hidden.square().unflatten(2, units.shape[1:3]).sum(dim=3)
    errors = outputs - points[..., :1].square() - constants
    return errors.square().sum(dim=2).mean(dim=1) + regularization * weight.square().sum(dim=(1, 2))


def _claim_exact(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that the paper's methods leave, and that gradient descent does not; report Adam."""
    for row in rows:
        norms, starts = row.measured["orthogonal_norm"], row.measured["start_norm"]
        largest, method = float(norms.max()), row.setting.method
        if method in PAPER_METHODS:
            ended = row.measured["second_order"] == 1
            claim_on_every_run(
                run,
                "OPT",
                f"{method}, from strict saddles: ends by its own rule at a second-order point with "
                f"‖W⊥‖ ≤ {COLLAPSED:g}",
                ended & (norms <= COLLAPSED),
                "the largest ‖W⊥‖",
                largest,
                paper=0.0,
            )
        elif method == "gradient descent":
            first_order = row.measured["gradient_norm"] <= FIRST_ORDER
            claim_on_every_run(
                run,
                "OPT",
                f"gradient descent stays there: ‖∇f‖ ≤ {FIRST_ORDER:g} and W⊥ as at the start "
                f"after {row.setting.steps} steps",
                first_order & (np.abs(norms / starts - 1) <= COLLAPSED),
                "the smallest ‖W⊥‖",
                float(norms.min()),
            )
        else:
            left = ~np.isnan(row.measured["left_step"])
            run.claim(
                "OPT",
                f"{method}, exact f: leaves the saddles within {row.setting.steps} steps on "
                f"{left.sum()} of {left.size} runs; the largest ‖W⊥‖ at the end",
                measured=largest,
            )


def _report_sampled(run: Run, rows: list[Row[Sampling]], pgd: Row[Setting]) -> None:
    """Report whether SGD leaves, how fast, and what is left, next to PGD's numbers."""
    for row in rows:
        left = ~np.isnan(row.measured["left_step"])
        run.claim(
            "SGD",
            f"{row.name}: leaves the strict saddles without added noise within "
            f"{row.setting.steps} steps on {left.sum()} of {left.size} seeds, after "
            f"{row.interval('left_step')} steps "
            f"(PGD {pgd.interval('left_step')}); rms ‖W⊥‖ over the last {TAIL:.0%} of the steps",
            baseline=f"PGD {pgd.measured['orthogonal_norm'].max():.2g}",
            measured=str(row.interval("orthogonal_norm")),
        )
    constant = [row for row in rows if not row.setting.decays]
    for quantity, name in (("fraction", "step size"), ("batch", "batch size")):
        chosen, values = _varied(constant, quantity)
        slope = log_log_slope(values, measured(chosen, "orthogonal_norm"))
        run.claim(
            "SGD",
            f"exponent p of remaining rms ‖W⊥‖ ∝ ({name})^p, SGD, fitted to {len(values)} values",
            measured=str(slope),
        )


def _varied(rows: list[Row[Sampling]], quantity: str) -> tuple[list[Row[Sampling]], list[float]]:
    """The rows in which only one quantity, "fraction" or "batch", differs from the base, sorted."""
    other, base = ("batch", BASE_BATCH) if quantity == "fraction" else ("fraction", BASE_FRACTION)
    chosen = [row for row in rows if getattr(row.setting, other) == base]
    chosen.sort(key=lambda row: getattr(row.setting, quantity))
    return chosen, [float(getattr(row.setting, quantity)) for row in chosen]


def _figure(exact: list[Row[Setting]], sampled: list[Row[Sampling]]) -> Figure:
    left = {
        "‖W⊥‖ at the start": measured(exact, "start_norm"),
        "‖W⊥‖ at the end": measured(exact, "orthogonal_norm"),
    }
    constant = [row for row in sampled if not row.setting.decays]
    by_step, steps = _varied(constant, "fraction")
    by_batch, batches = _varied(constant, "batch")
    rms = partial(Panel, y_label="rms ‖W⊥‖ that is left", log_x=True)
    return study_figure(
        Panel(
            left,
            x=[row.name for row in exact],
            x_label="optimizer, exact f",
            y_label="‖W⊥‖",
            title="From strict saddles",
        ),
        rms(
            {f"SGD, batches of {BASE_BATCH}": measured(by_step, "orthogonal_norm")},
            x=steps,
            x_label="step size · L",
            title="SGD, by step size",
        ),
        rms(
            {f"SGD, step {BASE_FRACTION:g}/L": measured(by_batch, "orthogonal_norm")},
            x=batches,
            x_label="batch size",
            title="SGD, by batch size",
        ),
    )
