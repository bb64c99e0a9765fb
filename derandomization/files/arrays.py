"""Arrays of numpy and sparse matrices of scipy, checked before either library reads them."""

import io
import math
import zipfile
from collections import Counter
from typing import IO, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse

from derandomization.files.content import MAX_RATIO, most_unpacked

SparseMatrix: TypeAlias = scipy.sparse.sparray | scipy.sparse.spmatrix

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# What numpy writes. Others may allocate gigabytes before the first byte is decompressed.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The most rows of a graph's matrix: their labels still fit into memory.
MAX_VERTICES = 10**7
# Archives may unpack to this much, whatever their size. Their arrays are not copied often.
_FREE_UNPACKED_BYTES = 2**25
_LONGEST_HEADER = 2**16  # six times the longest that numpy parses
_INDICES = {f"{name}.npy" for name in ("indices", "indptr", "row", "col", "offsets", "shape")}


class Header(NamedTuple):
    """Shape and type of an array, as its header states them."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def num_bytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def check_archive(file: io.BufferedIOBase, max_bytes: int) -> dict[str, Header]:
    """Check that an .npz archive is safe to read and unpacks to at most ``max_bytes``.

    Nor may it unpack to more than ``most_unpacked`` bytes, or hold two arrays of one name. Return
    the header of every array; the file is rewound.
    """
    packed_bytes = file.seek(0, io.SEEK_END)
    headers: dict[str, Header] = {}
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        unpacked_bytes = sum(member.file_size for member in members)
        if unpacked_bytes > max_bytes:
            raise ValueError(f"the arrays unpack to more than {max_bytes} bytes")
        if unpacked_bytes > most_unpacked(packed_bytes, _FREE_UNPACKED_BYTES):
            reason = f"the arrays unpack to over {MAX_RATIO} times the file's size"
            raise ValueError(f"{reason}: save them without compression")
        # numpy reads the last of two members of one name, with or without the suffix.
        names = Counter(member.filename.removesuffix(".npy") for member in members)
        if repeated := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two arrays have the name {repeated[0]}")
        for member in members:
            if member.compress_type not in _COMPRESSIONS:
                raise ValueError(f"the array {member.filename} must be stored or deflated")
            with archive.open(member) as stream:
                headers[member.filename] = read_header(stream, member.file_size, member.filename)
    file.seek(0)
    return headers


def read_header(stream: io.BufferedIOBase | IO[bytes], size: int, name: str) -> Header:
    """Read the header of an array that takes ``size`` bytes; refuse what is unsafe to load."""
    # For a header of version 2 numpy would allocate as many bytes as the header itself asks for.
    start = io.BytesIO(stream.read(_LONGEST_HEADER))
    version = np.lib.format.read_magic(start)
    if version not in _HEADERS:
        raise ValueError(f"the array {name} has a header of version {version}, not 1 or 2")
    try:
        shape, _, dtype = _HEADERS[version](start)
    except Exception as error:  # numpy evaluates the header as Python code
        raise ValueError(f"the array {name} has a broken header") from error
    header = Header(shape, dtype)
    if dtype.hasobject:
        raise ValueError(f"the array {name} holds pickled objects, which are never loaded")
    # Elements of no bytes would fit in any shape; with a negative length numpy reads everything.
    if dtype.itemsize == 0 or any(length < 0 for length in shape):
        raise ValueError(f"the array {name} has shape {shape} of type {dtype}, which holds nothing")
    if header.num_bytes > size - start.tell():
        raise ValueError(f"the array {name} promises shape {shape}, more than the file holds")
    return header


def load_sparse(file: io.BufferedIOBase, headers: dict[str, Header]) -> SparseMatrix:
    """Read a matrix from a checked archive; ``sparse_entries`` checks its entries."""
    for name in _INDICES & headers.keys():
        # scipy accepts any number as an index, even nan.
        if headers[name].dtype.kind not in "iu":
            raise ValueError(f"the array {name} is {headers[name].dtype}: it must hold integers")
    return scipy.sparse.load_npz(file)


def sparse_entries(matrix: SparseMatrix) -> scipy.sparse.coo_array:
    """The real entries of a sparse matrix, even if it was read from a malicious file."""
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"the matrix has entries of type {matrix.dtype}: they must be real")
    # If the index pointers decrease, scipy's conversion writes outside its arrays. Their difference
    # may overflow; comparing them does not.
    if hasattr(matrix, "indptr") and (matrix.indptr[1:] < matrix.indptr[:-1]).any():
        raise ValueError("the matrix has an index pointer that decreases")
    return scipy.sparse.coo_array(matrix)
