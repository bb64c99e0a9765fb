import bz2
import gzip
import io
import pickle
import random
import re
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from derandomization.files import graphs
from derandomization.files.graphs import FORMATS
from MAXCUT.graph import Graph, read_graph

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


def refusal(path: Path, content: bytes) -> str:
    """What the one line says after the file's name."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(path.name)) as raised:
        read_graph(path)
    message = str(raised.value)
    assert message.isprintable()
    return message.removeprefix(str(path))


def archive(**arrays: object) -> bytes:
    """A saved matrix, 4×4 with two edges, some of its arrays replaced or, if None, left out."""
    matrix = scipy.sparse.csr_array(
        (np.ones(2), np.array([1, 3]), np.array([0, 1, 1, 2, 2])), shape=(4, 4)
    )
    file = io.BytesIO()
    scipy.sparse.save_npz(file, matrix)
    with np.load(io.BytesIO(file.getvalue())) as loaded:
        replaced = {**loaded, **arrays}
    file = io.BytesIO()
    np.savez(file, **{name: array for name, array in replaced.items() if array is not None})
    return file.getvalue()


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"indptr": [0, 10**6, 1, 2, 2]}, "the matrix has an index pointer that decreases"),
        ({"indptr": [0, 2**62, 2**62, -(2**63), 2]}, "the matrix has an index pointer that"),
        ({"indptr": [0, 1, 2, 2, 10**6]}, "Last value of index pointer should be less than"),
        ({"indices": [1, 4]}, "axis 1 index 4 exceeds matrix dimension 4"),
        ({"indices": [1, -1]}, "negative axis 1 index: -1"),
        ({"data": np.array([1.0, np.nan])}, "the weight of the edge 2 – 3 is nan"),
        ({"data": np.array([1.0, 1j])}, "the matrix has entries of type complex128"),
        ({"data": np.array(["1", "2"])}, "the matrix has entries of type <U1"),
        ({"shape": [4, 5]}, "the matrix has shape (4, 5): it must be square"),
        ({"shape": [10**12, 10**12]}, "index pointer size 5 should be 1000000000001"),
        ({"format": "lil"}, "unreadable: NotImplementedError"),
        ({"format": None}, "the file was not written by scipy.sparse.save_npz"),
        ({"indices": None}, "unreadable: KeyError"),
    ],
)
def test_npz_archives(tmp_path: Path, arrays: dict, reason: str) -> None:
    assert reason in refusal(tmp_path / "graph.npz", archive(**arrays))


def test_the_archive_of_these_tests_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    path.write_bytes(archive())
    assert read_graph(path).ends.tolist() == [[0, 1], [2, 3]]


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    assert refusal(path, b"PK\3\4 no") == ": unreadable: BadZipFile: File is not a zip file"
    assert "BadZipFile" in refusal(path, archive()[:-30])


class Payload:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_npz_never_unpickles(tmp_path: Path) -> None:
    made = tmp_path / "made"
    payload = np.array([Payload(made), 1], dtype=object)
    pickle.loads(pickle.dumps(payload))[0].close()
    made.unlink()
    for name in ("data", "format", "indices"):
        refusal(tmp_path / "graph.npz", archive(**{name: payload}))
    assert not made.exists()


def test_npz_headers_promise_no_more_than_the_file_holds(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    file = io.BytesIO(archive(data=None))
    with zipfile.ZipFile(file, "a") as opened:
        opened.writestr("data.npy", header.getvalue())
    message = refusal(tmp_path / "graph.npz", file.getvalue())
    assert (
        message == ": the array data.npy promises shape (1000000000000,), more than the file holds"
    )


@pytest.mark.parametrize("packing", [".gz", ".bz2"])
def test_broken_streams(tmp_path: Path, packing: str) -> None:
    path = tmp_path / f"graph{packing}"
    packed = PACK[packing](b"3 2\n1 2\n2 3\n")
    broken = f": the {packing} stream is broken: "
    assert refusal(path, packed[:-5]).startswith(broken)
    assert refusal(path, b"3 2\n1 2\n2 3\n").startswith(broken)
    assert refusal(path, packed[:20] + b"\xff" + packed[21:]).startswith(broken)
    assert refusal(path, PACK[packing](b"")) == ": the file is empty"
    assert refusal(path, b"") == ": the file is empty"


@pytest.mark.parametrize("packing", PACK)
def test_a_file_of_the_largest_size_is_read(
    tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 2**20  # so small a file may unpack to this
    monkeypatch.setattr(graphs, "MAX_BYTES", limit)
    path = tmp_path / f"graph{packing}"
    start = b"2 1\n1 2\n"
    path.write_bytes(PACK[packing](start + b"\n" * (limit - len(start))))
    assert read_graph(path).num_vertices == 2
    assert refusal(path, PACK[packing](start + b"\n" * limit)) == (
        f": the file holds more than {limit} bytes"
    )


@pytest.mark.parametrize("packing", [".gz", ".bz2"])
def test_bombs_are_defused(tmp_path: Path, packing: str) -> None:
    bomb = PACK[packing](b"\n" * (20 * 2**20))
    tracemalloc.start()
    message = refusal(tmp_path / f"graph{packing}", bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message == ": the file unpacks to over 100 times its size: unpack it by hand"
    assert peak < 5 * 2**20 + 100 * len(bomb)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "MAX_BYTES", 10**7)
    path = tmp_path / "graph"
    with path.open("wb") as file:
        file.truncate(10**10)  # a hole, which takes no space
    tracemalloc.start()
    with pytest.raises(ValueError, match="graph: the file holds more than 10000000 bytes"):
        read_graph(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_bombs_inside_npz_are_defused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MAX_BYTES", 10**5)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("data.npy", bytes(10**6))
    message = refusal(tmp_path / "graph.npz", file.getvalue())
    assert message == ": the arrays unpack to more than 100000 bytes"


@pytest.mark.parametrize("name", ["graph.tsv", "graph.txt.zip", "g05_100.0", "graph.v2.gz"])
def test_unknown_suffixes(tmp_path: Path, name: str) -> None:
    pack = PACK.get(Path(name).suffix, bytes)
    path = tmp_path / name
    path.write_bytes(pack(b"2 1\n1 2\n"))
    assert read_graph(path).labels == (1, 2)
    message = refusal(path, pack(b"2 2\n1 2\n"))
    assert message == (
        ', line 1: "2 2": the header promises 2 edges, the file has 1 '
        "(the file is read as rudy; choose any other format by format= or --format: edgelist if "
        "its lines are u v [weight])"
    )


def test_what_cannot_be_opened_stays_an_os_error(tmp_path: Path) -> None:
    for name in ("missing.gml", "missing.gz", "missing.unknown"):
        with pytest.raises(FileNotFoundError):
            read_graph(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read_graph(tmp_path)


def test_messages_are_one_line_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[0m\udcff.txt"
    path.write_bytes(b"5 1\n1 x\n")
    with pytest.raises(ValueError, match=r"a�b�\[0m�.txt, line 2: ") as raised:
        read_graph(path)
    assert str(raised.value).isprintable()


SEEDS = {
    "": b"4 3\n1 2 1\n2 3 -0.5\n# c\n1 4 1e3\n",
    ".graphml": b"""<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
        <key id="w" for="edge" attr.name="weight" attr.type="double"/>
        <graph edgedefault="undirected"><node id="a"/><node id="b"/>
        <edge id="1" source="a" target="b"><data key="w">2.5</data></edge></graph></graphml>""",
    ".gml": b"""graph [ node [ id 1 label "a" ] node [ id 2 ]
        edge [ source 1 target 2 weight -2 ] ]""",
    ".adjlist": b"a b c\nb c d # x\n",
    ".edgelist": b"a b 2.5\nb c {'weight': -1}\nc d\n",
    ".mtx": b"%%MatrixMarket matrix coordinate real general\n% c\n3 3 2\n1 2 -1\n2 3 .5\n",
    ".npz": archive(),
    ".csv": b"source,target,weight\na,b,2\nb,c,-1\n",
    ".json": b'{"nodes": [{"id": 0}, {"id": 1}], "links": [{"source": 0, "target": 1}]}',
    ".net": b"*Vertices 3\n1 a\n*Edges\n1 2 -3\n*Edgeslist\n2 3 1\n",
    ".graph": b"% c\n4 3 1\n2 5\n1 5 3 -2\n2 -2 4 1\n3 1\n",
    ".g6": b">>graph6<<DQc\n",
    ".s6": b":Fa@x^\n",
}
DAMAGE = [b"nan", b"inf", b"-1", b"9" * 20, b"1e999", b"\xff", b"\0", b"\r\n", b"[", b'"']


def damaged(content: bytes, generator: random.Random) -> bytes:
    """A few bytes struck out or put in, or bytes out of nowhere."""
    if generator.random() < 0.2:
        return generator.randbytes(generator.randrange(200))
    for _ in range(generator.randrange(1, 5)):
        at, length = generator.randrange(len(content) + 1), generator.randrange(8)
        put = generator.choice([*DAMAGE, b"", generator.randbytes(2)])
        content = content[:at] + put + content[at + length :]
    return content


def outcome(path: Path) -> Graph | str:
    """The graph or the error's message; whatever else is raised escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_graph(path)
        except ValueError as error:
            return str(error)


