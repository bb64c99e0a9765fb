"""Tables of numbers in .csv files, with or without a first row of names.

pandas' reader is not used: it fills short rows with NaN, takes True for 1 and a surplus first
column for an index, so that every rule below would have to be checked before it reads; and its
import takes longer than reading 800 000 numbers does.
"""

import csv
import io
import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from derandomization.files.cells import CellFormat, cell_format, is_name, is_not_finite
from derandomization.files.content import FileContent

# A file of only these characters and separators holds no nan, no inf, no quotes and no comment.
_CLEAN = b"0123456789+-.eE \t\r\n"
_LONGEST_SHOWN = 40


class Table(NamedTuple):
    """Rows of numbers, and the names of the columns if the file has them."""

    values: np.ndarray
    names: tuple[str, ...] | None = None


def read_csv_table(content: FileContent) -> Table:
    """Read rows of numbers between commas, or between semicolons if the first row has one.

    A first row without numbers names the columns. Every other cell must be a finite number, which
    may be in quotes, and every row as long as the first; between semicolons all numbers have a
    decimal comma or all have a decimal point. Errors name the row and the column.

    Warns if commas are read as decimal marks, and if the first row counts the columns.
    """
    stream = _stream(content)
    cells, first, names = _first_row(content, stream)
    start, first_row = (stream.tell(), 2) if names else (0, 1)
    values = _parse_whole(stream.getvalue()[start:], cells, len(first))
    if values is None:
        stream.seek(start)
        rows = _rows(content, cells, stream, first_row)
        values = _parse_rows(content, cells, rows, len(first), names)
    if not len(values):
        raise content.error("the file holds no row of numbers")
    cells.warn_of_decimal_commas(content)
    if names is None:
        _warn_of_numbered_columns(content, values)
    return Table(values, names)


def read_csv_names(content: FileContent) -> tuple[str, ...] | None:
    """Read the names of the columns alone; None if the first row holds numbers."""
    return _first_row(content, _stream(content))[2]


def _stream(content: FileContent) -> io.StringIO:
    return io.StringIO(content.text().rstrip(" \t\r\n"), newline="")


def _first_row(
    content: FileContent, stream: io.StringIO
) -> tuple[CellFormat, list[str], tuple[str, ...] | None]:
    """How cells are written, the first row, and the names in it; the stream is then after it."""
    cells = cell_format(stream.readline())
    stream.seek(0)
    _, first = next(_rows(content, cells, stream, 1))
    return cells, first, _names(content, cells, first)


def _rows(
    content: FileContent, cells: CellFormat, stream: io.StringIO, first_row: int
) -> Iterator[tuple[int, list[str]]]:
    """The number of each row from here on, and its cells without blanks around them."""
    reader = csv.reader(stream, delimiter=cells.separator, skipinitialspace=True, strict=True)
    for number in itertools.count(first_row):
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            raise content.error(f"row {number}: {problem}") from problem
        if not row:
            raise content.error(f"row {number} is blank")
        yield number, [cell.strip() for cell in row]


def _names(content: FileContent, cells: CellFormat, first: Sequence[str]) -> tuple[str, ...] | None:
    """The names in the first row; None if it holds numbers. Anything else is an error."""
    numeric = [cells.is_number(cell) or is_not_finite(cell) for cell in first]
    if all(numeric):
        return None
    # numpy.savetxt writes a header as a comment.
    names = [first[0].removeprefix("#").strip(), *first[1:]]
    allowed = "a row must hold numbers only or, if it is the first, names only"
    if any(numeric):
        number, other = numeric.index(True), numeric.index(False)
        raise content.error(
            f"row 1, column {other + 1} is {_shown(first[other])}, but column {number + 1} is the "
            f"number {_shown(first[number])}: {allowed}{_index_hint(first)}"
        )
    unnamed = [column for column, name in enumerate(names, start=1) if _is_unnamed(name)]
    if unnamed:
        shown = _shown(first[unnamed[0] - 1])
        raise content.error(f"row 1, column {unnamed[0]} is {shown}: {allowed}{_index_hint(first)}")
    if not any(map(is_name, names)):
        reason = f"row 1, column 1 is {_shown(first[0])}, neither a number nor a name"
        raise content.error(
            f"{reason}: some name must start with a letter, and commas or semicolons separate cells"
        )
    return tuple(names)


def _is_unnamed(name: str) -> bool:
    """Whether pandas wrote the name for the column of an index."""
    return not name or name.startswith("Unnamed: ")


def _index_hint(first: Sequence[str]) -> str:
    if _is_unnamed(first[0]):
        return " (if pandas wrote the file, leave out its index by index=False)"
    return ""


def _parse_whole(
    body: str, cells: CellFormat, width: int
) -> Float[np.ndarray, "rows columns"] | None:
    """The rows of a well-formed file, three times as fast as by cells; None for all others."""
    if not body or body.encode().translate(None, _CLEAN + b",;"):
        return None
    if cells.separator == ";" and "," in body:
        if "." in body:
            return None
        body = body.replace(",", ".")
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    try:
        values = np.loadtxt(io.StringIO(body), delimiter=cells.separator, ndmin=2, comments=None)
    except ValueError:
        return None
    # numpy skips blank lines.
    if values.shape != (body.count("\n") + 1, width) or not np.isfinite(values).all():
        return None
    return values


def _parse_rows(
    content: FileContent,
    cells: CellFormat,
    rows: Iterable[tuple[int, list[str]]],
    width: int,
    names: Sequence[str] | None = None,
) -> Float[np.ndarray, "rows columns"]:
    """The rows, parsed cell by cell; raises the error of the first malformed cell."""
    values = array("d")
    mark = ""  # the decimal mark of the numbers so far
    for number, row in rows:
        if len(row) != width:
            raise content.error(f"row {number} has {len(row)} cells, row 1 has {width}")
        for column, cell in enumerate(row, start=1):
            value = cells.number(cell)
            if not math.isfinite(value):
                place = f"row {number}, column {column}"
                name = f" ({_shown(names[column - 1])})" if names else ""
                hint = "; encode text as numbers, or drop the column" if is_name(cell) else ""
                reason = f"is {_shown(cell)}: it must be a finite number{hint}"
                raise content.error(f"{place}{name} {reason}")
            if cells.separator == ";" and (found := _decimal_mark(cell)):
                mark = mark or found
                if found != mark:
                    reason = f"has a decimal {_MARKS[found]}, an earlier number a {_MARKS[mark]}"
                    raise content.error(f"row {number}, column {column} {reason}")
            values.append(value)
    return np.array(values).reshape(-1, width)


_MARKS = {",": "comma", ".": "point"}


def _decimal_mark(cell: str) -> str:
    return next((mark for mark in _MARKS if mark in cell), "")


def _warn_of_numbered_columns(
    content: FileContent, values: Float[np.ndarray, "rows columns"]
) -> None:
    """Warn about a first row 0, 1, 2, … or 1, 2, 3, …, which may be a header."""
    width = values.shape[1]
    counts = np.arange(width)
    if width > 1 and len(values) > 1 and any((values[0] == counts + k).all() for k in (0, 1)):
        shown = f"{values[0, 0]:g}, {values[0, 1]:g}{', …' if width > 2 else ''}"
        content.warn(f"row 1 is {shown}: it is read as a point, not as names of columns")


def _shown(cell: str) -> str:
    """The cell in quotes, for messages."""
    if not cell:
        return "empty"
    return repr(cell if len(cell) <= _LONGEST_SHOWN else f"{cell[: _LONGEST_SHOWN - 1]}…")
