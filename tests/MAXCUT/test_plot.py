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
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["mean hyperplane  35", "deterministic cut  40", "proven upper bound  50"]
    assert "80.00%" in axes.get_title(loc="left")
    (band,) = axes.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == (40, 50)


def test_edges_cut_are_light_and_the_others_dark() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    signs = np.where(np.arange(15) < 7, 1.0, -1.0)
    figure = plot.cut_graph_figure(graph, signs)
    (axes,) = figure.axes
    cut, kept = axes.collections[:2]
    assert len(cut.get_segments()) == graph.cut_value(signs)
    assert len(cut.get_segments()) + len(kept.get_segments()) == len(graph.ends)
    assert cut.get_colors()[0][:3].mean() > 0.7 > 0.3 > kept.get_colors()[0][:3].mean()
    assert [len(dots.get_offsets()) for dots in axes.collections[2:]] == [7, 8]


@pytest.mark.parametrize(("vertices", "lines"), [(15, 15), (5_000, plot.MAX_NORM_LINES)])
def test_vertex_norms_are_drawn_up_to_a_limit(vertices: int, lines: int) -> None:
    norms = np.random.default_rng(0).random((4, vertices))
    (axes,) = plot.vertex_norms_figure(np.arange(4), norms).axes
    assert len(axes.get_lines()) == lines + 1
    assert axes.get_lines()[-1].get_ydata() == pytest.approx(np.median(norms, axis=1))


def test_the_histogram_counts_all_ratios_and_has_a_panel_to_its_right() -> None:
    panel = Panel(series={"r": np.ones((2, 3))}, x=[0.1, 1.0], x_label="ε", y_label="r", title="t")
    ratios = np.array([1.0, 0.9, 1.0])
    figure = plot.ratios_figure(ratios, np.array([0.8, 0.95, 0.9]), 0.878, panel)
    left, right = figure.axes
    heights = [bar.get_height() for bar in left.patches]
    assert sum(heights) == 6
    assert "3 graphs" in left.get_title(loc="left")
    assert right.get_title(loc="left") == "t"
