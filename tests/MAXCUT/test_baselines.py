import math

import networkx as nx
import numpy as np
import pytest

from MAXCUT.baselines import GUARANTEED_RATIO, hyperplane_cuts, hyperplane_expectation
from MAXCUT.graph import Graph
from MAXCUT.sdp import solve_sdp
from MAXCUT.utilities import maximum_cut, random_graph


def test_expectation_is_the_mean_of_the_cuts() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    rng = np.random.default_rng(0)
    vectors = solve_sdp(graph, rng).vectors
    cuts = hyperplane_cuts(graph, vectors, 20_000, rng)
    exact = hyperplane_expectation(graph, vectors)
    assert exact == pytest.approx(39.38, abs=0.05)
    assert abs(cuts.mean() - exact) < 4 * cuts.std() / math.sqrt(len(cuts))
    assert cuts.max() <= maximum_cut(graph)


def test_guaranteed_ratio_is_the_minimum_over_angles() -> None:
    angles = np.linspace(1e-3, np.pi, 1_000_001)
    ratios = (angles / np.pi) / ((1 - np.cos(angles)) / 2)
    assert ratios.min() == pytest.approx(GUARANTEED_RATIO, abs=1e-5)
    assert ratios.min() >= GUARANTEED_RATIO


def test_opposite_vectors_are_always_separated() -> None:
    graph = Graph.from_networkx(nx.cycle_graph(4))
    vectors = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    assert hyperplane_expectation(graph, vectors) == pytest.approx(4)
    assert (hyperplane_cuts(graph, vectors, 50, np.random.default_rng(0)) == 4).all()
