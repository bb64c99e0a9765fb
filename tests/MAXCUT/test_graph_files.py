"""Files as people have them: each is read as its owner means it, or refused in one line."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest

from MAXCUT.graph import read_graph
from MAXCUT.utilities import maximum_cut

SHARED = Path(__file__).parents[3] / "shared"
CASES = SHARED / "cases" / "graphs"
BIQMAC = SHARED / "biqmac"
HEADER = "the line is taken for a header, not for an edge"
# The options for each file, the optimum of the graph it means, and the words of the warning.
INTENDED = [
    ("hash.edgelist", {}, 5, ""),
    ("hash2.edgelist", {}, 10, ""),
    ("csv2.edgelist", {}, 2, ""),
    ("csv3.edgelist", {}, 5.5, ""),
    ("hdr.edgelist", {}, 2, HEADER),
    ("hdr.adjlist", {}, 2, HEADER),
    ("snap.txt", {}, 4, ""),
    ("snap2.edgelist", {}, 4, "every edge is listed in both directions"),
    ("zero.rudy", {}, 4, ""),
    ("lesmis.gml", {"weight": "value"}, 41, ""),
    ("lesmis.gml", {}, 2, "weight='value'"),
    ("gephi.graphml", {"weight": "Weight"}, 4, ""),
    ("gephi.graphml", {}, 2, "weight='Weight'"),
    ("def.graphml", {}, 6, ""),
    ("symu.mtx", {}, 2, ""),
    ("out.edgelist", {}, 2, ""),
    ("g05_3.0", {}, 2, ""),
    ("metis4.txt", {"format": "metis"}, 4, ""),
]
REFUSED = {
    "dir.mtx": "for a directed graph, sum both directions by A + A.T",
    "metis4.txt": "choose one by format= or --format, rudy or metis",
}


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")
@pytest.mark.parametrize(("name", "options", "optimum", "words"), INTENDED)
def test_cases_that_are_read(name: str, options: dict, optimum: float, words: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = read_graph(CASES / name, **options)
    assert maximum_cut(graph) == optimum
    assert [words in str(warning.message) for warning in caught] == [True] * bool(words)


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")
@pytest.mark.parametrize("name", REFUSED)
def test_cases_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name) as raised:
        read_graph(CASES / name)
    message = str(raised.value)
    assert message.startswith(str(CASES / name))
    assert message.endswith(REFUSED[name])
    assert message.isprintable()


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")
def test_every_case_is_tested() -> None:
    assert {name for name, *_ in INTENDED} | set(REFUSED) == {path.name for path in CASES.iterdir()}


@pytest.mark.skipif(not BIQMAC.is_dir(), reason="../shared/biqmac is not there")
def test_all_graphs_of_biq_mac_are_read_whole(tmp_path: Path) -> None:
    with (BIQMAC / "best_known.csv").open(encoding="utf-8") as file:
        known = [row["instance"] for row in csv.DictReader(file) if row["kind"] == "maxcut"]
    assert len(known) == 51
    for name in known:
        path = BIQMAC / f"{name}.mc"
        n, m = map(int, path.read_text().split(maxsplit=2)[:2])
        i, j, weights = np.loadtxt(path, skiprows=1).T
        bare = tmp_path / name  # as the library names it
        bare.write_bytes(path.read_bytes())
        for graph in (read_graph(path), read_graph(bare)):
            assert graph.num_vertices == n
            assert np.count_nonzero(weights) == len(graph.weights)
            assert len(weights) == m
            whole = np.zeros((n, n))
            whole[i.astype(int) - 1, j.astype(int) - 1] = weights
            np.testing.assert_array_equal(graph.adjacency().toarray(), whole + whole.T)
