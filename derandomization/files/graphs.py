"""Graphs from files, in thirteen formats, as edges or a matrix."""

import codecs
import io
import itertools
import json
import os
import re
from array import array
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeGuard, TypeVar

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import UInt8

from derandomization.files.arrays import MAX_VERTICES, check_archive, load_sparse
from derandomization.files.content import (
    COMPRESSED,
    FileContent,
    MalformedFileError,
    json_label,
    open_regular,
    parse_number,
    read_content,
    unique_keys,
)
from derandomization.files.edge_lists import (
    each_edge_once,
    read_adjacency_list,
    read_csv,
    read_edge_list,
    warn_of_missing,
)
from derandomization.files.edges import (
    AdjacencyMatrix,
    EdgeList,
    WeightAttribute,
    edge_weight,
    one_direction,
)
from derandomization.files.graph_formats import GraphFormat
from derandomization.files.graphml import read_graphml
from derandomization.files.matrix_market import read_banner, require_each_entry_once
from derandomization.files.number_lines import LineFormat, NumberLines
from derandomization.files.pajek import read_pajek

# 256 MiB hold 10^7 edges of a G-set file; networkx needs ten times as much memory.
MAX_BYTES = 2**28
# One byte of graph6 or sparse6 may hold several edges.
MAX_PACKED_BYTES = 2**25
# A file may have a vertex per byte and this many more, each of which takes 44 bytes of memory.
MAX_UNNAMED_VERTICES = 10**5

GraphT = TypeVar("GraphT")


GraphContent: TypeAlias = EdgeList | AdjacencyMatrix
Reader: TypeAlias = Callable[[FileContent, str], GraphContent]


class Format(NamedTuple):
    """A reader, and the suffixes of the files that it reads."""

    read: Reader
    suffixes: tuple[str, ...]


