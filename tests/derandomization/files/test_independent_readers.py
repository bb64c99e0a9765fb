"""Well-formed files: networkx, scipy and pandas read the same numbers, or one of them refuses.

Not compared: ``#`` inside of labels, where networkx drops the rest of the line, and defaults of
GraphML's keys, which networkx ignores.
"""

import contextlib
import io
import json
import math
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derandomization.files.points import read_points
from MAXCUT.graph import Graph, as_graph, read_graph

# The same examples on every machine.
PROFILE = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
Edges = dict[frozenset, float]


@pytest.fixture(autouse=True)
def _without_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def edges_of(graph: Graph) -> Edges:
    return {
        frozenset((str(graph.labels[i]), str(graph.labels[j]))): weight
        for (i, j), weight in zip(graph.ends, graph.weights, strict=True)
    }


def edges_of_networkx(graph: nx.Graph) -> Edges:
    """The sum of the weights between each two nodes, without loops and sums of 0."""
    sums: Edges = defaultdict(float)
    for u, v, weight in graph.edges(data="weight", default=1):
        if u != v:
            sums[frozenset((str(u), str(v)))] += float(weight)
    return {ends: weight for ends, weight in sums.items() if weight}


def read_or_refuse(read: Callable, path: Path, content: bytes) -> Any:
    """What the reader reads; None if it refuses."""
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        return read(path)
    return None


numbers = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.1, -2.5, 1e-3, 1e20]), st.floats(-1e6, 1e6)
)
words = st.text("ab1é_.-:", min_size=1, max_size=3).filter(lambda word: word[0] not in "#%")


@st.composite
def graphs(draw: st.DrawFn, labels: st.SearchStrategy = words) -> nx.Graph:
    """A graph with some isolated nodes and loops, and perhaps some edges without a weight."""
    graph = draw(st.sampled_from([nx.Graph, nx.DiGraph, nx.MultiGraph]))()
    nodes = draw(st.lists(labels, min_size=1, max_size=6, unique=True))
    graph.add_nodes_from(nodes)
    ends = st.sampled_from(nodes)
    weights = st.one_of(numbers, st.none()) if draw(st.booleans()) else numbers
    for u, v, weight in draw(st.lists(st.tuples(ends, ends, weights), max_size=8)):
        graph.add_edge(u, v, **({} if weight is None else {"weight": weight}))
    return graph


def both_directions(graph: nx.Graph) -> bool:
    """Whether every edge is there in both directions, which our readers count once."""
    pairs = {(u, v) for u, v in graph.edges() if u != v}
    return bool(pairs) and pairs == {(v, u) for u, v in pairs}


def packed(write: Callable) -> Callable[[nx.Graph, io.BytesIO], None]:
    """Write the graph as the format can hold it: undirected, with numbers for nodes."""

    def written(graph: nx.Graph, file: io.BytesIO) -> None:
        simple = nx.convert_node_labels_to_integers(nx.Graph(graph))
        simple.remove_edges_from(list(nx.selfloop_edges(simple)))
        for *_, attributes in simple.edges(data=True):
            attributes.clear()
        write(simple, file)

    return written


def node_link(graph: nx.Graph, file: io.BytesIO) -> None:
    file.write(json.dumps(nx.node_link_data(graph, edges="edges")).encode())


def read_node_link(file: io.BytesIO) -> nx.Graph:
    return nx.node_link_graph(json.load(file), edges="edges")


NETWORKX: dict[str, tuple[Callable, Callable]] = {
    "graph.graphml": (nx.write_graphml_xml, lambda file: nx.read_graphml(file, force_multigraph=1)),
    "graph.gml": (nx.write_gml, nx.read_gml),
    "graph.json": (node_link, read_node_link),
    "graph.net": (nx.write_pajek, nx.read_pajek),
    "graph.edgelist": (
        nx.write_edgelist,
        lambda f: nx.read_edgelist(f, create_using=nx.MultiGraph),
    ),
    # An edge that both ends list is one edge, so that directions are not compared.
    "graph.adjlist": (
        lambda graph, file: nx.write_adjlist(nx.Graph(graph), file),
        nx.read_adjlist,
    ),
    "graph.g6": (packed(nx.write_graph6), nx.read_graph6),
    "graph.s6": (packed(nx.write_sparse6), nx.read_sparse6),
}


