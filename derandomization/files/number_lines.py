"""Files with a header of integers, then one entry per line: G-set files and Matrix Market.

scipy's reader of Matrix Market is not used: some malformed files make it end the process, and it
ignores surplus columns.
"""

import codecs
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from derandomization.files.content import FileContent, parse_number

# A file of only these characters holds no nan, no inf and no comment: numpy may parse it at once.
_CLEAN = b"0123456789+-.eE \t\n"
_LONGEST_LINE = 1000


@dataclass(frozen=True)
class LineFormat:
    """The numbers on each line after the header: bounded integers, then a finite value."""

    bounds: tuple[tuple[str, int], ...]  # name and largest value of each integer
    value: str  # name of the finite number after them
    valued: bool | None  # whether it is required (True), forbidden (False) or optional (None)
    least: int = 1  # least value of each integer

    @property
    def counts(self) -> tuple[int, ...]:
        """The allowed numbers of columns."""
        fewest = len(self.bounds)
        return (fewest, fewest + 1) if self.valued is None else (fewest + self.valued,)

    def __str__(self) -> str:
        words = ["i", "j", "k"][: len(self.bounds)]
        return " or ".join(" ".join([*words, self.value][:count]) for count in self.counts)


class NumberLines:
    """The lines of a file, without blank lines and without comments, which start with # or %.

    ``sizes`` says what each integer of the header counts; ``header`` holds these integers.
    """

    def __init__(self, content: FileContent, sizes: tuple[str, ...]) -> None:
        self._content = content
        data = content.data.removeprefix(codecs.BOM_UTF8)
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"#" in data or b"%" in data:
            data = re.sub(rb"[#%][^\n]*", b"", data)
        self._stream = io.BytesIO(data)
        lines = enumerate(self._stream, start=1)
        self._lines = ((number, line) for number, line in lines if line.strip())
        self._number, self._text = next(self._lines, (1, b""))
        fields = [parse_number(field) for field in self._text.split(None, len(sizes))]
        if len(fields) != len(sizes) or not all(f.is_integer() and f >= 0 for f in fields):
            raise self.error(f"the header must hold {len(sizes)} integers: {', '.join(sizes)}")
        self.header = tuple(map(int, fields))

    def error(self, reason: str) -> ValueError:
        """The error to raise about the header."""
        return self._content.error(reason, self._number, _decoded(self._text))

    def entries(
        self, count: int, name: str, line: LineFormat
    ) -> Float[np.ndarray, "entries numbers"]:
        """The numbers on the ``count`` lines after the header; a missing optional value is 1.

        A ``count`` that does not fit into a file of this size is an error before anything is
        allocated. Errors call the lines by ``name``.
        """
        if count > len(self._content.data) / (2 * min(line.counts)):
            found = sum(1 for _ in self._lines)
            has = f"the file has {found}" if found < count else "more than the file has room for"
            raise self.error(f"the header promises {count} {name}, {has}")
        start = self._stream.tell()
        entries = _parse_whole(self._stream.read(), line)
        if entries is None:
            self._stream.seek(start)
            entries = _parse_lines(self._content, self._lines, line)
        if len(entries) != count:
            raise self.error(f"the header promises {count} {name}, the file has {len(entries)}")
        return entries


def _parse_whole(body: bytes, line: LineFormat) -> Float[np.ndarray, "entries numbers"] | None:
    """The entries of a well-formed file, three times as fast as by lines; None for all others."""
    if not body or body.isspace() or body.translate(None, _CLEAN):
        return None
    if max(map(len, io.BytesIO(body))) > _LONGEST_LINE:
        return None
    try:
        found = np.loadtxt(io.BytesIO(body), ndmin=2)
    except ValueError:
        return None
    if found.shape[1] not in line.counts or not np.isfinite(found).all():
        return None
    for column, (_, most) in zip(found.T, line.bounds, strict=False):
        if (column != np.floor(column)).any() or column.min() < line.least or column.max() > most:
            return None
    if found.shape[1] == len(line.bounds):
        found = np.column_stack([found, np.ones(len(found))])
    return found


def _parse_lines(
    content: FileContent, lines: Iterator[tuple[int, bytes]], line: LineFormat
) -> Float[np.ndarray, "entries numbers"]:
    """The entries, parsed line by line; raises the error of the first malformed line."""
    found, num_short = [], 0
    width = len(line.bounds) + 1
    for number, text in lines:
        fields = [] if len(text) > _LONGEST_LINE else text.split()
        if len(fields) not in line.counts:
            raise content.error(f"the line must be {line}", number, _decoded(text))
        numbers = tuple(parse_number(field) for field in [*fields, b"1"][:width])
        for value, (name, most) in zip(numbers, line.bounds, strict=False):
            if not (value.is_integer() and line.least <= value <= most):
                reason = f"the {name} must be an integer from {line.least} to {most}"
                raise content.error(reason, number, _decoded(text))
        if not math.isfinite(numbers[-1]):
            raise content.error(f"the {line.value} must be a finite number", number, _decoded(text))
        found.append(numbers)
        num_short += len(fields) < width
    if line.valued is None and 0 < num_short < len(found):
        content.warn(f"{num_short} of {len(found)} lines have no {line.value}: it is taken as 1")
    return np.array(found, dtype=np.float64).reshape(-1, width)


def _decoded(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode(errors="replace")
