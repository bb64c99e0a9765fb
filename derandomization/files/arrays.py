"""numpy's files and scipy's matrices, looked at before either library allocates or follows them."""

import io
import math
import zipfile
from typing import IO, NamedTuple

import numpy as np
import scipy.sparse

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What numpy writes. The others ask for gigabytes before they have unpacked a byte.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LONGEST_HEADER = 2**16  # numpy parses a sixth of that
_INDICES = {f"{name}.npy" for name in ("indices", "indptr", "row", "col", "offsets", "shape")}


class Header(NamedTuple):
    """What an array's header promises."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def num_bytes(self) -> int:
        """Of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def check_archive(file: io.BufferedIOBase, max_bytes: int) -> dict[str, Header]:
    """The header of every array of an .npz archive, if numpy may read it; the file is rewound.

    Args:
        file: at its start.
        max_bytes: the most that the arrays may unpack to.

    Raises:
        ValueError: no archive of arrays, one that unpacks to more, or an array that
            ``read_header`` refuses.
    """
    headers = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > max_bytes:
            raise ValueError(f"the arrays unpack to more than {max_bytes} bytes")
        for member in members:
            if member.compress_type not in _PACKINGS:
                raise ValueError(f"the array {member.filename} must be stored or deflated")
            with archive.open(member) as stream:
                headers[member.filename] = read_header(stream, member.file_size, member.filename)
    file.seek(0)
    return headers


def read_header(stream: io.BufferedIOBase | IO[bytes], size: int, name: str) -> Header:
    """The header of an array of numpy's, if the file holds as much.

    Args:
        stream: at the array's start.
        size: bytes from there to the array's end.
        name: of the array.

    Raises:
        ValueError: a broken header, a shape that ``size`` bytes do not fill, or pickled objects.
    """
    # Of a header of version 2 numpy would allocate as many bytes as its own length promises.
    start = io.BytesIO(stream.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(start)
    if version not in _HEADERS:
        raise ValueError(f"the array {name} has a header of version {version}, not 1 or 2")
    try:
        shape, _, dtype = _HEADERS[version](start)
    except Exception as error:  # numpy evaluates the header as Python: many things go wrong
        raise ValueError(f"the array {name} has a broken header") from error
    header = Header(shape, dtype)
    if dtype.hasobject:
        raise ValueError(f"the array {name} holds pickled objects, which are never loaded")
    # Of elements without bytes any shape would fit, and of a negative length numpy reads all.
    if dtype.itemsize == 0 or any(length < 0 for length in shape):
        raise ValueError(f"the array {name} has shape {shape} of type {dtype}, which holds nothing")
    if header.num_bytes > size - start.tell():
        raise ValueError(f"the array {name} promises shape {shape}, more than the file holds")
    return header


def load_sparse(
    file: io.BufferedIOBase, headers: dict[str, Header]
) -> scipy.sparse.sparray | scipy.sparse.spmatrix:
    """The matrix in an archive of ``scipy.sparse.save_npz``; its entries are not checked.

    Args:
        file: at its start.
        headers: of its arrays, by ``check_archive``.

    Raises:
        ValueError: it is no such archive, in one of many ways.
    """
    for name in _INDICES & headers.keys():
        # scipy takes any number for an index, nan included.
        if headers[name].dtype.kind not in "iu":
            raise ValueError(f"the array {name} is {headers[name].dtype}: it must hold integers")
    return scipy.sparse.load_npz(file)


def sparse_entries(
    matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
) -> scipy.sparse.coo_array:
    """The entries of a sparse matrix that may come from a hostile file.

    Raises:
        ValueError: entries that are not real numbers, or that lie outside the matrix.
    """
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"the matrix has entries of type {matrix.dtype}: they must be real")
    # scipy's conversion writes wherever these pointers say, outside its arrays if they decrease;
    # the difference of two of them may overflow, comparing them does not.
    if hasattr(matrix, "indptr") and (matrix.indptr[1:] < matrix.indptr[:-1]).any():
        raise ValueError("the matrix has an index pointer that decreases")
    return scipy.sparse.coo_array(matrix)
