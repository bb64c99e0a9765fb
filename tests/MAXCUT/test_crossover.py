"""Combined cuts take every part from where it is better."""

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT.crossover import combined
from MAXCUT.graph import Graph


def parts_by_hand(graph: Graph, first: np.ndarray, second: np.ndarray) -> float:
    """The best of all mixtures of two cuts along the parts on which they differ."""
    differs = first != second
    drawn = nx.Graph(graph.ends.tolist())
    drawn.add_nodes_from(range(graph.num_vertices))
    parts = list(nx.connected_components(drawn.subgraph(np.flatnonzero(differs).tolist())))
    best = -np.inf
    for choice in range(2 ** len(parts)):
        mixed = first.copy()
        for number, part in enumerate(parts):
            if choice >> number & 1:
                mixed[list(part)] *= -1
        best = max(best, float(graph.cut_value(mixed)))
    return best


@settings(max_examples=80, deadline=None)
@given(n=st.integers(2, 14), seed=st.integers(0, 10_000), fill=st.sampled_from([0.15, 0.3, 0.8]))
def test_it_is_at_least_the_best_mixture_of_two(n: int, seed: int, fill: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
    ends = pairs[rng.random(len(pairs)) < fill]
    graph = Graph(n, ends, rng.standard_normal(len(ends)))
    cuts = rng.choice([-1.0, 1.0], (2, n))
    kept = cuts.copy()
    found = combined(graph, cuts)
    assert np.array_equal(cuts, kept)
    assert graph.cut_value(found) >= parts_by_hand(graph, cuts[0], cuts[1]) - 1e-9
    # No part of a mirror image is better than what was found, or it would have been taken.
    for other in (*cuts, *-cuts):
        assert parts_by_hand(graph, found, other) <= graph.cut_value(found) + 1e-9


def test_two_halves_of_a_ladder_become_its_best_cut() -> None:
    graph = Graph.from_networkx(nx.ladder_graph(20))
    whole = np.array([(-1.0) ** (vertex % 20 + vertex // 20) for vertex in range(40)])
    left = whole * np.where(np.arange(40) % 20 < 8, 1, np.random.default_rng(0).choice([-1, 1], 40))
    right = whole * np.where(
        np.arange(40) % 20 >= 8, 1, np.random.default_rng(1).choice([-1, 1], 40)
    )
    most = len(graph.weights)
    assert max(graph.cut_value(left), graph.cut_value(right)) < most
    assert graph.cut_value(combined(graph, np.array([left, right]))) == most


def test_one_cut_alone_stays_as_it_is() -> None:
    graph = Graph.from_networkx(nx.cycle_graph(5))
    cut = np.array([1.0, 1.0, -1.0, 1.0, -1.0])
    assert np.array_equal(combined(graph, cut[None]), cut)
