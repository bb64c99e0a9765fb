"""How many steps until PGD and Hessian descent end by their own rules, past many saddles (T4.2)?"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import HessianDescent, PerturbedGradientDescent
from derandomization.certificate import lemma_bound
from derandomization.hessian import Hessian
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import confidence_interval, log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import (
    NumSeeds,
    Row,
    Study,
    StudyConfig,
    grouped,
    measured,
    run_study,
)
from NeuralNetworks.studies.saddles import ManySaddles
from NeuralNetworks.studies.training import claim_on_every_run

Method = Literal["PGD", "Hessian descent"]
Sweep = Literal["ρ", "f(x₀)", "Δ"]
# By what is varied: ρ, Δ/√(Kρ) with λ = (√(Kρ) + Δ)/2 as in Theorem 4.2, and the number of outputs
# and of copies. At most 32 outputs: up to 128 parameters Hessian descent's eigenvectors are exact.
SWEEPS: dict[Sweep, tuple[tuple[float, float, int, int], ...]] = {
    "ρ": tuple((accuracy, 0.5, 25, 1) for accuracy in (16e-3, 8e-3, 4e-3, 2e-3)),
    "f(x₀)": tuple((8e-3, 0.5, 6 * copies, copies) for copies in (1, 2, 4)),
    "Δ": tuple((8e-3, margin, 25, 1) for margin in (0.25, 1.0)),
}

REACH = 1.1  # L and K hold while ‖(w_j, b_j)‖ ≤ 1.1γ_j for each j; the paths are checked
HESSIAN_LIPSCHITZ = 18 * REACH  # K for constants γ² and scales 1/(4γ), whatever γ is
FAILURE_PROBABILITY = 0.1
CURVATURE_TOLERANCE = 1e-3  # of √(Kρ), in the check of the end


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Steps until PGD and Hessian descent terminate, by ρ, f(x₀) − min f and Δ.

    The student has two quadratic units for each output, the teacher's outputs are constants γ_j²,
    so W⊥ is all of W, and the loss has the weights 1/(4γ_j). Each output has its own strict saddle
    with curvature of order −γ_j, and all have the same K. There are copies of them in each unit
    interval of 1/γ² from 1 on, so about copies/(Kρ) are deeper than √(Kρ): with a smaller ρ there
    are more saddles to leave. A descent starts at b = 0; gradient descent from there ends where
    every output is at its saddle. Both methods have the parameters that theory gives for L, K and
    ρ, with PGD's constant c = 1, and λ = (√(Kρ) + Δ)/2.

    Theory proves at most Õ(1/ρ²) steps of PGD and, for Hessian descent, 1.6√(K/ρ³)(f(x₀) − min f)
    curvature steps. Hessian descent also takes up to 2L(f(x₀) − min f)/ρ² gradient steps of length
    1/L: only its curvature steps are O(1/ρ^1.5), all its steps together are O(1/ρ²).
    """

    output_dir: Path = Path("results/NeuralNetworks/accuracy")
    seeds: NumSeeds = 3
    """Independent landscapes and starts of every setting, all derived from --seed."""
    steps: PositiveInt = 200_000
    """Most steps; a run that has not terminated by then counts as a failure."""


@dataclass(frozen=True)
class Setting:
    """A method, what is varied, ρ, Δ/√(Kρ), the landscape and the most steps."""

    method: Method
    sweep: Sweep
    accuracy: float
    margin: float
    num_outputs: int
    copies: int
    steps: int

    @property
    def root(self) -> float:
        """√(Kρ): curvature down to minus this is allowed."""
        return math.sqrt(HESSIAN_LIPSCHITZ * self.accuracy)

    @property
    def regularization(self) -> float:
        return (1 + self.margin) * self.root / 2


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="NeuralNetworks/accuracy",
        settings={
            "{}, ρ = {:g}, Δ = {:g}√(Kρ), {} outputs, {} copies".format(method, *varied): Setting(
                method, sweep, *varied, config.steps
            )
            for sweep, every in SWEEPS.items()
            for method in get_args(Method)
            for varied in every
        },
        measure=count_steps,
        columns={
            "saddles": "saddles deeper than √(Kρ)",
            "steps": "steps",
            "curvature_steps": "curvature steps",
            "perturbations": "perturbations",
            "gradient_norm": "‖∇f‖",
            "min_curvature": "λ_min",
            "orthogonal_norm": "‖W⊥‖",
        },
        claim=_claims,
        figures=lambda rows: {"accuracy": _figure(rows)},
    )
    run_study(study, config)


def landscape(setting: Setting, generator: torch.Generator) -> tuple[ManySaddles, Tensor]:
    """The objective at a start with b = 0, and γ."""
    number = setting.num_outputs
    places = torch.arange(number) + torch.rand(number, generator=generator, dtype=torch.float64)
    depths = (1 + places / setting.copies) ** -0.5
    drawn = torch.randn(number, 2, 1, generator=generator, dtype=torch.float64)
    lengths = 0.2 + 0.6 * torch.rand(number, 1, 1, generator=generator, dtype=torch.float64)
    weight = depths[:, None, None] * lengths * drawn / drawn.norm(dim=1, keepdim=True)
    scales = 1 / (4 * depths)
    return ManySaddles(weight, depths.square(), setting.regularization, scales=scales), depths