@pytest.mark.parametrize("suffix", SEEDS)
def test_sound_files_are_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(SEEDS[suffix])
    assert len(read_graph(path).weights) > 0


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("suffix", SEEDS)
def test_nothing_but_value_errors_escapes(suffix: str, packing: str, tmp_path: Path) -> None:
    generator = random.Random(f"{suffix} {packing}")
    path = tmp_path / f"graph{suffix}{packing}"
    for attempt in range(100 if packing else 300):
        content = PACK[packing](damaged(SEEDS[suffix], generator))
        if packing and attempt % 3 == 0:
            content = damaged(content, generator)
        path.write_bytes(content)
        found = outcome(path)
        if isinstance(found, str):
            assert found.startswith(str(path)), content
            assert found.isprintable(), content
        else:
            assert found.num_vertices == len(found.labels) > 0, content
            assert np.isfinite(found.weights).all(), content


def test_every_format_is_fuzzed() -> None:
    fed = SEEDS.keys() | {".rudy"}
    assert all(fed.intersection(format.suffixes) for format in FORMATS.values())


def test_packed_graphs_have_a_limit_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "MAX_PACKED_BYTES", 3)
    message = refusal(tmp_path / "graph.g6", b"DQc\n")
    assert message == ": the file holds more than 3 bytes"
