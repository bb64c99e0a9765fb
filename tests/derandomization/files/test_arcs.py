"""Directed graphs from files: every arc keeps its direction."""

from pathlib import Path

import pytest

from derandomization.files.edges import EdgeList
from derandomization.files.graphs import read_arc_file


def read(path: Path) -> EdgeList:
    return read_arc_file(path, lambda arcs: arcs)


def test_opposite_arcs_stay_two(tmp_path: Path) -> None:
    path = tmp_path / "graph"
    path.write_text("# arcs\n3 3\n1 2 5\n2 1 5\n3 1 2\n")
    found = read(path)
    assert found.labels == (1, 2, 3)
    assert found.ends.tolist() == [[0, 1], [1, 0], [2, 0]]
    assert found.weights.tolist() == [5, 5, 2]


def test_an_arc_outside_the_graph(tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("2 1\n1 3\n")
    with pytest.raises(ValueError, match=r"line 2: .*the vertex must be an integer from 1 to 2"):
        read(path)


def test_a_weight_that_float64_rounds_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("2 2\n1 2 9007199254740993\n2 1 9007199254740991\n")
    with pytest.warns(UserWarning, match=r"1 weights are 2\^53 or more: float64 may have rounded"):
        read(path)