def count_steps(setting: Setting, seed: int) -> dict[str, float]:
    """Descend until the method terminates, and check the end; the steps are NaN if it does not."""
    generator = torch.Generator().manual_seed(seed)
    objective, depths = landscape(setting, generator)
    with torch.no_grad():
        value_gap = float(objective())  # min f = 0
    smoothness, hessian_lipschitz = objective.lipschitz_constants(REACH * depths)
    constants: dict[str, Any] = {
        "smoothness": smoothness,
        "hessian_lipschitz": hessian_lipschitz,
        "accuracy": setting.accuracy,
    }
    optimizer = _optimizer(setting.method, objective, value_gap, generator, constants)
    largest_radius = _descend(objective, optimizer, setting.steps, depths)
    # Autograd's Hessian: Hessian descent uses differences of gradients, PGD no Hessian.
    hessian = Hessian(objective, objective.parameters())
    curvature = hessian.smallest_eigenvalue(tolerance=CURVATURE_TOLERANCE * setting.root)
    terminated = 1.0 if optimizer.terminated else math.nan
    curvature_steps = len(getattr(optimizer, "curvature_steps", []))
    return {
        "saddles": float((depths > setting.root).sum()),
        "steps": terminated * optimizer.num_steps,
        "curvature_steps": terminated * curvature_steps,
        "perturbations": float(len(getattr(optimizer, "perturbation_steps", []))),
        "gradient_norm": float(hessian.gradient.detach().norm()),
        "min_curvature": curvature.lower_end,
        "orthogonal_norm": objective.weight_norm(),
        "largest_radius": largest_radius,
        "value_gap": value_gap,
        **{f"proven_{kind}": most for kind, most in proven_counts(optimizer, value_gap).items()},
    }


def _optimizer(
    method: Method,
    objective: ManySaddles,
    value_gap: float,
    generator: torch.Generator,
    constants: dict[str, Any],
) -> HessianDescent | PerturbedGradientDescent:
    if method == "Hessian descent":
        return HessianDescent(objective.parameters(), **constants)
    return PerturbedGradientDescent.from_theory(
        objective.parameters(),
        **constants,
        failure_probability=FAILURE_PROBABILITY,
        value_gap=value_gap,
        generator=generator,
    )


def proven_counts(
    optimizer: HessianDescent | PerturbedGradientDescent, value_gap: float
) -> dict[str, float]:
    """The most steps until the method terminates: all of them, and the curvature steps (or NaN).

    A step of PGD with ‖∇f‖ > g_thres decreases f by g_thres²/2L, and a perturbation after which
    PGD goes on by f_thres within t_thres + 1 steps; one more perturbation decreases f by less.
    """
    if isinstance(optimizer, HessianDescent):
        rho, lipschitz = optimizer.accuracy, optimizer.hessian_lipschitz
        curvature_steps = 1.6 * value_gap * math.sqrt(lipschitz / rho**3)
        gradient_steps = 2 * optimizer.smoothness * value_gap / rho**2
        return {"steps": gradient_steps + curvature_steps, "curvature_steps": curvature_steps}
    options = optimizer.param_groups[0]
    by_gradient = 2 * value_gap / (options["lr"] * options["gradient_threshold"] ** 2)
    window = options["perturbation_interval"] + 1
    by_noise = value_gap / options["decrease_threshold"] * window
    return {"steps": by_gradient + by_noise + window, "curvature_steps": math.nan}


def _descend(
    objective: ManySaddles,
    optimizer: HessianDescent | PerturbedGradientDescent,
    max_steps: int,
    depths: Tensor,
) -> float:
    """Step until the optimizer terminates; returns the largest ‖(w_j, b_j)‖/γ_j of the path."""

    def closure() -> Tensor:
        objective.zero_grad()
        value = objective()
        value.backward()
        return value.detach()

    largest = 0.0
    while not optimizer.terminated and optimizer.num_steps < max_steps:
        largest = max(largest, float((objective.radius() / depths).max()))
        optimizer.step(closure)
    return largest


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    by_method = grouped(rows, lambda setting: setting.method)
    pgd, hessian = by_method["PGD"], by_method["Hessian descent"]
    _claim_order(run, pgd, "steps", "PGD: steps", 2.0)
    _claim_order(run, hessian, "curvature_steps", "Hessian descent: curvature steps", 1.5)
    _claim_order(run, hessian, "steps", "Hessian descent: all steps", 2.0)
    _claim_counts(run, pgd, "steps", "PGD: steps")
    _claim_counts(run, hessian, "curvature_steps", "Hessian descent: curvature steps")
    _claim_counts(run, hessian, "steps", "Hessian descent: all steps")
    _claim_end(run, rows)
    _claim_bound(run, rows)
    _report_gap(run, pgd)
    _report_gap(run, hessian)


