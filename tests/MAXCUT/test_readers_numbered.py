from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from derandomization.files import number_lines
from MAXCUT.graph import Graph
from MAXCUT.readers import read_graph

GSET = Path(__file__).parents[3] / "shared" / "gset"
RUDY = b"4 3\n1 2 1\n2 3 -2.5\n1 4 3\n"


def assert_is_rudys(graph: Graph) -> None:
    assert graph.labels == (1, 2, 3, 4)
    assert graph.ends.tolist() == [[0, 1], [0, 3], [1, 2]]
    assert graph.weights.tolist() == [1, 3, -2.5]


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


instances = sorted(GSET.glob("G*.txt"))


@pytest.mark.skipif(not instances, reason="../shared/gset is not there")
def test_all_fourteen_gset_graphs_are_read_whole() -> None:
    assert len(instances) == 14
    for path in instances:
        n, m = map(int, path.read_text().split(maxsplit=2)[:2])
        graph = read_graph(path)
        assert (graph.num_vertices, len(graph.weights)) == (n, m)
        assert graph.labels == tuple(range(1, n + 1))
        i, j, weights = np.loadtxt(path, skiprows=1).T
        ends = (i.astype(int) - 1, j.astype(int) - 1)
        half = scipy.sparse.coo_array((weights, ends), shape=(n, n))
        assert abs(graph.adjacency() - (half + half.T)).max() == 0


@pytest.mark.parametrize("suffix", ["", ".txt", ".rudy", ".gset", ".mc", ".MC"])
def test_all_suffixes_of_rudy_files(tmp_path: Path, suffix: str) -> None:
    graph = read_graph(str(write(tmp_path, f"G14{suffix}", RUDY)))
    assert_is_rudys(graph)


@pytest.mark.parametrize(
    "content",
    [
        RUDY.replace(b"\n", b"\r\n"),
        RUDY.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + RUDY,
        b"# \xff a comment\n\n 4 3 % another\n1\t2 # and one more\n" + RUDY[10:] + b"\n  \n",
        b"4 3\n1 2\n2 3 -2.5\n1 4 3\n",
        b"4e0 3\n1.0 2 1.\n+2 3 -25e-1\n1 4 3",
    ],
)
def test_spellings_of_rudy_files(tmp_path: Path, content: bytes) -> None:
    assert_is_rudys(read_graph(write(tmp_path, "graph", content)))


@pytest.mark.parametrize("columns", [2, 3])
def test_clean_files_never_go_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.delattr(number_lines, "_parse_lines")
    lines = [" ".join(["1", str(j), "-1e-3"][:columns]) for j in range(2, 1001)]
    content = "\n".join(["1000 999", *lines]).encode()
    assert len(read_graph(write(tmp_path, "graph", content)).weights) == 999


def test_a_pattern_weighs_1(tmp_path: Path) -> None:
    content = b"%%MatrixMarket matrix coordinate pattern symmetric\n% c\n3 3 2\n2 1\n3 2\n"
    graph = read_graph(write(tmp_path, "graph.mtx", content))
    assert graph.ends.tolist() == [[0, 1], [1, 2]]
    assert graph.weights.tolist() == [1, 1]
