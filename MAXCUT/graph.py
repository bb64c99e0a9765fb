"""A weighted graph in canonical form, from edges, networkx, a sparse matrix or a file."""

import math
import os
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from derandomization.checks import MAX_EXACT
from derandomization.files.arrays import MAX_VERTICES, SparseMatrix, sparse_entries
from derandomization.files.edges import (
    EdgeList,
    WeightAttribute,
    edge_weight,
    one_direction,
    opposite_edges,
)
from derandomization.files.graph_formats import GraphFormat

# If the largest weight is between 1/LARGEST_WEIGHT and this, sums of squared weights and weights
# divided by such sums neither overflow nor vanish.
LARGEST_WEIGHT = 1e30
CACHED_SIGNS = 2**16  # signs of edges' ends that are compared at once: they fit into the cache
Signs: TypeAlias = Float[np.ndarray, " vertices"]  # a cut: +1 or −1 for each vertex
Vectors: TypeAlias = Float[np.ndarray, "vertices rank"]  # V: one vector per vertex


@dataclass(frozen=True)
class Graph:
    """A weighted graph on vertices 0 … n−1, with each edge once and no self-loops."""

    num_vertices: int
    ends: Int[np.ndarray, "edges 2"]
    weights: Float[np.ndarray, " edges"]  # they may be negative
    labels: tuple[Hashable, ...] = ()  # the name of each vertex; its number by default

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", tuple(range(self.num_vertices)))

    def require_cuttable(self) -> None:
        """Raise ``ValueError`` unless there is an edge and the weights are in range."""
        largest = float(np.abs(self.weights).max(initial=0.0))
        if largest == 0:
            raise ValueError("the graph has no edge to cut")
        if not 1 / LARGEST_WEIGHT <= largest <= LARGEST_WEIGHT:
            allowed = f"between {1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}"
            raise ValueError(f"the graph's largest weight is {largest:g}: it must lie {allowed}")

    def weighted_degrees(self) -> Float[np.ndarray, " vertices"]:
        """The sum of |w| over the edges of each vertex."""
        sizes = np.repeat(np.abs(self.weights), 2)
        degrees = np.bincount(self.ends.ravel(), sizes, minlength=self.num_vertices)
        return degrees.astype(np.float64)  # without edges numpy counts in integers

    def has_integer_weights(self) -> bool:
        """Whether all weights are integers whose sums float64 represents exactly."""
        whole = bool((self.weights == np.rint(self.weights)).all())
        return whole and float(np.abs(self.weights).sum()) < MAX_EXACT

    def cut_divisor(self) -> int:
        """A number of which each cut is a multiple, the largest one; 0 if weights are no integers.

        The cut of a set S is the sum of w over the edges at each vertex of S, less twice the weight
        inside S. So this is the greatest common divisor of those sums and of all 2w. It is 2, for
        instance, on a torus with weights ±1, where each vertex has four edges.
        """
        if not self.has_integer_weights():
            return 0
        weights = self.weights.astype(np.int64)
        sums = np.zeros(self.num_vertices, dtype=np.int64)
        np.add.at(sums, self.ends.ravel(), np.repeat(weights, 2))
        return int(np.gcd.reduce(np.concatenate([sums, 2 * weights])))

    def adjacency(self) -> scipy.sparse.csr_array:
        """The symmetric n×n adjacency matrix A."""
        size = (self.num_vertices, self.num_vertices)
        half = scipy.sparse.coo_array((self.weights, tuple(self.ends.T)), size)
        return (half + half.T).tocsr()

    def to_networkx(self) -> nx.Graph:
        """The graph on the vertices 0 … n−1, with each edge's weight as its attribute."""
        graph = nx.empty_graph(self.num_vertices)
        i, j = self.ends.T.tolist()
        graph.add_weighted_edges_from(zip(i, j, self.weights.tolist(), strict=True))
        return graph

    def cut_value(self, signs: Float[np.ndarray, "*batch vertices"]) -> Float[np.ndarray, "*batch"]:
        """Σ w_ij over the edges whose ends have different signs (±1)."""
        i, j = self.ends.T
        if signs.ndim == 1:
            return np.asarray((signs[i] != signs[j]) @ self.weights)
        cuts = signs.reshape(-1, signs.shape[-1])
        values = np.empty(len(cuts))
        rows = max(1, CACHED_SIGNS // max(1, len(self.weights)))
        for start in range(0, len(cuts), rows):
            block = cuts[start : start + rows]
            values[start : start + rows] = (block[:, i] != block[:, j]) @ self.weights
        return values.reshape(signs.shape[:-1])

    @classmethod
    def from_edges(
        cls,
        labels: tuple[Hashable, ...],
        ends: Int[np.ndarray, "entries 2"],
        weights: Float[np.ndarray, " entries"],
    ) -> "Graph":
        """The graph of any list of edges between the vertices 0 … len(labels) − 1.

        Parallel edges, in either direction, become one edge with the sum of their weights. An edge
        whose sum is 0 is dropped, and self-loops are, with a warning; this changes no cut.

        Raises:
            ValueError: an end is not a vertex, or a weight or the sum of weights is not finite.
        """
        n = len(labels)
        _require_edges(labels, ends, weights)
        loops = ends[:, 0] == ends[:, 1]
        if loops.any():
            count = int(loops.sum())
            noun = "self-loop" if count == 1 else "self-loops"
            warnings.warn(f"{count} {noun} dropped: no cut can cross a self-loop", stacklevel=2)
            ends, weights = ends[~loops], weights[~loops]
        i, j = ends.astype(np.int64).T
        keys, edge = np.unique(np.minimum(i, j) * n + np.maximum(i, j), return_inverse=True)
        # If there are no edges, numpy returns integers.
        sums = np.bincount(edge, weights, minlength=len(keys)).astype(np.float64)
        with np.errstate(over="ignore"):
            total = np.abs(sums).sum()
        if not math.isfinite(total):
            raise ValueError("the weights are so large that their sum overflows")
        keys, sums = keys[sums != 0], sums[sums != 0]
        return cls(n, np.stack(np.divmod(keys, max(n, 1)), axis=1), sums, labels)

    @classmethod
    def from_networkx(cls, graph: nx.Graph, weight: str = "weight") -> "Graph":
        """Convert any networkx graph; an edge without the attribute ``weight`` has weight 1.

        The edges from u to v and from v to u of a directed graph are summed, as are the parallel
        edges of a multigraph. A weight that is not a finite number is a ``ValueError``.

        Warns if only some edges have the attribute, if none has but there is another numeric one,
        and if every edge of a directed graph has its opposite, with equal weight.

        A pandas table of edges becomes such a graph by ``nx.from_pandas_edgelist(table, "source",
        "target", edge_attr="weight")``.
        """
        index = {node: i for i, node in enumerate(graph)}
        attribute = WeightAttribute(weight)
        ends, weights = [], []
        for u, v, attributes in graph.edges(data=True):
            weights.append(edge_weight(attribute.of(attributes), u, v))
            ends.append((index[u], index[v]))
        if reason := attribute.warning():
            warnings.warn(reason, stacklevel=2)
        pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
        values = np.array(weights, dtype=np.float64)
        if graph.is_directed() and one_direction(pairs, values) is not None:
            warnings.warn(opposite_edges(directed=True), stacklevel=2)
        return cls.from_edges(tuple(index), pairs, values)

    @classmethod
    def from_edge_list(cls, edges: Sequence) -> "Graph":
        """The graph of edges ``(u, v)`` or ``(u, v, weight)`` between any hashable labels.

        Parallel edges are summed; but if every edge is listed in both directions with equal
        weights, it counts once, with a warning.

        Raises:
            ValueError: an edge is not such a tuple, or its weight is not a finite number.
        """
        index: dict[Hashable, int] = {}
        ends, weights = [], []
        for edge in edges:
            if not isinstance(edge, tuple) or len(edge) not in (2, 3):
                raise ValueError(
                    f"the edge {edge!r} is no tuple (u, v) or (u, v, weight); "
                    "a matrix of numbers must be a numpy array"
                )
            u, v, weight = (*edge, 1.0)[:3]
            try:
                ends.append([index.setdefault(label, len(index)) for label in (u, v)])
            except TypeError as error:
                reason = f"the edge {edge!r} ends at a label that can't be hashed"
                raise ValueError(reason) from error
            weights.append(edge_weight(weight, u, v))
        pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
        values = np.array(weights, dtype=np.float64)
        kept = one_direction(pairs, values)
        if kept is not None:
            warnings.warn(opposite_edges(directed=False), stacklevel=2)
            pairs, values = pairs[kept], values[kept]
        return cls.from_edges(tuple(index), pairs, values)

    @classmethod
    def from_sparse(
        cls, matrix: SparseMatrix, labels: tuple[Hashable, ...] | None = None
    ) -> "Graph":
        """The graph of a symmetric or triangular adjacency matrix.

        A symmetric matrix holds each edge twice, and a triangular matrix once; the edge counts once
        in both. The two may differ by rounding of the matrix's type. Entries that are stored more
        than once are summed. Labels are 0 … n−1 by default. For a directed graph pass ``A + A.T``.

        Raises:
            ValueError: the matrix is not such a matrix of finite real numbers, or is too large, or
                the number of labels is not that of the vertices.
        """
        if not scipy.sparse.issparse(matrix):
            raise ValueError(f"the matrix is a {type(matrix).__name__}: it must be scipy sparse")
        shape = matrix.shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] > MAX_VERTICES:
            limit = f"at most {MAX_VERTICES} vertices"
            raise ValueError(f"the matrix has shape {shape}: it must be square, of {limit}")
        entries = sparse_entries(matrix)
        labels = tuple(range(shape[0])) if labels is None else labels
        if len(labels) != shape[0]:
            raise ValueError(f"there are {len(labels)} labels for {shape[0]} vertices")
        # A BSR matrix stores zeros inside its blocks; on the diagonal these are no self-loops.
        stored = entries.data != 0
        ends = np.stack([entries.row, entries.col], axis=1)[stored]
        # Longer floats may overflow to infinity; ``from_edges`` then names the edge.
        with np.errstate(over="ignore", invalid="ignore"):
            weights = entries.data[stored].astype(np.float64)
        below = ends[:, 0] > ends[:, 1]
        upper = cls.from_edges(labels, ends[~below], weights[~below])
        lower = cls.from_edges(labels, ends[below], weights[below])
        if len(upper.weights) and len(lower.weights):
            real = entries.dtype.kind == "f"
            _require_equal(upper, lower, float(np.finfo(entries.dtype).eps) if real else 0.0)
        return upper if len(upper.weights) else lower


