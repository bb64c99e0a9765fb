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
    SMALLEST_NORM,
    Panel,
    draw_norm,
    draw_panel,
    label,
    legend_below,
    new_figure,
)
from derandomization.laboratory.trace import NormTrace
from MAXCUT.graph import Graph, Signs

MAX_DRAWN_VERTICES = 200  # larger graphs are illegible
MAX_NORM_LINES = 100
LEVEL_COLOURS = (GREEN, PURPLE, ORANGE, RED, GREY, SKY)


def cut_value_figure(
    cut_values: Float[np.ndarray, " records"],
    expected_cuts: Float[np.ndarray, " records"],
    levels: Mapping[str, float],
) -> Figure:
    """Draw figure 4: the cut of sign(μ) and the expected cut before each step; levels are lines."""
    figure, (axes,) = new_figure(width=7.2, height=4.2)
    for (name, value), colour in zip(levels.items(), LEVEL_COLOURS, strict=False):
        text = f"{name} {value:.6g}"
        axes.axhline(value, color=colour, linestyle="--", linewidth=1.1, label=text)
    axes.plot(expected_cuts, color=BLUE, alpha=0.45, label="expected cut of the smoothed sign")
    axes.plot(cut_values, color=BLUE, linewidth=2, label="cut of sign(μ)")
    shown = [*levels.values(), *expected_cuts, *cut_values[1:]]
    margin = 0.05 * (max(shown) - min(shown))
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    title = "The random cut becomes one deterministic cut"
    label(axes, x="step", y="weight cut", title=title, legend=False)
    axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def deviation_figure(largest_deviation: Float[np.ndarray, " records"], trace: NormTrace) -> Figure:
    """Draw figure 5: the largest σ_i = ‖v_i‖ before each step, and ‖V‖_F with its bounds."""
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    axes.semilogy(largest_deviation, color=GREEN, label="largest σ")
    draw_norm(axes, trace, "‖V‖")
    label(axes, x="step", y="deviation", title="The randomness vanishes", legend=False)
    legend_below(figure, columns=2)
    return figure


def vertex_norms_figure(
    steps: Int[np.ndarray, " snapshots"], norms: Float[np.ndarray, "snapshots vertices"]
) -> Figure:
    """Draw ‖v_i‖ at the steps of the snapshots, for every vertex or for 100 evenly spaced ones."""
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    shown = norms[:, :: max(1, -(-norms.shape[1] // MAX_NORM_LINES))]
    axes.semilogy(steps, np.maximum(shown, SMALLEST_NORM), color=BLUE, alpha=0.3, linewidth=0.8)
    median = np.maximum(np.median(norms, axis=1), SMALLEST_NORM)
    axes.semilogy(steps, median, color=RED, label="median")
    of = "every vertex" if shown.shape[1] == norms.shape[1] else f"{shown.shape[1]} vertices"
    label(axes, x="step", y="‖v_i‖", title=f"What is left of the randomness at {of}")
    return figure


def bracket_figure(cut_value: float, upper_bound: float, others: Mapping[str, float]) -> Figure:
    """Draw the interval that contains the largest cut, and other values by name."""
    title = "The largest cut lies in the band"
    if upper_bound > 0:
        title += f": ours is at least {cut_value / upper_bound:.2%} of it"
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
    figure, (axes,) = new_figure(width=6.6, height=2.2 + 0.28 * len(others))
    axes.axvspan(min(ours.values()), max(ours.values()), color=BLUE, alpha=0.15)
    values = {**others, **ours}
    for height, (name, value) in enumerate(sorted(values.items(), key=lambda pair: pair[1])):
        marker, colour = ("o", BLUE) if name in ours else ("|", GREY)
        axes.plot(value, height, marker, color=colour, markersize=9)
        text, offset = f"{name}  {value:.6g}", (-10, 0)
        place: dict[str, Any] = {"ha": "right", "va": "center", "textcoords": "offset points"}
        axes.annotate(text, (value, height), offset, fontsize=9, **place)
    lowest, highest = min(values.values()), max(values.values())
    width = highest - lowest or 1.0  # 0 if no cut has a positive value
    axes.set_xlim(lowest - 0.9 * width, highest + 0.04 * width)
    axes.set_ylim(-0.6, len(values) - 0.4)
    axes.set_yticks([])
    label(axes, x=quantity, y="", title=title, legend=False)
    return figure


def cut_graph_figure(graph: Graph, signs: Signs) -> Figure:
    """Draw the graph in two colours; edges that are cut are light, all others are dark."""
    layout = nx.spring_layout(graph.to_networkx(), weight=None, seed=0)
    places = np.array([layout[vertex] for vertex in range(graph.num_vertices)])
    figure, (axes,) = new_figure(width=6.0, height=6.0)
    axes.set_axis_off()
    crossing = signs[graph.ends[:, 0]] != signs[graph.ends[:, 1]]
    segments = places[graph.ends]
    for chosen, colour, width, name in (
        (crossing, "#D0D0D0", 0.7, "cut"),
        (~crossing, "#333333", 1.2, "not cut"),
    ):
        text = f"{name}: {chosen.sum()}"
        lines = LineCollection(list(segments[chosen]), colors=colour, linewidths=width, label=text)
        axes.add_collection(lines)
    size = 700 / max(graph.num_vertices, 10) ** 0.6
    for side, colour in ((signs == signs[0], BLUE), (signs != signs[0], ORANGE)):
        x, y = places[side].T
        axes.scatter(x, y, s=size, color=colour, zorder=3, label=f"{side.sum()} vertices")
    axes.set_title("The cut", loc="left", fontsize=11)
    legend_below(figure, columns=4)
    return figure


def ratios_figure(
    ratios: Float[np.ndarray, " graphs"],
    start_ratios: Float[np.ndarray, " graphs"],
    guaranteed: float,
    panel: Panel,
) -> Figure:
    """Draw histograms of cut/OPT and of its expectation at the start, and a panel to the right."""
    figure, (axes, other) = new_figure(2, width=5.8, height=4.2)
    bins = np.linspace(min(start_ratios.min(), guaranteed) - 1e-3, 1 + 1e-3, 61).tolist()
    axes.hist(start_ratios, bins, color=ORANGE, label="E[cut] of hyperplanes, the start")
    axes.hist(ratios, bins, color=BLUE, alpha=0.75, label="the deterministic cut")
    axes.axvline(guaranteed, color=GREY, linestyle="--", label=f"the guarantee, {guaranteed:.3f}")
    axes.set_yscale("log")
    axes.set_ylim(0.7, None)
    label(axes, x="ratio to OPT", y="graphs", title=f"{len(ratios)} graphs", legend=False)
    draw_panel(other, panel)
    legend_below(figure, columns=3)
    return figure
