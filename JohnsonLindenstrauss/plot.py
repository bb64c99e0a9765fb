"""Figures 6 and 7 from arrays."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derandomization.figures import BLUE, GREY, ORANGE, PURPLE, RED, label, new_figure

# A single point may be embedded without error, and σ cross 0: a log axis wants a number.
SMALLEST_DISTORTION = 1e-17
SMALLEST_NORM = 1e-30


def distortion_figure(
    distortion: Float[np.ndarray, " records"],
    perturbation_steps: Int[np.ndarray, " perturbations"],
    single: Float[np.ndarray, " draws"],
    worst_of_20: Float[np.ndarray, " draws"],
) -> Figure:
    """Figure 6: the largest distortion of M by step, against Gaussian embeddings.

    Args:
        distortion: max_u |‖Mu‖² − 1| before each step.
        perturbation_steps: where noise was added.
        single: largest distortions of single Gaussian draws.
        worst_of_20: of the worst of 20, the baseline of the published figure.
    """
    figure, (axes,) = new_figure(width=6.8, height=4.8)
    label(
        axes,
        x="step",
        y="largest distortion max |‖Mu‖² − 1|",
        title="One learned embedding against Gaussian ones",
    )
    _draw_baseline(axes, single, ORANGE, "single Gaussian draws")
    axes.semilogy(np.maximum(distortion, SMALLEST_DISTORTION), color=BLUE, label="M")
    _draw_baseline(axes, worst_of_20, PURPLE, "worst of 20 (published baseline)")
    _mark_perturbations(axes, perturbation_steps)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return figure


def variance_figure(
    variance: Float[np.ndarray, " records"],
    weight_norm: Float[np.ndarray, " records"],
    perturbation_steps: Int[np.ndarray, " perturbations"],
    bound: tuple[np.ndarray, Float[np.ndarray, " snapshots"]],
    weight_bound: float | None,
) -> Figure:
    """Figure 7: σ² by step; and ‖W‖_F below the sharp bound on the way and Lemma 3.1's at the end.

    Args:
        variance: σ² before each step.
        weight_norm: ‖W‖_F = σ√(kd) before each step.
        perturbation_steps: where noise was added.
        bound: steps and the sharp bound there, NaN where it is silent.
        weight_bound: the lemma's bound at the end, if it speaks.
    """
    figure, (left, right) = new_figure(2, height=4)
    label(left, x="step", y="variance σ²", title="The variance vanishes")
    label(right, x="step", y="Frobenius norm ‖W‖ = σ√(kd)", title="The lemma bounds it")
    left.semilogy(np.maximum(variance, SMALLEST_NORM**2), color=BLUE, label="σ², ‖W‖")
    _mark_perturbations(left, perturbation_steps)
    right.semilogy(np.maximum(weight_norm, SMALLEST_NORM), color=BLUE)
    for step in perturbation_steps:
        right.axvline(step, color=GREY, linestyle=":")
    right.semilogy(
        bound[0],
        np.maximum(bound[1], SMALLEST_NORM),
        "o",
        color=ORANGE,
        fillstyle="none",
        label="sharp bound (Stein), where it speaks",
    )
    if weight_bound is not None:
        end = len(weight_norm) - 1
        right.semilogy(end, weight_bound, "v", color=RED, label="Lemma 3.1's bound at the end")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def _draw_baseline(axes: Axes, draws: Float[np.ndarray, " draws"], color: str, name: str) -> None:
    mean, best = draws.mean(), draws.min()
    axes.axhline(mean, color=color, label=f"{name}: mean of {len(draws)}, {mean:.2f}")
    axes.axhline(best, color=color, linestyle="--", label=f"{name}: best, {best:.2f}")


def _mark_perturbations(axes: Axes, steps: Int[np.ndarray, " perturbations"]) -> None:
    for step in steps:
        axes.axvline(step, color=GREY, linestyle=":")
    if len(steps):
        # One entry in the legend for all of them.
        axes.plot(
            [], [], color=GREY, linestyle=":", label="perturbation, undone if f does not fall"
        )
