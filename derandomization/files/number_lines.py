"""A header of integers, then a line of numbers an entry: G-set files and Matrix Market.

Matrix Market is read here because on malformed files scipy's reader ends the process or, where a
line has too many columns, says nothing.
"""

import codecs
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from derandomization.files.content import Source, number_in

# A file of nothing else holds no nan, no inf and no comment: numpy may parse it whole.
_CLEAN = b"0123456789+-.eE \t\n"
_LONGEST_LINE = 1000
_FIELDS = {"real": True, "double": True, "integer": True, "pattern": False}
_SYMMETRIES = ("general", "symmetric")


@dataclass(frozen=True)
class Banner:
    """The first line of a Matrix Market file.

    Attributes:
        layout: coordinate or array.
        valued: whether its lines end with a value; the entries of a pattern are 1.
        symmetric: whether the file holds one triangle only.
    """

    layout: str
    valued: bool
    symmetric: bool


def read_banner(source: Source, layouts: Sequence[str]) -> Banner:
    """The kind of a Matrix Market file, if it is one of these layouts and real.

    Raises:
        ValueError: it is another kind, or no Matrix Market file.
    """
    banner = source.content[:_LONGEST_LINE].decode(errors="replace").partition("\n")[0]
    words = banner.lower().split()
    if (
        len(words) != 5
        or words[:2] != ["%%matrixmarket", "matrix"]
        or words[2] not in layouts
        or words[3] not in _FIELDS
        or words[2:4] == ["array", "pattern"]
        or words[4] not in _SYMMETRIES
    ):
        reason = (
            f"the first line must be %%MatrixMarket matrix {' or '.join(layouts)}, then real, "
            "integer or pattern, then general or symmetric"
        )
        raise source.error(reason, 1, banner)
    return Banner(words[2], _FIELDS[words[3]], words[4] == "symmetric")


@dataclass(frozen=True)
class Line:
    """What a line of the body holds.

    Attributes:
        bounds: what it begins with: integers from 1 to so many, by name.
        value: what the finite number is called that follows them.
        valued: whether that number must be there (True), must not (False) or may be (None).
    """

    bounds: tuple[tuple[str, int], ...]
    value: str
    valued: bool | None

    @property
    def counts(self) -> tuple[int, ...]:
        """How many numbers the line may have."""
        few = len(self.bounds)
        return (few, few + 1) if self.valued is None else (few + self.valued,)

    def __str__(self) -> str:
        words = ["i", "j", "k"][: len(self.bounds)]
        both = (" ".join([*words, self.value][:count]) for count in self.counts)
        return " or ".join(both)


class NumberedLines:
    """The lines of a file without comments, which # and % open, and without blank ones.

    Args:
        source: the file.
        sizes: what the integers of its header count.

    Attributes:
        header: these integers, none of them negative.

    Raises:
        ValueError: the header holds anything else.
    """

    def __init__(self, source: Source, sizes: tuple[str, ...]) -> None:
        content = source.content.removeprefix(codecs.BOM_UTF8)
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"#" in content or b"%" in content:
            content = re.sub(rb"[#%][^\n]*", b"", content)
        self._source = source
        self._stream = io.BytesIO(content)
        lines = enumerate(self._stream, start=1)
        self._lines = ((number, line) for number, line in lines if line.strip())
        self._number, self._text = next(self._lines, (1, b""))
        fields = [number_in(field) for field in self._text.split(None, len(sizes))]
        if len(fields) != len(sizes) or not all(f.is_integer() and f >= 0 for f in fields):
            reason = f"the header must hold {len(sizes)} integers: {', '.join(sizes)}"
            raise self.error(reason)
        self.header = tuple(map(int, fields))

    def error(self, reason: str) -> ValueError:
        """The error to raise about the header."""
        return self._source.error(reason, self._number, _decoded(self._text))

    def entries(self, count: int, name: str, line: Line) -> Float[np.ndarray, "entries numbers"]:
        """The numbers of every line, 1 where a value may be missing and is.

        Args:
            count: how many lines the header promises; refused before anything is allocated if no
                file of this size keeps the promise.
            name: what they are called.
            line: what each of them holds.

        Raises:
            ValueError: the first line that is malformed, or another number of lines.
        """
        if count > len(self._source.content) / (2 * min(line.counts)):
            reason = f"the header promises {count} {name}, more than the file has room for"
            raise self.error(reason)
        start = self._stream.tell()
        found = _parse_whole(self._stream.read(), line)
        if found is None:
            self._stream.seek(start)
            found = _parse_lines(self._source, self._lines, line)
        if len(found) != count:
            raise self.error(f"the header promises {count} {name}, the file has {len(found)}")
        return found


def _parse_whole(body: bytes, line: Line) -> Float[np.ndarray, "entries numbers"] | None:
    """The entries of a faultless file, three times as fast as line by line; else None."""
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
        if (column != np.floor(column)).any() or column.min() < 1 or column.max() > most:
            return None
    if found.shape[1] == len(line.bounds):
        found = np.column_stack([found, np.ones(len(found))])
    return found


def _parse_lines(
    source: Source, lines: Iterator[tuple[int, bytes]], line: Line
) -> Float[np.ndarray, "entries numbers"]:
    """The entries of any file, or the error of its first malformed line."""
    found = []
    width = len(line.bounds) + 1
    for number, text in lines:
        fields = [] if len(text) > _LONGEST_LINE else text.split()
        if len(fields) not in line.counts:
            raise source.error(f"the line must be {line}", number, _decoded(text))
        numbers = tuple(number_in(field) for field in [*fields, b"1"][:width])
        for value, (name, most) in zip(numbers, line.bounds, strict=False):
            if not (value.is_integer() and 1 <= value <= most):
                reason = f"the {name} must be an integer from 1 to {most}"
                raise source.error(reason, number, _decoded(text))
        if not math.isfinite(numbers[-1]):
            raise source.error(f"the {line.value} must be a finite number", number, _decoded(text))
        found.append(numbers)
    return np.array(found, dtype=np.float64).reshape(-1, width)


def _decoded(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode(errors="replace")