@pytest.mark.parametrize("name", NETWORKX)
def test_graphs_that_networkx_writes(name: str, tmp_path: Path) -> None:
    write, read = NETWORKX[name]
    compared = 0

    @PROFILE
    @given(graphs())
    def compare(graph: nx.Graph) -> None:
        nonlocal compared
        file = io.BytesIO()
        with contextlib.suppress(nx.NetworkXError, nx.NetworkXNotImplemented):
            write(graph, file)
        if not file.getvalue() or both_directions(graph):
            return
        found = read_or_refuse(read_graph, tmp_path / name, file.getvalue())
        if found is None:
            return
        expected = read(io.BytesIO(file.getvalue()))
        assert edges_of(found) == pytest.approx(edges_of_networkx(expected), rel=1e-12)
        compared += 1

    compare()
    assert compared > 10


blanks = st.sampled_from([" ", "\t", "  "])
lines = st.one_of(
    st.builds(" ".join, st.lists(words, min_size=1, max_size=4)),
    st.builds(lambda u, b, v, w: f"{u}{b}{v}{b}{w!r}", words, blanks, words, numbers),
    st.builds(lambda u, v: f"{u} {v} # comment", words, words),
    st.sampled_from(["", "# comment", "a b {'weight': 2.5, 'colour': 'red'}"]),
)


