"""Figures 6 and 7, for the lengths of points and for all pairs, drawn from arrays."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALLEST_NORM,
    draw_norm,
    draw_trace,
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
    """Figure 6: the largest distortion of M before each step, compared with Gaussian embeddings."""
    figure, (axes,) = new_figure(height=4.2)
    axes.set_yscale("log")
    _draw_baseline(axes, single, ORANGE, "Gaussian draws")
    draw_trace(axes, np.maximum(distortion, SMALLEST_NORM), color=BLUE, label="learned M")
    _draw_baseline(axes, worst_of_20, PURPLE, "worst of 20, as published")
    mark_perturbations(axes, perturbation_steps)
    y = "largest distortion max |‖Mu‖² − 1|"
    title = f"One learned embedding against {len(single)} Gaussian ones"
    label(axes, x="step", y=y, title=title, legend=False)
    legend_below(figure)
    return figure


def pair_distortion_figure(
    steps: Int[np.ndarray, " rounds"],
    distortion: Float[np.ndarray, " rounds"],
    random: Float[np.ndarray, " draws"],
    pca: float,
    lower_bound: float,
) -> Figure:
    """Figure 6 for pairs: the largest distortion at the steps where all pairs were evaluated.

    M and the principal components are rescaled to balance their extremes, Gaussian ones are not.
    """
    figure, (axes,) = new_figure(height=4.2)
    _draw_baseline(axes, random, ORANGE, "Gaussian draws")
    axes.axhline(pca, color=GREEN, label=f"PCA, rescaled, {pca:.2f}")
    if len(steps) and steps[0] > 0:
        text = "σ falls to 0 (figure 7); M is first measured after it"
        axes.axvspan(0, steps[0], color=GREY, alpha=0.12, linewidth=0, label=text)
    axes.plot(steps, distortion, ".-", color=BLUE, label="M, rescaled")
    text = f"lower bound for every map, {lower_bound:.2f}"
    axes.axhline(lower_bound, color=GREY, linestyle=":", label=text)
    axes.set_ylim(bottom=0)
    y, title = "largest distortion of all pairs", "One learned embedding of all pairwise distances"
    label(axes, x="step", y=y, title=title, legend=False)
    legend_below(figure)
    return figure


def _draw_baseline(axes: Axes, draws: Float[np.ndarray, " draws"], color: str, name: str) -> None:
    mean, best = draws.mean(), draws.min()
    axes.axhline(mean, color=color, label=f"{name}: mean {mean:.2f}")
    axes.axhline(best, color=color, linestyle="--", label=f"{name}: best {best:.2f}")


def variance_figure(variance: Float[np.ndarray, " records"], trace: NormTrace | None) -> Figure:
    """Figure 7: σ² at every step and, if its trace is given, ‖W‖_F = σ√(kd) with its bounds."""
    figure, panels = new_figure(2 if trace else 1)
    panels[0].set_yscale("log")
    visible = np.maximum(variance, SMALLEST_NORM**2)
    name = "σ²" if (visible == variance).all() else f"σ², drawn as {SMALLEST_NORM**2:g} if smaller"
    draw_trace(panels[0], visible, color=GREEN, label=name)
    label(panels[0], x="step", y="variance σ²", title="The variance vanishes", legend=False)
    if trace:
        mark_perturbations(panels[0], trace.perturbation_steps)
        draw_norm(panels[1], trace, "‖W‖ = σ√(kd)")
        label(panels[1], x="step", y="Frobenius norm", title="The lemma bounds it", legend=False)
    legend_below(figure)
    return figure


def histogram_figure(
    before: Float[np.ndarray, " pairs"], after: Float[np.ndarray, " pairs"]
) -> Figure:
    """Signed distortions ‖A(x − y)‖²/‖x − y‖² − 1 of a Gaussian and of the learned embedding."""
    figure, (axes,) = new_figure(height=3.6)
    edges = np.linspace(min(before.min(), after.min()) - 1, max(before.max(), after.max()) - 1, 121)
    for ratios, color, name in ((before, ORANGE, "Gaussian"), (after, BLUE, "learned")):
        text = f"{name}: worst {np.abs(ratios - 1).max():.2f}"
        axes.hist(ratios - 1, list(edges), color=color, alpha=0.6, label=text)
    axes.axvline(0, color=GREY, linewidth=0.9)
    title = f"Distortions of {len(before)} pairs, before and after"
    label(axes, x="distortion ‖A(x − y)‖² / ‖x − y‖² − 1", y="pairs", title=title)
    return figure


def shepard_figure(
    distances: Float[np.ndarray, " pairs"],
    before: Float[np.ndarray, " pairs"],
    after: Float[np.ndarray, " pairs"],
) -> Figure:
    """Embedded distance against distance; pairs on the diagonal line have no distortion.

    ``before`` and ``after`` are ‖A(x − y)‖²/‖x − y‖² for a Gaussian A and for the learned one.
    """
    figure, panels = new_figure(2, height=3.5)
    shown = slice(None, None, max(1, len(distances) // 20_000))
    lowest, highest = distances.min() * 0.9, distances.max() * 1.05
    bottom = (distances * np.sqrt(np.minimum(before, after))).min() * 0.95
    top = (distances * np.sqrt(np.maximum(before, after))).max() * 1.05
    styles = ((panels[0], before, ORANGE, "Gaussian"), (panels[1], after, BLUE, "learned"))
    for axes, ratios, color, name in styles:
        x, y = distances[shown], (distances * np.sqrt(ratios))[shown]
        axes.plot(x, y, ".", color=color, markersize=2, alpha=0.4, rasterized=True)
        axes.plot([lowest, highest], [lowest, highest], color=GREY, linewidth=1)
        axes.set(xlim=(lowest, highest), ylim=(bottom, top))
        title = f"{name}: distortion up to {np.abs(ratios - 1).max():.2f}"
        label(axes, x="distance", y="embedded distance", title=title)
    return figure
