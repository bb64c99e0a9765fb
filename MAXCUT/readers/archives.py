"""Adjacency matrices as scipy saves them, in .npz archives."""

import io

from derandomization.files.arrays import check_archive, load_sparse
from derandomization.files.content import FileContent
from MAXCUT.graph import Graph
from MAXCUT.readers import limits


def read_npz(content: FileContent) -> Graph:
    """A matrix saved by ``scipy.sparse.save_npz``, symmetric or triangular; never unpickles.

    Raises:
        ValueError: no such file, or a matrix that is no graph's.
    """
    file = io.BytesIO(content.data)
    headers = check_archive(file, limits.MAX_BYTES)
    if "format.npy" not in headers:
        raise content.error("the file was not written by scipy.sparse.save_npz")
    matrix = load_sparse(file, headers)
    most = limits.most_vertices(sum(header.num_bytes for header in headers.values()))
    if matrix.shape[0] > most:
        raise content.error(
            f"shape is {matrix.shape}: a file of this size may have {most} vertices"
        )
    return Graph.from_sparse(matrix)
