import bz2
import gzip
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import networkx as nx
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.files.graph_formats import GraphFormat
from derandomization.files.graphs import FORMATS, SIGNATURES, read_graph_file
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


def node_link(graph: nx.Graph) -> bytes:
    return json.dumps(nx.node_link_data(graph)).encode()


def csv(graph: nx.Graph) -> bytes:
    edges = graph.edges(data="weight", default=1)
    return "\n".join(["source,target,weight", *(f"{u},{v},{w!r}" for u, v, w in edges)]).encode()


def metis(graph: nx.Graph) -> bytes:
    index = {node: i for i, node in enumerate(graph, start=1)}
    lines = [
        " ".join(
            f"{index[v]} {attributes.get('weight', 1)!r}" for v, attributes in graph[u].items()
        )
        for u in graph
    ]
    header = ["% by hand", f"{len(graph)} {graph.number_of_edges()} 001"]
    return "\n".join([*header, *lines, ""]).encode()


# How each suffix's writer names node i of 0 … n−1.
WRITERS: list[tuple[str, Callable[[nx.Graph], bytes], Callable[[int], object]]] = [
    ("", rudy, lambda i: i + 1),
    (".TXT", rudy, lambda i: i + 1),
    (".dat", rudy, lambda i: i + 1),
    (".json", node_link, int),
    (".net", through(nx.write_pajek), str),
    (".graph", metis, lambda i: i + 1),
    (".csv", csv, str),
    (".graphml", through(nx.write_graphml_xml), str),
    (".gml", through(nx.write_gml), str),
    (".edgelist", through(nx.write_edgelist), str),
    (".weighted.edgelist", through(nx.write_weighted_edgelist), str),
    (".mtx", matrix_market("symmetric"), lambda i: i + 1),
    (".mtx", matrix_market("general"), lambda i: i + 1),
    *[(".npz", npz(layout), int) for layout in ("csr", "csc", "coo", "bsr", "dia")],
]
WITHOUT_LONE_NODES = (".edgelist", ".weighted.edgelist", ".csv")


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
        nodes = set(source) - lone if suffix in WITHOUT_LONE_NODES else set(source)
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


PACKED = {".g6": nx.write_graph6, ".s6": nx.write_sparse6}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 16, 62, 63, 100])
def test_graph6_and_sparse6(tmp_path: Path, n: int, suffix: str, header: bool) -> None:
    for probability in (0, 0.1, 0.5, 1):
        source = nx.gnp_random_graph(n, probability, seed=n)
        PACKED[suffix](source, tmp_path / f"graph{suffix}", header=header)
        graph = read_graph(tmp_path / f"graph{suffix}")
        assert graph.labels == tuple(range(n))
        assert edges_of(graph) == {frozenset(edge): 1 for edge in source.edges}
        if header:
            same = read_graph(write(tmp_path, "g.what", (tmp_path / f"graph{suffix}").read_bytes()))
            assert edges_of(same) == edges_of(graph)


def test_parallel_edges_of_sparse6_are_summed(tmp_path: Path) -> None:
    # networkx writes three edges between 0 and 1 like this, after its header.
    assert edges_of(read_graph(write(tmp_path, "graph.s6", b":A_\n"))) == {frozenset((0, 1)): 3}


def test_a_graph6_file_of_several_graphs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"graph\.g6: the file must hold one graph, on one line"):
        read_graph(write(tmp_path, "graph.g6", b"A_\nA_\n"))


def test_every_suffix_has_a_test_of_its_round_trip() -> None:
    tested = {suffix.lower().removeprefix(".weighted") for suffix, *_ in WRITERS} | set(PACKED)
    others = {".adjlist", ".rudy", ".rud", ".sg", ".gset", ".mc", ".paj", ".metis"}
    known = {suffix for format in FORMATS.values() for suffix in format.suffixes}
    assert tested | others == known | {"", ".txt", ".dat"}


def test_every_format_has_a_suffix_and_a_name() -> None:
    assert set(FORMATS) == set(get_args(GraphFormat))
    assert set(SIGNATURES.values()) <= set(FORMATS)


@pytest.mark.parametrize(("suffix", "written", "name"), WRITERS)
def test_the_format_is_read_under_any_name(
    tmp_path: Path, suffix: str, written: Callable, name: Callable
) -> None:
    known = {suffix: name for name, format in FORMATS.items() for suffix in format.suffixes}
    format = known.get(Path(f"graph{suffix.lower()}").suffix, "rudy")
    content = written(small_graph())
    same = read_graph(write(tmp_path, f"graph{suffix}", content))
    for other in ("graph.gml", "graph.v1.7"):
        graph = read_graph(write(tmp_path, other, content), format=format)
        assert edges_of(graph) == edges_of(same)


SIGNED = {
    ".mtx": matrix_market("general"),
    ".graphml": through(nx.write_graphml_xml),
    ".gml": through(nx.write_gml),
    ".json": node_link,
    ".net": through(nx.write_pajek),
    ".npz": npz("csr"),
    "": rudy,
}


