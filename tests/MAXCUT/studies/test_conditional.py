"""Conditional expectations against enumeration of what they choose from."""

import numpy as np
import pytest

from MAXCUT.graph import Graph
from MAXCUT.sdp import GUARANTEED_RATIO, hyperplane_cuts, hyperplane_expectation, solve_sdp
from MAXCUT.studies.conditional import (
    _best_last_coordinate,
    _expected_cut,
    conditional_expectation_cut,
)
from MAXCUT.utilities import maximum_cut, random_graph


@pytest.mark.parametrize("seed", range(6))
def test_the_rounding_keeps_the_expectation_it_started_from(seed: int) -> None:
    graph = Graph.from_networkx(random_graph(14, 0.5, seed))
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    value = graph.cut_value(conditional_expectation_cut(graph, vectors))
    assert hyperplane_expectation(graph, vectors) <= value <= maximum_cut(graph)
    assert value >= GUARANTEED_RATIO * maximum_cut(graph)


def test_the_conditional_expectation_is_the_mean_over_the_rest() -> None:
    graph = Graph.from_networkx(random_graph(12, 0.5, 1))
    rng = np.random.default_rng(0)
    rest, mean = rng.standard_normal((12, 3)), rng.standard_normal(12)
    draws = rng.standard_normal((200_000, 3)) @ rest.T + mean
    sampled = graph.cut_value(np.where(draws >= 0, 1.0, -1.0)).mean()
    assert _expected_cut(graph, rest, mean) == pytest.approx(sampled, rel=2e-3)
    # With nothing known it is the hyperplanes' mean.
    units = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    assert _expected_cut(graph, rest, np.zeros(12)) == pytest.approx(
        hyperplane_expectation(graph, units), rel=1e-3
    )


def test_the_last_coordinate_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    graph = Graph.from_networkx(random_graph(10, 0.6, 2))
    graph = Graph(10, graph.ends, rng.standard_normal(len(graph.ends)))
    mean, slope = rng.standard_normal(10), rng.standard_normal(10)
    slope[3] = 0.0
    grid = np.linspace(-50, 50, 200_001)[:, None]
    best = graph.cut_value(np.where(mean + grid * slope >= 0, 1.0, -1.0)).max()
    found = graph.cut_value(_best_last_coordinate(graph, mean, slope))
    assert found == pytest.approx(best, abs=1e-12)


def test_vectors_of_rank_one_are_rounded_to_their_signs() -> None:
    graph = Graph.from_networkx(random_graph(8, 0.6, 3))
    vectors = np.array([1.0, -1, 1, 1, -1, -1, 1, -1])[:, None]
    cut = conditional_expectation_cut(graph, vectors)
    assert graph.cut_value(cut) == hyperplane_cuts(graph, vectors, 1, np.random.default_rng(0))[0]