@PROFILE
@given(texts=st.lists(lines, max_size=5))
def test_edge_lists(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = "\n".join([*texts, "start end 1"]).encode()
    path = tmp_path_factory.getbasetemp() / "lines.edgelist"
    found = read_or_refuse(read_graph, path, content)
    if found is None:
        return
    weighted = [line.split("#")[0].split(None, 2) for line in content.decode().splitlines()]
    as_dictionaries = "\n".join(
        " ".join([*words[:2], *(w if w[0] == "{" else f"{{'weight': {w}}}" for w in words[2:3])])
        for words in weighted
    )
    graph = nx.parse_edgelist(as_dictionaries.splitlines(), create_using=nx.MultiGraph)
    expected = edges_of_networkx(graph)
    listed = [(u, v) for u, v in graph.edges() if u != v]
    if len(listed) == len({frozenset(pair) for pair in listed}):  # else each may count once
        assert edges_of(found) == pytest.approx(expected)


plain_cells = numbers.map(repr)
odd_cells = st.one_of(
    *[plain_cells] * 4,
    st.sampled_from(["", "NA", "nan", "x", "True", "1_0", " 2", '"3"', "1e999", "1,5", '"1,5"']),
)
headers = st.sampled_from([None, "x{}", "1st{}", "{}", "# x{}"])


@PROFILE
@given(
    table=st.tuples(st.integers(1, 3), st.sampled_from([*[plain_cells] * 3, odd_cells])).flatmap(
        lambda chosen: st.lists(
            st.lists(chosen[1], min_size=chosen[0], max_size=chosen[0]), min_size=1, max_size=4
        )
    ),
    header=headers,
    separator=st.sampled_from([",", ",", ";"]),
    line_break=st.sampled_from(["\n", "\r\n"]),
    odd_row=st.sampled_from([*[None] * 5, "", "7"]),
)
def test_tables_of_points(
    table: list[list[str]],
    header: str | None,
    separator: str,
    line_break: str,
    odd_row: str | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    names = [header.format(column) for column in range(len(table[0]))] if header else None
    rows = [separator.join(row) for row in ([names] if names else []) + table]
    if odd_row is not None:
        rows.insert(len(rows) // 2, odd_row)
    if separator == ";":
        rows = [row.replace(".", ",") for row in rows]
    text = line_break.join([*rows, ""])
    path = tmp_path_factory.getbasetemp() / "points.csv"
    found = read_or_refuse(read_points, path, text.encode())
    if found is None:
        return
    named = bool(names) and header != "{}"
    decimal = "," if separator == ";" else "."
    frame = pd.read_csv(
        io.StringIO(text),
        sep=separator,
        decimal=decimal,
        header=0 if named else None,
        skipinitialspace=True,
        float_precision=None,
    )
    np.testing.assert_allclose(found.numpy(), frame.to_numpy(dtype=float), rtol=1e-15)


@PROFILE
@given(
    edges=st.lists(st.tuples(words, words, numbers), min_size=1, max_size=6),
    columns=st.permutations(["source", "target", "weight", "colour"]),
    separator=st.sampled_from([",", ";"]),
)
def test_tables_of_edges(
    edges: list[tuple],
    columns: list[str],
    separator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    frame = pd.DataFrame(edges, columns=["source", "target", "weight"]).assign(colour="red")
    decimal = "," if separator == ";" else "."
    text = frame[columns].to_csv(index=False, sep=separator, decimal=decimal)
    path = tmp_path_factory.getbasetemp() / "edges.csv"
    found = read_or_refuse(read_graph, path, text.encode())
    if found is None:
        return
    labels = {"source": str, "target": str}
    same = pd.read_csv(
        io.StringIO(text), sep=separator, decimal=decimal, dtype=labels, keep_default_na=False
    )
    graph = nx.from_pandas_edgelist(same, edge_attr="weight", create_using=nx.MultiGraph)
    pairs = {(u, v) for u, v, _ in edges if u != v}
    if not any((v, u) in pairs for u, v in pairs):  # else each edge may count once
        assert edges_of(found) == pytest.approx(edges_of_networkx(graph))


@st.composite
def markets(draw: st.DrawFn) -> bytes:
    """A Matrix Market file, whose entries may be repeated and stand in both triangles."""
    field = draw(st.sampled_from(["real", "integer", "pattern", "double"]))
    symmetry = draw(st.sampled_from(["general", "symmetric"]))
    n = draw(st.integers(1, 4))
    d = n if symmetry == "symmetric" or draw(st.booleans()) else draw(st.integers(1, 4))
    values = st.integers(-3, 3) if field == "integer" else numbers
    if field != "pattern" and draw(st.booleans()):
        count = n * (n + 1) // 2 if symmetry == "symmetric" else n * d
        lines = [f"{draw(values)!r}" for _ in range(count)]
        head = [f"%%MatrixMarket matrix array {field} {symmetry}", f"{n} {d}"]
    else:
        places = st.lists(st.tuples(st.integers(1, n), st.integers(1, d)), max_size=6)
        lines = [
            f"{i} {j}" if field == "pattern" else f"{i} {j} {draw(values)!r}"
            for i, j in draw(places)
        ]
        head = [
            f"%%MatrixMarket matrix coordinate {field} {symmetry}",
            "% a comment",
            f"{n} {d} {len(lines)}",
        ]
    return "\n".join([*head, *lines, ""]).encode()


@PROFILE
@given(content=markets())
def test_matrix_market(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "matrix.mtx"
    matrix = scipy.io.mmread(io.BytesIO(content))
    dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
    points = read_or_refuse(read_points, path, content)
    if points is not None:
        np.testing.assert_allclose(points.numpy(), dense, rtol=1e-15, atol=1e-300)
    graph = read_or_refuse(read_graph, path, content)
    if graph is not None:
        labels = {str(i): str(i - 1) for i in range(1, len(dense) + 1)}
        found = {frozenset(labels[v] for v in ends): w for ends, w in edges_of(graph).items()}
        assert found == pytest.approx(edges_of(as_graph(np.asarray(dense, dtype=float))))


@PROFILE
@given(
    rows=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=3, max_size=3),
    symmetric=st.booleans(),
    layout=st.sampled_from(["csr", "csc", "coo", "bsr", "dia"]),
)
def test_archives(
    rows: list[list[float]],
    symmetric: bool,
    layout: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    table = np.array(rows, dtype=float)
    table = np.triu(table) + np.triu(table, 1).T if symmetric else table
    path = tmp_path_factory.getbasetemp() / "matrix.npz"
    file = io.BytesIO()
    scipy.sparse.save_npz(file, scipy.sparse.coo_array(table).asformat(layout))
    loaded = scipy.sparse.load_npz(io.BytesIO(file.getvalue())).toarray()
    points = read_or_refuse(read_points, path, file.getvalue())
    assert points is not None
    np.testing.assert_array_equal(points.numpy(), loaded)
    graph = read_or_refuse(read_graph, path, file.getvalue())
    triangular = not np.tril(table, -1).any() or not np.triu(table, 1).any()
    assert (graph is not None) == (triangular or np.allclose(table, table.T, rtol=1e-13))
    if graph is not None:
        upper = np.triu(loaded, 1) if np.triu(loaded, 1).any() else np.tril(loaded, -1)
        total = sum(edges_of(graph).values())
        assert math.isclose(total, upper.sum(), rel_tol=1e-9, abs_tol=1e-9)
