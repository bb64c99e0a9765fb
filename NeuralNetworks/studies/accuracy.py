"""How many steps to a ρ-second-order point? PGD and Hessian descent over decades of ρ (T4.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float

from derandomization import HessianDescent, PerturbedGradientDescent
from derandomization.certificate import lemma_bound
from derandomization.checks import require_at_least
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import Interval, confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, StudyConfig, measure_rows, tabulate
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies.first_stationary import descend_to_second_order
from NeuralNetworks.studies.saddles import saddle_risk

Method = Literal["PGD", "Hessian descent"]
Regime = Literal["λ = 0.1", "λ = √(Kρ)"]
# The theorems' exponents: at most O(ρ^−2) and O(ρ^−1.5) steps.
EXPONENTS: dict[Method, float] = {"PGD": 2.0, "Hessian descent": 1.5}
ACCURACIES: dict[Regime, tuple[float, ...]] = {
    "λ = 0.1": (1e-3, 1e-4, 1e-5, 1e-6),
    "λ = √(Kρ)": (3e-3, 1e-3, 3e-4, 1e-4, 3e-5),
}
FIXED_REGULARIZATION = 0.1  # the saddle's −2λ is below −√(Kρ) at every ρ

DIMENSION = 2
# L and K of f where the paths lead, ‖W‖² + ‖b‖² ≤ 4, found by looking and rounded up: the largest
# curvature met is 15.8, the largest third derivative 29.2.
SMOOTHNESS = 16.0
HESSIAN_LIPSCHITZ = 30.0
FAILURE_PROBABILITY = 0.1
REFERENCE_REACH = 100  # how far above the steps of PGD the figure shows what the theorem allows


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Steps until the first ρ-second-order stationary point, by ρ, past a strict saddle.

    Both start as in the study saddles, where gradient descent would end at the saddle, and with the
    parameters that theory gives them for L, K and ρ (the constant c of PGD's is 1). Provable are
    O(1/ρ²) steps of PGD, up to logarithms. Of Hessian descent, 2LΔ/ρ² gradient steps and
    1.6Δ√(K/ρ³) curvature steps: with steps of 1/L only the latter are O(1/ρ^1.5), so both are
    counted. λ is 0.1, or √(Kρ): twice what Lemma 3.1 needs.
    """

    output_dir: Path = Path("results/NeuralNetworks/accuracy")
    """Folder for results.json, table.csv and the figure; made if missing."""
    steps: int = 50_000
    """Most steps; they end at the first ρ-second-order point."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("steps", self.steps, 1)


@dataclass(frozen=True)
class Setting:
    """One optimizer, the ρ it is made for, and the problem."""

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
    run = Run("NeuralNetworks/accuracy", config)
    settings = {
        f"{method}, {regime}, ρ = {accuracy:g}": Setting(method, regime, accuracy, config.steps)
        for regime, accuracies in ACCURACIES.items()
        for method in get_args(Method)
        for accuracy in accuracies
    }
    rows = measure_rows(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "first_order_steps": "steps to ‖∇f‖ ≤ ρ",
            "steps": "steps to a ρ-SOSP",
            "curvature_steps": "curvature steps",
            "first_order_norm": "‖W⊥‖ at ‖∇f‖ ≤ ρ",
            "orthogonal_norm": "‖W⊥‖ at the ρ-SOSP",
        },
    )
    for regime in get_args(Regime):
        for method in get_args(Method):
            _claim_order(run, _of(rows, method, regime))
    _claim_counts(run, [row for row in rows if row.setting.method == "Hessian descent"])
    _claim_bound(run, rows)
    run.figure("accuracy", study_figure(*(_panel(rows, regime) for regime in get_args(Regime))))
    run.finish()


def measure(setting: Setting, seed: int) -> Measurement:
    """Descend to the first ρ-second-order point; NaN where the steps do not suffice."""
    generator = torch.Generator().manual_seed(seed)
    objective = saddle_risk(DIMENSION, setting.regularization, generator)
    with torch.no_grad():
        value_gap = float(objective())  # f is positive
    optimizer = _optimizer(setting, objective, value_gap, generator)
    first = descend_to_second_order(
        objective,
        optimizer,
        accuracy=setting.accuracy,
        hessian_lipschitz=HESSIAN_LIPSCHITZ,
        max_steps=setting.steps,
    )
    curvature_steps = float(len(getattr(optimizer, "curvature_steps", [])))
    reached = not math.isnan(first.second_order_step)
    return {
        "first_order_steps": first.first_order_step,
        "first_order_norm": first.first_order_norm,
        "steps": first.second_order_step,
        "gradient_steps": first.second_order_step - curvature_steps,
        "curvature_steps": curvature_steps if reached else math.nan,
        "orthogonal_norm": first.second_order_norm,
        "value_gap": value_gap,
    }


def _optimizer(
    setting: Setting, objective: PopulationRisk, value_gap: float, generator: torch.Generator
) -> HessianDescent | PerturbedGradientDescent:
    params = [objective.student.weight, objective.student.bias]
    if setting.method == "Hessian descent":
        return HessianDescent(
            params,
            smoothness=SMOOTHNESS,
            hessian_lipschitz=HESSIAN_LIPSCHITZ,
            accuracy=setting.accuracy,
        )
    return PerturbedGradientDescent.from_theory(
        params,
        smoothness=SMOOTHNESS,
        hessian_lipschitz=HESSIAN_LIPSCHITZ,
        accuracy=setting.accuracy,
        failure_probability=FAILURE_PROBABILITY,
        value_gap=value_gap,
        generator=generator,
    )


def _of(rows: Sequence[Row[Setting]], method: Method, regime: Regime) -> list[Row[Setting]]:
    return [row for row in rows if (row.setting.method, row.setting.regime) == (method, regime)]


def _values(rows: Sequence[Row[Setting]], quantity: str) -> Float[np.ndarray, "accuracies seeds"]:
    return np.array([row.measured[quantity] for row in rows])


def _largest(values: Float[np.ndarray, "accuracies seeds"]) -> float | None:
    """Of those there are; None where no path came so far."""
    known = values[~np.isnan(values)]
    return float(known.max()) if len(known) else None


def log_log_slope(
    accuracies: Sequence[float], counts: Float[np.ndarray, "accuracies seeds"]
) -> Interval:
    """s of counts ∝ (1/ρ)^s, by least squares for each seed; NaN where a count is missing."""
    slopes, _ = np.polyfit(-np.log(accuracies), np.log(counts), 1)
    return confidence_interval(slopes)


def _claim_order(run: Run, rows: Sequence[Row[Setting]]) -> None:
    """The slope, and every count below the line of the theorem's slope through the first."""
    setting, exponent = rows[0].setting, EXPONENTS[rows[0].setting.method]
    accuracies, steps = [row.setting.accuracy for row in rows], _values(rows, "steps")
    slope = log_log_slope(accuracies, steps)
    growth = (accuracies[0] / np.array(accuracies)) ** exponent
    below = steps <= steps[0] * growth[:, None]  # no where the steps did not suffice
    upper_end = slope.mean if math.isnan(slope.high) else slope.high
    run.claim(
        "T4.2",
        f"{setting.method}, {setting.regime}: steps to a ρ-SOSP grow at most as ρ^−{exponent:g}; "
        f"below that line from ρ = {accuracies[0]:g} on {below.sum()} of {below.size} runs; "
        "the slope in 1/ρ",
        paper=f"≤ {exponent:g}",
        measured=str(slope),
        holds=bool(upper_end <= exponent and below.all()),
    )


