"""Broken files of every format, a few hundred each; ``tests/fuzz.py`` reads any number."""

import contextlib
import random
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derandomization.files.graphs import FORMATS
from derandomization.files.points import READERS
from derandomization.files.quadratic import SUFFIXES
from MAXCUT.graph import read_graph
from tests.fuzz import TARGETS, Target, examine, fuzz, reader_of

# One profile for all: the same examples on every machine, and no clock but that of ``examine``.
PROFILE = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_every_reader_is_fuzzed() -> None:
    fed = {Path(name).suffix for name in TARGETS}
    assert {*READERS, ".gz", ".bz2", *SUFFIXES, ".cnf", ".wcnf"} <= fed
    # A name without a suffix is read as rudy.
    assert all(fed.intersection(("", *format.suffixes)) for format in FORMATS.values())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_sound_files_can_be_read(target: Target, tmp_path: Path) -> None:
    for seed in range(20):
        content = target.sound(random.Random(seed))
        assert examine(tmp_path / target.name, content) in ("", ": the graph has no vertices")


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_broken_files_end_in_a_result_or_one_line(target: Target, tmp_path: Path) -> None:
    said = fuzz(target, 100, tmp_path)
    assert said["read"] > 0  # else nothing behind the first check was reached
    assert len(said) > 3


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_smallest_file_that_breaks_a_promise(target: Target, tmp_path: Path) -> None:
    """What is mutated and how is drawn by hypothesis, which shrinks what it finds."""
    path = tmp_path / target.name

    @PROFILE
    @given(st.one_of(st.binary(max_size=200), st.randoms(use_true_random=False).map(target.broken)))
    def examined(content: bytes) -> None:
        examine(path, content)

    examined()