GraphLike: TypeAlias = nx.Graph | SparseMatrix | np.ndarray | Sequence[tuple] | Graph


def as_graph(graph: object, weight: str = "weight") -> Graph:
    """Convert a graph of any kind; bring a ``Graph`` to canonical form.

    Args:
        graph: a networkx graph, an adjacency matrix (scipy sparse or numpy, n×n, symmetric or
            triangular), a list of edges ``(u, v)`` or ``(u, v, weight)``, or a ``Graph``. For a
            directed graph with matrix A pass ``A + A.T``. A pandas table of edges is converted by
            ``nx.from_pandas_edgelist``.
        weight: networkx's attribute that holds an edge's weight; the weight is 1 without it.

    Raises:
        ValueError: the graph is of another kind, or is not a graph with finite weights.
    """
    if isinstance(graph, Graph):
        return Graph.from_edges(graph.labels, graph.ends, graph.weights)
    if isinstance(graph, nx.Graph):
        return Graph.from_networkx(graph, weight)
    if isinstance(graph, list | tuple):
        return Graph.from_edge_list(graph)
    if isinstance(graph, np.ma.MaskedArray):
        raise ValueError("the matrix is masked: fill it, with 0 where there is no edge")
    if isinstance(graph, np.ndarray):
        if graph.ndim != 2 or graph.shape[0] != graph.shape[1] or graph.dtype.kind not in "biuf":
            found = f"the array has shape {graph.shape} of type {graph.dtype}"
            raise ValueError(f"{found}: it must be a square matrix of real numbers")
        return Graph.from_sparse(scipy.sparse.coo_array(graph))
    if scipy.sparse.issparse(graph):
        return Graph.from_sparse(graph)
    raise ValueError(
        f"the graph is a {type(graph).__name__}: it must be a networkx graph, a matrix of scipy or "
        "numpy, a list of edges (u, v) or (u, v, weight), or a Graph"
    )


