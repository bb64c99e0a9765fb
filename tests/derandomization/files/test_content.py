"""Reading within limits, and errors of one line."""

import io
import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derandomization.files.content import (
    FileContent,
    MalformedFileError,
    parse_number,
    read_content,
)


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
