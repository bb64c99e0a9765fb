"""How many steps to a ρ-second-order point? PGD and Hessian descent over decades of ρ (T4.2)."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm, parameters_to_vector

from derandomization import DerandomizationObjective, HessianDescent, PerturbedGradientDescent
from derandomization.certificate import lemma_bound
from derandomization.hessian import Hessian
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, grouped, measured, run_study
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies.saddles import saddle_risk
from NeuralNetworks.studies.training import claim_on_every_run

Method = Literal["PGD", "Hessian descent"]
Regime = Literal["λ = 0.1", "λ = √(Kρ)"]
# The theorems' exponents: at most O(ρ^−2) and O(ρ^−1.5) steps.
EXPONENTS: dict[Method, float] = {"PGD": 2.0, "Hessian descent": 1.5}
ACCURACIES: dict[Regime, tuple[float, ...]] = {
    "λ = 0.1": (1e-3, 1e-4, 1e-5, 1e-6),
    "λ = √(Kρ)": (3e-3, 1e-3, 3e-4, 1e-4, 3e-5),
}
FIXED_REGULARIZATION = 0.1  # the saddle's curvature −2λ is below −√(Kρ) at every ρ

DIMENSION = 2
# L and K of f on the paths, where ‖W‖² + ‖b‖² ≤ 4. Measured and rounded up: the largest curvature
# was 15.8, the largest third derivative 29.2.
SMOOTHNESS = 16.0
HESSIAN_LIPSCHITZ = 30.0
FAILURE_PROBABILITY = 0.1
REFERENCE_REACH = 100  # the figure shows the theorem's lines up to so many times the steps of PGD


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Steps until the first ρ-second-order stationary point, by ρ, past a strict saddle.

    Both optimizers start as in the study saddles, where gradient descent would end at the saddle,
    with the parameters that theory gives for L, K and ρ (with PGD's constant c = 1). The proven
    bounds are O(1/ρ²) steps of PGD, up to logarithms, and for Hessian descent 2LΔ/ρ² gradient steps
    and 1.6Δ√(K/ρ³) curvature steps: with steps of 1/L only the latter are O(1/ρ^1.5), so the two
    kinds are counted separately. λ is 0.1, or √(Kρ), which is twice what Lemma 3.1 needs.
    """

    output_dir: Path = Path("results/NeuralNetworks/accuracy")
    steps: PositiveInt = 50_000
    """Most steps; a run ends at the first ρ-second-order point."""


@dataclass(frozen=True)
class Setting:
    """An optimizer, the ρ it is configured for, and how λ is chosen."""

    method: Method
    regime: Regime
    accuracy: float
    steps: int

    @property
    def regularization(self) -> float:
        if self.regime == "λ = 0.1":
            return FIXED_REGULARIZATION
        return math.sqrt(HESSIAN_LIPSCHITZ * self.accuracy)


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="NeuralNetworks/accuracy",
        settings={
            f"{method}, {regime}, ρ = {accuracy:g}": Setting(method, regime, accuracy, config.steps)
            for regime, accuracies in ACCURACIES.items()
            for method in get_args(Method)
            for accuracy in accuracies
        },
        measure=count_steps,
        columns={
            "first_order_steps": "steps to ‖∇f‖ ≤ ρ",
            "steps": "steps to a ρ-SOSP",
            "curvature_steps": "curvature steps",
            "first_order_norm": "‖W⊥‖ at ‖∇f‖ ≤ ρ",
            "orthogonal_norm": "‖W⊥‖ at the ρ-SOSP",
        },
        claim=_claims,
        figures=lambda rows: {
            "accuracy": study_figure(
                *(_panel(each) for each in grouped(rows, lambda setting: setting.regime).values())
            )
        },
    )
    run_study(study, config)


