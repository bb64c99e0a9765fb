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

# More rows than this only blacken the plane.
MAX_TRAJECTORIES = 250
RESTING_FRAMES = 10  # of the end, before the animation begins again


def frozen_bias_figure(
    regularizations: Float[np.ndarray, " regularizations"],
    weights: Float[np.ndarray, " regularizations"],
    curve: tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]],
    threshold: float,
) -> Figure:
    """Figure 1: the global minimiser w* against λ with b = 0 frozen, λ* marked.

    Args:
        regularizations: λ of each descent.
        weights: |w| where it ended.
        curve: λ and w* in closed form.
        threshold: λ*.
    """
    figure, (axes,) = new_figure()
    axes.plot(*curve, color=BLUE, label="closed form")
    axes.plot(regularizations, weights, "o", color=ORANGE, label="PGD, better of two starts")
    axes.axvline(threshold, color=GREY, linestyle="--", label=f"λ* = {threshold:.4f}")
    label(
        axes,
        x="regularization λ",
        y="global minimiser |w*|",
        title="Frozen bias: w* = 0 only from λ* on",
    )
    return figure


def trained_bias_figure(
    regularizations: Float[np.ndarray, " regularizations"],
    weights: Float[np.ndarray, " regularizations"],
    biases: Float[np.ndarray, " regularizations"],
    frozen_curve: tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]],
) -> Figure:
    """Figure 2: where PGD ends against λ with b trained.

    Args:
        regularizations: λ of each descent.
        weights: |w| where it ended.
        biases: b where it ended.
        frozen_curve: figure 1's λ and w*, for comparison.
    """
    figure, (axes,) = new_figure()
    axes.plot(*frozen_curve, color=GREY, linestyle=":", label="|w*|, frozen bias (figure 1)")
    axes.plot(regularizations, weights, "o-", color=BLUE, label="|w*|, trained bias")
    axes.plot(regularizations, biases, "s-", color=GREEN, label="b*, trained bias")
    label(
        axes,
        x="regularization λ",
        y="minimiser",
        title="Trained bias: w* = 0 and b* = 1 at every λ > 0",
    )
    return figure


def collapse_figure(
    trajectories: Float[np.ndarray, "snapshots width 2"],
    line: Float[np.ndarray, "2"],
    axis_names: tuple[str, str],
) -> Figure:
    """Figure 3: every row of the first layer travels to the teacher's line.

    Args:
        trajectories: two coordinates of each row of W at each snapshot.
        line: the teacher's direction in these coordinates.
        axis_names: of the two coordinates.
    """
    figure, axes, paths = _plane(trajectories, line)
    axes.plot(*paths[:, 0].T, ".", color=BLUE, markersize=4, label="rows of W at the start")
    axes.plot(*paths[:, -1].T, ".", color=RED, markersize=5, label="rows of W at the end")
    label(
        axes,
        x=axis_names[0],
        y=axis_names[1],
        title=f"The first layer collapses onto the teacher ({len(paths)} rows shown)",
    )
    return figure


def collapse_animation(
    trajectories: Float[np.ndarray, "snapshots width 2"],
    steps: Int[np.ndarray, " snapshots"],
    line: Float[np.ndarray, "2"],
    axis_names: tuple[str, str],
) -> FuncAnimation:
    """Figure 3 in motion, a frame a snapshot.

    Args:
        trajectories: two coordinates of each row of W at each snapshot.
        steps: of the snapshots.
        line: the teacher's direction in these coordinates.
        axis_names: of the two coordinates.
    """
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
    """The plane with the teacher's line and the paths of the first rows of W."""
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
    """Singular values of W by step: as many stay as the teacher sees directions.

    Args:
        steps: of the snapshots.
        singular_values: of W there, largest first.
        num_indices: k, how many directions the teacher sees.
    """
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
    """‖W_⊥‖_F by step with its bounds, beside ‖W‖_F.

    Args:
        trace: of ‖W_⊥‖_F.
        total_weight_norm: ‖W‖_F before each step.
    """
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    axes.semilogy(total_weight_norm, color=GREY, label="‖W‖")
    draw_norm(axes, trace, "‖W⊥‖")
    label(axes, x="step", y="Frobenius norm", title="The irrelevant weights vanish", legend=False)
    legend_below(figure, columns=2)
    return figure
