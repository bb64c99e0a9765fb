import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT.graph import Graph
from MAXCUT.polish import one_flip_optimum


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_no_single_flip_improves_what_it_returns(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=int).reshape(-1, 2)
    ends = pairs[rng.random(len(pairs)) < 0.6]
    graph = Graph(n, ends, rng.standard_normal(len(ends)))
    start = rng.choice([-1.0, 1.0], n)
    kept = start.copy()
    found = one_flip_optimum(graph, start)
    assert np.array_equal(start, kept)
    value = graph.cut_value(found)
    assert value >= graph.cut_value(start) - 1e-12
    for vertex in range(n):
        flipped = found.copy()
        flipped[vertex] *= -1
        assert graph.cut_value(flipped) <= value + 1e-9


def test_weights_that_only_differ_by_rounding_do_not_go_round_in_circles() -> None:
    graph = Graph(3, np.array([[0, 1], [0, 2], [1, 2]]), np.array([0.1 + 0.2, -0.3, 0.0]))
    assert set(one_flip_optimum(graph, np.ones(3))) <= {-1.0, 1.0}
