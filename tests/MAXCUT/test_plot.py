"""The pictures of a cut show the arrays they are given."""

import numpy as np
import pytest

from derandomization.laboratory.figures import Panel
from MAXCUT import plot
from MAXCUT.graph import Graph
from MAXCUT.utilities import random_graph


def test_the_bracket_spans_from_the_cut_to_the_bound() -> None:
    figure = plot.bracket_figure(40.0, 50.0, {"mean hyperplane": 35.0})
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.get_yticklabels()]
    assert texts == ["mean hyperplane  35", "deterministic cut  40", "proven upper bound  50"]
    assert "80.00%" in axes.get_title(loc="left")
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == (40, 50)


def test_the_bracket_shows_the_optimum() -> None:
    figure = plot.bracket_figure(40.0, 50.0, {"optimum": 45.0})
    assert "optimum  45" in [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_equal_levels_have_one_line_and_the_first_step_is_shown() -> None:
    levels = {"bound": 42.0, "optimum": 41.0, "best": 41.0}
    figure = plot.cut_value_figure(np.array([0.0, 40, 41]), np.array([39.0, 40, 41]), levels)
    (axes,) = figure.axes
    names = axes.get_legend_handles_labels()[1]
    assert names[-2:] == ["bound: 42", "optimum, best: 41"]
    assert axes.get_xscale() == "log"
    assert axes.get_xlim()[0] < 1
    assert axes.get_ylim()[0] < 0
    curve, optimum = axes.lines[1], axes.lines[-1]
    assert optimum.get_zorder() > curve.get_zorder()


def test_edges_cut_are_dark_the_others_light_and_vertices_labelled() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    signs = np.where(np.arange(15) < 7, 1.0, -1.0)
    figure = plot.cut_graph_figure(graph, signs)
    (axes,) = figure.axes
    kept, cut = axes.collections[:2]
    assert len(cut.get_segments()) == graph.cut_value(signs)
    assert len(cut.get_segments()) + len(kept.get_segments()) == len(graph.ends)
    assert cut.get_colors()[0][:3].mean() < 0.3 < 0.7 < kept.get_colors()[0][:3].mean()
    assert [text.get_text() for text in axes.texts] == [str(label) for label in graph.labels]
    assert [len(dots.get_offsets()) for dots in axes.collections[2:]] == [7, 8]


def test_vertex_norms_are_drawn_as_named_quantiles() -> None:
    norms = np.random.default_rng(0).random((4, 5_000)) + 0.1
    (axes,) = plot.vertex_norms_figure(np.arange(4), norms).axes
    (line,) = axes.get_lines()
    assert line.get_ydata() == pytest.approx(np.median(norms, axis=1))
    names = axes.get_legend_handles_labels()[1]
    assert names == ["smallest to largest", "25% to 75% quantile", "median"]
    whole, half = (band.get_paths()[0].get_extents() for band in axes.collections)
    assert (whole.y0, whole.y1) == (norms.min(), norms.max())
    assert half.y0 == pytest.approx(0.35, abs=0.02)
    assert half.y1 == pytest.approx(0.85, abs=0.02)


def test_the_histogram_counts_all_ratios_and_has_a_panel_to_its_right() -> None:
    panel = Panel(series={"r": np.ones((2, 3))}, x=[0.1, 1.0], x_label="ε", y_label="r", title="t")
    ratios = np.array([1.0, 0.9, 1.0])
    figure = plot.ratios_figure(ratios, np.array([0.8, 0.95, 0.9]), 0.878, panel)
    left, right = figure.axes
    heights = [bar.get_height() for bar in left.patches]
    assert sum(heights) == 6
    assert "3 graphs" in left.get_title(loc="left")
    assert right.get_title(loc="left") == "t"
