"""Figures 6 and 7 from arrays."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SMALLEST_NORM,
    draw_norm,
    label,
    legend_below,
    mark_perturbations,
    new_figure,
)
from derandomization.laboratory.trace import NormTrace


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
        legend=False,
    )
    _draw_baseline(axes, single, ORANGE, "single Gaussian draws")
    axes.semilogy(np.maximum(distortion, SMALLEST_NORM), color=BLUE, label="M")
    _draw_baseline(axes, worst_of_20, PURPLE, "worst of 20 (published baseline)")
    mark_perturbations(axes, perturbation_steps)
    legend_below(figure, columns=2)
    return figure


def variance_figure(variance: Float[np.ndarray, " records"], trace: NormTrace) -> Figure:
    """Figure 7: σ² by step; and ‖W‖_F = σ√(kd) with its bounds.

    Args:
        variance: σ² before each step.
        trace: of ‖W‖_F.
    """
    figure, (left, right) = new_figure(2, height=4)
    left.semilogy(np.maximum(variance, SMALLEST_NORM**2), color=GREEN)
    draw_norm(right, trace, "‖W‖ = σ√(kd)")
    label(left, x="step", y="variance σ²", title="The variance vanishes")
    label(right, x="step", y="Frobenius norm", title="The lemma bounds it", legend=False)
    legend_below(figure, columns=4)
    return figure


def _draw_baseline(axes: Axes, draws: Float[np.ndarray, " draws"], color: str, name: str) -> None:
    mean, best = draws.mean(), draws.min()
    axes.axhline(mean, color=color, label=f"{name}: mean of {len(draws)}, {mean:.2f}")
    axes.axhline(best, color=color, linestyle="--", label=f"{name}: best, {best:.2f}")
