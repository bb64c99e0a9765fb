"""The content of a file, read within a size limit, and errors of one line that name the file."""

import bz2
import gzip
import io
import math
import re
import stat
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from derandomization.checks import MAX_EXACT

COMPRESSED = (".gz", ".bz2")
CHUNK = 2**20
# A compressed file may unpack to this many times its size, or to the free bytes if they are more.
# Lists of edges and tables unpack to about 10 times; a megabyte of gzip can hold a gigabyte.
MAX_RATIO = 100
FREE_UNPACKED_BYTES = 2**20
# float() also accepts underscores and the digits of every script, which no file format allows.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Half of a pair of UTF-16 code units, which escapes in JSON may write.
_SURROGATE = re.compile("[\ud800-\udfff]")

ResultT = TypeVar("ResultT")


class MalformedFileError(ValueError):
    """One line with the file's name, the number of the malformed line if known, and the reason."""


@dataclass(frozen=True)
class FileContent:
    """The bytes of a file, decompressed, and its path as the caller wrote it."""

    name: str
    data: bytes = b""

    def error(
        self, reason: str, line: int | None = None, text: str | None = None
    ) -> MalformedFileError:
        """The error ``name, line: "text": reason``; ``text`` is what the malformed line says."""
        place = self.name if line is None else f"{self.name}, line {line}"
        quoted = "" if text is None else f'"{_shortened(text.strip(), 60)}": '
        message = f"{place}: {quoted}{_shortened(reason, 300)}"
        return MalformedFileError(printable(message))

    def warn(self, reason: str, line: int | None = None, text: str | None = None) -> None:
        """Warn in one line, in the words of ``error``, that the file may mean something else."""
        warnings.warn(str(self.error(reason, line, text)), stacklevel=2)

    def warn_of_rounding(self, values: np.ndarray, words: str) -> None:
        """Warn if there are numbers so large that float64 may not hold the integers in the file."""
        large = int((np.abs(values) >= MAX_EXACT).sum())
        if large:
            self.warn(f"{large} {words} are 2^53 or more: float64 may have rounded them")

    def run_reader(
        self, reader: Callable[[], ResultT], plain: tuple[type[Exception], ...] = ()
    ) -> ResultT:
        """Call the reader; convert every exception to a ``ValueError`` that names the file.

        The messages of the types in ``plain`` are clear without the name of the type.
        """
        try:
            with warnings.catch_warnings():
                # Python's warnings about code in the file are not about this program.
                for category in (SyntaxWarning, DeprecationWarning):
                    warnings.simplefilter("ignore", category)
                return reader()
        except MalformedFileError:
            raise
        except Exception as error:
            # On broken files the libraries raise a dozen other types, from KeyError to MemoryError.
            name = type(error).__name__
            kind = "" if isinstance(error, (ValueError, *plain)) else f"unreadable: {name}: "
            raise self.error(kind + (" ".join(str(error)[:1000].split()) or name)) from error

    def text(self) -> str:
        """The content as UTF-8; an error names the first line that is not."""
        try:
            text = self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise self.error("the line is not UTF-8", line) from error
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise self.error("the line has a NUL byte: the file is not text", line)
        return text

    def uncommented_lines(self) -> Iterator[tuple[int, str]]:
        """The number and the text of each line that is neither blank nor starts with # or %."""
        for number, line in enumerate(io.StringIO(self.text(), newline=None), start=1):
            words = line.strip()
            if words and words[0] not in "#%":
                yield number, words


def unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object of JSON with these pairs; Python's would keep the last of two values of a key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has two values of {repeated!r}")
    return found


def json_label(label: object) -> Hashable:
    """A label in JSON, with tuples instead of lists, and without what no file of text can hold."""
    if isinstance(label, dict):
        raise ValueError(f"the label {label!r} is no text, number or list")
    if isinstance(label, str) and _SURROGATE.search(label):
        raise ValueError(f"the label {label!r} has half of a surrogate pair, which is no character")
    return tuple(map(json_label, label)) if isinstance(label, list) else label


def printable(text: str) -> str:
    """The text with every character that could end the line or control a terminal replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file to read bytes; a pipe, a device or a socket is a ``ValueError``.

    A pipe may never end or never start, and a device may hold anything. Raises ``OSError`` if the
    file can't be opened.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a folder is an OSError
        reason = "it is a pipe, a device or a socket: it must be a regular file"
        raise FileContent(str(path)).error(reason)
    return path.open("rb")


def most_unpacked(packed_bytes: int, free_bytes: int = FREE_UNPACKED_BYTES) -> int:
    """The most bytes to which a compressed file of ``packed_bytes`` may unpack."""
    return max(free_bytes, MAX_RATIO * packed_bytes)


def read_content(
    file: io.BufferedIOBase, path: Path, *, max_bytes: int, longest_line: int | None = None
) -> FileContent:
    """Read an open file, and decompress it if the path ends in .gz or .bz2.

    No more than ``max_bytes`` are read, compressed or decompressed, and nothing of a larger file. A
    compressed file may unpack to ``most_unpacked`` bytes. The longest line, in bytes, is checked to
    the nearest MiB. A file that is broken, empty or too large is a ``ValueError``.
    """
    name = str(path)
    too_large = f"the file holds more than {max_bytes} bytes"
    if file.seekable():
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size > max_bytes:
            raise FileContent(name).error(too_large)
    content = FileContent(name, _read_bounded(file, name, max_bytes, longest_line, too_large))
    suffix = path.suffix.lower()
    if suffix in COMPRESSED:
        packed = io.BytesIO(content.data)
        stream = gzip.GzipFile(fileobj=packed) if suffix == ".gz" else bz2.BZ2File(packed)
        most = most_unpacked(len(content.data))
        if most < max_bytes:
            max_bytes = most
            too_large = f"the file unpacks to over {MAX_RATIO} times its size: unpack it by hand"
        try:
            data = _read_bounded(stream, name, max_bytes, longest_line, too_large)
            content = FileContent(name, data)
        except (OSError, EOFError, zlib.error) as error:
            raise content.error(f"the {suffix} stream is broken: {error}") from error
    return content


def parse_number(text: str | bytes) -> float:
    """The decimal number in the text, rounded to float64; NaN if the text is not a number."""
    word = text.decode("ascii", errors="replace") if isinstance(text, bytes) else text
    return float(word) if _NUMBER.fullmatch(word) else math.nan


def _read_bounded(
    stream: io.BufferedIOBase, name: str, max_bytes: int, longest_line: int | None, too_large: str
) -> bytes:
    chunks, size, in_line = [], 0, 0
    while chunk := stream.read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise FileContent(name).error(too_large)
        last_break = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        in_line = len(chunk) - last_break - 1 + (in_line if last_break < 0 else 0)
        if longest_line is not None and in_line > longest_line:
            raise FileContent(name).error(f"a line of the file has more than {longest_line} bytes")
    data = b"".join(chunks)
    if not data or data.isspace():
        raise FileContent(name).error("the file is empty")
    return data


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
