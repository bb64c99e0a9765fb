"""A line an edge between numbered vertices: G-set files and Matrix Market's coordinates.

Both are read here: on malformed files scipy's Matrix Market reader ends the process or, where a
line has too many columns, says nothing.
"""

import codecs
import io
import math
import re
from collections.abc import Iterator

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from MAXCUT.graph import MAX_VERTICES, Graph
from MAXCUT.readers.source import Source

# A file of nothing else holds no nan, no inf and no comment: numpy may parse it whole.
_CLEAN = b"0123456789+-.eE \t\n"
_LONGEST_LINE = 1000
_EDGES = {2: "i j", 3: "i j weight"}
_COLUMNS = {"real": (3,), "double": (3,), "integer": (3,), "pattern": (2,)}


def read_rudy(source: Source) -> Graph:
    """``n m``, then m lines ``i j`` or ``i j weight``, vertices from 1; # and % open comments.

    Raises:
        ValueError: the first line that is malformed.
    """
    num_vertices, ends, weights = _read_edges(source, ("vertices", "edges"), (2, 3))
    return Graph.from_edges(tuple(range(1, num_vertices + 1)), ends, weights)


def read_matrix_market(source: Source) -> Graph:
    """A matrix of coordinates: real, integer or pattern, symmetric or triangular.

    Raises:
        ValueError: the first line that is malformed, or a matrix that is no graph's.
    """
    banner = source.content[:_LONGEST_LINE].decode(errors="replace").partition("\n")[0]
    words = banner.lower().split()
    if (
        len(words) != 5
        or words[:3] != ["%%matrixmarket", "matrix", "coordinate"]
        or words[3] not in _COLUMNS
        or words[4] not in ("general", "symmetric")
    ):
        reason = (
            "the first line must be %%MatrixMarket matrix coordinate, then real, integer or "
            "pattern, then general or symmetric"
        )
        raise source.error(reason, 1, banner)
    sizes = ("rows", "columns", "entries")
    num_vertices, ends, weights = _read_edges(source, sizes, _COLUMNS[words[3]])
    shape = (num_vertices, num_vertices)
    matrix = scipy.sparse.coo_array((weights, tuple(ends.T)), shape)
    # A file that calls itself symmetric stores one triangle only, which is the same graph.
    return Graph.from_sparse(matrix, tuple(range(1, num_vertices + 1)))


def _read_edges(
    source: Source, sizes: tuple[str, ...], columns: tuple[int, ...]
) -> tuple[int, Int[np.ndarray, "edges 2"], Float[np.ndarray, " edges"]]:
    """n, the ends counted from 0, and the weights, if there are as many as promised."""
    content = source.content.removeprefix(codecs.BOM_UTF8)
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"#" in content or b"%" in content:
        content = re.sub(rb"[#%][^\n]*", b"", content)
    stream = io.BytesIO(content)
    lines = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    header_number, header = next(lines, (1, b""))
    num_vertices, num_edges = _parse_sizes(source, header_number, header, sizes)
    body_start = stream.tell()
    edges = _parse_whole(stream.read(), num_vertices, columns)
    if edges is None:
        stream.seek(body_start)
        edges = _parse_lines(source, lines, num_vertices, columns)
    if len(edges) != num_edges:
        reason = f"the header promises {num_edges} {sizes[-1]}, the file has {len(edges)}"
        raise source.error(reason, header_number, _decoded(header))
    return num_vertices, edges[:, :2].astype(np.int64) - 1, edges[:, 2]


def _parse_sizes(
    source: Source, number: int, header: bytes, names: tuple[str, ...]
) -> tuple[int, int]:
    """n and m, refused before anything is allocated if no file of this size keeps the promise."""
    text = _decoded(header)
    fields = [_number(field) for field in header.split(None, len(names))]
    if len(fields) != len(names) or not all(field.is_integer() and field >= 0 for field in fields):
        reason = f"the header must hold {len(names)} integers: {', '.join(names)}"
        raise source.error(reason, number, text)
    num_vertices, *num_columns, num_edges = map(int, fields)
    if not 1 <= num_vertices <= MAX_VERTICES:
        reason = f"the number of {names[0]} must be from 1 to {MAX_VERTICES}"
        raise source.error(reason, number, text)
    if num_columns and num_columns != [num_vertices]:
        raise source.error("the matrix must be square", number, text)
    if num_edges > len(source.content) / len("1 2\n"):
        reason = f"the header promises {num_edges} {names[-1]}, more than the file has room for"
        raise source.error(reason, number, text)
    return num_vertices, num_edges


def _parse_whole(
    body: bytes, num_vertices: int, columns: tuple[int, ...]
) -> Float[np.ndarray, "edges 3"] | None:
    """The edges of a faultless file, three times as fast as line by line; else None."""
    if not body or body.isspace() or body.translate(None, _CLEAN):
        return None
    if max(map(len, io.BytesIO(body))) > _LONGEST_LINE:
        return None
    try:
        edges = np.loadtxt(io.BytesIO(body), ndmin=2)
    except ValueError:
        return None
    vertices = edges[:, :2]
    faultless = (
        edges.shape[1] in columns
        and np.isfinite(edges).all()
        and (vertices == np.floor(vertices)).all()
        and vertices.min() >= 1
        and vertices.max() <= num_vertices
    )
    if not faultless:
        return None
    return edges if edges.shape[1] == 3 else np.column_stack([edges, np.ones(len(edges))])


def _parse_lines(
    source: Source,
    lines: Iterator[tuple[int, bytes]],
    num_vertices: int,
    columns: tuple[int, ...],
) -> Float[np.ndarray, "edges 3"]:
    """The edges of any file, or the error of its first malformed line."""
    edges = []
    for number, line in lines:
        fields = [] if len(line) > _LONGEST_LINE else line.split()
        if len(fields) not in columns:
            wanted = " or ".join(_EDGES[count] for count in columns)
            raise source.error(f"the line must be {wanted}", number, _decoded(line))
        i, j, weight = (_number(field) for field in [*fields, b"1"][:3])
        if not all(vertex.is_integer() and 1 <= vertex <= num_vertices for vertex in (i, j)):
            reason = f"the vertex must be an integer from 1 to {num_vertices}"
            raise source.error(reason, number, _decoded(line))
        if not math.isfinite(weight):
            raise source.error("the weight must be a finite number", number, _decoded(line))
        edges.append((i, j, weight))
    return np.array(edges, dtype=np.float64).reshape(-1, 3)


def _number(field: bytes) -> float:
    try:
        return float(field)
    except ValueError:
        return math.nan


def _decoded(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode(errors="replace")