def count_steps(setting: Setting, seed: int) -> dict[str, float]:
    """Descend to the first ρ-second-order point; NaN if the steps do not suffice."""
    generator = torch.Generator().manual_seed(seed)
    objective = saddle_risk(DIMENSION, setting.regularization, generator)
    with torch.no_grad():
        value_gap = float(objective())  # f is positive
    optimizer = _optimizer(setting, objective, value_gap, generator)
    found = descend_to_second_order(objective, optimizer, setting.accuracy, setting.steps)
    curvature_steps = float(len(getattr(optimizer, "curvature_steps", [])))
    reached = not math.isnan(found.second_order_step)
    return {
        "first_order_steps": found.first_order_step,
        "first_order_norm": found.first_order_norm,
        "steps": found.second_order_step,
        "gradient_steps": found.second_order_step - curvature_steps,
        "curvature_steps": curvature_steps if reached else math.nan,
        "orthogonal_norm": found.second_order_norm,
        "value_gap": value_gap,
    }


def _optimizer(
    setting: Setting, objective: PopulationRisk, value_gap: float, generator: torch.Generator
) -> HessianDescent | PerturbedGradientDescent:
    params = [objective.student.weight, objective.student.bias]
    constants: dict[str, Any] = {
        "smoothness": SMOOTHNESS,
        "hessian_lipschitz": HESSIAN_LIPSCHITZ,
        "accuracy": setting.accuracy,
    }
    if setting.method == "Hessian descent":
        return HessianDescent(params, **constants)
    return PerturbedGradientDescent.from_theory(
        params,
        **constants,
        failure_probability=FAILURE_PROBABILITY,
        value_gap=value_gap,
        generator=generator,
    )


class FirstStationary(NamedTuple):
    """Steps made before the first points with ‖∇f‖ ≤ ρ, and also λ_min ≥ −√(Kρ); ‖W‖_F there."""

    first_order_step: float
    first_order_norm: float
    second_order_step: float
    second_order_norm: float


def descend_to_second_order(
    objective: DerandomizationObjective,
    optimizer: PerturbedGradientDescent | HessianDescent,
    accuracy: float,
    max_steps: int,
) -> FirstStationary:
    """Descend until a point is ρ-second-order stationary, whether the optimizer detects it or not.

    Ends before that, with NaNs, if the optimizer terminates or the steps run out.
    """
    params = [p for p in objective.parameters() if p.requires_grad]
    allowed = math.sqrt(HESSIAN_LIPSCHITZ * accuracy)
    last: tuple[Tensor, float] | None = None  # point and λ_min
    first = second = (math.nan, math.nan)
    is_trial_point, num_steps = False, 0

    def is_second_order() -> bool:
        nonlocal last
        here = parameters_to_vector(params).detach()
        if last is not None:
            there, curvature = last
            moved = float(torch.linalg.vector_norm(here - there))
            if curvature + HESSIAN_LIPSCHITZ * moved < -allowed:
                return False  # K excludes it without another eigenvalue
        last = here, Hessian(objective, params).smallest_eigenvalue(tolerance=allowed).lower_end
        return last[1] >= -allowed

    def closure() -> Tensor:
        nonlocal first, second, is_trial_point
        objective.zero_grad()
        value = objective()
        value.backward()
        gradients = [p.grad for p in objective.parameters() if p.grad is not None]
        if not is_trial_point and float(get_total_norm(gradients)) <= accuracy:
            here = (float(num_steps), objective.weight_norm())
            first = here if math.isnan(first[0]) else first
            second = here if is_second_order() else second
        is_trial_point = True
        return value.detach()

    while num_steps < max_steps and math.isnan(second[0]) and not optimizer.terminated:
        is_trial_point = False  # the first evaluation of a step is at a point of the path
        optimizer.step(closure)
        num_steps += 1
    return FirstStationary(*first, *second)


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    for each in grouped(rows, lambda setting: (setting.regime, setting.method)).values():
        _claim_order(run, each)
    _claim_counts(run, [row for row in rows if row.setting.method == "Hessian descent"])
    _claim_bound(run, rows)


