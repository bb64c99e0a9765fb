"""Random graphs and the optimum of small ones."""

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float

from derandomization.checks import require_at_least, require_between
from MAXCUT.graph import Graph

# 2^23 partitions of 24 vertices are scored in half a second; each vertex more doubles it.
MAX_ENUMERATED_VERTICES = 24


def random_graph(num_vertices: int, edge_probability: float, seed: int) -> nx.Graph:
    """Each pair joined with the given probability: figure 4's graph at (15, 0.6, seed 42).

    The strict upper triangle of one n×n float32 uniform draw is compared with the probability.

    Raises:
        ValueError: fewer than 2 vertices, or a probability outside [0, 1].
    """
    require_at_least("graph_size", num_vertices, 2)
    require_between("edge_probability", edge_probability, 0, 1)
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(num_vertices, num_vertices, generator=generator)
    joined = torch.triu(uniform < edge_probability, diagonal=1)
    graph = nx.empty_graph(num_vertices)
    graph.add_edges_from(joined.nonzero().tolist())
    return graph


def maximum_cut(graph: Graph) -> float:
    """max Σ w_ij [x_i ≠ x_j] over all 2^(n−1) partitions.

    The vertices are halved; with x = (y, z), xᵀAx/2 = yᵀA₁₁y/2 + zᵀA₂₂z/2 + yᵀA₁₂z, so every pair
    of half-partitions is one entry of a matrix product.

    Raises:
        ValueError: more than 24 vertices.
    """
    n = graph.num_vertices
    if n > MAX_ENUMERATED_VERTICES:
        raise ValueError(f"graph has {n} vertices: enumeration reaches {MAX_ENUMERATED_VERTICES}")
    adjacency = graph.adjacency().toarray()
    half = n // 2
    first = _all_signs(half)
    second = _all_signs(n - half)
    second = second[: (len(second) + 1) // 2]  # the last vertex's side is fixed by symmetry
    within = [
        np.einsum("pi,ij,pj->p", signs, block, signs) / 2
        for signs, block in ((first, adjacency[:half, :half]), (second, adjacency[half:, half:]))
    ]
    across = first @ adjacency[:half, half:] @ second.T
    smallest = (within[0][:, None] + within[1][None, :] + across).min()
    return float((graph.weights.sum() - smallest) / 2)


def _all_signs(count: int) -> Float[np.ndarray, "partitions vertices"]:
    """Every ±1 vector; the last entry changes slowest."""
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    return 2.0 * bits - 1