def _claim_order(
    run: Run, rows: list[Row[Setting]], quantity: str, what: str, exponent: float
) -> None:
    """Claim that a count grows no faster with 1/ρ than the theorem allows."""
    rows = grouped(rows, lambda setting: setting.sweep)["ρ"]
    counts = measured(rows, quantity)
    ended = ~np.isnan(counts)
    slope = log_log_slope([1 / row.setting.accuracy for row in rows], counts)
    upper_end = slope.mean if math.isnan(slope.high) else slope.high
    run.claim(
        "T4.2",
        f"{what} until it terminates grow at most as ρ^−{exponent:g}; it terminates on "
        f"{ended.sum()} of {ended.size} runs; the exponent of 1/ρ",
        bound=f"exponent ≤ {exponent:g}",
        measured=str(slope),
        holds=bool(upper_end <= exponent and ended.all()),
    )


def _claim_counts(run: Run, rows: list[Row[Setting]], quantity: str, what: str) -> None:
    """Claim that the proven number of steps suffices, with L and K that hold on the path."""
    shares = measured(rows, quantity) / measured(rows, f"proven_{quantity}")
    valid = measured(rows, "largest_radius") <= REACH
    within = f"{what} within their proven number, L and K valid on the path,"
    met = (shares <= 1) & valid
    claim_on_every_run(
        run, "T4.2", within, met, "the largest share of it", _largest(shares), bound=1.0
    )


def _claim_end(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that the end is ρ-second-order stationary, by the eigenvalues of ∇²f there."""
    settings = [row.setting for row in rows]
    gradients = measured(rows, "gradient_norm") / [[each.accuracy] for each in settings]
    curvatures = -measured(rows, "min_curvature") / [[each.root] for each in settings]
    larger = np.maximum(gradients, curvatures)
    ended = ~np.isnan(measured(rows, "steps"))
    claim_on_every_run(
        run,
        "T4.2",
        "both methods end by their own rule at ‖∇f‖ ≤ ρ and λ_min ≥ −√(Kρ)",
        ended & (larger <= 1),
        "the largest ‖∇f‖/ρ or −λ_min/√(Kρ)",
        float(larger.max()),
        bound=1.0,
    )


def _claim_bound(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim ‖W_⊥‖ ≤ ρ/Δ at the end, Δ = 2λ − √(Kρ)."""
    settings = [row.setting for row in rows]
    bounds = [lemma_bound(s.accuracy, HESSIAN_LIPSCHITZ, s.regularization) for s in settings]
    ratios = measured(rows, "orthogonal_norm") / np.array(bounds, dtype=float)[:, None]
    within = "‖W⊥‖ ≤ ε = ρ/Δ where they end"
    largest = float(ratios.max())
    claim_on_every_run(run, "T4.2", within, ratios <= 1, "the largest ‖W⊥‖/ε", largest, bound=1.0)


def _report_gap(run: Run, rows: list[Row[Setting]]) -> None:
    """Report how steps grow with f(x₀) − min f; only the proven number has to grow linearly."""
    rows = grouped(rows, lambda setting: setting.sweep)["f(x₀)"]
    gaps, steps = (measured(rows, quantity) for quantity in ("value_gap", "steps"))
    pairs = zip(gaps.T, steps.T, strict=True)
    slopes = [log_log_slope(gap, each[:, None]).mean for gap, each in pairs]
    run.claim(
        "T4.2",
        f"{rows[0].setting.method}: steps against f(x₀) − min f, to which the proven number is "
        "proportional; the slope",
        measured=str(confidence_interval(slopes)),
    )


def _largest(values: np.ndarray) -> float | None:
    """The largest value that is not NaN; None if all are."""
    return None if np.isnan(values).all() else float(np.nanmax(values))


def _figure(rows: list[Row[Setting]]) -> Figure:
    """Steps over ρ with lines of the theorem's slopes, and ‖W_⊥‖ at the end with its bound."""
    rows = grouped(rows, lambda setting: setting.sweep)["ρ"]
    by_method = grouped(rows, lambda setting: str(setting.method))
    hessian = by_method["Hessian descent"]
    accuracies = np.array([row.setting.accuracy for row in hessian])
    curvature_steps = measured(hessian, "curvature_steps")
    steps = {method: measured(each, "steps") for method, each in by_method.items()}
    lines = {}
    for exponent, counts in ((2, steps["Hessian descent"]), (1.5, curvature_steps)):
        lines[f"∝ ρ^−{exponent:g}"] = counts[0].mean() * (accuracies[0] / accuracies) ** exponent
    bounds = [row.setting.accuracy / (row.setting.margin * row.setting.root) for row in hessian]
    panel = partial(Panel, x=accuracies.tolist(), x_label="ρ", log_x=True)
    return study_figure(
        panel(
            series={**steps, "Hessian descent: curvature steps": curvature_steps},
            y_label="steps",
            title="Steps until it terminates",
            references=lines,
        ),
        panel(
            series={name: measured(each, "orthogonal_norm") for name, each in by_method.items()},
            y_label="‖W⊥‖",
            title="Where it terminates",
            references={"bound ρ/Δ": np.array(bounds)},
        ),
    )