def read_graph_file(
    path: str | os.PathLike[str],
    build: Callable[[GraphContent], GraphT],
    *,
    weight: str = "weight",
    format: str | None = None,
) -> GraphT:
    """Read a graph in the given format, or in the one that the suffix or the content tells.

    ========  ============================  =================================  =============
    format    suffixes                      content                            labels
    ========  ============================  =================================  =============
    rudy      .rudy .rud .gset .mc .sg      ``n m``, then ``i j [weight]``     integers
    edgelist  .edgelist, KONECT's out.*     ``u v [weight or attributes]``     text
    csv       .csv                          the same, perhaps with a header    text
    adjlist   .adjlist                      a node and its neighbours          text
    graphml   .graphml                      GraphML                            ids, as text
    gml       .gml                          GML                                labels or ids
    json      .json                         networkx's node-link data          ids
    pajek     .net .paj                     Pajek                              labels or 1 … n
    metis     .graph .metis                 the neighbours of each vertex      integers 1 … n
    mtx       .mtx                          Matrix Market                      integers 1 … n
    npz       .npz                          ``scipy.sparse.save_npz``          integers 0 … n−1
    graph6    .g6                           graph6                             integers 0 … n−1
    sparse6   .s6                           sparse6                            integers 0 … n−1
    ========  ============================  =================================  =============

    .gz or .bz2 after the suffix says that the file is compressed. For other suffixes (.txt and
    .dat, none, or Biq Mac's g05_100.0) the content decides where it is unmistakable; the format is
    rudy if the file is n m and then m lines of edges. Otherwise an error asks for ``format``.

    Vertices of rudy files count from 1, or from 0 if there is a 0 and no n. An edge without a
    weight has weight 1. In GraphML, GML, JSON, Pajek, CSV with a header and attributes of edge
    lists, weights are stored under the name ``weight``. A warning says so if only some edges have
    a weight, or if none has but there are other numbers. Edge lists, CSV, rudy and undirected
    GraphML, GML, JSON and Pajek files that list every edge in both directions with equal weights
    count it once, with a warning. Directions have no other meaning, and the weights of opposite and
    parallel edges are summed; but a matrix that is neither symmetric nor triangular is refused. A
    warning says how many weights are 2^53 or more, where float64 rounds.

    Reading takes at most 100 times the decompressed size of the file in memory, plus 32 MiB; for
    graph6 and sparse6, whose bytes may hold several edges, 600 times. A file that decompresses to
    more than 256 MiB (32 MiB for these two) or 100 times its size, or whose header counts more than
    a file of its size can hold, is refused before it is parsed; so is a pipe or a device.

    ``build`` makes the caller's graph from the content. All errors, including those of ``build``,
    are a ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format is {format!r}: it must be one of {', '.join(FORMATS)}")
    path = Path(path)
    read = _reader_for(path) if format is None else FORMATS[format].read
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)

    def build_checked() -> GraphT:
        found = read(content, weight)
        graph = build(found)
        weights = found.weights if isinstance(found, EdgeList) else found.matrix.data
        if weights.dtype.itemsize >= 8:  # smaller numbers are exact in float64
            content.warn_of_rounding(weights, "weights")
        return graph

    return content.run_reader(build_checked, plain=(nx.NetworkXError,))


def read_arc_file(path: str | os.PathLike[str], build: Callable[[EdgeList], GraphT]) -> GraphT:
    """Read a directed graph: ``n m`` and then m lines ``i j [weight]``, each an arc from i to j.

    Vertices count from 1, and an arc without a weight has weight 1. Compression, limits and errors
    are those of ``read_graph_file``. A warning says how many weights are 2^53 or more, where
    float64 rounds.
    """
    path = Path(path)
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)

    def read() -> GraphT:
        arcs = _numbered_edges(content, ("vertices", "arcs"), valued=None)
        content.warn_of_rounding(arcs.weights, "weights")
        return build(arcs)

    return content.run_reader(read)


def _reader_for(path: Path) -> Reader:
    name = Path(path.stem if path.suffix.lower() in COMPRESSED else path.name)
    for format in FORMATS.values():
        if name.suffix.lower() in format.suffixes:
            return format.read
    return read_edge_list if name.name.startswith("out.") else _read_detected


def _read_detected(content: FileContent, weight: str) -> GraphContent:
    """Read the format that the start of the file tells; else rudy, or METIS if only that fits."""
    start = content.data[:1000].removeprefix(codecs.BOM_UTF8).lstrip()
    for signature, format in SIGNATURES.items():
        if re.match(signature, start, re.IGNORECASE):
            return FORMATS[format].read(content, weight)
    if b"\0" in content.data[:1000]:
        raise content.error("the file is not text: of binary formats, only .npz is read as a graph")
    try:
        edges = _rudy_edges(content)
    except MalformedFileError as problem:
        if re.match(_SNAP, start, re.IGNORECASE):
            return read_edge_list(content, weight)
        with suppress(MalformedFileError):
            return _read_metis(content, weight)
        hint = (
            "the file is read as rudy; choose any other format by format= or --format: edgelist if "
            "its lines are u v [weight]"
        )
        raise MalformedFileError(f"{problem} ({hint})") from problem
    if len(edges.weights) == len(edges.labels) and _is_metis(content):
        reason = "the lines are edges in rudy's format and lists of neighbours in that of METIS"
        raise content.error(f"{reason}: choose one by format= or --format, rudy or metis")
    return each_edge_once(content, edges)


def _read_rudy(content: FileContent, _: str) -> EdgeList:
    """``n m``, then m lines ``i j`` or ``i j weight``; # and % start comments."""
    return each_edge_once(content, _rudy_edges(content))


def _rudy_edges(content: FileContent) -> EdgeList:
    sizes = ("vertices", "edges")
    try:
        return _numbered_edges(content, sizes, valued=None)
    except MalformedFileError:
        # If a 0 was the only fault, the vertices count from 0.
        with suppress(MalformedFileError):
            return _numbered_edges(content, sizes, valued=None, least=0)
        raise


def _read_matrix_market(content: FileContent, _: str) -> AdjacencyMatrix:
    """A matrix in coordinate layout: real, integer or pattern."""
    banner = read_banner(content, ("coordinate",))
    sizes = ("rows", "columns", "entries")
    labels, ends, weights = _numbered_edges(content, sizes, banner.valued)
    if banner.symmetric:
        # The file stores one triangle only, which describes the same graph.
        require_each_entry_once(content, ends, len(labels))
        ends = np.sort(ends, axis=1)
    matrix = scipy.sparse.coo_array((weights, tuple(ends.T)), (len(labels), len(labels)))
    return AdjacencyMatrix(matrix, labels)


