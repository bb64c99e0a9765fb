"""Graphs from files, in seven formats, as edges, a matrix or a networkx graph."""

import ast
import io
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeAlias, TypeVar
from xml.parsers import expat

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from derandomization.files.arrays import MAX_VERTICES, SparseMatrix, check_archive, load_sparse
from derandomization.files.content import COMPRESSED, FileContent, parse_number, read_content
from derandomization.files.number_lines import LineFormat, NumberLines, read_banner

# 256 MiB hold 10^7 edges of a G-set file; networkx needs ten times as much memory.
MAX_BYTES = 2**28
# A file may have a vertex per byte and this many more, each of which takes 44 bytes of memory.
MAX_UNNAMED_VERTICES = 10**5
# Parsing a dictionary of attributes takes up to 500 times its size.
LONGEST_ATTRIBUTES = 10**4

GraphT = TypeVar("GraphT")


class EdgeList(NamedTuple):
    """Weighted edges as a file lists them; parallel edges and self-loops are allowed."""

    labels: tuple[Hashable, ...]  # the name of each vertex
    ends: Int[np.ndarray, "edges 2"]  # the positions of each edge's two ends among the labels
    weights: Float[np.ndarray, " edges"]


class AdjacencyMatrix(NamedTuple):
    """A sparse matrix that a file holds; it is not yet known to be a graph's."""

    matrix: SparseMatrix
    labels: tuple[Hashable, ...]


GraphContent: TypeAlias = EdgeList | AdjacencyMatrix | nx.Graph


def read_graph_file(
    path: str | os.PathLike[str], build: Callable[[GraphContent], GraphT]
) -> GraphT:
    """Read a graph; the suffix tells the format, and .gz or .bz2 after it that it is compressed.

    ==================================  =======================================  =============
    suffix                              format                                   labels
    ==================================  =======================================  =============
    none, .rudy, .gset, .mc, .txt       G-set: ``n m``, then ``i j [weight]``    integers 1 … n
    .graphml                            GraphML                                  ids, as text
    .gml                                GML                                      labels or ids
    .adjlist                            networkx's adjacency list                text
    .edgelist                           networkx's (weighted) edge list          text
    .mtx                                Matrix Market                            integers 1 … n
    .npz                                ``scipy.sparse.save_npz``                integers 0 … n−1
    ==================================  =======================================  =============

    An edge without a weight has weight 1. Reading takes at most 100 times the decompressed size of
    the file in memory, plus 32 MiB. A file that decompresses to more than 256 MiB, or whose header
    counts more than a file of its size can hold, is refused before it is parsed.

    ``build`` makes the caller's graph from the content. All errors, including those of ``build``,
    are a ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    path = Path(path)
    with path.open("rb") as file:
        reader = _reader_for(path)
        content = read_content(file, path, max_bytes=MAX_BYTES)
    return content.run_reader(lambda: build(reader(content)), plain=(nx.NetworkXError,))


def _reader_for(path: Path) -> Callable[[FileContent], GraphContent]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS:
        allowed = ", ".join(filter(None, FORMATS))
        raise FileContent(str(path)).error(
            f"the suffix is {suffix!r}: it must be one of {allowed} or none, "
            f"perhaps followed by {' or '.join(COMPRESSED)}"
        )
    return FORMATS[suffix]


def _read_gset(content: FileContent) -> EdgeList:
    """``n m``, then m lines ``i j`` or ``i j weight``; vertices count from 1, # and % comment."""
    return _numbered_edges(content, ("vertices", "edges"), valued=None)


def _read_matrix_market(content: FileContent) -> AdjacencyMatrix:
    """A matrix in coordinate layout: real, integer or pattern."""
    banner = read_banner(content, ("coordinate",))
    sizes = ("rows", "columns", "entries")
    labels, ends, weights = _numbered_edges(content, sizes, banner.valued)
    # A file that says it is symmetric stores one triangle only, which describes the same graph.
    matrix = scipy.sparse.coo_array((weights, tuple(ends.T)), (len(labels), len(labels)))
    return AdjacencyMatrix(matrix, labels)


def _numbered_edges(content: FileContent, sizes: tuple[str, ...], valued: bool | None) -> EdgeList:
    """The edges after a header that counts vertices (rows, columns) and edges (entries)."""
    lines = NumberLines(content, sizes)
    num_vertices, *num_columns, num_edges = lines.header
    if not 1 <= num_vertices <= MAX_VERTICES:
        raise lines.error(f"the number of {sizes[0]} must be from 1 to {MAX_VERTICES}")
    if num_columns and num_columns != [num_vertices]:
        raise lines.error("the matrix must be square")
    most = MAX_UNNAMED_VERTICES + len(content.data)
    if num_vertices > most:
        raise lines.error(f"a file of this size may have at most {most} {sizes[0]}")
    vertex = ("vertex", num_vertices)
    edges = lines.entries(num_edges, sizes[-1], LineFormat((vertex, vertex), "weight", valued))
    labels = tuple(range(1, num_vertices + 1))
    return EdgeList(labels, edges[:, :2].astype(np.int64) - 1, edges[:, 2])


