"""Points from files: .npy, .npz, .csv and Matrix Market, never pickled objects."""

import io
import math
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization.files.arrays import check_archive, load_sparse, read_header, sparse_entries
from derandomization.files.content import FileContent, open_regular, read_content
from derandomization.files.matrix_market import read_banner, require_each_entry_once
from derandomization.files.number_lines import LineFormat, NumberLines
from derandomization.files.tables import Table, read_csv_names, read_csv_table

MAX_NUMBERS = 2**29  # 4 GiB in float64; larger tables are refused instead of filling the swap
LONGEST_LINE = 2**24  # bytes of a .csv line: a million coordinates of sixteen characters
# Zeros take no space in a sparse file. In typical word counts one number in a thousand is not 0.
SPARSEST = 1000  # the largest ratio of a table's bytes to those of its sparse file
FREE_NUMBERS = 2**20  # tables up to 8 MiB are exempt from that ratio


def read_points(path: Path) -> Float[Tensor, "points dimension"]:
    """A table of finite numbers in float64, one point per row; see ``read_table``."""
    return torch.from_numpy(read_table(path).values)


def read_table(path: Path) -> Table:
    """Rows of finite numbers in float64, with the names of the columns if the file has them.

    The suffix gives the format: .npy or .npz with one array of numpy, .npz with a sparse matrix of
    ``scipy.sparse.save_npz``, .csv with numbers between commas or semicolons, of which the first
    row may be names (see ``read_csv_table``), or .mtx for Matrix Market, dense or sparse.

    Warns about columns in which all rows agree, since these change no distance.

    Needs at most 32 MiB and 50 times the size of the file, unpacked, in memory; for a sparse file
    also the table, which is at most 1000 times the size of the file. Tables of more than 2^29
    numbers, shapes that need a larger file, archives that unpack to over 32 MiB and 100 times their
    size, and what is no regular file are refused before they are read. All errors are a
    ``ValueError`` of one line that names the file and the reason.
    """
    content = FileContent(str(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        allowed = ", ".join(READERS)
        raise content.error(f"the suffix is {path.suffix!r}: it must be one of {allowed}")
    try:
        with open_regular(path) as file:
            table = content.run_reader(lambda: _checked(reader(file, path)))
    except OSError as problem:
        raise _unreadable(content, problem) from None
    values = table.values
    constant = int((values == values[0]).all(axis=0).sum()) if len(values) > 1 else 0
    if constant:
        reason = f"{constant} of {values.shape[1]} columns are constant"
        warnings.warn(str(content.error(reason)), stacklevel=2)
    return table


def read_column_names(path: Path) -> tuple[str, ...] | None:
    """The names in the first row of a .csv; None if it has none, and for the other formats.

    No other row is read. Errors are those of ``read_table``.
    """
    content = FileContent(str(path))
    if path.suffix.lower() != ".csv":
        return None
    try:
        with open_regular(path) as file:
            return content.run_reader(lambda: read_csv_names(_csv_content(file, path)))
    except OSError as problem:
        raise _unreadable(content, problem) from None


def _unreadable(content: FileContent, problem: OSError) -> ValueError:
    return content.error(f"the file can't be read ({problem.strerror or 'broken'})")


def _checked(found: np.ndarray | Table) -> Table:
    """The table in float64, if it holds finite real numbers in rows and columns."""
    table, names = found if isinstance(found, Table) else Table(found)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"the array has shape {table.shape}: it must be a table of points")
    if table.dtype.kind not in "fiub":
        raise ValueError(f"the entries are {table.dtype}: they must be real numbers")
    # Conversion warns when a longer float overflows, and for some kinds of nan in shorter floats.
    with np.errstate(over="ignore", invalid="ignore"):
        table = np.ascontiguousarray(table, dtype=np.float64)
    finite = np.isfinite(table)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        value = table[row, column]
        raise ValueError(f"row {row + 1}, column {column + 1} is {value}: no number")
    return Table(table, names)


def _require_size(shape: tuple[int, ...], sparse_bytes: float = math.inf) -> None:
    """Refuse a table of too many numbers, or one far larger than the sparse file it comes from."""
    if (numbers := math.prod(shape)) > MAX_NUMBERS:
        raise ValueError(f"the table has shape {shape}: more than {MAX_NUMBERS} numbers")
    if 8 * (numbers - FREE_NUMBERS) > SPARSEST * sparse_bytes:
        raise ValueError(f"the table has shape {shape}: over {SPARSEST} times the file's size")


def _read_npy(file: io.BufferedReader, path: Path) -> np.ndarray:
    _require_size(read_header(file, os.fstat(file.fileno()).st_size, path.name).shape)
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _read_npz(file: io.BufferedReader, path: Path) -> np.ndarray:
    headers = check_archive(file, 8 * MAX_NUMBERS)
    if "format.npy" in headers:
        entries = sparse_entries(load_sparse(file, headers))
        _require_size(entries.shape, sum(header.num_bytes for header in headers.values()))
        return entries.toarray()
    if len(headers) != 1:
        names = ", ".join(name.removesuffix(".npy") for name in headers) or "none"
        raise ValueError(f"the file holds the arrays {names}: it must hold one")
    _require_size(next(iter(headers.values())).shape)
    with np.load(file, allow_pickle=False) as arrays:
        return arrays[arrays.files[0]]


def _read_csv(file: io.BufferedReader, path: Path) -> Table:
    return read_csv_table(_csv_content(file, path))


def _csv_content(file: io.BufferedReader, path: Path) -> FileContent:
    return read_content(file, path, max_bytes=8 * MAX_NUMBERS, longest_line=LONGEST_LINE)


def _read_matrix_market(file: io.BufferedReader, path: Path) -> np.ndarray:
    content = read_content(file, path, max_bytes=8 * MAX_NUMBERS)
    banner = read_banner(content, ("coordinate", "array"))
    sparse = banner.layout == "coordinate"
    lines = NumberLines(content, ("rows", "columns", *(("entries",) if sparse else ())))
    n, d, *promised = lines.header
    _require_size((n, d))
    if banner.symmetric and n != d:
        raise lines.error("the matrix calls itself symmetric: it must be square")
    if not sparse:
        return _dense(lines, n, d, symmetric=banner.symmetric)
    _require_size((n, d), len(content.data))
    line = LineFormat((("row", n), ("column", d)), "value", banner.valued)
    entries = lines.entries(promised[0], "entries", line)
    ends = entries[:, :2].astype(np.int64) - 1
    if banner.symmetric:
        require_each_entry_once(content, ends, n)
    row, column = ends.T
    table = np.zeros((n, d))
    with np.errstate(over="ignore"):  # infinite sums are refused later, as infinite entries
        np.add.at(table, (row, column), entries[:, 2])
        if banner.symmetric:
            off = row != column
            np.add.at(table, (column[off], row[off]), entries[off, 2])
    return table


def _dense(lines: NumberLines, n: int, d: int, *, symmetric: bool) -> np.ndarray:
    """One value per line, column by column; symmetric matrices start at the diagonal."""
    count = n * (n + 1) // 2 if symmetric else n * d
    values = lines.entries(count, "values", LineFormat((), "value", True))[:, 0]
    if not symmetric:
        return values.reshape(d, n).T
    table = np.empty((n, n))
    column, row = np.triu_indices(n)
    table[row, column] = table[column, row] = values
    return table


READERS: dict[str, Callable[[Any, Path], np.ndarray | Table]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".mtx": _read_matrix_market,
}
