"""Oscillators end at good cuts, whatever the size of the weights, and near them if asked to."""

from collections.abc import Callable

import networkx as nx
import numpy as np

from MAXCUT.bifurcation import Oscillators
from MAXCUT.graph import Graph
from MAXCUT.utilities import maximum_cut

Build = Callable[..., Graph]


def cuts_of(graph: Graph, pump: float, start: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return Oscillators.of(graph).cuts(start, np.full(start.shape[1], pump), rng)


def test_the_best_of_eight_comes_near_the_optimum_of_small_graphs_and_mostly_is_it(
    signed_graph: Build,
) -> None:
    ratios = []
    for seed in range(10):
        graph = signed_graph(12, seed)
        found = cuts_of(graph, 0.0, np.random.default_rng(seed).uniform(-0.1, 0.1, (12, 8)))
        assert found.shape == (8, 12)
        assert set(found.ravel()) <= {-1.0, 1.0}
        ratios.append(graph.cut_value(found).max() / maximum_cut(graph))
    assert min(ratios) > 0.8
    assert sum(ratio > 1 - 1e-9 for ratio in ratios) >= 8


def test_a_bipartite_graph_is_cut_whole_from_anywhere() -> None:
    graph = Graph.from_networkx(nx.complete_bipartite_graph(9, 30))
    start = np.random.default_rng(1).uniform(-1, 1, (39, 6))
    assert (graph.cut_value(cuts_of(graph, 0.0, start)) == 270).all()


def test_scaled_weights_leave_the_cuts_as_they_are(signed_graph: Build) -> None:
    graph = signed_graph(20, 3)
    start = np.random.default_rng(2).uniform(-0.1, 0.1, (20, 5))
    for scale in (2.0**-90, 2.0**90):
        scaled = Graph(20, graph.ends, graph.weights * scale)
        assert np.array_equal(cuts_of(graph, 0.0, start), cuts_of(scaled, 0.0, start))


def test_a_high_pump_stays_at_a_cut_that_a_low_one_leaves() -> None:
    graph = Graph.from_networkx(nx.random_regular_graph(3, 60, seed=0))
    optimum = cuts_of(graph, 0.0, np.random.default_rng(0).uniform(-0.1, 0.1, (60, 1)))[0]
    start = np.repeat(optimum[:, None], 4, axis=1)
    stayed, left = (cuts_of(graph, pump, start) for pump in (0.99, 0.0))
    assert (stayed == optimum).all()
    assert (left != optimum).any()


def test_isolated_vertices_take_any_side() -> None:
    graph = Graph(4, np.array([[1, 2]]), np.array([1.0]))
    found = cuts_of(graph, 0.0, np.random.default_rng(0).uniform(-0.1, 0.1, (4, 3)))
    assert (graph.cut_value(found) == 1).all()
