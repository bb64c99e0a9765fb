"""What a file promises is checked before anything is allocated for it."""

import io
import pickle
import re
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from derandomization.files import points as module
from derandomization.files.points import read_points

BANNER = "%%MatrixMarket matrix {} general\n"


def refusal(path: Path, content: bytes | str) -> str:
    """What the one line says after the file's name, said without much memory."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    tracemalloc.start()
    with pytest.raises(ValueError, match=re.escape(path.name)) as raised:
        read_points(path)
    assert tracemalloc.get_traced_memory()[1] < 2**21 + 3 * path.stat().st_size
    tracemalloc.stop()
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def promising(shape: str, descr: str = "<f8") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(80)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return file.getvalue()


@pytest.mark.parametrize("shape", ["(1000000, 1000000)", "(1000, 1000)", "(11, 1)"])
def test_arrays_that_are_not_there(shape: str, tmp_path: Path) -> None:
    reason = f"promises shape {shape}, more than the file holds"
    assert reason in refusal(tmp_path / "a.npy", promising(shape))
    assert reason in refusal(tmp_path / "a.npz", zipped(a=promising(shape)))


def test_lengths_below_zero(tmp_path: Path) -> None:
    assert "holds nothing" in refusal(tmp_path / "a.npy", promising("(-1, 5)"))


@pytest.mark.parametrize("layout", ["coordinate real", "array real"])
@pytest.mark.parametrize(
    "sizes", ["1000000000000 1", "1000000000000 1000000000000", "3 1" + "0" * 400]
)
def test_matrices_of_a_trillion_rows(layout: str, sizes: str, tmp_path: Path) -> None:
    entries = " 1" if layout.startswith("coordinate") else ""
    message = refusal(tmp_path / "a.mtx", f"{BANNER.format(layout)}{sizes}{entries}\n1 1 1\n")
    assert f"more than {2**29} numbers" in message or "must hold" in message


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("coordinate real general\n2 2 1000000000000", "1000000000000 entries, the file has 0"),
        ("coordinate real general\n2 2 3\n1 1 5", "promises 3 entries, the file has 1"),
        (
            "coordinate real general\n2 2 1\n3 1 5",
            '"3 1 5": the row must be an integer from 1 to 2',
        ),
        ("coordinate real general\n2 2 1\n1 0 5", "the column must be an integer from 1 to 2"),
        ("coordinate real general\n2 2 1\n1 1 nan", "the value must be a finite number"),
        ("coordinate real general\n2 2 1\n1 1", "the line must be i j value"),
        ("coordinate real symmetric\n2 3 1\n1 1 5", "symmetric: it must be square"),
        ("array real general\n2 2\n1\n2\n3\n1_0", '"1_0": the value must be a finite number'),
        ("array real general\n2 2\n1\n2\n3", "promises 4 values, the file has 3"),
        ("array real general\n20000 20000\n1", "400000000 values, the file has 1"),
        ("array real general\n0 5\n", "it must be a table of points"),
        ("array complex general\n1 1\n1 1", "the first line must be %%MatrixMarket matrix"),
        ("array pattern general\n1 1\n", "the first line must be %%MatrixMarket matrix"),
        ("coordinate real general\n100000 5000 1\n1 1 5", "over 1000 times the file's size"),
    ],
)
def test_matrix_market_files(header: str, reason: str, tmp_path: Path) -> None:
    assert reason in refusal(tmp_path / "a.mtx", f"%%MatrixMarket matrix {header}\n")


def test_a_symmetric_matrix_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mtx"
    wanted = [[1.0, 2.0, 0.0], [2.0, 3.0, 4.0], [0.0, 4.0, 5.0]]
    lines = ["array real symmetric\n3 3", "1", "2", "0", "3", "4", "5"]
    path.write_text("%%MatrixMarket matrix " + "\n".join(lines))
    assert read_points(path).tolist() == wanted
    lines = ["coordinate integer symmetric\n3 3 5", "1 1 1", "2 1 2", "2 2 3", "3 2 4", "3 3 5"]
    path.write_text("%%MatrixMarket matrix " + "\n".join(lines))
    assert read_points(path).tolist() == wanted


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", 10**6)
    bomb = zipped(a=saved(np.zeros((10**6, 10))))
    assert len(bomb) < 10**5
    assert "the arrays unpack to more than 8000000 bytes" in refusal(tmp_path / "a.npz", bomb)


def test_a_sparse_matrix_of_nothing_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = io.BytesIO()
    scipy.sparse.save_npz(file, scipy.sparse.coo_array((20_000, 20_000)))
    assert "over 1000 times the file's size" in refusal(tmp_path / "a.npz", file.getvalue())


def test_sparse_points_may_have_many_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = scipy.sparse.random_array((300, 10_000), density=2e-3, rng=rng)
    scipy.sparse.save_npz(tmp_path / "a.npz", matrix)
    with pytest.warns(UserWarning, match="columns are constant"):
        np.testing.assert_array_equal(read_points(tmp_path / "a.npz").numpy(), matrix.toarray())


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"indptr": np.array([0, 10**6, 1, 2])}, "an index pointer that decreases"),
        ({"indptr": np.array([0, 1, 2, 10**6])}, "Last value of index pointer"),
        ({"indices": np.array([0, 10**6, 1])}, "exceeds matrix dimension"),
        ({"indices": np.array([0, -(10**6), 1])}, "negative axis 1 index"),
        ({"shape": np.array([10**12, 10**12])}, "index pointer size"),
        ({"data": np.array([1, 2, 1j])}, "they must be real"),
    ],
)
def test_pointers_that_scipy_would_follow(
    arrays: dict[str, np.ndarray], reason: str, tmp_path: Path
) -> None:
    matrix = scipy.sparse.csr_array(np.diag([1.0, 2.0, 3.0]))
    sound = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    sound |= {"format": np.array(b"csr"), "shape": np.array([3, 3])}
    content = zipped(**{name: saved(array) for name, array in (sound | arrays).items()})
    assert reason in refusal(tmp_path / "a.npz", content)


class Payload:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    made = tmp_path / "made"
    array = np.array([[Payload(made), 1]], dtype=object)
    pickle.loads(pickle.dumps(array))[0, 0].close()
    made.unlink()
    for name, content in (("a.npy", saved(array)), ("a.npz", zipped(a=saved(array)))):
        assert "pickled objects, which are never loaded" in refusal(tmp_path / name, content)
    refusal(tmp_path / "b.npy", pickle.dumps(array))
    refusal(tmp_path / "b.npz", pickle.dumps(array))
    assert not made.exists()


@pytest.mark.parametrize("line", ["1,", "a", " ", '"'])
def test_a_line_without_end_is_not_parsed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 10**5)
    message = refusal(tmp_path / "a.csv", "1,2\n" + line * (3 * 2**20))
    assert message == ": a line of the file has more than 100000 bytes"


def test_messages_are_printable(tmp_path: Path) -> None:
    path = tmp_path / "a\nb\x1b[31m\udcff.csv"
    path.write_bytes(b"1,2\n\x1b[31m\x07,3\n")
    with pytest.raises(ValueError, match=r"a�b�\[31m�.csv: ") as raised:
        read_points(path)
    assert str(raised.value).isprintable()


def test_csv_without_numbers(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.csv", "a,b\n") == ": the file holds no row of numbers"
    for number in ("1_0", "٣"):
        message = refusal(tmp_path / "a.csv", f"1,2\n3,{number}\n")
        assert message == f": row 2, column 2 is {number!r}: it must be a finite number"