def repeated(unit: bytes) -> Callable[[int], bytes]:
    return lambda size: unit * (size // len(unit))


def labels(form: bytes) -> Callable[[int], bytes]:
    """As many different words as fit, where ``form`` has its %d."""
    return lambda size: b"".join(form % number for number in range(size // (len(form) + 4)))


def headed(head: bytes, line: bytes, tail: bytes = b"") -> Callable[[int], bytes]:
    """As many lines as fit, their number where ``head`` has its %d."""

    def make(size: int) -> bytes:
        count = size // len(line)
        return (head % count if b"%d" in head else head) + line * count + tail

    return make


MARKET = b"%%%%MatrixMarket matrix coordinate pattern general\n9 9 %d\n"
GRAPHML = b'<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
# Of every format what takes the most memory for its bytes, of all that was tried.
GREEDY: dict[str, Callable[[int], bytes]] = {
    "lines.txt": headed(b"9 %d\n", b"1 2\n"),
    "mixed.txt": lambda size: headed(b"9 %d\n", b"1 2\n", b"1 2 1\n")(size),
    "comments.txt": headed(b"9 %d\n", b"1 2#\n#"),
    "hub.adjlist": labels(b"%d "),
    "nodes.adjlist": labels(b"%d\n"),
    "edges.edgelist": repeated(b"a b\n"),
    "stars.edgelist": labels(b"%d a\n"),
    "dictionary.edgelist": headed(b"a b {", b"1:1,", b"}"),
    "nodes.gml": lambda size: b"graph[" + labels(b"node[id %d]")(size) + b"]",
    "lists.gml": headed(b"graph[", b"a[]", b"]"),
    "deep.gml": repeated(b"a["),
    "nodes.graphml": lambda size: (
        GRAPHML + labels(b'<node id="%d"/>')(size) + b"</graph></graphml>"
    ),
    "elements.graphml": headed(GRAPHML, b"<a b=''/>", b"</graph></graphml>"),
    "deep.graphml": repeated(b"<a>"),
    "entries.mtx": headed(MARKET, b"1 2\n"),
    "both.edgelist": repeated(b"a b\nb a\n"),
    "edges.csv": repeated(b"a,b\n"),
    "columns.csv": lambda size: (
        b"source,target" + b",a" * (size // 4) + b"\n1,2" + b",3" * (size // 4)
    ),
    "nodes.json": lambda size: b'{"edges":[],"nodes":[' + b"{}," * (size // 3) + b"{}]}",
    "edges.json": headed(
        b'{"nodes":[{}],"links":[{"source":0,"target":0}', b',{"source":0,"target":0}', b"]}"
    ),
    "lists.json": repeated(b"[[],"),
    "vertices.net": lambda size: b"*Vertices 99999\n" + labels(b"%d a\n")(size),
    "edges.net": headed(b"*Vertices 9\n*Edges\n", b"1 2\n"),
    "hub.net": headed(b"*Vertices 9\n*Edgeslist\n1", b" 2"),
    "matrix.net": headed(b"*Vertices 9\n*Matrix\n", b"0 1 0 1 0 1 0 1 0\n"),
    "lone.metis": headed(b"%d 0\n", b"\n"),
    "hub.metis": headed(b"2 1\n2", b" 2"),
    "pairs.metis": lambda size: b"%d %d\n" % (size // 2, size // 4) + b"2\n1\n" * (size // 4),
    "star.metis": lambda size: (
        b"%d %d\n" % (size // 8 + 1, size // 8) + labels(b"%d ")(size)[2:] + b"\n1" * (size // 8)
    ),
    "model-entries.qubo": headed(b"9 %d\n", b"1 2 1\n"),
    "model-lines.coo": repeated(b"0 1 1\n"),
    "model-labels.coo": labels(b"%d 0 1\n"),
    "model-labels.json": lambda size: (
        b'{"type":"BinaryQuadraticModel","variable_type":"SPIN","linear_biases":[],'
        b'"variable_labels":[' + labels(b"%d,")(size) + b"0]}"
    ),
    "model-biases.json": headed(
        b'{"type":"BinaryQuadraticModel","variable_type":"SPIN","variable_labels":[],'
        b'"linear_biases":[1',
        b",1",
        b"]}",
    ),
    "formula-units.cnf": headed(b"p cnf 9 %d\n", b"1 0\n"),
    "formula-words.cnf": headed(b"p cnf 9 %d\n", b"1 0 "),
    "formula-weights.wcnf": repeated(b"1 2 0\n"),
    "arcs.txt": headed(b"9 %d\n", b"1 2\n"),
    "points.csv": repeated(b"1\n"),
    "points-wide.csv": lambda size: b"1," * (size // 2) + b"1",
    "points-names.csv": lambda size: b"a," * (size // 2) + b"a",
    "points-entries.mtx": headed(MARKET, b"1 2\n"),
    "points-broken.mtx": lambda size: headed(MARKET, b"1 2\n")(size)[:-2] + b"x\n",
    "points-values.mtx": headed(b"%%%%MatrixMarket matrix array real general\n%d 1\n", b"1\n"),
}


@pytest.mark.parametrize("name", GREEDY)
def test_memory_is_at_most_what_the_readers_say(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GREEDY[name](20_000))
    tracemalloc.start()
    with warnings.catch_warnings(), contextlib.suppress(ValueError):
        warnings.simplefilter("ignore")
        reader_of(path.stem.partition("-")[0])(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    multiple = 50 if name.startswith("points") else 100
    assert peak < multiple * path.stat().st_size + 2**17


PACKED = {  # the bytes with the most edges
    "complete.g6": nx.to_graph6_bytes(nx.complete_graph(500)),
    "empty.g6": nx.to_graph6_bytes(nx.empty_graph(500)),
    "parallel.s6": b":A_" + b"?" * 40_000,
    "complete.s6": nx.to_sparse6_bytes(nx.complete_graph(120)),
}


@pytest.mark.parametrize("name", PACKED)
def test_memory_of_formats_with_several_edges_per_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(PACKED[name])
    tracemalloc.start()
    read_graph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 600 * path.stat().st_size + 2**18


FREE = {  # files of a few bytes that promise as much as they may
    "graph.txt": b"100000 1\n1 2\n",
    "graph.mtx": b"%%MatrixMarket matrix coordinate pattern general\n100000 100000 1\n1 2\n",
    "graph.net": b"*Vertices 100000\n*Edges\n1 2\n",
    "points.mtx": b"%%MatrixMarket matrix coordinate real general\n1024 1024 1\n1 1 5\n",
}


@pytest.mark.parametrize("name", FREE)
def test_what_costs_a_file_nothing_is_bounded(name: str, tmp_path: Path) -> None:
    assert examine(tmp_path / name, FREE[name]) == ""  # within 32 MiB
    more = FREE[name].replace(b"100000", b"100200").replace(b"1024", b"2048")
    assert "file" in examine(tmp_path / name, more)
