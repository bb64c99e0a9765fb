import bz2
import gzip
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.files.graphs import FORMATS
from MAXCUT.graph import Graph, read_graph

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


def edges_of(graph: Graph) -> dict[frozenset, float]:
    return {
        frozenset((graph.labels[i], graph.labels[j])): weight
        for (i, j), weight in zip(graph.ends, graph.weights, strict=True)
    }


def rudy(graph: nx.Graph) -> bytes:
    index = {node: i for i, node in enumerate(graph, start=1)}
    edges = list(graph.edges(data="weight", default=1))
    lines = [f"{len(index)} {len(edges)}", *(f"{index[u]} {index[v]} {w!r}" for u, v, w in edges)]
    return "\n".join(lines).encode()


def through(write: Callable, *options: object) -> Callable[[nx.Graph], bytes]:
    def written(graph: nx.Graph) -> bytes:
        file = io.BytesIO()
        write(graph, file, *options)
        return file.getvalue()

    return written


def matrix_market(symmetry: str) -> Callable[[nx.Graph], bytes]:
    def written(graph: nx.Graph) -> bytes:
        file = io.BytesIO()
        matrix = nx.to_scipy_sparse_array(graph, dtype=float)
        scipy.io.mmwrite(file, matrix, symmetry=symmetry)
        return file.getvalue()

    return written


def npz(layout: str) -> Callable[[nx.Graph], bytes]:
    def written(graph: nx.Graph) -> bytes:
        file = io.BytesIO()
        scipy.sparse.save_npz(file, nx.to_scipy_sparse_array(graph, format=layout, dtype=float))
        return file.getvalue()

    return written


# How each suffix's writer names node i of 0 … n−1; lists of edges have no place for a lone node.
WRITERS: list[tuple[str, Callable[[nx.Graph], bytes], Callable[[int], object]]] = [
    ("", rudy, lambda i: i + 1),
    (".TXT", rudy, lambda i: i + 1),
    (".graphml", through(nx.write_graphml_xml), str),
    (".gml", through(nx.write_gml), str),
    (".edgelist", through(nx.write_edgelist), str),
    (".weighted.edgelist", through(nx.write_weighted_edgelist), str),
    (".mtx", matrix_market("symmetric"), lambda i: i + 1),
    (".mtx", matrix_market("general"), lambda i: i + 1),
    *[(".npz", npz(layout), int) for layout in ("csr", "csc", "coo", "bsr", "dia")],
]


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def small_graph() -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(6))
    graph.add_weighted_edges_from([(0, 1, 1), (2, 1, -2.5), (0, 3, 1e-3), (4, 5, 7)])
    return graph


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(("suffix", "written", "name"), WRITERS)
def test_round_trips(
    tmp_path: Path, suffix: str, written: Callable, name: Callable, packing: str
) -> None:
    source = small_graph()
    path = write(tmp_path, f"graph{suffix}{packing}", PACK[packing](written(source)))
    graph = read_graph(path)
    assert edges_of(graph) == {
        frozenset((name(u), name(v))): w for u, v, w in source.edges(data="weight")
    }
    assert set(graph.labels) == {name(node) for node in source}
    assert (graph.ends[:, 0] < graph.ends[:, 1]).all()


@st.composite
def graphs(draw: st.DrawFn) -> nx.Graph:
    n = draw(st.integers(1, 8))
    weights = st.floats(-1e6, 1e6).filter(bool)
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    for j in range(n):
        for i in draw(st.sets(st.integers(0, max(j - 1, 0)))) if j else ():
            graph.add_edge(i, j, weight=draw(weights))
    return graph


