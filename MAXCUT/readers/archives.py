"""Adjacency matrices as scipy saves them, in .npz archives."""

import io
import math

import scipy.sparse

from derandomization.arrays import check_archive
from derandomization.files import Source
from MAXCUT.graph import Graph
from MAXCUT.readers import limits


def read_npz(source: Source) -> Graph:
    """A matrix saved by ``scipy.sparse.save_npz``, symmetric or triangular; never unpickles.

    Raises:
        ValueError: no such file, or a matrix that is no graph's.
    """
    file = io.BytesIO(source.content)
    shapes = check_archive(file, limits.MAX_BYTES)
    if "format.npy" not in shapes:
        raise source.error("the file was not written by scipy.sparse.save_npz")
    matrix = scipy.sparse.load_npz(file)
    unpacked = 8 * sum(map(math.prod, shapes.values()))
    if matrix.shape[0] > (most := limits.most_vertices(unpacked)):
        raise source.error(f"shape is {matrix.shape}: a file of this size may have {most} vertices")
    return Graph.from_sparse(matrix)
