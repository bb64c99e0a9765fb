"""Tabu search from many cuts at once."""

from collections.abc import Callable

import numpy as np
import pytest

from MAXCUT.graph import Graph
from MAXCUT.tabu import tabu_search
from MAXCUT.utilities import maximum_cut

Build = Callable[..., Graph]


def random_cuts(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], size=(count, size))


@pytest.mark.parametrize("size", [2, 3, 5, 12])
def test_no_cut_is_worse_than_its_start_and_the_best_is_the_optimum(
    signed_graph: Build, size: int
) -> None:
    for seed in range(5):
        graph, cuts = signed_graph(size, seed), random_cuts(16, size)
        if not len(graph.weights):
            continue
        found = tabu_search(graph, cuts, np.random.default_rng(seed), num_steps=100)
        assert set(found.ravel()) <= {-1.0, 1.0}
        values = graph.cut_value(found)
        assert (values >= graph.cut_value(cuts) - 1e-9).all()
        assert values.max() == pytest.approx(maximum_cut(graph), abs=1e-9)


def test_it_leaves_local_optima(signed_graph: Build) -> None:
    """Ten steps find fewer optima than a hundred: single moves that gain are not all it makes."""
    graph, cuts = signed_graph(14, 0), random_cuts(64, 14)
    optimum = maximum_cut(graph)

    def optima(num_steps: int) -> int:
        found = tabu_search(graph, cuts, np.random.default_rng(0), num_steps=num_steps)
        return int((graph.cut_value(found) > optimum - 1e-9).sum())

    assert optima(10) < optima(100)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_the_weights_does_not_matter(scale: float) -> None:
    edges = [(0, 1), (1, 2), (0, 2), (2, 3)]
    weights = np.array([3.0, -1.0, 2.0, 1.0])
    cuts = random_cuts(8, 4)
    plain, scaled = (
        tabu_search(
            Graph.from_edges((0, 1, 2, 3), np.array(edges), each),
            cuts,
            np.random.default_rng(0),
            num_steps=20,
        )
        for each in (weights, scale * weights)
    )
    np.testing.assert_array_equal(plain, scaled)


def test_a_check_that_raises_ends_it(signed_graph: Build) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tabu_search(
            signed_graph(12, 0),
            random_cuts(2, 12),
            np.random.default_rng(0),
            num_steps=100,
            check=stop,
        )