def _numbered_edges(
    content: FileContent, sizes: tuple[str, ...], valued: bool | None, least: int = 1
) -> EdgeList:
    """The edges after a header that counts vertices (rows, columns) and edges (entries)."""
    lines = NumberLines(content, sizes)
    num_vertices, *num_columns, num_edges = lines.header
    if not 1 <= num_vertices <= MAX_VERTICES:
        raise lines.error(f"the number of {sizes[0]} must be from 1 to {MAX_VERTICES}")
    if num_columns and num_columns != [num_vertices]:
        raise lines.error("the matrix must be square")
    most = most_vertices(content)
    if num_vertices > most:
        raise lines.error(f"a file of this size may have at most {most} {sizes[0]}")
    vertex = ("vertex", num_vertices - 1 + least)
    line = LineFormat((vertex, vertex), "weight", valued, least)
    edges = lines.entries(num_edges, sizes[-1], line)
    labels = tuple(range(least, num_vertices + least))
    return EdgeList(labels, edges[:, :2].astype(np.int64) - least, edges[:, 2])


def most_vertices(content: FileContent) -> int:
    """The most vertices that a file without their names may have: its size limits them."""
    return min(MAX_UNNAMED_VERTICES + len(content.data), MAX_VERTICES)


def _read_npz(content: FileContent, _: str) -> AdjacencyMatrix:
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


