"""Figures 1 to 3, and the figures of the directions found in data, from arrays."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Real
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import MaxNLocator

from derandomization.laboratory.figures import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    LARGE,
    NORMAL,
    ORANGE,
    RED,
    SMALL,
    SMALLEST_NORM,
    Animation,
    draw_norm,
    label,
    lay_out,
    legend_below,
    new_figure,
)
from derandomization.laboratory.trace import NormTrace
from NeuralNetworks.toy import ToySweep

Curve = tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]
Trajectories = Float[np.ndarray, "snapshots width 2"]  # two coordinates of each row of W
Line = Float[np.ndarray, "2"]  # the teacher's direction in these coordinates
Steps = Int[np.ndarray, " snapshots"]
MAX_FEATURES = 15  # that a figure shows
MAX_TRAJECTORIES = 250  # with more rows of W the plane is covered


def frozen_bias_figure(ends: ToySweep, curve: Curve, threshold: float) -> Figure:
    """Figure 1: |w*| against λ with b = 0 frozen, by PGD and in closed form; 0 from λ* on."""
    figure, (axes,) = new_figure()
    weights = ends.frozen_weights
    axes.plot(*curve, color=BLUE, label="closed form")
    axes.plot(ends.regularizations, weights, "o", color=ORANGE, label="PGD, better of two starts")
    axes.axvline(threshold, color=GREY, linestyle="--", label=f"λ* = {threshold:.4f}")
    title = "Frozen bias: w* = 0 only from λ* on"
    label(axes, x="regularization λ", y="global minimiser |w*|", title=title)
    return figure


def trained_bias_figure(ends: ToySweep, frozen_curve: Curve) -> Figure:
    """Figure 2: |w| and b where PGD ends against λ with b trained, and figure 1's curve."""
    figure, (axes,) = new_figure()
    x = ends.regularizations
    axes.plot(*frozen_curve, color=GREY, linestyle=":", label="|w*|, frozen bias (figure 1)")
    axes.plot(x, ends.trained_weights, "o-", color=BLUE, label="|w*|, trained bias")
    axes.plot(x, ends.trained_biases, "s-", color=GREEN, label="b*, trained bias")
    title = "Trained bias: w* = 0 and b* = 1 at every λ > 0"
    label(axes, x="regularization λ", y="minimiser", title=title)
    return figure


def collapse_figure(trajectories: Trajectories, line: Line, axis_names: tuple[str, str]) -> Figure:
    """Figure 3: every row of the first layer moves to the teacher's line."""
    figure, axes, paths = _plane(trajectories, line)
    axes.plot(*paths[:, 0].T, ".", color=BLUE, markersize=4, label="rows of W at the start")
    axes.plot(*paths[:, -1].T, ".", color=RED, markersize=5, label="rows of W at the end")
    title = f"The first layer collapses onto the teacher ({len(paths)} rows shown)"
    label(axes, x=axis_names[0], y=axis_names[1], title=title)
    return figure


def collapse_animation(
    trajectories: Trajectories, steps: Steps, line: Line, axis_names: tuple[str, str]
) -> Animation:
    """Figure 3 as an animation with one frame per snapshot."""
    figure, axes, paths = _plane(trajectories, line)
    (rows,) = axes.plot(*paths[:, 0].T, ".", color=RED, markersize=5, label="rows of W")
    label(axes, x=axis_names[0], y=axis_names[1], title=f"step {steps[0]}")
    lay_out(figure)
    title = axes.set_title("", loc="left", fontsize=LARGE)
    for artist in (rows, title, *axes.findobj(Legend)):  # the legend covers rows
        artist.set_animated(True)

    def draw(frame: int) -> None:
        rows.set_data(*paths[:, frame].T)
        title.set_text(f"step {steps[frame]}")

    last = len(steps) - 1
    return Animation(figure, draw, [*range(last), *[last] * 10])  # the end is held


def _plane(
    trajectories: Trajectories, line: Line
) -> tuple[Figure, Axes, Float[np.ndarray, "rows snapshots 2"]]:
    """A plane with the teacher's line and the paths of the first rows of W."""
    figure, (axes,) = new_figure(height=5.2)
    paths = trajectories[:, :MAX_TRAJECTORIES].transpose(1, 0, 2)
    reach = 1.05 * np.abs(trajectories).max()
    axes.add_collection(
        LineCollection(
            list(paths),
            colors=GREY,
            linewidths=0.5,
            alpha=0.35,
            rasterized=True,
            label="their paths",
        )
    )
    axes.axline((0, 0), (float(line[0]), float(line[1])), color=GREEN, label="span(u), the teacher")
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    return figure, axes, paths


