"""Sections of Pajek's files, and what is refused in them."""

from pathlib import Path

import pytest

from MAXCUT.graph import Graph, read_graph

VERTICES = '*Network "a b"\n*Vertices 3\n1 "x y" 0.1 0.2 ellipse\n2 b\n3 c ic Red\n'


def edges_of(graph: Graph) -> dict[tuple, float]:
    return {
        (graph.labels[i], graph.labels[j]): weight
        for (i, j), weight in zip(graph.ends, graph.weights, strict=True)
    }


def read(folder: Path, content: str) -> Graph:
    path = folder / "graph.net"
    path.write_text(content, encoding="utf-8")
    return read_graph(path)


@pytest.mark.parametrize(
    ("content", "edges"),
    [
        ("*Edges\n1 2 4\n2 3 -0.5 c Blue\n", {("x y", "b"): 4, ("b", "c"): -0.5}),
        ("*Arcs\n1 2 4\n2 1 1\n", {("x y", "b"): 5}),
        ("*arcs :1 'knows'\n1 2\n*EDGES\n2 3\n", {("x y", "b"): 1, ("b", "c"): 1}),
        ("*Edgeslist\n1 2 3\n", {("x y", "b"): 1, ("x y", "c"): 1}),
        ("*Arcslist\n1 3\n2 3\n", {("x y", "c"): 1, ("b", "c"): 1}),
        ("*Matrix\n0 2 0\n2 0 1\n0 1 0\n", {("x y", "b"): 2, ("b", "c"): 1}),
        ("% c\n*Edges\n1 2\n*Partition p\n*Vertices 3\n1\n1\n2\n", {("x y", "b"): 1}),
        ("*Edges\n1 2\n*Network other\n*Vertices 1\n", {("x y", "b"): 1}),
    ],
)
def test_sections(tmp_path: Path, content: str, edges: dict) -> None:
    graph = read(tmp_path, VERTICES + content)
    assert graph.labels == ("x y", "b", "c")
    assert edges_of(graph) == edges


def test_several_relations_are_summed_with_a_warning(tmp_path: Path) -> None:
    content = '*Arcs :1 "likes"\n1 2 4\n*Arcs :2 "hates"\n1 2 -1\n*Edgeslist : 3\n2 3\n'
    with pytest.warns(UserWarning, match="the file holds 3 relations: their weights are summed"):
        graph = read(tmp_path, VERTICES + content)
    assert edges_of(graph) == {("x y", "b"): 3, ("b", "c"): 1}


@pytest.mark.parametrize("vertices", ["", "1 a\n", "1 a\n2 a\n", "1\n2\n"])
def test_vertices_without_labels_of_their_own_are_numbers(tmp_path: Path, vertices: str) -> None:
    graph = read(tmp_path, f"*Vertices 2\n{vertices}*Edges\n1 2\n")
    assert graph.labels == (1, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("*Edges\n1 2\n", 'line 2: "1 2": the vertex must be an integer from 1 to 0'),
        (
            "*Vertices x\n",
            'line 1: "*Vertices x": the number of vertices in a file of this size must',
        ),
        (
            "*Vertices 999999999\n",
            "the number of vertices in a file of this size must be an integer from 1 to 100020",
        ),
        (VERTICES + "*Edges\n1 4\n", 'line 7: "1 4": the vertex must be an integer from 1 to 3'),
        (VERTICES + "*Edges\n1\n", 'line 7: "1": the vertex must be an integer from 1 to 3'),
        (VERTICES + "*Edges\n1 2 heavy\n", "the weight of an edge must be a number"),
        (VERTICES + "*Edges\n1 2 1e999\n", "the weight of the edge 1 – 2 is inf: it must be a fin"),
        (VERTICES + "*Edgs\n1 2\n", 'line 7: "1 2": the line is in no section of a network of 3'),
        (VERTICES + "*Matrix\n0 1\n", "the line is in no section of a network of 3 vertices"),
        (VERTICES + "*Matrix\n0 1 0\n", "a matrix must have 3 rows, and no edges beside it"),
        (VERTICES + "*Matrix\n0 1 0\n2 0 0\n0 0 0\n", "neither symmetric nor triangular"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"graph\.net") as raised:
        read(tmp_path, content)
    assert message in str(raised.value)
    assert str(raised.value).isprintable()