def _claim_counts(run: Run, rows: Sequence[Row[Setting]]) -> None:
    """Hessian descent's own bounds: 2LΔ/ρ² steps of the one kind, 1.6Δ√(K/ρ³) of the other."""
    rho = np.array([[row.setting.accuracy] for row in rows])
    gap = _values(rows, "value_gap")
    bounds = {
        "gradient": 2 * SMOOTHNESS * gap / rho**2,
        "curvature": 1.6 * gap * np.sqrt(HESSIAN_LIPSCHITZ / rho**3),
    }
    for kind, bound in bounds.items():
        shares = _values(rows, f"{kind}_steps") / bound
        run.claim(
            "T4.2",
            f"Hessian descent: {kind} steps within their provable number on "
            f"{(shares <= 1).sum()} of {shares.size} runs; the largest share of it",
            paper="≤ 1",
            measured=_largest(shares),
            holds=bool((shares <= 1).all()),
        )


def _claim_bound(run: Run, rows: Sequence[Row[Setting]]) -> None:
    """‖W_⊥‖ within ρ/(2λ − √(Kρ)) at the first ρ-SOSP, as at no point that is first-order only."""
    bounds = np.array(
        [
            [lemma_bound(s.accuracy, HESSIAN_LIPSCHITZ, s.regularization)]
            for s in (row.setting for row in rows)
        ],
        dtype=float,
    )
    for quantity, where, paper in (
        ("orthogonal_norm", "the first ρ-SOSP", "≤ 1"),
        ("first_order_norm", "the first point with ‖∇f‖ ≤ ρ", "no guarantee"),
    ):
        ratios = _values(rows, quantity) / bounds
        run.claim(
            "T4.2",
            f"‖W⊥‖ within Theorem 4.1's bound at {where} on {(ratios <= 1).sum()} of "
            f"{ratios.size} runs; the largest norm/bound",
            paper=paper,
            measured=_largest(ratios),
            holds=bool((ratios <= 1).all()) if paper == "≤ 1" else None,
        )


def _panel(rows: Sequence[Row[Setting]], regime: Regime) -> Panel:
    perturbed, hessian = (_of(rows, method, regime) for method in get_args(Method))
    accuracies = np.array(ACCURACIES[regime])
    series = {
        "PGD": _values(perturbed, "steps"),
        "Hessian descent": _values(hessian, "steps"),
        "to ‖∇f‖ ≤ ρ alone": _values(perturbed, "first_order_steps"),
    }
    highest = REFERENCE_REACH * (_largest(series["PGD"]) or 0)

    def line(method: Method) -> np.ndarray:
        """From the most steps at the largest ρ on, as far as the panel reaches."""
        growth = (accuracies[0] / accuracies) ** EXPONENTS[method]
        steps = np.max(series[method][0]) * growth
        return np.where(steps <= highest, steps, np.nan)

    return Panel(
        series=series,
        x=ACCURACIES[regime],
        x_label="ρ",
        y_label="steps to the first ρ-SOSP",
        title=regime,
        log_x=True,
        references={f"{m}: at most ∝ ρ^−{EXPONENTS[m]:g}": line(m) for m in get_args(Method)},
    )