@pytest.mark.parametrize("suffix", SIGNED)
@pytest.mark.parametrize("name", ["graph", "graph.txt", "graph.dat", "g05_100.3"])
def test_the_content_tells_the_format(tmp_path: Path, suffix: str, name: str) -> None:
    content = SIGNED[suffix](small_graph())
    expected = read_graph(write(tmp_path, f"known{suffix or '.rudy'}", content))
    assert edges_of(read_graph(write(tmp_path, name, content))) == edges_of(expected)


METIS = "% comment\n5 4\n2 3\n1\n1 4\n3\n\n"


def test_metis_text_is_told_from_rudy(tmp_path: Path) -> None:
    edges = {frozenset(pair): 1 for pair in [(1, 2), (1, 3), (3, 4)]}
    content = METIS.replace("5 4", "5 3").encode()
    assert edges_of(read_graph(write(tmp_path, "graph.txt", content))) == edges
    ring = b"4 4\n2 4\n1 3\n2 4\n1 3\n"
    both = r"graph\.txt: the lines are edges in rudy's format and lists of neighbours in that of"
    with pytest.raises(ValueError, match=both):
        read_graph(write(tmp_path, "graph.txt", ring))
    metis = read_graph(write(tmp_path, "graph.txt", ring), format="metis")
    assert set(edges_of(metis)) == {frozenset(p) for p in [(1, 2), (2, 3), (3, 4), (1, 4)]}
    rudy = read_graph(write(tmp_path, "graph.txt", ring), format="rudy")
    assert edges_of(rudy) == {frozenset((2, 4)): 2, frozenset((1, 3)): 2}


def test_metis_weights_of_vertices_are_ignored(tmp_path: Path) -> None:
    content = b"3 2 111 2\n9 8 7 2 5\n9 8 7 1 5 3 -2\n9 8 7 2 -2\n"
    graph = read_graph(write(tmp_path, "graph.metis", content))
    assert edges_of(graph) == {frozenset((1, 2)): 5, frozenset((2, 3)): -2}


def test_a_default_of_graphml_is_the_weight_of_edges_without_one(tmp_path: Path) -> None:
    for key in ('for="edge"', 'for="all"', ""):
        content = (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
            f'<key id="w" {key} attr.name="cost" attr.type="double"><default> 5 </default></key>'
            '<key id="n" for="node" attr.name="cost" attr.type="int"><default>9</default></key>'
            '<key id="o" for="edge" attr.name="other" attr.type="int"><default>8</default></key>'
            '<graph edgedefault="undirected"><node id="a"/><node id="b"/><node id="c"/>'
            '<edge source="a" target="b"/>'
            '<edge source="b" target="c"><data key="w">2</data></edge></graph></graphml>'
        )
        graph = read_graph(write(tmp_path, "graph.graphml", content.encode()), weight="cost")
        assert edges_of(graph) == {frozenset("ab"): 5, frozenset("bc"): 2}


