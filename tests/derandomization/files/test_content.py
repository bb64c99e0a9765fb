"""Reading within limits, and errors of one line."""

import bz2
import gzip
import io
import math
import os
import socket
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derandomization.files.content import (
    FileContent,
    MalformedFileError,
    open_regular,
    parse_number,
    read_content,
)
from derandomization.files.points import READERS, read_points
from MAXCUT.graph import read_graph


class Endless(io.RawIOBase):
    """Zeros without end, and how many of them were asked for."""

    def __init__(self) -> None:
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        buffer[:] = b"0" * len(buffer)
        self.given += len(buffer)
        return len(buffer)


def test_no_more_is_read_than_the_limit() -> None:
    endless = Endless()
    with pytest.raises(ValueError, match=r"^a\.txt: the file holds more than 5000000 bytes$"):
        read_content(io.BufferedReader(endless), Path("a.txt"), max_bytes=5_000_000)
    assert endless.given < 5_000_000 + 2 * 2**20


def test_a_line_of_a_gigabyte_is_not_read_to_its_end() -> None:
    endless = Endless()
    with pytest.raises(
        ValueError, match=r"^a\.csv: a line of the file has more than 3000000 bytes"
    ):
        read_content(
            io.BufferedReader(endless), Path("a.csv"), max_bytes=2**30, longest_line=3_000_000
        )
    assert endless.given < 3_000_000 + 2 * 2**20


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\n"])
def test_many_lines_are_no_long_line(line_break: bytes) -> None:
    content = (b"0" * 700_000 + line_break) * 5
    found = read_content(
        io.BytesIO(content), Path("a.csv"), max_bytes=2**30, longest_line=2 * 2**20
    )
    assert found.data == content


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(value: float) -> None:
    assert parse_number(repr(value)) == value
    assert parse_number(repr(value).encode()) == value


@pytest.mark.parametrize(
    "text", ["", "1_0", "٣", "１", "0x10", "nan", "inf", "1e", "e5", ".", "+-1", "1 2", "1\n", "½"]
)
def test_what_is_no_number(text: str) -> None:
    assert math.isnan(parse_number(text))
    assert math.isnan(parse_number(text.encode()))


def test_numbers_beyond_float64_are_infinite() -> None:
    assert parse_number("1e999") == math.inf
    assert parse_number(b"-" + b"9" * 400) == -math.inf


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a\nb\x1b[0m"), "f: a b�[0m"),
        (KeyError("x"), "f: unreadable: KeyError: 'x'"),
        (LookupError("plain"), "f: plain"),
        (MemoryError(), "f: unreadable: MemoryError: MemoryError"),
        (RecursionError("deep " * 10_000), "f: unreadable: RecursionError: " + "deep " * 100),
        (MalformedFileError("g, line 7: no"), "g, line 7: no"),
    ],
)
def test_whatever_a_reader_raises_is_one_line(error: Exception, message: str) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(MalformedFileError) as raised:
        FileContent("f").run_reader(fail, plain=(LookupError,) if "plain" in str(error) else ())
    found = str(raised.value)
    assert found.isprintable()
    assert found == message if len(message) < 300 else message.startswith(found[:-1])


def test_warnings_about_the_files_own_code_are_not_ours() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FileContent("f").run_reader(lambda: compile("'\\s'", "f", "eval"))
        FileContent("f").run_reader(lambda: warnings.warn("ours", stacklevel=1))
    assert [str(each.message) for each in caught] == ["ours"]


NOT_REGULAR = "it is a pipe, a device or a socket: it must be a regular file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("name", ["a", "a.npy", "a.npz", "a.csv", "a.mtx", "a.gz", "a.graphml"])
def test_pipes_sockets_and_devices_are_not_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = [read_graph, read_points] if Path(name).suffix in READERS else [read_graph]
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        os.mkfifo("pipe")
        for kind in ("socket", "pipe", "/dev/zero"):
            Path(name).symlink_to(kind)
            for read in readers:
                with pytest.raises(ValueError, match=f"^{name}: {NOT_REGULAR}$"):
                    read(Path(name))
            Path(name).unlink()


def test_links_to_regular_files_are_read_and_folders_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with open_regular(tmp_path / "b") as file:
        assert file.read() == b"x"
    with pytest.raises(OSError, match="Is a directory"):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "c")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_a_stream_unpacks_to_a_hundred_times_its_size(suffix: str, pack: Callable) -> None:
    packed = pack(b"1 2 1\n" * 2**20)
    assert 150 * len(packed) < 6 * 2**20
    tracemalloc.start()
    with pytest.raises(
        ValueError, match=rf"^a{suffix}: the file unpacks to over 100 times its size"
    ):
        read_content(io.BytesIO(packed), Path("a").with_suffix(suffix), max_bytes=2**30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2**20 + 100 * len(packed)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_ordinary_files_unpack_to_less(suffix: str, pack: Callable) -> None:
    edges = "".join(f"{i} {i % 500 + 1} 1\n" for i in range(1, 200_001)).encode()
    assert len(edges) > 2 * 2**20
    found = read_content(io.BytesIO(pack(edges)), Path("a").with_suffix(suffix), max_bytes=2**30)
    assert found.data == edges
