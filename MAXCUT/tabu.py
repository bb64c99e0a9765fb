"""Tabu search from many cuts of a small graph at once; the paper has no such search."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from MAXCUT.graph import Graph

# A vertex that was moved stays for 20 to 29 steps, or for a quarter to half of the vertices.
SHORTEST_TENURE, NUM_TENURES = 20, 10
STEPS_BETWEEN_CHECKS = 16


def tabu_search(
    graph: Graph,
    cuts: Float[np.ndarray, "cuts vertices"],
    rng: np.random.Generator,
    *,
    num_steps: int,
    check: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "cuts vertices"]:
    """The best cut that tabu search meets from each of the cuts, of a graph with edges.

    A step moves the vertex that gains most, or loses least, to the other side, where it stays for
    some steps. A step takes O(vertices) for each cut, with the full matrix of the weights.

    References:
        Palubeckis, *Multistart tabu search strategies for the unconstrained binary quadratic
        optimization problem*, Annals of Operations Research 131 (2004).
    """
    num_cuts, n = cuts.shape
    adjacency = graph.adjacency().toarray()
    adjacency = (adjacency / np.abs(adjacency).max()).astype(np.float32)
    signs = cuts.astype(np.float32)
    gains = signs * (signs @ adjacency)  # of each vertex, if it changes sides
    value, best_value = np.zeros(num_cuts), np.zeros(num_cuts)  # above those at the start
    best = signs.copy()
    free_from = np.zeros((num_cuts, n), dtype=np.int32)
    shortest, num_tenures = min(SHORTEST_TENURE, n // 4), min(NUM_TENURES, n // 4 + 1)
    each = np.arange(num_cuts)
    for step in range(num_steps):
        if step % STEPS_BETWEEN_CHECKS == 0:
            check()
        vertex = np.where(free_from > step, -np.inf, gains).argmax(axis=1)
        value += gains[each, vertex]
        side = -signs[each, vertex]
        signs[each, vertex] = side
        gains[each, vertex] *= -1
        moved = adjacency[vertex]
        moved *= signs
        moved *= 2 * side[:, None]
        gains += moved
        tenure = shortest + rng.integers(num_tenures, size=num_cuts)
        free_from[each, vertex] = step + 1 + tenure
        better = value > best_value
        if better.any():
            best_value[better] = value[better]
            best[better] = signs[better]
    return best.astype(np.float64)
