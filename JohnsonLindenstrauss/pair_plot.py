"""Figures of the embedding of all pairs, from arrays."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALLEST_NORM,
    label,
    legend_below,
    new_figure,
)


def descent_figure(
    rounds: Int[np.ndarray, " rounds"],
    distortion: Float[np.ndarray, " rounds"],
    random: Float[np.ndarray, " draws"],
    rescaled: float,
) -> Figure:
    """Figure 6 for pairs: the largest distortion of M where all pairs were looked at.

    Args:
        rounds: the steps at which they were.
        distortion: the largest distortion there, after balancing.
        random: largest distortions of Gaussian embeddings.
        rescaled: of principal components, after balancing.
    """
    figure, (axes,) = new_figure(width=6.8, height=4.8)
    name = f"{len(random)} Gaussian draws"
    axes.axhline(random.mean(), color=ORANGE, label=f"{name}: mean, {random.mean():.2f}")
    best = random.min()
    axes.axhline(best, color=ORANGE, linestyle="--", label=f"{name}: best, {best:.2f}")
    axes.axhline(rescaled, color=GREEN, label=f"PCA, rescaled, {rescaled:.2f}")
    axes.plot(rounds, distortion, ".-", color=BLUE, label="M, rescaled")
    axes.set_ylim(bottom=0)
    label(
        axes,
        x="step",
        y="largest distortion of all pairs",
        title="One learned embedding of all pairwise distances",
        legend=False,
    )
    legend_below(figure, columns=2)
    return figure


def variance_figure(variance: Float[np.ndarray, " steps"]) -> Figure:
    """Figure 7 for pairs: σ² by step."""
    figure, (axes,) = new_figure()
    axes.semilogy(np.maximum(variance, SMALLEST_NORM**2), color=GREEN)
    label(axes, x="step", y="variance σ²", title="The variance vanishes")
    return figure


def histogram_figure(
    before: Float[np.ndarray, " pairs"], after: Float[np.ndarray, " pairs"]
) -> Figure:
    """Signed distortions ‖A(x − y)‖²/‖x − y‖² − 1 of a Gaussian and of the learned embedding."""
    figure, (axes,) = new_figure(width=6.8, height=4)
    edges = np.linspace(min(before.min(), after.min()) - 1, max(before.max(), after.max()) - 1, 121)
    for ratios, color, name in ((before, ORANGE, "Gaussian"), (after, BLUE, "learned")):
        worst = np.abs(ratios - 1).max()
        axes.hist(
            ratios - 1, list(edges), color=color, alpha=0.6, label=f"{name}: worst {worst:.2f}"
        )
    axes.axvline(0, color=GREY, linewidth=0.9)
    label(
        axes,
        x="distortion ‖A(x − y)‖² / ‖x − y‖² − 1",
        y="pairs",
        title=f"Distortions of {len(before)} pairs, before and after",
    )
    return figure


def shepard_figure(
    distances: Float[np.ndarray, " pairs"],
    before: Float[np.ndarray, " pairs"],
    after: Float[np.ndarray, " pairs"],
) -> Figure:
    """Embedded distance against distance; on the line nothing is distorted.

    Args:
        distances: ‖x − y‖.
        before, after: ‖A(x − y)‖²/‖x − y‖² for a Gaussian A and for the learned one.
    """
    figure, panels = new_figure(2, width=4.6, height=4.4)
    shown = slice(None, None, max(1, len(distances) // 20_000))
    reach = distances.max() * 1.05
    highest = (distances * np.sqrt(np.maximum(before, after))).max() * 1.05
    deepest = (distances * np.sqrt(np.minimum(before, after))).min() * 0.95
    lowest = distances.min() * 0.9
    for axes, ratios, color, name in (
        (panels[0], before, ORANGE, "Gaussian"),
        (panels[1], after, BLUE, "learned"),
    ):
        embedded = distances * np.sqrt(ratios)
        axes.plot(
            distances[shown], embedded[shown], ".", color=color, markersize=2, alpha=0.4,
            rasterized=True,
        )  # fmt: skip
        axes.plot([lowest, reach], [lowest, reach], color=GREY, linewidth=1)
        axes.set_xlim(lowest, reach)
        axes.set_ylim(deepest, highest)
        worst = np.abs(ratios - 1).max()
        label(
            axes, x="distance", y="embedded distance", title=f"{name}: distortion up to {worst:.2f}"
        )
    return figure
