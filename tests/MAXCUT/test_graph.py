import warnings

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.files.arrays import MAX_VERTICES
from MAXCUT.graph import Graph, as_graph

ADJACENCY = np.array([[0, 1, 0, -2.5], [1, 0, 3, 0], [0, 3, 0, 0], [-2.5, 0, 0, 0]])
EDGES = {(0, 1): 1.0, (0, 3): -2.5, (1, 2): 3.0}
SPARSE = [
    getattr(scipy.sparse, f"{layout}_{kind}")
    for layout in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("array", "matrix")
]


def edges_of(graph: Graph) -> dict[tuple, float]:
    """The weights, by pairs of labels in vertex order."""
    return {
        (graph.labels[i], graph.labels[j]): weight
        for (i, j), weight in zip(graph.ends, graph.weights, strict=True)
    }


def graph_of(ends: list[tuple[int, int]], weights: list[float], n: int = 4) -> Graph:
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return Graph.from_edges(tuple(range(n)), pairs, np.array(weights, dtype=np.float64))


def assert_canonical(graph: Graph) -> None:
    i, j = graph.ends.T
    assert (i < j).all()
    assert (np.diff(i * graph.num_vertices + j) > 0).all()
    assert graph.ends.dtype == np.int64
    assert graph.weights.dtype == np.float64
    assert graph.ends.shape == (len(graph.weights), 2)
    assert (graph.weights != 0).all()
    assert np.isfinite(graph.weights).all()
    assert len(graph.labels) == graph.num_vertices


def test_edges_are_sorted_turned_and_summed() -> None:
    graph = graph_of([(3, 1), (0, 2), (1, 3), (2, 0), (2, 3)], [1, 2, 0.5, -3, 7])
    assert edges_of(graph) == {(0, 2): -1, (1, 3): 1.5, (2, 3): 7}
    assert graph.ends.tolist() == [[0, 2], [1, 3], [2, 3]]
    assert_canonical(graph)


def test_a_sum_of_zero_is_no_edge() -> None:
    graph = graph_of([(0, 1), (1, 0), (1, 2), (2, 3)], [1, -1, 0, 5])
    assert edges_of(graph) == {(2, 3): 5}


@pytest.mark.parametrize(("count", "words"), [(1, "1 self-loop dropped"), (3, "3 self-loops d")])
def test_self_loops_are_dropped_with_a_warning(count: int, words: str) -> None:
    with pytest.warns(UserWarning, match=words):
        graph = graph_of([(2, 2)] * count + [(0, 1)], [1] * count + [2])
    assert edges_of(graph) == {(0, 1): 2}


def test_no_edges_leave_the_vertices() -> None:
    graph = graph_of([], [], n=3)
    assert graph.labels == (0, 1, 2)
    assert_canonical(graph)


@pytest.mark.parametrize(
    ("ends", "weights", "words"),
    [
        ([(0, 4)], [1], "an edge ends outside the vertices 0 to 3"),
        ([(-1, 0)], [1], "an edge ends outside the vertices 0 to 3"),
        ([(0, 1), (2, 3)], [1, np.nan], "the weight of the edge 2 – 3 is nan: it must be a finite"),
        ([(1, 1)], [-np.inf], "the weight of the edge 1 – 1 is -inf"),
        ([(0, 1), (0, 1)], [1e308, 1e308], "their sum overflows"),
        ([(0, 1), (0, 2)], [1e308, -1e308], "their sum overflows"),
    ],
)
def test_what_is_no_graph_is_refused(ends: list, weights: list, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=words):
            graph_of(ends, weights)


def test_networkx_labels_weights_and_isolated_nodes_are_kept() -> None:
    source = nx.Graph()
    source.add_nodes_from(["z", (1, 2)])
    source.add_edge("b", "a", weight=-2.5, cost=4)
    source.add_edge("a", "z")
    graph = Graph.from_networkx(source)
    assert graph.labels == ("z", (1, 2), "b", "a")
    assert edges_of(graph) == {("b", "a"): -2.5, ("z", "a"): 1}
    assert edges_of(Graph.from_networkx(source, weight="cost")) == {("b", "a"): 4, ("z", "a"): 1}