@settings(max_examples=20, deadline=None)
@given(source=graphs())
def test_every_format_keeps_any_graph(
    source: nx.Graph, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    lone = set(nx.isolates(source))
    for suffix, written, name in WRITERS:
        expected = {frozenset((name(u), name(v))): w for u, v, w in source.edges(data="weight")}
        nodes = set(source) - lone if "edgelist" in suffix else set(source)
        if nodes:
            graph = read_graph(write(folder, f"graph{suffix}", written(source)))
            assert edges_of(graph) == pytest.approx(expected, rel=1e-15)
            assert set(graph.labels) == {name(node) for node in nodes}


def test_adjacency_lists_weigh_every_edge_1(tmp_path: Path) -> None:
    source = small_graph()
    content = "# comment\n" + "\n".join(nx.generate_adjlist(source))
    graph = read_graph(write(tmp_path, "graph.adjlist.gz", gzip.compress(content.encode())))
    assert edges_of(graph) == {frozenset(map(str, edge)): 1 for edge in source.edges}
    assert graph.labels == ("0", "1", "3", "2", "4", "5")


@pytest.mark.parametrize(
    ("content", "edges"),
    [
        ("a b c\nb a\nc a\n", {"ab": 1, "ac": 1}),  # listed at both ends
        ("a b b\nb\n", {"ab": 2}),  # networkx's way of writing parallel edges
        ("a b b\nb a a\n", {"ab": 2}),
        ("a b\nb a a\n", {"ab": 2}),
    ],
)
def test_an_adjacency_list_may_name_an_edge_at_one_end_or_both(
    tmp_path: Path, content: str, edges: dict[str, int]
) -> None:
    graph = read_graph(write(tmp_path, "graph.adjlist", content.encode()))
    assert edges_of(graph) == {frozenset(pair): weight for pair, weight in edges.items()}


def test_a_node_in_its_own_list_is_a_loop(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="1 self-loop dropped"):
        graph = read_graph(write(tmp_path, "graph.adjlist", b"a a b\n"))
    assert edges_of(graph) == {frozenset("ab"): 1}


def test_a_byte_order_mark_is_no_part_of_a_label(tmp_path: Path) -> None:
    graph = read_graph(write(tmp_path, "graph.edgelist", b"\xef\xbb\xbfa b\r\n\xc3\xa9 a\r\n"))
    assert graph.labels == ("a", "b", "é")


PARALLEL = {
    "graph.txt": "3 3\n1 2 2\n2 1 0.5\n2 3 1\n",
    "graph.edgelist": "1 2 2\n2 1 {'weight': 0.5, 'colour': 'red'}\n2 3\n",
    "graph.mtx": "%%MatrixMarket matrix coordinate real symmetric\n3 3 3\n2 1 2\n2 1 .5\n3 2 1\n",
    "upper.mtx": "%%MatrixMarket matrix coordinate real general\n3 3 3\n1 2 2\n1 2 .5\n2 3 1\n",
    "graph.gml": """Creator "by hand"
    graph [
      node [ id 1 ] node [ id 2 ] node [ id 3 ]
      edge [ source 1 target 2 weight 2 ]
      edge [ source 2 target 1 weight 0.5 ]
      edge [ source 2 target 3 ]
    ]""",
    "graph.graphml": """<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
    <key id="w" for="edge" attr.name="weight" attr.type="double"/>
    <graph edgedefault="undirected"><node id="1"/><node id="2"/><node id="3"/>
      <edge id="7" source="1" target="2"><data key="w">2</data></edge>
      <edge id="7" source="2" target="1"><data key="w">0.5</data></edge>
      <edge source="2" target="3"/>
    </graph></graphml>""",
}


@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_edges_are_summed(tmp_path: Path, name: str) -> None:
    graph = read_graph(write(tmp_path, name, PARALLEL[name].encode()))
    weights = {frozenset(map(str, pair)): weight for pair, weight in edges_of(graph).items()}
    assert weights == {frozenset("12"): 2.5, frozenset("23"): 1}


LAST_EDGES = {
    "graph.txt": "2 3 1",
    "graph.edgelist": "2 3",
    "graph.mtx": "3 2 1",
    "upper.mtx": "2 3 1",
    "graph.gml": "source 2 target 3",
    "graph.graphml": 'source="2" target="3"',
}


@pytest.mark.parametrize("name", PARALLEL)
def test_self_loops_are_dropped_with_a_warning(tmp_path: Path, name: str) -> None:
    edge = LAST_EDGES[name]
    head, tail = PARALLEL[name].rsplit(edge, 1)
    path = write(tmp_path, name, (head + edge.replace("3", "2") + tail).encode())
    with pytest.warns(UserWarning, match="1 self-loop dropped"):
        graph = read_graph(path)
    assert graph.weights.tolist() == [2.5]


@pytest.mark.parametrize(
    ("suffix", "writer"), [(".graphml", nx.write_graphml_xml), (".gml", nx.write_gml)]
)
def test_directions_are_summed_and_labels_kept(
    tmp_path: Path, suffix: str, writer: Callable
) -> None:
    source = nx.DiGraph()
    source.add_node("alone & “quoted”")
    source.add_weighted_edges_from([("u", "v", 1.5), ("v", "u", -4), ("v", "a b", 2)])
    writer(source, tmp_path / f"graph{suffix}")
    graph = read_graph(tmp_path / f"graph{suffix}")
    assert graph.labels == tuple(source)
    assert edges_of(graph) == {frozenset("uv"): -2.5, frozenset(("v", "a b")): 2}


@pytest.mark.parametrize(
    ("nodes", "labels"),
    [
        ('node [ id 5 label "x" ] node [ id 3 label "y" ]', ("x", "y")),
        ('node [ id 5 label "x" ] node [ id 3 label "x" ]', (5, 3)),
        ('node [ id 5 label "x" ] node [ id 3 ]', (5, 3)),
        ('node [ id 5 label "é" ] node [ id 3 label 7 ]', ("é", 7)),
    ],
)
def test_gml_labels_are_used_where_they_are_unique(
    tmp_path: Path, nodes: str, labels: tuple
) -> None:
    content = f"graph [ {nodes} edge [ source 3 target 5 ] ]"
    graph = read_graph(write(tmp_path, "graph.gml", content.encode()))
    assert graph.labels == labels
    assert edges_of(graph) == {frozenset(labels): 1}


def test_every_suffix_has_a_test_of_its_round_trip() -> None:
    tested = {suffix.lower().removeprefix(".weighted") for suffix, *_ in WRITERS}
    assert tested | {".adjlist", ".rudy", ".gset", ".mc"} == set(FORMATS)


def test_reading_warns_of_nothing_else(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix, written, _ in WRITERS:
            read_graph(write(tmp_path, f"graph{suffix}", written(small_graph())))
