"""Files of strangers: read within a limit, and one line that says what is wrong with them."""

import bz2
import gzip
import io
import math
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PACKED = (".gz", ".bz2")
CHUNK = 2**20
# float() also takes underscores and the digits of every script, which no format means.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)

ResultT = TypeVar("ResultT")


class MalformedFileError(ValueError):
    """One line naming the file, where possible the line of it, and the reason."""


@dataclass(frozen=True)
class Source:
    """The unpacked bytes of a file.

    Attributes:
        name: the path as the caller wrote it.
        content: every byte of the file.
    """

    name: str
    content: bytes = b""

    def error(
        self, reason: str, line: int | None = None, text: str | None = None
    ) -> MalformedFileError:
        """The error to raise: ``name, line: "text": reason``, whatever characters are in it."""
        place = self.name if line is None else f"{self.name}, line {line}"
        quoted = "" if text is None else f'"{_shortened(text.strip(), 60)}": '
        message = f"{place}: {quoted}{_shortened(reason, 300)}"
        return MalformedFileError(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
        )

    def read(
        self, reader: Callable[[], ResultT], plain: tuple[type[Exception], ...] = ()
    ) -> ResultT:
        """What the reader returns; whatever it raises becomes one line that names the file.

        Args:
            reader: of this file.
            plain: exceptions that, like ``ValueError``, need no name beside their message.

        Raises:
            ValueError: the reader fails, in any way.
        """
        try:
            with warnings.catch_warnings():
                # What Python has to say of the dictionaries in the file, not of this program.
                for category in (SyntaxWarning, DeprecationWarning):
                    warnings.simplefilter("ignore", category)
                return reader()
        except MalformedFileError:
            raise
        except Exception as error:
            # On broken files the libraries raise a dozen other types, from KeyError to MemoryError.
            name = "" if isinstance(error, (ValueError, *plain)) else type(error).__name__
            kind = f"unreadable: {name}: " if name else ""
            raise self.error(kind + _one_line(error)) from error

    def text(self) -> str:
        """The content as UTF-8, or an error that names the first line that is not."""
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise self.error("the line is not UTF-8", line) from error
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise self.error("the line has a NUL byte: the file is not text", line)
        return text

    def uncommented_lines(self) -> Iterator[tuple[int, str]]:
        """The number and the words of each line that is not blank, without its # comment."""
        for number, line in enumerate(io.StringIO(self.text(), newline=None), start=1):
            words = line.partition("#")[0].strip()
            if words:
                yield number, words


def read_source(
    file: io.BufferedIOBase, path: Path, *, max_bytes: int, longest_line: int | None = None
) -> Source:
    """Everything in an open file, unpacked if the path ends in .gz or .bz2.

    Args:
        file: open for reading, from its start.
        path: what the file is called.
        max_bytes: the most it may hold, packed or unpacked; no more than that is ever read.
        longest_line: the most bytes between two line breaks, checked to the nearest MiB.

    Raises:
        ValueError: a broken or truncated stream, no content, or more than is allowed.
    """
    name = str(path)
    source = Source(name, _read_bounded(file, name, max_bytes, longest_line))
    suffix = path.suffix.lower()
    if suffix in PACKED:
        packed = io.BytesIO(source.content)
        stream = gzip.GzipFile(fileobj=packed) if suffix == ".gz" else bz2.BZ2File(packed)
        try:
            source = Source(name, _read_bounded(stream, name, max_bytes, longest_line))
        except (OSError, EOFError, zlib.error) as error:
            raise source.error(f"the {suffix} stream is broken: {error}") from error
    return source


def number_in(text: str | bytes) -> float:
    """The number that is written there, as finite as float64 has it; nan where there is none."""
    word = text.decode("ascii", errors="replace") if isinstance(text, bytes) else text
    return float(word) if _NUMBER.fullmatch(word) else math.nan


def _read_bounded(
    stream: io.BufferedIOBase, name: str, max_bytes: int, longest_line: int | None
) -> bytes:
    chunks, size, in_line = [], 0, 0
    while chunk := stream.read(CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise Source(name).error(f"the file holds more than {max_bytes} bytes")
        last_break = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        in_line = len(chunk) - last_break - 1 + (in_line if last_break < 0 else 0)
        if longest_line is not None and in_line > longest_line:
            raise Source(name).error(f"a line of the file has more than {longest_line} bytes")
    content = b"".join(chunks)
    if not content or content.isspace():
        raise Source(name).error("the file is empty")
    return content


def _one_line(error: Exception) -> str:
    return " ".join(str(error)[:1000].split()) or type(error).__name__


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