@pytest.mark.parametrize("kind", [nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_directions_and_parallel_edges_are_summed(kind: type[nx.Graph]) -> None:
    source = kind([(0, 1, {"weight": 2}), (1, 0, {"weight": 0.5}), (1, 2)])
    assert edges_of(Graph.from_networkx(source)) == {(0, 1): 2.5, (1, 2): 1}


@pytest.mark.parametrize("value", ["heavy", None, [1], 10**400, 1j, float("nan")])
def test_networkx_weights_that_are_no_number_are_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"the weight of the edge 'u' – 'v' is .*finite number"):
        Graph.from_networkx(nx.Graph([("u", "v", {"weight": value})]))


@pytest.mark.parametrize("layout", SPARSE)
def test_symmetric_and_triangular_matrices_hold_the_same_graph(layout: type) -> None:
    for matrix in (ADJACENCY, np.triu(ADJACENCY), np.tril(ADJACENCY)):
        graph = Graph.from_sparse(layout(matrix))
        assert edges_of(graph) == EDGES
        assert graph.labels == (0, 1, 2, 3)
        assert_canonical(graph)


def test_entries_stored_twice_are_summed_and_the_diagonal_is_loops() -> None:
    entries = ([1.0, 2.0, 3.0, 2.0, 9.0], ([0, 1, 0, 1, 2], [1, 0, 1, 0, 2]))
    with pytest.warns(UserWarning, match="1 self-loop dropped"):
        graph = Graph.from_sparse(scipy.sparse.coo_array(entries, shape=(3, 3)), ("a", "b", "c"))
    assert edges_of(graph) == {("a", "b"): 4}
    assert graph.labels == ("a", "b", "c")


def test_stored_zeros_are_neither_edges_nor_loops() -> None:
    blocks = scipy.sparse.bsr_array(ADJACENCY, blocksize=(2, 2))
    assert (blocks.tocoo().data == 0).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert edges_of(Graph.from_sparse(blocks)) == EDGES


def test_rounding_does_not_break_symmetry() -> None:
    matrix = ADJACENCY.copy()
    matrix[0, 1] += 1e-15
    assert edges_of(Graph.from_sparse(scipy.sparse.csr_array(matrix))) == pytest.approx(EDGES)


def damaged(indptr: list[int]) -> scipy.sparse.csr_array:
    matrix = scipy.sparse.csr_array((np.ones(3), [0, 1, 2], [0, 1, 2, 3, 3]), shape=(4, 4))
    matrix.indptr = np.array(indptr)
    return matrix


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (
            scipy.sparse.csr_array([[0, 1.0], [2, 0]]),
            r"entries \(0, 1\) and \(1, 0\) differ; for a directed graph, sum .* by A \+ A.T",
        ),
        (scipy.sparse.csr_array([[0, 1.0, 0], [0, 0, 0], [0, 2, 0]]), "neither symmetric nor"),
        (scipy.sparse.csr_array(np.ones((2, 3))), r"shape \(2, 3\): it must be square"),
        (scipy.sparse.coo_array(np.ones(2)), r"shape \(2,\): it must be square"),
        (scipy.sparse.csr_array([[0, 1j], [1j, 0]]), "complex128: they must be real"),
        (scipy.sparse.csr_array([[0, np.inf], [0, 0]]), "0 – 1 is inf: it must be a finite"),
        (scipy.sparse.coo_array((10**12, 10**12)), f"at most {MAX_VERTICES} vertices"),
        (damaged([0, 10**6, 2, 3, 3]), "an index pointer that decreases"),
        (damaged([0, 2**62, 2**62, -(2**63), 3]), "an index pointer that decreases"),
    ],
)
def test_matrices_that_are_no_graph_are_refused(matrix: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Graph.from_sparse(matrix)


def test_labels_must_be_as_many_as_vertices() -> None:
    with pytest.raises(ValueError, match="there are 2 labels for 4 vertices"):
        Graph.from_sparse(scipy.sparse.csr_array(ADJACENCY), ("a", "b"))


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(-3, 3)), min_size=1, max_size=30
    )
)
def test_every_way_in_gives_the_same_graph(entries: list[tuple[int, int, int]]) -> None:
    expected: dict[tuple[int, int], float] = {}
    for u, v, weight in entries:
        if u != v:
            pair = (min(u, v), max(u, v))
            expected[pair] = expected.get(pair, 0) + weight
    expected = {pair: weight for pair, weight in expected.items() if weight}
    multigraph = nx.MultiGraph()
    multigraph.add_nodes_from(range(7))
    multigraph.add_weighted_edges_from(entries)
    u, v, weight = np.array(entries).T
    ordered = (weight, (np.minimum(u, v), np.maximum(u, v)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graphs = [
            graph_of([entry[:2] for entry in entries], [entry[2] for entry in entries], n=7),
            Graph.from_networkx(multigraph),
            Graph.from_sparse(scipy.sparse.coo_array(ordered, shape=(7, 7))),
        ]
    graphs.append(Graph.from_sparse(graphs[0].adjacency()))
    for graph in graphs:
        assert edges_of(graph) == expected
        assert_canonical(graph)


def test_labels_are_the_numbers_of_the_vertices_unless_given() -> None:
    ends, weights = np.array([[0, 2]]), np.array([1.5])
    assert Graph(3, ends, weights).labels == (0, 1, 2)
    assert Graph(3, ends, weights, ("a", "b", "c")).labels == ("a", "b", "c")


def test_triangles_of_float32_may_differ_in_the_last_digit() -> None:
    matrix = np.float32(ADJACENCY)
    matrix[0, 1] = np.nextafter(np.float32(1), np.float32(2))
    for sums in (scipy.sparse.csr_array(matrix), matrix):
        assert edges_of(as_graph(sums)) == pytest.approx(EDGES, rel=1e-6)
    matrix[0, 1] = 1.0001
    with pytest.raises(ValueError, match=r"entries \(0, 1\) and \(1, 0\) differ"):
        as_graph(matrix)
    # The tolerance is that of each entry, so a large one hides no small one; float64 has its own.
    for heavy in (
        np.float32([[0, 1, 1e9], [2, 0, 0], [1e9, 0, 0]]),
        np.float64([[0, 1], [1.000001, 0]]),
    ):
        with pytest.raises(ValueError, match=r"entries \(0, 1\) and \(1, 0\) differ"):
            as_graph(heavy)


@pytest.mark.parametrize("dtype", [float, np.float32, int, np.int8])
def test_dense_arrays_are_matrices(dtype: type) -> None:
    table = (2 * ADJACENCY).astype(dtype)
    for matrix in (table, np.triu(table), np.tril(table)):
        assert edges_of(as_graph(matrix)) == {pair: 2 * weight for pair, weight in EDGES.items()}
    assert edges_of(as_graph(table > 0)) == {(0, 1): 1, (1, 2): 1}


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.ones((3, 2)), r"the array has shape \(3, 2\) of type float64: it must be a square"),
        (np.ones(4), r"the array has shape \(4,\)"),
        (np.ones((2, 2, 2)), r"the array has shape \(2, 2, 2\)"),
        (np.ones((2, 2)) * 1j, "of type complex128"),
        (np.array([[None, 1], [1, None]]), "of type object"),
        (np.array([["a", "b"], ["c", "d"]]), "of type <U1"),
        (np.array([[0, np.nan], [np.nan, 0]]), "the weight of the edge 0 – 1 is nan"),
    ],
)
def test_arrays_that_are_no_matrix_are_refused(matrix: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_graph(matrix)


def test_lists_of_edges() -> None:
    edges = [("a", "b"), ("b", (1, 2), 2.5), ("b", "a", -3), (7, "a", np.int64(4))]
    graph = as_graph(edges)
    assert graph.labels == ("a", "b", (1, 2), 7)
    assert edges_of(graph) == {("a", "b"): -2, ("b", (1, 2)): 2.5, ("a", 7): 4}
    assert edges_of(as_graph(tuple(edges))) == edges_of(graph)
    assert as_graph([]).num_vertices == 0


def test_a_list_of_edges_in_both_directions_counts_each_once() -> None:
    with pytest.warns(UserWarning, match="every edge is listed in both directions, with equal"):
        assert edges_of(as_graph([(0, 1), (1, 0), (2, 1, 3), (1, 2, 3)])) == {(0, 1): 1, (1, 2): 3}


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ([(0, 1), (1,)], r"the edge \(1,\) is no tuple \(u, v\) or \(u, v, weight\)"),
        ([(0, 1, 2, 3)], r"the edge \(0, 1, 2, 3\) is no tuple"),
        ([[0, 1], [1, 0]], r"the edge \[0, 1\] is no tuple .*; a matrix .* must be a numpy array"),
        ([(0, 1, "x")], "the weight of the edge 0 – 1 is 'x': it must be a finite number"),
        ([(0, 1, {"weight": 2})], "the weight of the edge 0 – 1 is {'weight': 2}"),
        ([(0, 1, float("inf"))], "the weight of the edge 0 – 1 is inf"),
        ([([0], 1)], r"the edge \(\[0\], 1\) ends at a label that can't be hashed"),
    ],
)
def test_lists_that_hold_no_edges_are_refused(edges: list, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        as_graph(edges)


@pytest.mark.parametrize("graph", [None, "graph.txt", 7, {0: [1]}, iter([(0, 1)])])
def test_what_else_is_no_graph_is_refused(graph: object) -> None:
    words = f"the graph is a {type(graph).__name__}: it must be a networkx graph, a matrix of scipy"
    with pytest.raises(ValueError, match=words):
        as_graph(graph)


def test_the_other_kinds_of_graphs() -> None:
    source = nx.Graph()
    source.add_weighted_edges_from([(0, 1, 1), (1, 2, 3)], weight="cost")
    expected = {(0, 1): 1, (1, 2): 3}
    graph = as_graph(source, weight="cost")
    assert edges_of(graph) == expected
    assert edges_of(as_graph(graph.adjacency())) == expected
    turned = Graph(3, graph.ends[::-1, ::-1], graph.weights[::-1])
    assert edges_of(as_graph(turned)) == expected
    assert_canonical(as_graph(turned))


def test_networkx_edges_without_the_attribute_are_reported() -> None:
    source = nx.Graph([(0, 1, {"capacity": 3}), (1, 2, {"capacity": 4})])
    with pytest.warns(UserWarning, match="no edge has a weight 'weight', .* weight='capacity'"):
        assert edges_of(Graph.from_networkx(source)) == {(0, 1): 1, (1, 2): 1}
    source.add_edge(0, 2, weight=5)
    with pytest.warns(UserWarning, match="2 of 3 edges have no 'weight': each of them has weight"):
        assert edges_of(Graph.from_networkx(source)) == {(0, 1): 1, (1, 2): 1, (0, 2): 5}


def test_triangles_that_differ_are_refused_beside_an_outlier_too() -> None:
    matrix = np.zeros((4, 4))
    matrix[0, 1] = matrix[1, 0] = 1e13
    matrix[2, 3], matrix[3, 2] = 1, 5
    with pytest.raises(ValueError, match=r"its entries \(2, 3\) and \(3, 2\) differ"):
        as_graph(matrix)


def test_a_masked_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="the matrix is masked: fill it"):
        as_graph(np.ma.array(np.ones((2, 2)), mask=np.eye(2)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(-12, 12)), max_size=12),
    st.sampled_from([1, 2, 6]),
)
def test_the_cuts_have_the_divisor_and_no_larger_one(
    edges: list[tuple[int, int, int]], factor: int
) -> None:
    kept = [(i, j, factor * w) for i, j, w in edges if i != j]
    graph = graph_of([(i, j) for i, j, _ in kept], [float(w) for *_, w in kept], n=6)
    signs = np.where(np.arange(2**6)[:, None] >> np.arange(6) & 1, 1.0, -1.0)
    values = graph.cut_value(signs).astype(np.int64)
    assert graph.cut_divisor() == np.gcd.reduce(values)
    halves = Graph(graph.num_vertices, graph.ends, graph.weights / 64 + 1 / 128)
    assert halves.cut_divisor() == 0 or not len(graph.weights)
