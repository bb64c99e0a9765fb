from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT.graph import Graph
from MAXCUT.utilities import maximum_cut, random_graph


@st.composite
def weighted_graphs(draw: st.DrawFn, max_vertices: int = 7) -> Graph:
    n = draw(st.integers(2, max_vertices))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    weight = st.floats(-5, 5, allow_nan=False).filter(lambda w: abs(w) > 1e-3)
    weights = draw(st.lists(weight, min_size=len(chosen), max_size=len(chosen)))
    return Graph(n, np.array(chosen), np.array(weights))


def test_default_graph_is_the_papers() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    assert len(graph.weights) == 62
    assert maximum_cut(graph) == 41


def test_random_graph_has_the_asked_density() -> None:
    pairs = 200 * 199 / 2
    edges = random_graph(200, 0.3, 7).number_of_edges()
    assert abs(edges - 0.3 * pairs) < 4 * (pairs * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize(
    ("size", "probability", "words"),
    [
        (1, 0.5, "graph_size is 1: it must be at least 2"),
        (5, 2.0, "edge_probability is 2.0: it must lie between 0 and 1"),
    ],
)
def test_random_graph_refuses_what_is_no_graph(size: int, probability: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        random_graph(size, probability, 0)


def test_edge_list_keeps_weights_and_numbers_nodes_in_order() -> None:
    graph = nx.Graph()
    graph.add_edge("b", "a", weight=-2.5)
    graph.add_edge("a", "c")
    edges = Graph.from_networkx(graph)
    assert edges.ends.tolist() == [[0, 1], [1, 2]]
    assert edges.weights.tolist() == [-2.5, 1.0]
    np.testing.assert_array_equal(
        edges.adjacency().toarray(), nx.to_numpy_array(graph, nodelist=["b", "a", "c"])
    )


@settings(max_examples=60, deadline=None)
@given(graph=weighted_graphs())
def test_maximum_cut_equals_plain_enumeration(graph: Graph) -> None:
    every = np.array(list(product((-1.0, 1.0), repeat=graph.num_vertices)))
    adjacency = graph.adjacency().toarray()
    quadratic = np.einsum("pi,ij,pj->p", every, adjacency, every)
    values = (graph.weights.sum() - quadratic / 2) / 2
    np.testing.assert_allclose(graph.cut_value(every), values, atol=1e-9)
    assert maximum_cut(graph) == pytest.approx(values.max(), abs=1e-9)


def test_maximum_cut_of_known_graphs() -> None:
    bipartite = Graph.from_networkx(nx.complete_bipartite_graph(11, 13))
    assert maximum_cut(bipartite) == 11 * 13
    complete = Graph.from_networkx(nx.complete_graph(23))
    assert maximum_cut(complete) == 11 * 12


def test_maximum_cut_refuses_more_than_24_vertices() -> None:
    with pytest.raises(ValueError, match="25 vertices: enumeration reaches 24"):
        maximum_cut(Graph.from_networkx(nx.path_graph(25)))
