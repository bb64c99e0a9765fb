"""Figures 4 and 5 and pictures of a cut, drawn from arrays."""

from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float, Int
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    SMALL,
    SMALLEST_NORM,
    Panel,
    draw_norm,
    draw_panel,
    draw_trace,
    label,
    legend_below,
    new_figure,
)
from derandomization.laboratory.trace import NormTrace
from MAXCUT.graph import Graph, Signs

MAX_DRAWN_VERTICES = 200  # the edges of larger graphs cover each other
MAX_INSIDE = 3  # characters that fit inside a circle; longer labels stand above it
MAX_SHOWN = 10  # characters of a label
MAX_LABELLED_VERTICES = 60  # on larger graphs the labels cover each other
LEVEL_COLOURS = (GREEN, RED, ORANGE, GREY, PURPLE, "black")


def cut_value_figure(
    cut_values: Float[np.ndarray, " records"],
    expected_cuts: Float[np.ndarray, " records"],
    levels: Mapping[str, float],
) -> Figure:
    """Draw figure 4: the cut of sign(μ) and the expected cut before each step; levels are lines.

    The steps are on a log scale, since most of the cut is gained in the first of them.
    """
    figure, (axes,) = new_figure(height=4.0)
    steps = np.arange(1, len(cut_values) + 1)
    axes.semilogx(steps, expected_cuts, color=SKY, label="expected cut of the smoothed sign")
    axes.semilogx(steps, cut_values, color=BLUE, linewidth=1.8, label="cut of sign(μ)")
    equal: dict[str, list[str]] = {}  # the names of each value
    for name, value in levels.items():
        equal.setdefault(f"{value:.6g}", []).append(name)
    for (shown, names), colour in zip(equal.items(), LEVEL_COLOURS, strict=False):
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": (0, (3, 2)),
            "linewidth": 1.1,
            "zorder": 3,
        }
        axes.axhline(levels[names[0]], label=f"{', '.join(names)}: {shown}", **style)
    title = "The random cut becomes one deterministic cut"
    label(axes, x="step + 1", y="weight cut", title=title, legend=False)
    legend_below(figure)
    return figure


def deviation_figure(largest_deviation: Float[np.ndarray, " records"], trace: NormTrace) -> Figure:
    """Draw figure 5: the largest σ_i = ‖v_i‖ before each step, and ‖V‖_F with its bounds."""
    figure, (axes,) = new_figure(height=4.0)
    draw_norm(axes, trace, "‖V‖")
    visible = np.maximum(largest_deviation, SMALLEST_NORM)
    draw_trace(axes, visible, color=GREEN, label="largest σ")
    label(axes, x="step", y="deviation", title="The randomness vanishes", legend=False)
    legend_below(figure)
    return figure


def vertex_norms_figure(
    steps: Int[np.ndarray, " snapshots"], norms: Float[np.ndarray, "snapshots vertices"]
) -> Figure:
    """Draw quantiles of ‖v_i‖ over the vertices at the steps of the snapshots."""
    figure, (axes,) = new_figure()
    quantiles = np.quantile(np.maximum(norms, SMALLEST_NORM), (0, 0.25, 0.5, 0.75, 1), axis=1)
    lowest, lower, median, upper, highest = quantiles
    axes.set_yscale("log")
    style: dict[str, Any] = {"color": BLUE, "linewidth": 0}
    axes.fill_between(steps, lowest, highest, alpha=0.15, label="smallest to largest", **style)
    axes.fill_between(steps, lower, upper, alpha=0.35, label="25% to 75% quantile", **style)
    axes.plot(steps, median, color=RED, label="median")
    title = f"What is left of the randomness at {norms.shape[1]} vertices"
    label(axes, x="step", y="‖vᵢ‖", title=title, legend=False)
    legend_below(figure)
    return figure


def bracket_figure(cut_value: float, upper_bound: float, others: Mapping[str, float]) -> Figure:
    """Draw the interval that contains the largest cut, and other values by name."""
    title = "The largest cut lies in the band"
    if upper_bound > 0:
        title = f"Ours is at least {cut_value / upper_bound:.2%} of the largest cut"
    ours = {"deterministic cut": cut_value, "proven upper bound": upper_bound}
    return _interval_figure(ours, others, "weight cut", title)


