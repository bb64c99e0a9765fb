"""A graph in canonical form, with its own node labels: from edges, networkx or scipy sparse."""

import math
import warnings
from collections.abc import Hashable
from dataclasses import dataclass

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from derandomization.files.arrays import sparse_entries

# Far past any graph an SDP is solved for, yet labels for this many still fit into memory.
MAX_VERTICES = 10**7
# Squares of weights are summed, and weights divided by their sums: within these limits neither
# overflows nor vanishes, whatever the graph.
LARGEST_WEIGHT = 1e30


@dataclass(frozen=True)
class Graph:
    """A weighted graph on vertices 0 … n−1: each edge once, no self-loops.

    Attributes:
        num_vertices: n.
        ends: the two ends of each edge.
        weights: w of each edge; may be negative.
        labels: the graph's own name of each vertex; its number by default.
    """

    num_vertices: int
    ends: Int[np.ndarray, "edges 2"]
    weights: Float[np.ndarray, " edges"]
    labels: tuple[Hashable, ...] = ()

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", tuple(range(self.num_vertices)))

    def require_cuttable(self) -> None:
        """Raise ``ValueError`` unless there is an edge, and its weights are in range."""
        largest = float(np.abs(self.weights).max(initial=0.0))
        if largest == 0:
            raise ValueError("the graph has no edge to cut")
        if not 1 / LARGEST_WEIGHT <= largest <= LARGEST_WEIGHT:
            allowed = f"between {1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}"
            raise ValueError(f"the graph's largest weight is {largest:g}: it must lie {allowed}")

    def adjacency(self) -> scipy.sparse.csr_array:
        """A, symmetric, n×n."""
        i, j = self.ends.T
        half = scipy.sparse.coo_array(
            (self.weights, (i, j)), shape=(self.num_vertices, self.num_vertices)
        )
        return (half + half.T).tocsr()

    def cut_value(self, signs: Float[np.ndarray, "*batch vertices"]) -> Float[np.ndarray, "*batch"]:
        """Σ w_ij over the edges whose ends have different signs (±1)."""
        crossing = signs[..., self.ends[:, 0]] != signs[..., self.ends[:, 1]]
        return np.asarray(crossing @ self.weights)

    @classmethod
    def from_edges(
        cls,
        labels: tuple[Hashable, ...],
        ends: Int[np.ndarray, "entries 2"],
        weights: Float[np.ndarray, " entries"],
    ) -> "Graph":
        """The canonical form of any list of edges between the vertices 0 … len(labels) − 1.

        Parallel edges, i–j and j–i alike, become one with the sum of their weights; a sum of
        exactly 0 is no edge, since no cut can tell the two apart. Self-loops are dropped with a
        warning.

        Raises:
            ValueError: an end that is no vertex, or a weight or their sum that is not finite.
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
        # Of no edges at all numpy's sums are integers.
        sums = np.bincount(edge, weights, minlength=len(keys)).astype(np.float64)
        with np.errstate(over="ignore"):
            total = np.abs(sums).sum()
        if not math.isfinite(total):
            raise ValueError("the weights are so large that their sum overflows")
        keys, sums = keys[sums != 0], sums[sums != 0]
        return cls(n, np.stack(np.divmod(keys, max(n, 1)), axis=1), sums, labels)

    @classmethod
    def from_networkx(cls, graph: nx.Graph, weight: str = "weight") -> "Graph":
        """Any networkx graph; an edge without the attribute ``weight`` weighs 1.

        The edges of a directed graph lose their direction: those from u to v and from v to u
        are summed like the parallel edges of a multigraph.

        Raises:
            ValueError: a weight that is no finite number.
        """
        index = {node: i for i, node in enumerate(graph)}
        ends, weights = [], []
        for u, v, value in graph.edges(data=weight, default=1.0):
            try:
                weights.append(float(value))
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(
                    f"the weight of the edge {u!r} – {v!r} is {value!r}: it must be a finite number"
                ) from error
            ends.append((index[u], index[v]))
        pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
        return cls.from_edges(tuple(index), pairs, np.array(weights, dtype=np.float64))

    @classmethod
    def from_sparse(
        cls,
        matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
        labels: tuple[Hashable, ...] | None = None,
    ) -> "Graph":
        """The graph of an adjacency matrix, its vertices labelled 0 … n−1 unless named.

        A symmetric matrix holds each edge twice and counts it once; an upper or lower triangular
        one holds each edge once. Entries stored more than once are summed.

        Raises:
            ValueError: a matrix that is neither, is not square, not real or too large, an entry
                that is not finite, or another number of labels than of vertices.
        """
        entries = _checked_entries(matrix)
        labels = tuple(range(matrix.shape[0])) if labels is None else labels
        if len(labels) != matrix.shape[0]:
            raise ValueError(f"there are {len(labels)} labels for {matrix.shape[0]} vertices")
        # The blocks of a BSR matrix store zeros, on the diagonal too, which are no self-loops.
        stored = entries.data != 0
        ends = np.stack([entries.row, entries.col], axis=1)[stored]
        # Longer floats may overflow, nan may be signalled: both are refused below by their edge.
        with np.errstate(over="ignore", invalid="ignore"):
            weights = entries.data[stored].astype(np.float64)
        below = ends[:, 0] > ends[:, 1]
        upper = cls.from_edges(labels, ends[~below], weights[~below])
        lower = cls.from_edges(labels, ends[below], weights[below])
        if len(upper.weights) and len(lower.weights):
            _require_equal(upper, lower)
        return upper if len(upper.weights) else lower


def _require_edges(
    labels: tuple[Hashable, ...],
    ends: Int[np.ndarray, "entries 2"],
    weights: Float[np.ndarray, " entries"],
) -> None:
    if ends.size and not (ends.min() >= 0 and ends.max() < len(labels)):
        raise ValueError(f"an edge ends outside the vertices 0 to {len(labels) - 1}")
    finite = np.isfinite(weights)
    if not finite.all():
        first = int(finite.argmin())
        u, v = (labels[end] for end in ends[first])
        raise ValueError(
            f"the weight of the edge {u!r} – {v!r} is {weights[first]}: it must be a finite number"
        )


def _require_equal(upper: Graph, lower: Graph) -> None:
    difference = (upper.adjacency() - lower.adjacency()).tocoo()
    gaps = np.abs(difference.data)
    # Entries summed in another order may differ in their last digits.
    if (gaps > 1e-12 * np.abs(upper.weights).max()).any():
        worst = int(gaps.argmax())
        i, j = upper.labels[difference.row[worst]], upper.labels[difference.col[worst]]
        raise ValueError(
            f"the matrix is neither symmetric nor triangular: its entries ({i}, {j}) and "
            f"({j}, {i}) differ"
        )


def _checked_entries(
    matrix: scipy.sparse.sparray | scipy.sparse.spmatrix,
) -> scipy.sparse.coo_array:
    """The entries of a matrix that may come from a hostile file, or a ``ValueError``."""
    if not scipy.sparse.issparse(matrix):
        raise ValueError(f"the matrix is a {type(matrix).__name__}: it must be scipy sparse")
    shape = matrix.shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] > MAX_VERTICES:
        raise ValueError(
            f"the matrix has shape {shape}: it must be square, of at most {MAX_VERTICES} vertices"
        )
    return sparse_entries(matrix)
