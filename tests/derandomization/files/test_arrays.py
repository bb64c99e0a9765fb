"""Headers of numpy's files are believed only as far as the file goes."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
import scipy.sparse

from derandomization.files.arrays import check_archive, load_sparse, read_header, sparse_entries


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def with_header(text: str, version: int = 1) -> bytes:
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + bytes(64)


def described(descr: str = "'<f8'", shape: str = "(2, 4)") -> bytes:
    return with_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n")


def header_of(content: bytes) -> tuple:
    return read_header(io.BytesIO(content), len(content), "x")


def test_sound_headers() -> None:
    for array in (np.ones((3, 5)), np.array(7), np.ones((0, 4), np.int8), np.array("csr")):
        header = header_of(saved(array))
        assert header == (array.shape, array.dtype)
        assert header.num_bytes == array.nbytes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (described(shape="(1000000000000,)"), "more than the file holds"),
        (described(shape="(-1,)"), "holds nothing"),
        (described(shape="(-1, -1000000000000)"), "holds nothing"),
        (described("'|V0'", "(1000000000000,)"), "holds nothing"),
        (described("('<f8', (100000,))"), "more than the file holds"),
        (described("'|O'"), "pickled objects, which are never loaded"),
        (described("[('a', '<f8'), ('b', '|O')]"), "pickled objects, which are never loaded"),
        (described("print()"), "broken header"),
        (described(shape="('x',)"), "broken header"),
        (with_header("{" * 5000), "broken header"),
        (described()[:20], "broken header"),
        (described().replace(b"\x01\x00", b"\x03\x00", 1), "version"),
        (b"no array", "magic string"),
        (b"", "magic string"),
    ],
)
def test_headers_that_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        header_of(content)
    assert " at 0x" not in str(raised.value)


def test_a_header_that_promises_a_header_of_gigabytes() -> None:
    content = with_header("{}", version=2)
    content = content[:8] + (2**32 - 1).to_bytes(4, "little") + content[12:]
    tracemalloc.start()
    with pytest.raises(ValueError, match="broken header"):
        header_of(content)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def archive(packing: int = zipfile.ZIP_DEFLATED, **members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as opened:
        for name, member in members.items():
            opened.writestr(f"{name}.npy", member)
    file.seek(0)
    return file


def test_an_archive_is_rewound_and_its_headers_known() -> None:
    file = archive(a=saved(np.ones((3, 4))), b=saved(np.array(1)))
    assert {name: header.shape for name, header in check_archive(file, 10**6).items()} == {
        "a.npy": (3, 4),
        "b.npy": (),
    }
    assert file.tell() == 0


def test_a_bomb_is_not_unpacked() -> None:
    file = archive(a=saved(np.zeros(10**7)))
    assert len(file.getvalue()) < 10**5
    tracemalloc.start()
    with pytest.raises(ValueError, match="the arrays unpack to more than 10000000 bytes"):
        check_archive(file, 10**7)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_packings_are_refused(packing: int) -> None:
    with pytest.raises(ValueError, match=r"the array a\.npy must be stored or deflated"):
        check_archive(archive(packing, a=saved(np.ones(3))), 10**6)


def test_indices_are_integers() -> None:
    members = {"format": np.array(b"coo"), "shape": np.array([2, 2]), "data": np.ones(1)}
    members |= {"row": np.array([np.nan]), "col": np.array([0])}
    file = archive(**{name: saved(array) for name, array in members.items()})
    with pytest.raises(ValueError, match=r"the array row\.npy is float64: it must hold integers"):
        load_sparse(file, check_archive(file, 10**6))


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
def test_sound_matrices_are_loaded_whole(kind: str) -> None:
    table = np.array([[0, 1.5, 0], [2, 0, -3]])
    file = io.BytesIO()
    scipy.sparse.save_npz(file, scipy.sparse.coo_array(table).asformat(kind))
    file.seek(0)
    entries = sparse_entries(load_sparse(file, check_archive(file, 10**6)))
    np.testing.assert_array_equal(entries.toarray(), table)


@pytest.mark.parametrize("second", ["data.npy", "data"])
def test_two_arrays_of_one_name_are_refused(second: str) -> None:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as opened:
        warnings.simplefilter("ignore")  # zipfile warns about the second name
        for name, value in (("data.npy", 5.0), (second, 10.0)):
            opened.writestr(name, saved(np.array([[value]])))
    with pytest.raises(ValueError, match="two arrays have the name data"):
        check_archive(file, 10**6)


def test_an_archive_unpacks_to_a_hundred_times_its_size() -> None:
    file = archive(a=saved(np.zeros((5 * 2**20,))))  # 40 MiB of zeros
    with pytest.raises(ValueError, match=r"over 100 times the file's size: save them without"):
        check_archive(file, 2**40)
    assert check_archive(archive(a=saved(np.zeros(3 * 2**20))), 2**40)  # 24 MiB always may