def _largest(values: np.ndarray) -> float | None:
    """The largest value that is not NaN; None if all are."""
    return None if np.isnan(values).all() else float(np.nanmax(values))


def _claim_order(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim the slope, and that every count is below a line of that slope through the first."""
    setting, exponent = rows[0].setting, EXPONENTS[rows[0].setting.method]
    accuracies = np.array([row.setting.accuracy for row in rows])
    steps = measured(rows, "steps")
    slope = log_log_slope(1 / accuracies, steps)
    growth = (accuracies[0] / accuracies) ** exponent
    below = steps <= steps[0] * growth[:, None]  # false for NaN, where the steps did not suffice
    upper_end = slope.mean if math.isnan(slope.high) else slope.high
    run.claim(
        "T4.2",
        f"{setting.method}, {setting.regime}: steps to a ρ-SOSP grow at most as ρ^−{exponent:g}; "
        f"below that line from ρ = {accuracies[0]:g} on {below.sum()} of {below.size} runs; "
        "the slope in 1/ρ",
        bound=f"≤ {exponent:g}",
        measured=str(slope),
        holds=bool(upper_end <= exponent and below.all()),
    )


def _claim_counts(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim Hessian descent's bounds: 2LΔ/ρ² gradient steps and 1.6Δ√(K/ρ³) curvature steps."""
    rho = np.array([[row.setting.accuracy] for row in rows])
    gap = measured(rows, "value_gap")
    bounds = {
        "gradient": 2 * SMOOTHNESS * gap / rho**2,
        "curvature": 1.6 * gap * np.sqrt(HESSIAN_LIPSCHITZ / rho**3),
    }
    for kind, bound in bounds.items():
        shares = measured(rows, f"{kind}_steps") / bound
        within = f"Hessian descent: {kind} steps within their provable number"
        claim_on_every_run(
            run, "T4.2", within, shares <= 1, "the largest share of it", _largest(shares), bound=1.0
        )


def _claim_bound(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim ‖W_⊥‖ ≤ ρ/(2λ − √(Kρ)) at the first ρ-SOSP; report it at the first ‖∇f‖ ≤ ρ."""
    settings = [row.setting for row in rows]
    bounds = [lemma_bound(s.accuracy, HESSIAN_LIPSCHITZ, s.regularization) for s in settings]
    guaranteed: dict[str, float] = {"bound": 1.0}
    for quantity, where, reference in (
        ("orthogonal_norm", "the first ρ-SOSP", guaranteed),
        ("first_order_norm", "the first point with ‖∇f‖ ≤ ρ", {}),
    ):
        ratios = measured(rows, quantity) / np.array(bounds, dtype=float)[:, None]
        within = f"‖W⊥‖ within Theorem 4.1's bound at {where}"
        claim_on_every_run(
            run,
            "T4.2",
            within,
            ratios <= 1,
            "the largest norm/bound",
            _largest(ratios),
            **reference,
        )


def _panel(rows: list[Row[Setting]]) -> Panel:
    """Steps over ρ by both methods, for one way of choosing λ, and the theorem's lines."""
    by_method = grouped(rows, lambda setting: str(setting.method))
    accuracies = np.array([row.setting.accuracy for row in by_method["PGD"]])
    series = {method: measured(each, "steps") for method, each in by_method.items()}
    highest = REFERENCE_REACH * (_largest(series["PGD"]) or 0)
    lines = {}
    for method, exponent in EXPONENTS.items():
        steps = np.max(series[method][0]) * (accuracies[0] / accuracies) ** exponent
        line = f"{method}: at most ∝ ρ^−{exponent:g}"
        lines[line] = np.where(steps <= highest, steps, np.nan)
    first_order = measured(by_method["PGD"], "first_order_steps")
    return Panel(
        series={**series, "to ‖∇f‖ ≤ ρ alone": first_order},
        x=accuracies.tolist(),
        x_label="ρ",
        y_label="steps to the first ρ-SOSP",
        title=rows[0].setting.regime,
        log_x=True,
        references=lines,
    )
