"""Figures 1 to 3 from arrays."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SMALLEST_NORM,
    draw_norm,
    label,
    lay_out,
    legend_below,
    new_figure,
)
from derandomization.laboratory.trace import NormTrace

Curve = tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]
MAX_TRAJECTORIES = 250  # with more rows of W the plane is covered
RESTING_FRAMES = 10  # at the end, before the animation repeats


def frozen_bias_figure(
    regularizations: Float[np.ndarray, " regularizations"],
    weights: Float[np.ndarray, " regularizations"],
    curve: Curve,
    threshold: float,
) -> Figure:
    """Figure 1: the global minimiser |w*| against λ with b = 0 frozen.

    Args:
        regularizations: λ of each descent.
        weights: |w| where it ended.
        curve: λ and w* in closed form.
        threshold: λ*, from which on w* = 0.
    """
    figure, (axes,) = new_figure()
    axes.plot(*curve, color=BLUE, label="closed form")
    axes.plot(regularizations, weights, "o", color=ORANGE, label="PGD, better of two starts")
    axes.axvline(threshold, color=GREY, linestyle="--", label=f"λ* = {threshold:.4f}")
    title = "Frozen bias: w* = 0 only from λ* on"
    label(axes, x="regularization λ", y="global minimiser |w*|", title=title)
    return figure


def trained_bias_figure(
    regularizations: Float[np.ndarray, " regularizations"],
    weights: Float[np.ndarray, " regularizations"],
    biases: Float[np.ndarray, " regularizations"],
    frozen_curve: Curve,
) -> Figure:
    """Figure 2: |w| and b where PGD ends against λ with b trained, and figure 1's curve."""
    figure, (axes,) = new_figure()
    axes.plot(*frozen_curve, color=GREY, linestyle=":", label="|w*|, frozen bias (figure 1)")
    axes.plot(regularizations, weights, "o-", color=BLUE, label="|w*|, trained bias")
    axes.plot(regularizations, biases, "s-", color=GREEN, label="b*, trained bias")
    title = "Trained bias: w* = 0 and b* = 1 at every λ > 0"
    label(axes, x="regularization λ", y="minimiser", title=title)
    return figure


def collapse_figure(
    trajectories: Float[np.ndarray, "snapshots width 2"],
    line: Float[np.ndarray, "2"],
    axis_names: tuple[str, str],
) -> Figure:
    """Figure 3: every row of the first layer moves to the teacher's line.

    Args:
        trajectories: two coordinates of each row of W at each snapshot.
        line: the teacher's direction in these coordinates.
        axis_names: names of the two coordinates.
    """
    figure, axes, paths = _plane(trajectories, line)
    axes.plot(*paths[:, 0].T, ".", color=BLUE, markersize=4, label="rows of W at the start")
    axes.plot(*paths[:, -1].T, ".", color=RED, markersize=5, label="rows of W at the end")
    title = f"The first layer collapses onto the teacher ({len(paths)} rows shown)"
    label(axes, x=axis_names[0], y=axis_names[1], title=title)
    return figure


def collapse_animation(
    trajectories: Float[np.ndarray, "snapshots width 2"],
    steps: Int[np.ndarray, " snapshots"],
    line: Float[np.ndarray, "2"],
    axis_names: tuple[str, str],
) -> FuncAnimation:
    """Figure 3 as an animation with one frame per snapshot; arguments as ``collapse_figure``."""
    figure, axes, paths = _plane(trajectories, line)
    (rows,) = axes.plot(*paths[:, 0].T, ".", color=RED, markersize=5, label="rows of W")
    label(axes, x=axis_names[0], y=axis_names[1], title=" ")
    lay_out(figure)

    def draw(frame: int) -> list[Artist]:
        rows.set_data(*paths[:, frame].T)
        axes.set_title(f"step {steps[frame]}", loc="left", fontsize=11)
        return [rows]

    last = len(steps) - 1
    return FuncAnimation(figure, draw, frames=[*range(last), *[last] * RESTING_FRAMES])


def _plane(
    trajectories: Float[np.ndarray, "snapshots width 2"], line: Float[np.ndarray, "2"]
) -> tuple[Figure, Axes, Float[np.ndarray, "rows snapshots 2"]]:
    """A plane with the teacher's line and the paths of the first rows of W."""
    figure, (axes,) = new_figure(width=5.6, height=5.2)
    paths = trajectories[:, :MAX_TRAJECTORIES].transpose(1, 0, 2)
    reach = 1.05 * np.abs(trajectories).max()
    axes.add_collection(LineCollection(list(paths), colors=GREY, linewidths=0.5, alpha=0.35))
    axes.axline((0, 0), (float(line[0]), float(line[1])), color=GREEN, label="span(u), the teacher")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    return figure, axes, paths


def singular_values_figure(
    steps: Int[np.ndarray, " snapshots"],
    singular_values: Float[np.ndarray, "snapshots values"],
    num_indices: int,
) -> Figure:
    """Singular values of W by step, largest first; as many stay as the teacher has directions."""
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    shown = np.maximum(singular_values, SMALLEST_NORM)
    for i, values in enumerate(shown.T):
        kept = i < num_indices
        first = i in (0, num_indices)
        name = f"the largest {num_indices}: as many as the teacher sees" if kept else "the others"
        axes.loglog(
            steps + 1,
            values,
            color=BLUE if kept else ORANGE,
            linewidth=1.6 if kept else 0.9,
            label=name if first else None,
        )
    label(axes, x="step + 1", y="singular value", title="Singular values of the first layer")
    return figure


def weight_norm_figure(
    trace: NormTrace, total_weight_norm: Float[np.ndarray, " records"]
) -> Figure:
    """‖W‖_F by step, and ‖W_⊥‖_F with its bounds."""
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    axes.semilogy(total_weight_norm, color=GREY, label="‖W‖")
    draw_norm(axes, trace, "‖W⊥‖")
    label(axes, x="step", y="Frobenius norm", title="The irrelevant weights vanish", legend=False)
    legend_below(figure, columns=2)
    return figure