def energy_figure(
    energy: float, lower_bound: float, others: Mapping[str, float], quantity: str
) -> Figure:
    """Draw the interval that contains the smallest energy, and other values by name."""
    ours = {"our assignment": energy, "proven lower bound": lower_bound}
    return _interval_figure(ours, others, quantity, "The minimum lies in the band")


def _interval_figure(
    ours: Mapping[str, float], others: Mapping[str, float], quantity: str, title: str
) -> Figure:
    """A band between our value and its bound, and one line for each value."""
    figure, (axes,) = new_figure(height=1.6 + 0.25 * len(others))
    axes.axvspan(min(ours.values()), max(ours.values()), color=BLUE, alpha=0.15)
    values = {**others, **ours}
    names: list[str] = []
    for height, (name, value) in enumerate(sorted(values.items(), key=lambda pair: pair[1])):
        marker, colour = ("o", BLUE) if name in ours else ("|", GREY)
        axes.plot(value, height, marker, color=colour, markersize=9)
        names.append(f"{name}  {value:.6g}")
    axes.set_ylim(-0.6, len(values) - 0.4)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    label(axes, x=quantity, y="", title=title, legend=False)
    return figure


def cut_graph_figure(graph: Graph, signs: Signs) -> Figure:
    """Draw the graph in two colours, with the labels of partition.csv; cut edges are strong."""
    layout = nx.spring_layout(graph.to_networkx(), weight=None, seed=0)
    places = np.array([layout[vertex] for vertex in range(graph.num_vertices)])
    figure, (axes,) = new_figure(height=5.5)
    axes.set_axis_off()
    crossing = signs[graph.ends[:, 0]] != signs[graph.ends[:, 1]]
    segments = places[graph.ends]
    for chosen, colour, width, name in (
        (~crossing, "#C8C8C8", 0.7, "not cut"),
        (crossing, "#333333", 1.1, "cut"),
    ):
        text = f"{chosen.sum()} edges {name}"
        lines = LineCollection(list(segments[chosen]), colors=colour, linewidths=width, label=text)
        axes.add_collection(lines)
    labelled = graph.num_vertices <= MAX_LABELLED_VERTICES
    size = 260 if labelled else 700 / graph.num_vertices**0.6
    sides = ((signs == signs[0], SKY, "one side"), (signs != signs[0], ORANGE, "the other"))
    for side, colour, name in sides:
        x, y = places[side].T
        text = f"{side.sum()} vertices on {name}"
        axes.scatter(x, y, s=size, color=colour, edgecolor="white", zorder=3, label=text)
    names = [_shortened(str(vertex)) for vertex in graph.labels]
    wide = max(map(len, names), default=0) > MAX_INSIDE
    for place, name in zip(places, names if labelled else (), strict=False):
        axes.annotate(
            name,
            place,
            (0, 10 if wide else 0),
            textcoords="offset points",
            ha="center",
            va="bottom" if wide else "center",
            fontsize=SMALL,
            zorder=4,
            parse_math=False,
        )
    label(axes, x="", y="", title="The cut", legend=False)
    legend_below(figure)
    return figure


def _shortened(name: str) -> str:
    """The name, or its beginning and an ellipsis."""
    return name if len(name) <= MAX_SHOWN else f"{name[: MAX_SHOWN - 1]}…"


def ratios_figure(
    ratios: Float[np.ndarray, " graphs"],
    start_ratios: Float[np.ndarray, " graphs"],
    guaranteed: float,
    panel: Panel,
) -> Figure:
    """Draw histograms of cut/OPT and of its expectation at the start, and a panel to the right."""
    figure, (axes, other) = new_figure(2)
    bins = np.linspace(min(start_ratios.min(), guaranteed) - 1e-3, 1 + 1e-3, 61).tolist()
    axes.hist(start_ratios, bins, color=ORANGE, label="E[cut] of hyperplanes, the start")
    axes.hist(ratios, bins, color=BLUE, alpha=0.75, label="the deterministic cut")
    axes.axvline(guaranteed, color=GREY, linestyle="--", label=f"the guarantee, {guaranteed:.3f}")
    axes.set_yscale("log")
    axes.set_ylim(0.7, None)
    label(axes, x="ratio to OPT", y="graphs", title=f"{len(ratios)} graphs", legend=False)
    draw_panel(other, panel)
    legend_below(figure, panels=(axes, other))
    return figure
