"""A line an edge between numbered vertices: G-set files and Matrix Market's coordinates."""

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from derandomization.files.content import FileContent
from derandomization.files.number_lines import LineFormat, NumberLines, read_banner
from MAXCUT.graph import MAX_VERTICES, Graph
from MAXCUT.readers.limits import most_vertices


def read_rudy(content: FileContent) -> Graph:
    """``n m``, then m lines ``i j`` or ``i j weight``, vertices from 1; # and % open comments.

    Raises:
        ValueError: the first line that is malformed.
    """
    num_vertices, ends, weights = _read_edges(content, ("vertices", "edges"), None)
    return Graph.from_edges(tuple(range(1, num_vertices + 1)), ends, weights)


def read_matrix_market(content: FileContent) -> Graph:
    """A matrix of coordinates: real, integer or pattern, symmetric or triangular.

    Raises:
        ValueError: the first line that is malformed, or a matrix that is no graph's.
    """
    banner = read_banner(content, ("coordinate",))
    sizes = ("rows", "columns", "entries")
    num_vertices, ends, weights = _read_edges(content, sizes, banner.valued)
    shape = (num_vertices, num_vertices)
    matrix = scipy.sparse.coo_array((weights, tuple(ends.T)), shape)
    # A file that calls itself symmetric stores one triangle only, which is the same graph.
    return Graph.from_sparse(matrix, tuple(range(1, num_vertices + 1)))


def _read_edges(
    content: FileContent, sizes: tuple[str, ...], weighted: bool | None
) -> tuple[int, Int[np.ndarray, "edges 2"], Float[np.ndarray, " edges"]]:
    """n, the ends counted from 0, and the weights, if there are as many as promised."""
    lines = NumberLines(content, sizes)
    num_vertices, *num_columns, num_edges = lines.header
    if not 1 <= num_vertices <= MAX_VERTICES:
        raise lines.error(f"the number of {sizes[0]} must be from 1 to {MAX_VERTICES}")
    if num_columns and num_columns != [num_vertices]:
        raise lines.error("the matrix must be square")
    if num_vertices > (most := most_vertices(len(content.data))):
        raise lines.error(f"a file of this size may have at most {most} {sizes[0]}")
    vertex = ("vertex", num_vertices)
    edges = lines.entries(num_edges, sizes[-1], LineFormat((vertex, vertex), "weight", weighted))
    return num_vertices, edges[:, :2].astype(np.int64) - 1, edges[:, 2]
