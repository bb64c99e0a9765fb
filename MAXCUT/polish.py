"""The last check of a cut: does moving one vertex help?"""

import numpy as np
from jaxtyping import Float

from MAXCUT.graph import Graph


def smallest_gain(graph: Graph) -> float:
    """Less than this is rounding, and could go back and forth for ever."""
    return 1e-12 * float(np.abs(graph.weights).sum())


def one_flip_optimum(
    graph: Graph, signs: Float[np.ndarray, " vertices"]
) -> Float[np.ndarray, " vertices"]:
    """Move the vertex that gains most to the other side until none gains.

    O(vertices + degree) a move; a derandomized cut needs few.
    """
    adjacency = graph.adjacency()
    starts, neighbours, weights = adjacency.indptr, adjacency.indices, adjacency.data
    signs = signs.copy()
    gains = signs * (adjacency @ signs)
    smallest = smallest_gain(graph)
    while len(gains) and gains[vertex := int(gains.argmax())] > smallest:
        row = slice(starts[vertex], starts[vertex + 1])
        signs[vertex] *= -1
        gains[vertex] *= -1
        gains[neighbours[row]] += 2 * weights[row] * signs[vertex] * signs[neighbours[row]]
    return signs