def _read_npz(content: FileContent) -> AdjacencyMatrix:
    """A matrix saved by ``scipy.sparse.save_npz``; pickled objects are never loaded."""
    file = io.BytesIO(content.data)
    headers = check_archive(file, MAX_BYTES)
    if "format.npy" not in headers:
        raise content.error("the file was not written by scipy.sparse.save_npz")
    matrix = load_sparse(file, headers)
    most = MAX_UNNAMED_VERTICES + sum(header.num_bytes for header in headers.values())
    if matrix.shape[0] > most:
        raise content.error(
            f"shape is {matrix.shape}: a file of this size may have {most} vertices"
        )
    return AdjacencyMatrix(matrix, tuple(range(matrix.shape[0])))


def _read_edge_list(content: FileContent) -> EdgeList:
    """One edge per line: ``u v``, ``u v weight`` or ``u v {'weight': …}``; # starts a comment."""
    # networkx.read_edgelist skips malformed lines and keeps only the last of parallel edges.
    index: dict[str, int] = {}
    ends, weights = [], []
    for number, line in content.uncommented_lines():
        u, *others = line.split(None, 2)
        if not others:
            reason = "an edge must be two labels and, if it is not 1, a weight"
            raise content.error(reason, number, line)
        weight = _parse_weight(others[1]) if len(others) == 2 else 1.0
        if not math.isfinite(weight):
            raise content.error("the weight must be one finite number", number, line)
        ends.append([index.setdefault(label, len(index)) for label in (u, others[0])])
        weights.append(weight)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(index), pairs, np.array(weights, dtype=np.float64))


def _parse_weight(text: str) -> float:
    """A number, or the weight in networkx's dictionary of attributes; NaN if there is neither."""
    try:
        if not text.startswith("{"):
            return parse_number(text)
        if len(text) > LONGEST_ATTRIBUTES:
            return math.nan
        return float(ast.literal_eval(text).get("weight", 1))
    except Exception:
        # On malicious text literal_eval raises several types, among them MemoryError.
        return math.nan


def _read_adjacency_list(content: FileContent) -> EdgeList:
    """One node per line, then its neighbours; every edge has weight 1, # starts a comment.

    An edge may be listed at one of its ends, as networkx does, or at both. A neighbour that one
    line names k times is k parallel edges.
    """
    index: dict[str, int] = {}
    listed: Counter[tuple[int, int]] = Counter()
    for _, line in content.uncommented_lines():
        node, *neighbours = (index.setdefault(label, len(index)) for label in line.split())
        listed.update((node, neighbour) for neighbour in neighbours)
    # If both ends list an edge, the end that lists it more often counts.
    kept = {(u, v): count for (u, v), count in listed.items() if (count, v) >= (listed[v, u], u)}
    pairs = np.array(list(kept), dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(index), pairs, np.array(list(kept.values()), dtype=np.float64))


def _read_graphml(content: FileContent) -> nx.Graph:
    """The first graph of the file; an edge's weight is its attribute named ``weight``."""
    _check_graphml(content)
    # networkx replaces an edge by a parallel edge of the same id: here no two ids are equal.
    return nx.read_graphml(io.BytesIO(content.data), edge_key_type=lambda _: object())


def _check_graphml(content: FileContent) -> None:
    """Raise the error of the first line with XML entities or with an undeclared node."""
    parser = expat.ParserCreate(namespace_separator=" ")
    nodes: set[str] = set()
    ends: list[tuple[str | None, int]] = []

    def start_element(name: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        element = name.rpartition(" ")[2]
        if element == "node":
            if "id" not in attributes:
                raise content.error("the node has no id", line)
            nodes.add(attributes["id"])
        elif element == "edge":
            ends.extend((attributes.get(end), line) for end in ("source", "target"))

    def refuse_doctype(*_: object) -> NoReturn:
        reason = "a DOCTYPE is not allowed: its entities can expand without bound"
        raise content.error(reason, parser.CurrentLineNumber)

    parser.StartElementHandler = start_element
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(content.data, True)
    except expat.ExpatError as error:
        raise content.error(f"broken XML: {expat.ErrorString(error.code)}", error.lineno) from error
    for end, line in ends:
        if end not in nodes:
            raise content.error(f"the edge ends at {end!r}, which is no node", line)


def _read_gml(content: FileContent) -> nx.Graph:
    """Edges weighted by ``weight``; nodes are named by unique labels, else by their ids."""
    # networkx rejects parallel edges unless the file says multigraph; a repeated word is no error.
    text = re.sub(
        r"^([ \t]*graph\s*\[)", r"\1 multigraph 1", content.text(), count=1, flags=re.MULTILINE
    )
    try:
        graph = nx.parse_gml(text, label="id")
    except nx.NetworkXError as error:
        # networkx names the line at the end of its message; our errors begin with it.
        if match := re.search(r" at \((\d{1,9}), \d+\)$", str(error)):
            raise content.error(str(error)[: match.start()], int(match[1])) from error
        raise
    labels = dict(graph.nodes(data="label"))
    if None not in labels.values() and len(set(labels.values())) == len(labels):
        graph = nx.relabel_nodes(graph, labels)
    return graph


# The graphs of the G-set are published without suffixes.
FORMATS: dict[str, Callable[[FileContent], GraphContent]] = {
    **dict.fromkeys(("", ".rudy", ".gset", ".mc", ".txt"), _read_gset),
    ".graphml": _read_graphml,
    ".gml": _read_gml,
    ".adjlist": _read_adjacency_list,
    ".edgelist": _read_edge_list,
    ".mtx": _read_matrix_market,
    ".npz": _read_npz,
}
