"""Adjacency matrices as scipy saves them, in .npz archives."""

import io
import math
import zipfile

import numpy as np
import scipy.sparse

from MAXCUT.graph import Graph
from MAXCUT.readers import source as limits
from MAXCUT.readers.source import Source

_ARRAY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(source: Source) -> Graph:
    """A matrix saved by ``scipy.sparse.save_npz``, symmetric or triangular; never unpickles.

    Raises:
        ValueError: no such file, or a matrix that is no graph's.
    """
    with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > limits.MAX_BYTES:
            raise source.error(f"the arrays unpack to more than {limits.MAX_BYTES} bytes")
        for member in members:
            _check_array(source, archive, member)
    if "format.npy" not in {member.filename for member in members}:
        raise source.error("the file was not written by scipy.sparse.save_npz")
    return Graph.from_sparse(scipy.sparse.load_npz(io.BytesIO(source.content)))


def _check_array(source: Source, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array that is larger by its header than in the file: numpy would allocate it."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = _ARRAY_HEADERS[version](stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        reason = f"the array {member.filename} promises shape {shape}, more than the file holds"
        raise source.error(reason)