def _read_metis(content: FileContent, _: str) -> EdgeList:
    """``n m [type]``, then the neighbours of each vertex on its line; % starts a comment line.

    The last digit of the type is 1 if each neighbour is followed by the edge's weight. Weights of
    vertices, which the other digits announce, are ignored.
    """
    text = enumerate(io.StringIO(content.text() + "\n", newline=None), start=1)
    lines = ((number, line) for number, line in text if not line.lstrip().startswith("%"))
    number, line = next(((number, line) for number, line in lines if line.strip()), (1, ""))
    header = re.fullmatch(r"\s*(\d{1,9})\s+(\d{1,9})(?:\s+([01]{1,3})(?:\s+(\d))?)?\s*", line)
    if header is None:
        reason = "the header must be the numbers of vertices and edges and, if there are weights,"
        raise content.error(f"{reason} their type, such as 001", number, line)
    n, num_edges, kind = int(header[1]), int(header[2]), f"{header[3] or '':0>3}"
    if not 1 <= n <= most_vertices(content):
        raise content.error(f"a file of this size may have 1 to {most_vertices(content)} vertices")
    skipped = int(kind[0]) + int(kind[1]) * int(header[4] or 1)
    width = 1 + int(kind[2])
    counts, numbers = array("q"), array("d")
    for number, line in itertools.islice(lines, n):
        found = array("d", map(parse_number, line.split()[skipped:]))
        if len(found) % width or not all(v.is_integer() and 1 <= v <= n for v in found[::width]):
            pairs = "neighbours" if width == 1 else "neighbours, each before its edge's weight"
            raise content.error(f"the line must hold {pairs}, from 1 to {n}", number, line)
        counts.append(len(found) // width)
        numbers.extend(found)
    if len(counts) < n or any(line.strip() for _, line in lines):
        raise content.error(f"the header promises one line for each of {n} vertices")
    heads = np.array(numbers).reshape(-1, width)
    tails = np.repeat(np.arange(n), np.array(counts))
    ends = np.stack([tails, heads[:, 0].astype(np.int64) - 1], axis=1)
    weights = heads[:, 1] if width == 2 else np.ones(len(heads))
    kept = one_direction(ends, weights)
    if len(ends) and (kept is None or 2 * kept.sum() != len(ends)):
        reason = "is in the lines of both its ends, with the same weight"
        raise content.error(f"every edge must join two vertices and be where it {reason}")
    if len(ends) != 2 * num_edges:
        raise content.error(f"the header promises {num_edges} edges, the file has {len(ends) / 2}")
    kept = ends[:, 0] < ends[:, 1]
    return EdgeList(tuple(range(1, n + 1)), ends[kept], weights[kept])


def _is_metis(content: FileContent) -> bool:
    try:
        _read_metis(content, "weight")
    except MalformedFileError:
        return False
    return True


def _read_gml(content: FileContent, weight: str) -> EdgeList:
    """Nodes are named by unique labels, else by their ids."""
    # networkx rejects parallel edges unless the file says multigraph.
    graph = _parse_gml(content, "multigraph 1")
    if "graph" in graph.graph or any("graph" in each for _, each in graph.nodes(data=True)):
        raise content.error("a graph is nested in another: the file must hold one")
    directed = graph.is_directed()
    if not directed and any(
        len(keys) > 1 for _, ends in graph.adjacency() for keys in ends.values()
    ):
        # networkx forgets in which direction an edge of an undirected graph was listed.
        del graph
        graph = _parse_gml(content, "multigraph 1 directed 1")
    labels = dict(graph.nodes(data="label"))
    unique = None not in labels.values() and len(set(labels.values())) == len(labels)
    index = {node: position for position, node in enumerate(labels)}
    names = tuple(labels.values()) if unique else tuple(labels)
    attribute = WeightAttribute(weight)
    ends, weights = [], []
    for u, v, attributes in graph.edges(data=True):
        ends.append((index[u], index[v]))
        weights.append(edge_weight(attribute.of(attributes), names[index[u]], names[index[v]]))
    warn_of_missing(content, attribute)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    listed = EdgeList(names, pairs, np.array(weights, dtype=np.float64))
    return each_edge_once(content, listed, directed=directed)


def _parse_gml(content: FileContent, words: str) -> nx.Graph:
    """The graph as if it started with these words; networkx takes a repeated word for true."""
    text = re.sub(
        r"^([ \t]*graph\s*\[)", rf"\1 {words}", content.text(), count=1, flags=re.MULTILINE
    )
    try:
        return nx.parse_gml(text, label="id")
    except nx.NetworkXError as error:
        # networkx names the line at the end of its message; our errors begin with it.
        if match := re.search(r" at \((\d{1,9}), \d+\)$", str(error)):
            raise content.error(str(error)[: match.start()], int(match[1])) from error
        raise


def _read_json(content: FileContent, weight: str) -> EdgeList:
    """Node-link data: ``nodes`` with an ``id``, and ``edges`` or ``links`` between the ids.

    A node without an id is named by its position, which is D3's way too.
    """
    # networkx.node_link_graph makes a node of every end that is none, and takes twice the memory.
    try:
        data = json.loads(content.text(), object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise content.error(f"broken JSON: {error.msg}", error.lineno) from error
    found = data if isinstance(data, dict) else {}
    if "edges" in found and "links" in found:
        raise content.error("the file has edges and links: it must have one of them")
    nodes, edges = found.get("nodes"), found.get("edges", found.get("links"))
    if not (_are_objects(nodes) and _are_objects(edges)):
        raise content.error("the file must be an object with lists of objects, nodes and edges")
    index: dict[Hashable, int] = {}
    for position, node in enumerate(nodes):
        if index.setdefault(json_label(node.get("id", position)), position) != position:
            raise content.error(f"two nodes have the id {node.get('id', position)!r}")
    attribute = WeightAttribute(weight)
    ends, weights = [], []
    for edge in edges:
        u, v = (json_label(edge.get(end)) for end in ("source", "target"))
        for end in (u, v):
            if end not in index:
                raise content.error(f"an edge ends at {end!r}, which is no node's id")
        ends.append((index[u], index[v]))
        weights.append(edge_weight(attribute.of(edge), u, v))
    warn_of_missing(content, attribute)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    listed = EdgeList(tuple(index), pairs, np.array(weights, dtype=np.float64))
    return each_edge_once(content, listed, directed=bool(found.get("directed")))


def _are_objects(found: object) -> TypeGuard[list[dict]]:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _read_pajek(content: FileContent, weight: str) -> GraphContent:
    return read_pajek(content, weight, most_vertices(content))


def _read_graph6(content: FileContent, _: str) -> EdgeList:
    """One bit per pair of vertices (i, j), i < j: all pairs of j = 1, then of j = 2, and so on."""
    n, bits = _packed_bits(content, b">>graph6<<")
    num_pairs = n * (n - 1) // 2
    if len(bits) != -(-num_pairs // 6) * 6:
        promised = f"{n} vertices have {num_pairs} pairs"
        raise content.error(f"{promised}, but the file has {len(bits)} bits, six per character")
    pair = np.flatnonzero(bits[:num_pairs])
    j = ((1 + np.sqrt(1 + 8.0 * pair)) / 2).astype(np.int64)
    ends = np.stack([pair - j * (j - 1) // 2, j], axis=1)
    return EdgeList(tuple(range(n)), ends, np.ones(len(ends)))


def _read_sparse6(content: FileContent, _: str) -> EdgeList:
    """Units of a bit b and a number x: b = 1 goes to the next vertex v; x > v is the next v.

    Every other x is joined to v. A unit with x or v outside the graph is the end.
    """
    n, bits = _packed_bits(content, b">>sparse6<<", b":")
    width = 1 + (n - 1).bit_length()
    units = bits[: len(bits) // width * width].reshape(-1, width)
    numbers = units[:, 1:] @ (1 << np.arange(width - 1)[::-1])
    ends, v = array("q"), 0
    for step, x in zip(units[:, 0].tolist(), numbers.tolist(), strict=True):
        v += step
        if v >= n or x >= n:
            break
        if x > v:
            v = x
        else:
            ends.extend((x, v))
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(range(n)), pairs, np.ones(len(pairs)))


def _packed_bits(
    content: FileContent, header: bytes, mark: bytes = b""
) -> tuple[int, UInt8[np.ndarray, " bits"]]:
    """The number of vertices, and the bits after it: each character is 63 plus six bits."""
    if len(content.data) > MAX_PACKED_BYTES:
        raise content.error(f"the file holds more than {MAX_PACKED_BYTES} bytes")
    data = content.data.strip().removeprefix(header)
    if len(data.split()) != 1 or not data.startswith(mark):
        after = f" after {mark.decode()}" if mark else ""
        raise content.error(f"the file must hold one graph, on one line{after}")
    sextets = np.frombuffer(data.removeprefix(mark), np.uint8) - np.uint8(63)
    if len(sextets) == 0 or sextets.max() > 63:
        raise content.error("every character must be from ? to ~, and there must be one")
    # A number of vertices above 62 is 63 and three characters, or twice 63 and six.
    escapes = 0 if sextets[0] < 63 else 1 if sextets[1:2].tolist() != [63] else 2
    length = (1, 3, 6)[escapes]
    digits = sextets[escapes : escapes + length]
    n = sum(int(digit) << 6 * place for place, digit in enumerate(digits[::-1]))
    if len(digits) < length or not 1 <= n <= most_vertices(content):
        raise content.error(f"a file of this size may have 1 to {most_vertices(content)} vertices")
    packed = sextets[escapes + length :]
    return n, np.unpackbits(packed[:, None], axis=1)[:, 2:].ravel()


FORMATS: dict[GraphFormat, Format] = {
    "rudy": Format(_read_rudy, (".rudy", ".rud", ".gset", ".mc", ".sg")),
    "edgelist": Format(read_edge_list, (".edgelist",)),
    "csv": Format(read_csv, (".csv",)),
    "adjlist": Format(read_adjacency_list, (".adjlist",)),
    "graphml": Format(read_graphml, (".graphml",)),
    "gml": Format(_read_gml, (".gml",)),
    "json": Format(_read_json, (".json",)),
    "pajek": Format(_read_pajek, (".net", ".paj")),
    "metis": Format(_read_metis, (".graph", ".metis")),
    "mtx": Format(_read_matrix_market, (".mtx",)),
    "npz": Format(_read_npz, (".npz",)),
    "graph6": Format(_read_graph6, (".g6",)),
    "sparse6": Format(_read_sparse6, (".s6",)),
}
# How files of some formats start, whatever they are called.
SIGNATURES: dict[bytes, GraphFormat] = {
    rb"%%MatrixMarket\b": "mtx",
    rb"%\s*(sym|asym|bip)\b": "edgelist",  # KONECT
    rb"<\?xml|<graphml\b": "graphml",
    rb"graph\s*\[": "gml",
    rb'\{\s*"': "json",
    rb"\*(network|vertices)\b": "pajek",
    rb"PK\x03\x04": "npz",
    rb">>graph6<<": "graph6",
    rb">>sparse6<<": "sparse6",
}
# The comments of SNAP's edge lists.
_SNAP = rb"(#[^\n]*\n)*#[^\n]*\b(nodes:|fromnodeid\b)"