def singular_values_figure(
    steps: Steps, singular_values: Float[np.ndarray, "snapshots values"], num_indices: int
) -> Figure:
    """Singular values of W by step, largest first; as many stay as the teacher has directions."""
    figure, (axes,) = new_figure()
    largest = f"the largest {num_indices}: as many as the teacher sees"
    names = {0: largest, num_indices: "the others"}
    shown = np.maximum(singular_values, SMALLEST_NORM)
    for i, values in enumerate(shown.T):
        colour, width = (BLUE, 1.6) if i < num_indices else (ORANGE, 0.9)
        axes.loglog(steps + 1, values, color=colour, linewidth=width, label=names.get(i))
    label(axes, x="step + 1", y="singular value", title="Singular values of the first layer")
    return figure


def weight_norm_figure(trace: NormTrace, total_norm: Float[np.ndarray, " records"]) -> Figure:
    """‖W‖_F by step, and ‖W_⊥‖_F with its bounds."""
    figure, (axes,) = new_figure(height=4.0)
    draw_norm(axes, trace, "‖W⊥‖")
    axes.plot(total_norm, color=GREY, label="‖W‖")
    label(axes, x="step", y="Frobenius norm", title="The irrelevant weights vanish", legend=False)
    legend_below(figure)
    return figure


def eigenvalues_figure(eigenvalues: Float[np.ndarray, " values"], num_components: int) -> Figure:
    """The eigenvalues of E[∇ŷ∇ŷᵀ], largest first, and how many directions were chosen."""
    figure, (axes,) = new_figure()
    numbers = np.arange(1, len(eigenvalues) + 1)
    shown = np.maximum(eigenvalues, SMALLEST_NORM)
    axes.semilogy(numbers, shown, "o", color=ORANGE, label="others")
    chosen = slice(0, num_components)
    axes.semilogy(numbers[chosen], shown[chosen], "o", color=BLUE, label="directions chosen")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    title = f"Eigenvalues of the gradients' outer product: k = {num_components}"
    label(axes, x="number", y="eigenvalue", title=title)
    return figure


def labels_figure(
    coordinates: Float[np.ndarray, "points components"],
    labels: Real[np.ndarray, " points"],
    target: str,
) -> Figure:
    """The labels against the first direction and, as colours, over the first two."""
    columns = min(2, coordinates.shape[1])
    figure, panels = new_figure(columns)
    panels[0].plot(coordinates[:, 0], labels, ".", color=BLUE, markersize=3, alpha=0.6)
    label(panels[0], x="direction 1", y=target, title=f"{target} along the first direction")
    if columns == 2:
        first, second = coordinates[:, :2].T
        points = panels[1].scatter(first, second, s=6, c=labels, cmap="viridis")
        bar = figure.colorbar(points, ax=panels[1])
        bar.ax.tick_params(labelsize=SMALL)
        bar.set_label(target, fontsize=NORMAL)
        title = f"{target} over the first two directions"
        label(panels[1], x="direction 1", y="direction 2", title=title)
    return figure


def features_figure(
    names: Sequence[str],
    importances: Float[np.ndarray, " features"],
    weights: Float[np.ndarray, "components features"],
) -> Figure:
    """The features with the largest importances, and their weights in every direction."""
    order = np.argsort(-importances)[:MAX_FEATURES][::-1]
    figure, (left, right) = new_figure(2, height=max(2.4, 0.25 * len(order) + 1.2))
    rows = np.arange(len(order))
    left.barh(rows, importances[order], color=BLUE)
    left.set_yticks(rows, [names[feature] for feature in order])
    label(left, x="importance (sum 1)", y="", title="How much each feature matters to the network")
    height = 0.8 / len(weights)
    for number, row in enumerate(weights):
        shifted = rows + 0.4 - (number + 0.5) * height
        colour = COLOURS[number % len(COLOURS)]
        right.barh(shifted, row[order], height, color=colour, label=f"direction {number + 1}")
    right.set_yticks(rows, [""] * len(rows))
    label(right, x="weight per standard deviation", y="", title="Weights in each direction")
    return figure
