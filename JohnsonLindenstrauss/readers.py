"""Points from files: .npy, .npz, .csv and Matrix Market, never pickled objects."""

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
import torch
from jaxtyping import Float
from torch import Tensor

MAX_NUMBERS = 2**29  # 4 GiB in float64: beyond, say so instead of swapping


def read_points(path: Path) -> Float[Tensor, "points dimension"]:
    """A table of numbers, a row a point, in float64.

    ========  ==========================================================================
    suffix    format
    ========  ==========================================================================
    .npy      one array (``numpy.save``)
    .npz      one array (``numpy.savez``), or a matrix (``scipy.sparse.save_npz``)
    .csv      numbers between commas; a first line of names is passed over
    .mtx      Matrix Market, dense or sparse
    ========  ==========================================================================

    Warns of columns in which all points agree: they change no distance.

    Raises:
        ValueError: an unknown suffix, a file that can't be read, or content that is no table of
            finite numbers; one line that names the file and says why.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        allowed = ", ".join(READERS)
        raise ValueError(f"{path}: the suffix is {path.suffix!r}: it must be one of {allowed}")
    try:
        table = read(path)
    except OSError as problem:
        reason = problem.strerror or "broken"
        raise ValueError(f"{path}: the file can't be read ({reason})") from None
    except Exception as problem:
        # On broken files the libraries raise a dozen types, from KeyError to BadZipFile.
        raise ValueError(f"{path}: {_one_line(problem)}") from None
    return torch.from_numpy(_checked(table, path))


def _checked(table: np.ndarray, path: Path) -> np.ndarray:
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(f"{path}: the array has shape {table.shape}: it must be a table of points")
    if table.dtype.kind not in "fiub":
        raise ValueError(f"{path}: the entries are {table.dtype}: they must be real numbers")
    table = np.ascontiguousarray(table, dtype=np.float64)
    finite = np.isfinite(table)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        value = table[row, column]
        raise ValueError(f"{path}: row {row + 1}, column {column + 1} is {value}: no number")
    constant = int((table == table[0]).all(axis=0).sum()) if len(table) > 1 else 0
    if constant:
        warnings.warn(f"{path}: {constant} of {table.shape[1]} columns are constant", stacklevel=3)
    return table


def _one_line(problem: Exception) -> str:
    sentence = " ".join(str(problem).split()) or type(problem).__name__
    return sentence if len(sentence) <= 200 else f"{sentence[:199]}…"


def _require_size(shape: tuple[int, ...]) -> None:
    numbers = int(np.prod([int(n) for n in shape], dtype=object))
    if numbers > MAX_NUMBERS:
        raise ValueError(f"the table has shape {shape}: more than {MAX_NUMBERS} numbers")


def _read_npy(path: Path) -> np.ndarray:
    table = np.load(path, mmap_mode="r", allow_pickle=False)  # a header that lies fails here
    _require_size(table.shape)
    return np.array(table)


def _read_npz(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > 8 * MAX_NUMBERS:
        raise ValueError(f"the arrays unpack to {size} bytes: more than {8 * MAX_NUMBERS}")
    with np.load(path, allow_pickle=False) as arrays:
        if "format" not in arrays.files:
            if len(arrays.files) != 1:
                names = ", ".join(arrays.files) or "none"
                raise ValueError(f"the file holds the arrays {names}: it must hold one")
            return arrays[arrays.files[0]]
    return _dense(scipy.sparse.load_npz(path))


def _read_csv(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
        skipped = 0 if all(_is_number(word) for word in first.split(",")) else 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of a file without numbers
        return np.loadtxt(
            path, delimiter=",", skiprows=skipped, ndmin=2, encoding="utf-8-sig", comments=None
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _read_matrix_market(path: Path) -> np.ndarray:
    _require_size(scipy.io.mminfo(path)[:2])
    found = scipy.io.mmread(path)
    return _dense(found) if scipy.sparse.issparse(found) else np.asarray(found)


def _dense(matrix: Any) -> np.ndarray:
    _require_size(matrix.shape)
    return matrix.toarray()


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".mtx": _read_matrix_market,
}
