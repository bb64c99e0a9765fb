import gzip
import re
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from derandomization.files.arrays import MAX_VERTICES
from derandomization.files.points import read_points
from MAXCUT.graph import read_graph

MTX = "%%MatrixMarket matrix coordinate real general\n"
NAMESPACE = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
WEIGHT = '<key id="w" for="edge" attr.name="weight" attr.type="double"/>'
NODES = '<node id="a"/><node id="b"/>'


def refusal(path: Path, content: bytes | str) -> str:
    """What the one line says after the file's name."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(path.name)) as raised:
        read_graph(path)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5 2\n1 2\n1 x 3", ', line 3: "1 x 3": the vertex must be an integer from 1 to 5'),
        ("5 1\n1 6", ', line 2: "1 6": the vertex must be an integer from 1 to 5'),
        ("5 2\n0 2 1\n5 1", ', line 2: "0 2 1": the vertex must be an integer from 1 to 5'),
        ("5 2\n0 2 1\n1 6", ', line 2: "0 2 1": the vertex must be an integer from 1 to 5'),
        ("5 1\n1.5 2", ', line 2: "1.5 2": the vertex must be an integer from 1 to 5'),
        ("5 1\n\n#\n1 2 nan", ', line 4: "1 2 nan": the weight must be a finite number'),
        ("5 1\n1 2 -inf", ', line 2: "1 2 -inf": the weight must be a finite number'),
        ("5 1\n1 2 1e999", ', line 2: "1 2 1e999": the weight must be a finite number'),
        ("5 1\n1 2 heavy", ', line 2: "1 2 heavy": the weight must be a finite number'),
        ("5 1\r\n1\r\n", ', line 2: "1": the line must be i j or i j weight'),
        ("5 2\n1 2 3\n1 2 3 4", ', line 3: "1 2 3 4": the line must be i j or i j weight'),
        ("5 1\n1 2 3 4", ', line 2: "1 2 3 4": the line must be i j or i j weight'),
        ("5 3\n1 2\n2 3\n", ', line 1: "5 3": the header promises 3 edges, the file has 2'),
        ("\n5 1\n1 2\n2 3", ', line 2: "5 1": the header promises 1 edges, the file has 2'),
        ("5 0\n1 2", ', line 1: "5 0": the header promises 0 edges, the file has 1'),
        ("1 2 3\n", ', line 1: "1 2 3": the header must hold 2 integers: vertices, edges'),
        ("5\n", ', line 1: "5": the header must hold 2 integers: vertices, edges'),
        ("5 -1\n", ', line 1: "5 -1": the header must hold 2 integers: vertices, edges'),
        ("5 2.5\n", ', line 1: "5 2.5": the header must hold 2 integers: vertices, edges'),
        ("# nothing\n", ', line 1: "": the header must hold 2 integers: vertices, edges'),
        ("0 0\n", f', line 1: "0 0": the number of vertices must be from 1 to {MAX_VERTICES}'),
        (b"2 1\n1 \xff\x1b[31m", ', line 2: "1 ��[31m": the vertex must be an integer from 1 to 2'),
        ("", ": the file is empty"),
        (" \n\n", ": the file is empty"),
    ],
)
def test_rudy_files(tmp_path: Path, content: bytes | str, message: str) -> None:
    assert refusal(tmp_path / "graph.rudy", content) == message


@pytest.mark.parametrize("line", ["1 2 " + "9" * 10**6, "1 " * 10**6, "7" * 10**6])
def test_huge_lines_are_quoted_in_part_and_never_parsed(
    tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(np, "loadtxt")
    message = refusal(tmp_path / "graph.rudy", f"5 2\n1 2\n{line}\n")
    assert message == f', line 3: "{line[:59]}…": the line must be i j or i j weight'


def test_the_wrong_line_of_many_is_found(tmp_path: Path) -> None:
    lines = ["20000 20000", *(f"{i} {i % 20000 + 1} 1" for i in range(1, 20001))]
    lines[15_000] = "15000 15001 1 1"
    message = refusal(tmp_path / "graph.mc.gz", gzip.compress("\n".join(lines).encode()))
    assert message == ', line 15001: "15000 15001 1 1": the line must be i j or i j weight'


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("1000000000000 1", f"the number of vertices must be from 1 to {MAX_VERTICES}"),
        ("5 1000000000000", "the header promises 1000000000000 edges, the file has "),
    ],
)
def test_absurd_headers_are_refused_before_allocating(
    tmp_path: Path, header: str, reason: str
) -> None:
    for name, text in (
        ("graph", f"{header}\n1 2\n"),
        ("graph.mtx", f"{MTX}{header.split()[0]} {header}\n1 2 3\n"),
    ):
        tracemalloc.start()
        message = refusal(tmp_path / name, text)
        assert tracemalloc.get_traced_memory()[1] < 10**7
        tracemalloc.stop()
        wanted = reason if name == "graph" else reason.replace("vertices", "rows")
        assert wanted.replace("edges", "entries" if name != "graph" else "edges") in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            MTX + "3 3 2\n1 2 1\n1 x 3",
            ', line 4: "1 x 3": the vertex must be an integer from 1 to 3',
        ),
        (MTX + "3 3 1\n1 2", ', line 3: "1 2": the line must be i j weight'),
        (MTX + "3 3 1\n1 2 3 4", ', line 3: "1 2 3 4": the line must be i j weight'),
        (MTX + "3 3 1\n1 2 nan", ', line 3: "1 2 nan": the weight must be a finite number'),
        (
            MTX.replace("real", "pattern") + "3 3 1\n1 2 1",
            ', line 3: "1 2 1": the line must be i j',
        ),
        (MTX + "3 3 2\n1 2 1", ', line 2: "3 3 2": the header promises 2 entries, the file has 1'),
        (MTX + "3 4 1\n1 2 1", ', line 2: "3 4 1": the matrix must be square'),
        (MTX + "3 1\n", ', line 2: "3 1": the header must hold 3 integers: rows, columns, entries'),
        (
            MTX + "3 3 2\n1 2 1\n2 1 2",
            ": the matrix is neither symmetric nor triangular: "
            "its entries (1, 2) and (2, 1) differ; for a directed graph, sum both directions by "
            "A + A.T",
        ),
    ],
)
def test_matrix_market_files(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path / "graph.mtx", content) == message


@pytest.mark.parametrize(
    "banner",
    [
        "%%MatrixMarket matrix array real general",
        "%%MatrixMarket matrix coordinate complex general",
        "%%MatrixMarket matrix coordinate real skew-symmetric",
        "%%MatrixMarket vector coordinate real general",
        "%%MatrixMarket matrix coordinate real",
        "3 3 1",
    ],
)
def test_matrix_market_banners(tmp_path: Path, banner: str) -> None:
    message = refusal(tmp_path / "graph.mtx", f"{banner}\n3 3 1\n1 2 3\n")
    assert message.startswith(f', line 1: "{banner}": the first line must be %%MatrixMarket matrix')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b\na\n", ', line 2: "a": an edge must be two labels and, if it is not 1, a weight'),
        ("a b x", ', line 1: "a b x": the weight must be one finite number'),
        ("a b 1 2", ', line 1: "a b 1 2": the weight must be one finite number'),
        ("a b nan", ', line 1: "a b nan": the weight must be one finite number'),
        ("a b {'weight': 'x'}", ""),
        ("a b {'weight': 1", ""),
        ("a b {1, 2}", ""),
        ("a b {" + "[" * 10_000, ""),
        ("a b {'weight': " + "-" * 100_000 + "1}", ""),
        ("# only a comment\n", ": the graph has no vertices"),
        (b"a b 1\n\xff b 1\n", ", line 2: the line is not UTF-8"),
        (b"a b 1\na \0\n", ", line 2: the line has a NUL byte: the file is not text"),
    ],
)
def test_edge_lists(tmp_path: Path, content: bytes | str, message: str) -> None:
    found = refusal(tmp_path / "graph.edgelist", content)
    assert found == message or (not message and "the weight must be one finite number" in found)


def test_adjacency_lists(tmp_path: Path) -> None:
    path = tmp_path / "graph.adjlist"
    assert refusal(path, "# only a comment") == ": the graph has no vertices"
    assert refusal(path, b"\xef\xbb\xbfa\n\n\xe9 b") == ", line 3: the line is not UTF-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("graph [\n node [\n id 1\n]", ", line 5: expected ']', found EOF"),
        ("graph [\n node $ ]", ", line 2: cannot tokenize $ ]"),
        ("graph [ node [ label 1 ] ]", ": node #0 has no 'id' attribute"),
        (
            "graph [ node [ id 1 ] edge [ source 1 target 2 ] ]",
            ": edge #0 has undefined target 2",
        ),
        ("nothing 1", ": input contains no graph"),
        ("graph [ ]", ": the graph has no vertices"),
        (b"graph [\n node [ id \xff ] ]", ", line 2: the line is not UTF-8"),
        (
            "graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 weight NAN ] ]",
            ": the weight of the edge 1 – 2 is nan: it must be a finite number",
        ),
        (
            'graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 weight "x" ] ]',
            ": the weight of the edge 1 – 2 is 'x': it must be a finite number",
        ),
    ],
)
def test_gml_files(tmp_path: Path, content: bytes | str, message: str) -> None:
    assert refusal(tmp_path / "graph.gml", content) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{NAMESPACE}\n<graph></graphml>", ", line 2: broken XML: mismatched tag"),
        (f"{NAMESPACE}\n<graph>", ", line 2: broken XML: no element found"),
        ("1 2 3", ", line 1: broken XML: syntax error"),
        ("<svg/>", ", line 1: the file is no GraphML: its first element is svg"),
        (f"{NAMESPACE}<graph/></graphml>", ": the graph has no vertices"),
        (f"{NAMESPACE}<graph>\n<node/></graph></graphml>", ", line 2: the node has no id"),
        (
            f'{NAMESPACE}<graph>{NODES}\n<edge source="a" target="c"/></graph></graphml>',
            ", line 2: the edge ends at 'c', which is no node",
        ),
        (
            f'{NAMESPACE}<graph>{NODES}\n<edge source="a"/></graph></graphml>',
            ", line 2: the edge ends at None, which is no node",
        ),
        (
            f'{NAMESPACE}{WEIGHT}<graph>{NODES}<edge source="a" target="b"><data key="w">NaN</data>'
            "</edge></graph></graphml>",
            ", line 1: the weight of the edge 'a' – 'b' is 'NaN': it must be a finite number",
        ),
        (
            f'{NAMESPACE}{WEIGHT}<graph>{NODES}<edge source="a" target="b">\n'
            '<data key="w">1_0</data></edge></graph></graphml>',
            ", line 2: the weight of the edge 'a' – 'b' is '1_0': it must be a finite number",
        ),
        (
            f'{NAMESPACE}{WEIGHT}<graph>{NODES}<edge source="a" target="b">\n'
            '<data key="w">2</data><data key="w">3</data></edge></graph></graphml>',
            ", line 2: the edge has two values of 'weight'",
        ),
        (
            f"{NAMESPACE}{WEIGHT}{WEIGHT.replace('w', 'x', 1)}<graph>{NODES}"
            '<edge source="a" target="b"><data key="w">2</data><data key="x">3</data></edge>'
            "</graph></graphml>",
            ", line 1: the edge has two values of 'weight'",
        ),
        (
            f'{NAMESPACE}<graph>{NODES}<edge source="a" target="b"><data key="w">2</data></edge>'
            "</graph></graphml>",
            ", line 1: the edge has a value of 'w', which is no key of edges",
        ),
        (
            f"{NAMESPACE}<graph>{NODES}<hyperedge/></graph></graphml>",
            ", line 1: the element hyperedge can't be read: only nodes and edges can",
        ),
        (
            f'{NAMESPACE}<graph><node id="c">\n<graph>{NODES}</graph></node></graph></graphml>',
            ", line 2: the graph is nested in the element node: it must be the only one",
        ),
        (
            f"{NAMESPACE}<graph>{NODES}</graph>\n<graph/></graphml>",
            ", line 2: the graph is the second one: a file must hold one",
        ),
        (
            f"{NAMESPACE}{NODES}</graphml>",
            ", line 1: the element node may not stand in the element graphml",
        ),
        (
            f"{NAMESPACE}<graph>{NODES}\n{NODES}</graph></graphml>",
            ", line 2: two nodes have the id",
        ),
        (f"{NAMESPACE}{WEIGHT}\n{WEIGHT}</graphml>", ", line 2: two keys have the id 'w'"),
        (
            f"{NAMESPACE}<graph>{NODES}</graph>\n{WEIGHT}</graphml>",
            ", line 2: the key stands after the graph: keys must come first",
        ),
        (
            f'{NAMESPACE}<graph>{NODES}\n<Edge source="a" target="b"/></graph></graphml>',
            ", line 2: the element Edge is not one of GraphML's",
        ),
        (
            '<graphml xmlns="http://example.com"><graph/></graphml>',
            ", line 1: the file is no GraphML: its first element is http://example.com graphml",
        ),
        (
            f'{NAMESPACE}<graph edgedefault="undirected">{NODES}\n'
            '<edge source="a" target="b" directed="true"/></graph></graphml>',
            ", line 2: the edge and the graph differ in whether edges are directed",
        ),
        (
            f'{NAMESPACE}{WEIGHT}<graph>{NODES}\n<edge source="a" target="b">'
            '<data key="w">3<x/>5</data></edge></graph></graphml>',
            ", line 2: the weight of the edge",
        ),
        (
            NAMESPACE + WEIGHT.replace("/>", "><default>1</default><default>2</default></key>"),
            ", line 1: 'weight' has two defaults",
        ),
    ],
)
def test_graphml_files(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path / "graph.graphml", content).startswith(message)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_unexpanded(tmp_path: Path, encoding: str) -> None:
    laughs = '<!ENTITY e0 "ha">' + "".join(
        f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10)
    )
    bomb = (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE graphml [{laughs}]>'
        f'{NAMESPACE}<graph><node id="&e9;"/></graph></graphml>'
    )
    message = refusal(tmp_path / "graph.graphml", bomb.encode(encoding))
    assert message == ", line 2: a DOCTYPE is not allowed: its entities can expand without bound"


SYMMETRIC = MTX.replace("general", "symmetric")


def test_symmetric_matrix_market_with_an_entry_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "graph.mtx"
    assert refusal(path, SYMMETRIC + "3 3 3\n1 2 1\n3 1 1\n2 1 1\n") == (
        ": a symmetric file holds each entry once, but this one has both (2, 1) and (1, 2): "
        "leave one out, or write general in the first line"
    )
    path.write_text(SYMMETRIC + "3 3 3\n1 2 1\n3 1 4\n2 3 1\n")
    assert read_graph(path).weights.tolist() == [1, 4, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("3 3 3 3 3\n", ', line 1: "3 3 3 3 3": the header must be the numbers of vertices and'),
        ("3 x\n", ', line 1: "3 x": the header must be the numbers of vertices and edges'),
        ("3 1 2\n", ', line 1: "3 1 2": the header must be the numbers of vertices and edges'),
        ("% c\n", ', line 1: "": the header must be the numbers of vertices and edges'),
        ("999999999 1\n2\n", ": a file of this size may have 1 to 100014 vertices"),
        ("0 0\n", ": a file of this size may have 1 to 100004 vertices"),
        ("3 1\n2\n1\n", ""),
        ("3 1\n2\n1", ": the header promises one line for each of 3 vertices"),
        ("2 1\n2\n1\n\n1\n", ": the header promises one line for each of 2 vertices"),
        ("3 1\n2\n4\n\n", ', line 3: "4": the line must hold neighbours, from 1 to 3'),
        ("3 1\n2\n0\n\n", ', line 3: "0": the line must hold neighbours, from 1 to 3'),
        ("3 1\n2\nx\n\n", ', line 3: "x": the line must hold neighbours, from 1 to 3'),
        ("2 1 1\n2 5\n1\n", ', line 3: "1": the line must hold neighbours, each before its edge'),
        (
            "2 1 1\n2 5\n1 6\n",
            ": every edge must join two vertices and be where it is in the lines",
        ),
        ("3 2\n2\n3\n1\n", ": every edge must join two vertices and be where it is in the lines"),
        ("2 2\n1 2\n1\n", ": every edge must join two vertices and be where it is in the lines"),
        ("2 2\n2 2\n1 1\n", ": every edge must join two vertices and be where it is in the lines"),
        ("2 2\n2\n1\n", ": the header promises 2 edges, the file has 1"),
        ("2 1 1\n2 nan\n1 nan\n", ": every edge must join two vertices"),
        ("2 1 1\n2 1e999\n1 1e999\n", ": the weight of the edge 1 – 2 is inf: it must be a finite"),
    ],
)
def test_metis_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "graph.metis"
    if message:
        assert refusal(path, content).startswith(message)
    else:
        path.write_text(content)
        assert read_graph(path).num_vertices == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2", ", line 1: broken JSON: Expecting ',' delimiter"),
        ("{\n'a': 1}", ", line 2: broken JSON: Expecting property name enclosed in double quotes"),
        ("[" * 10**5, ": unreadable: RecursionError: maximum recursion depth exceeded"),
        ("[]", ": the file must be an object with lists of objects, nodes and edges"),
        ('{"nodes": [], "adjacency": []}', ": the file must be an object with lists of objects"),
        ('{"nodes": [1], "links": []}', ": the file must be an object with lists of objects"),
        ('{"nodes": [], "links": []}', ": the graph has no vertices"),
        ('{"nodes": [{"id": 1}, {"id": 1}], "links": []}', ": two nodes have the id 1"),
        (
            '{"nodes": [{"id": 1}], "links": [{"source": 1, "target": 2}]}',
            ": an edge ends at 2, which is no node's id",
        ),
        ('{"nodes": [{"id": 1}], "links": [{}]}', ": an edge ends at None, which is no node's id"),
        ('{"nodes": [{"id": {}}], "links": []}', ": the label {} is no text, number or list"),
        ('{"nodes": [{"id": "\\ud800"}], "links": []}', ": the label '\\ud800' has half of a"),
        (
            '{"nodes": [{}, {}], "links": [{"source": 0, "target": 1, "weight": NaN}]}',
            ": the weight of the edge 0 – 1 is nan: it must be a finite number",
        ),
        (
            '{"nodes": [{}, {}], "links": [{"source": 0, "target": 1, "weight": "x"}]}',
            ": the weight of the edge 0 – 1 is 'x': it must be a finite number",
        ),
    ],
)
def test_json_files(tmp_path: Path, content: str, message: str) -> None:
    assert refusal(tmp_path / "graph.json", content).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("graph.g6", b"B", ": 3 vertices have 3 pairs, but the file has 0 bits, six per character"),
        ("graph.g6", b"B??", ": 3 vertices have 3 pairs, but the file has 12 bits, six per"),
        ("graph.g6", b"?", ": a file of this size may have 1 to 100001 vertices"),
        ("graph.g6", b"~", ": a file of this size may have 1 to 100001 vertices"),
        ("graph.g6", b"~@", ": a file of this size may have 1 to 100002 vertices"),
        ("graph.g6", b"~~~~~~~~", ": a file of this size may have 1 to 100008 vertices"),
        ("graph.g6", b"B>", ": every character must be from ? to ~, and there must be one"),
        ("graph.g6", b"B\x7f", ": every character must be from ? to ~, and there must be one"),
        ("graph.g6", b">>graph6<<", ": the file must hold one graph, on one line"),
        ("graph.s6", b"A_", ": the file must hold one graph, on one line after :"),
        ("graph.s6", b":", ": every character must be from ? to ~, and there must be one"),
    ],
)
def test_packed_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    assert refusal(tmp_path / name, content).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "graph.json",
            '{"nodes": [{}, {}], "links": [{"source": 0, "target": 1, "weight": 1, "weight": 5}]}',
            ": an object has two values of 'weight'",
        ),
        ("graph.json", '{"nodes": [{}], "links": [], "edges": []}', ": the file has edges and"),
        (
            "graph.json",
            '{"nodes": [{}, {}], "links": [{"source": 0, "target": 1, "weight": "1_0"}]}',
            ": the weight of the edge 0 – 1 is '1_0': it must be a finite number",
        ),
        (
            "graph.gml",
            "graph [ node [ id 1 graph [ node [ id 2 ] ] ] ]",
            ": a graph is nested in another: the file must hold one",
        ),
        (
            "graph.gml",
            'graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 weight "1_0" ] ]',
            ": the weight of the edge 1 – 2 is '1_0': it must be a finite number",
        ),
        (
            "graph.gml",
            "graph [ node [ id 1 ] node [ id 2 ] edge [ source 1 target 2 weight 1 weight 5 ] ]",
            ": the weight of the edge 1 – 2 is [1, 5]: it must be a finite number",
        ),
        (
            "graph.net",
            '*Vertices 2\n1 "a"\n2 "b"\n1 "c"\n*Edges\n1 2\n',
            ', line 4: "1 "c"": the vertex 1 is listed twice',
        ),
        (
            "graph.net",
            "*Vertices 2\n*Edges\n1 2 1 weight 5\n",
            ', line 3: "1 2 1 weight 5": an edge must have its weight once',
        ),
        (
            "graph.net",
            "*Vertices 2\n*Edges\n1 2 1_0\n",
            ', line 3: "1 2 1_0": the weight of an edge must be a number',
        ),
    ],
)
def test_what_is_there_twice_is_not_read_once(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    assert refusal(tmp_path / name, content).startswith(message)


def test_the_first_of_several_networks_of_pajek_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "graph.net"
    first = "*Network a\n*Vertices 2\n*Edges\n1 2 3\n"
    path.write_text(first + "*Vertices 3\n*Edges\n1 2\n")
    with pytest.warns(UserWarning, match="the file holds several networks: only the first is read"):
        assert read_graph(path).weights.tolist() == [3]
    path.write_text(first + "*Partition b\n*Vertices 2\n1\n2\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_graph(path).weights.tolist() == [3]


def test_keys_of_graphml_of_one_name_and_several_types(tmp_path: Path) -> None:
    path = tmp_path / "graph.graphml"
    second = WEIGHT.replace('id="w"', 'id="x"').replace("double", "long")
    path.write_text(
        f'{NAMESPACE}{WEIGHT}{second}<graph>{NODES}<edge source="a" target="b">'
        '<data key="x">2</data></edge><edge source="b" target="a"><data key="w">0.5</data></edge>'
        "</graph></graphml>"
    )
    assert read_graph(path).weights.tolist() == [2.5]


def test_other_xml_may_stand_in_data_of_graphml(tmp_path: Path) -> None:
    path = tmp_path / "graph.graphml"
    path.write_text(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://y.org">'
        f'<key id="g" for="node" yfiles.type="nodegraphics"/>{WEIGHT}<y:x><node/></y:x>'
        '<graph edgedefault="undirected"><node id="a">'
        '<data key="g"><y:node><graph/></y:node></data>'
        '<port name="p"/></node><node id="b"/><edge source="a" target="b"><desc><edge/></desc>'
        '<data key="w"> 3 </data></edge></graph></graphml>'
    )
    graph = read_graph(path)
    assert graph.labels == ("a", "b")
    assert graph.weights.tolist() == [3]


def test_an_undirected_graphml_file_that_lists_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "graph.graphml"
    edges = '<edge source="a" target="b"/><edge source="b" target="a"/>'
    path.write_text(f"{NAMESPACE}<graph edgedefault='undirected'>{NODES}{edges}</graph></graphml>")
    with pytest.warns(
        UserWarning, match="in both directions, with equal weights: each counts once"
    ):
        assert read_graph(path).weights.tolist() == [1]


@pytest.mark.parametrize("read", [read_graph, read_points])
def test_a_symmetric_matrix_in_both_triangles_is_neither_graph_nor_points(
    read: Callable, tmp_path: Path
) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(SYMMETRIC + "2 2 2\n1 2 5\n2 1 5\n")
    with pytest.raises(ValueError, match=r"a symmetric file holds each entry once, but this one"):
        read(path)