NAMED = {
    "graph.graphml": through(nx.write_graphml_xml),
    "graph.gml": through(nx.write_gml),
    "graph.json": node_link,
    "graph.edgelist": through(nx.write_edgelist),
    "graph.csv": lambda graph: "\n".join(
        [
            "source,target,colour,id,value",
            *(f"{u},{v},red,7,{w}" for u, v, w in graph.edges.data("value")),
        ]
    ).encode(),
    "graph.net": lambda graph: (
        b'*Vertices 3\n1 "0"\n2 "1"\n3 "2"\n*Edges\n1 2 1 value 4\n2 3 1 colour red value 2.5\n'
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_weights_under_another_name(tmp_path: Path, name: str) -> None:
    source = nx.Graph([(0, 1, {"value": 4}), (1, 2, {"value": 2.5, "colour": "red"})])
    path = write(tmp_path, name, NAMED[name](source))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = read_graph(path, weight="value")
    assert sorted(graph.weights) == [2.5, 4]
    if name != "graph.net":  # where every edge has a weight
        choose = r"no edge has a weight 'weight', .* under 'value' by weight='value' \(--weight 'v"
        with pytest.warns(UserWarning, match=choose):
            assert read_graph(path).weights.tolist() == [1, 1]
    with pytest.raises(ValueError, match=f"{name}: no edge has a weight 'nothing'"):
        read_graph(path, weight="nothing")


PARTLY = {
    "graph.rudy": (b"3 2\n1 2 4\n2 3\n", "1 of 2 lines have no weight"),
    "graph.edgelist": (b"a b 4\nb c\n", "1 of 2 edges have no 'weight'"),
    "graph.csv": (b"source,target,weight\na,b,4\nb,c,\n", "1 of 2 edges have no 'weight'"),
    "graph.net": (b"*Vertices 3\n*Edges\n1 2 4\n2 3\n", "1 of 2 edges have no 'weight'"),
    "graph.gml": (
        b"graph [ node [ id 1 ] node [ id 2 ] node [ id 3 ] edge [ source 1 target 2 weight 4 ]\n"
        b"edge [ source 2 target 3 ] ]",
        "1 of 2 edges have no 'weight'",
    ),
    "graph.json": (
        b'{"nodes": [{"id": 0}, {"id": 1}], "links": [{"source": 0, "target": 1, "weight": 3},'
        b'{"source": 1, "target": 0}]}',
        "1 of 2 edges have no 'weight'",
    ),
}


@pytest.mark.parametrize("name", PARTLY)
def test_edges_without_a_weight_among_others_are_counted(tmp_path: Path, name: str) -> None:
    content, words = PARTLY[name]
    with pytest.warns(UserWarning, match=words):
        assert read_graph(write(tmp_path, name, content)).weights.sum() in (4, 5)


BOTH = {
    "graph.rudy": b"3 4\n1 2 4\n2 1 4\n2 3 1\n3 2 1\n",
    "graph": b"3 4\n1 2 4\n2 1 4\n2 3 1\n3 2 1\n",
    "graph.edgelist": b"a b 4\nb a 4\nb c\nc b\n",
    "graph.csv": b"a,b,4\nb,a,4\nb,c,1\nc,b,1\n",
    "graph.net": b"*Vertices 3\n*Edges\n1 2 4\n2 1 4\n2 3 1\n3 2 1\n",
    "graph.json": b"""{"nodes": [{}, {}, {}], "edges": [
        {"source": 0, "target": 1, "weight": 4}, {"source": 1, "target": 0, "weight": 4},
        {"source": 1, "target": 2, "weight": 1}, {"source": 2, "target": 1, "weight": 1}]}""",
    "graph.gml": b"""graph [ directed 0 multigraph 1 node [ id 1 ] node [ id 2 ] node [ id 3 ]
        edge [ source 1 target 2 weight 4 ] edge [ source 2 target 1 weight 4 ]
        edge [ source 2 target 3 weight 1 ] edge [ source 3 target 2 weight 1 ] ]""",
}


@pytest.mark.parametrize("name", BOTH)
def test_an_edge_listed_in_both_directions_counts_once(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, BOTH[name])
    with pytest.warns(UserWarning, match=f"{name}: every edge is listed in both directions"):
        assert read_graph(path).weights.tolist() == [4, 1]


def test_directed_graphs_sum_both_directions_with_a_warning(tmp_path: Path) -> None:
    source = nx.DiGraph([("a", "b"), ("b", "a")])
    for name, content in (
        ("graph.json", node_link(source)),
        ("graph.net", through(nx.write_pajek)(source)),
        ("graph.graphml", through(nx.write_graphml_xml)(source)),
        ("graph.gml", through(nx.write_gml)(source)),
    ):
        with pytest.warns(UserWarning, match="in both directions, .*: the two weights are summed"):
            graph = read_graph(write(tmp_path, name, content))
        assert edges_of(graph) == {frozenset("ab"): 2}


def test_equal_parallel_edges_in_one_direction_of_a_gml_file_are_summed(tmp_path: Path) -> None:
    edges = 2 * "edge [ source 1 target 2 weight 4 ] "
    content = f"graph [ node [ id 1 ] node [ id 2 ] {edges}]"
    assert read_graph(write(tmp_path, "graph.gml", content.encode())).weights.tolist() == [8]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("graph.rudy", "2 1\n1 2 9007199254740993\n"),
        ("graph.csv", "a,b,-9007199254740993\n"),
        (
            "graph.mtx",
            "%%MatrixMarket matrix coordinate integer symmetric\n2 2 1\n2 1 9007199254740993",
        ),
        (
            "graph.json",
            '{"nodes": [{}, {}], "links": '
            '[{"source": 0, "target": 1, "weight": 9007199254740993}]}',
        ),
    ],
)
def test_weights_that_are_rounded_are_told(tmp_path: Path, name: str, content: str) -> None:
    with pytest.warns(UserWarning, match=rf"{name}: 1 weights are 2\^53 or more: float64 may"):
        read_graph(write(tmp_path, name, content.encode()))


def test_json_of_d3_names_nodes_by_their_positions(tmp_path: Path) -> None:
    content = b'{"nodes": [{"name": "x"}, {"name": "y"}], "links": [{"source": 1, "target": 0}]}'
    assert edges_of(read_graph(write(tmp_path, "graph.json", content))) == {frozenset((0, 1)): 1}


def test_json_labels_that_were_tuples(tmp_path: Path) -> None:
    content = node_link(nx.grid_graph((2, 2)))
    labels = read_graph(write(tmp_path, "graph.json", content)).labels
    assert set(labels) == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize("last", [b"0 3 1\n", b"0 3\n"])  # parsed at once, and line by line
def test_a_rudy_file_may_count_from_0(tmp_path: Path, last: bytes) -> None:
    graph = read_graph(write(tmp_path, "graph.rudy", b"4 3\n0 1 2\n3 2 5\n" + last))
    assert graph.labels == (0, 1, 2, 3)
    assert edges_of(graph) == {frozenset((0, 1)): 2, frozenset((2, 3)): 5, frozenset((0, 3)): 1}


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format is 'gexf': it must be one of rudy, edgelist, csv"):
        read_graph_file("graph.gexf", list, format="gexf")


def test_reading_warns_of_nothing_else(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix, written, _ in WRITERS:
            read_graph(write(tmp_path, f"graph{suffix}", written(small_graph())))
