"""Points from every format, and one line for every kind of broken file."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from derandomization.files import points as module
from derandomization.files.points import read_points

TABLE = np.array([[1.5, 0, -2], [0, 3, 4], [5, 0, 1e-3]])


def write(folder: Path, name: str) -> Path:
    path = folder / name
    if name == "a.npy":
        np.save(path, TABLE)
    elif name == "a.npz":
        np.savez(path, TABLE)
    elif name == "sparse.npz":
        scipy.sparse.save_npz(path, scipy.sparse.csr_array(TABLE))
    elif name == "a.csv":
        np.savetxt(path, TABLE, delimiter=",")
    elif name == "named.csv":
        np.savetxt(path, TABLE, delimiter=",", header="width,height,depth", comments="")
    elif name == "dense.mtx":
        scipy.io.mmwrite(path, TABLE)
    else:
        scipy.io.mmwrite(path, scipy.sparse.coo_array(TABLE))
    return path


@pytest.mark.parametrize(
    "name", ["a.npy", "a.npz", "sparse.npz", "a.csv", "named.csv", "dense.mtx", "sparse.mtx"]
)
def test_every_format_gives_the_same_table(name: str, tmp_path: Path) -> None:
    np.testing.assert_allclose(read_points(write(tmp_path, name)).numpy(), TABLE)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, bool])
def test_other_numbers_become_float64(dtype: type, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(3, dtype=dtype))
    assert read_points(tmp_path / "a.npy").dtype.is_floating_point
    assert read_points(tmp_path / "a.npy").tolist() == np.eye(3).tolist()


def broken(folder: Path, kind: str) -> Path:
    path = folder / f"a{'.npz' if 'npz' in kind else '.csv' if 'csv' in kind else '.npy'}"
    table: object = TABLE.copy()
    if kind == "nan":
        table[1, 2] = np.nan
    if kind == "infinity":
        table[0, 0] = -np.inf
    if kind == "object":
        table = np.array([[1, None], [2, 3]], dtype=object)
    if kind == "vector":
        table = np.ones(4)
    if kind == "empty":
        table = np.ones((0, 3))
    if kind == "complex":
        table = np.ones((2, 2), dtype=complex)
    np.save(path, table, allow_pickle=True)
    texts = {"csv ragged": "1,2\n3\n", "csv words": "a,b\n1,x\n", "csv nothing": "a,b\n"}
    if kind in texts:
        path.write_text(texts[kind])
    if kind == "npz two":
        np.savez(path, a=TABLE, b=TABLE)
    if kind == "npz object":
        np.savez(path, np.array([[None]], dtype=object))
    if kind in ("garbage", "npz garbage"):
        path.write_bytes(b"\x93NUMPY nothing of the kind")
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-8])
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("nan", "row 2, column 3 is nan"),
        ("infinity", "row 1, column 1 is -inf"),
        ("object", "object"),
        ("vector", r"shape \(4,\)"),
        ("empty", r"shape \(0, 3\)"),
        ("complex", "complex128"),
        ("csv ragged", None),
        ("csv words", "x"),
        ("csv nothing", None),
        ("npz two", "the arrays a, b: it must hold one"),
        ("npz object", "pickle"),
        ("garbage", None),
        ("npz garbage", None),
        ("truncated", None),
    ],
)
def test_a_broken_file_is_one_line_that_names_it(
    kind: str, reason: str | None, tmp_path: Path
) -> None:
    path = broken(tmp_path, kind)
    with pytest.raises(ValueError, match=reason) as caught:
        read_points(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message


def test_no_such_file_and_no_such_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_points(tmp_path / "none.npy")
    with pytest.raises(ValueError, match=re.escape("it must be one of .npy, .npz, .csv, .mtx")):
        read_points(tmp_path / "a.pickle")


def test_constant_columns_are_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.column_stack([TABLE, np.ones(3)]))
    with pytest.warns(UserWarning, match="1 of 4 columns are constant"):
        read_points(tmp_path / "a.npy")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "sparse.npz", "sparse.mtx"])
def test_more_numbers_than_memory_holds_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", 8)
    with pytest.raises(ValueError, match="more than"):
        read_points(write(tmp_path, name))