def read_graph(
    path: str | os.PathLike[str], *, weight: str = "weight", format: GraphFormat | None = None
) -> Graph:
    """Read a graph from a file; formats, warnings and errors are those of ``read_graph_file``.

    Args:
        path: the file, which .gz or .bz2 may compress.
        weight: the name of the edges' weights in formats with names of attributes.
        format: the format; by default the suffix or the content tells it.
    """
    from derandomization.files.graphs import GraphContent, read_graph_file

    def build(content: GraphContent) -> Graph:
        if isinstance(content, EdgeList):
            graph = Graph.from_edges(*content)
        else:
            graph = Graph.from_sparse(*content)
        if graph.num_vertices == 0:
            raise ValueError("the graph has no vertices")
        return graph

    return read_graph_file(path, build, weight=weight, format=format)


def _require_edges(labels: tuple[Hashable, ...], ends: np.ndarray, weights: np.ndarray) -> None:
    if ends.size and not (ends.min() >= 0 and ends.max() < len(labels)):
        raise ValueError(f"an edge ends outside the vertices 0 to {len(labels) - 1}")
    finite = np.isfinite(weights)
    if not finite.all():
        first = int(finite.argmin())
        u, v = (labels[end] for end in ends[first])
        raise ValueError(
            f"the weight of the edge {u!r} – {v!r} is {weights[first]}: it must be a finite number"
        )


def _require_equal(upper: Graph, lower: Graph, epsilon: float) -> None:
    """Raise ``ValueError`` unless the triangles agree up to a few ``epsilon`` of each entry."""
    first, second = upper.adjacency(), lower.adjacency()
    # Sums of the same entries in another order may differ in their last digits.
    allowed = max(8 * epsilon, 1e-12) * (abs(first) + abs(second))
    difference = (abs(first - second) - allowed).tocoo()
    if (difference.data > 0).any():
        worst = int(difference.data.argmax())
        i, j = upper.labels[difference.row[worst]], upper.labels[difference.col[worst]]
        raise ValueError(
            f"the matrix is neither symmetric nor triangular: its entries ({i}, {j}) and "
            f"({j}, {i}) differ; for a directed graph, sum both directions by A + A.T"
        )
