"""The graph that the options choose, random graphs, and the optimum of small graphs."""

import networkx as nx
import numpy as np
import torch
from jaxtyping import Float

from derandomization.checks import require_at_least, require_between
from MAXCUT.graph import Graph, read_graph
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.settings import GraphConfig

# The 2^23 partitions of 24 vertices take half a second; each additional vertex doubles the time.
MAX_ENUMERATED_VERTICES = 24
MAX_ENUMERATED_VARIABLES = 16  # of a quadratic function, whose terms are all evaluated


def load_graph(config: GraphConfig, seed: int) -> Graph:
    """The graph in the file, or the random graph of this seed; errors name the option."""
    if config.graph_file is None:
        option = f"edge_probability is {config.edge_probability}"
        graph = Graph.from_networkx(random_graph(config.graph_size, config.edge_probability, seed))
    else:
        option = f"graph_file is {config.graph_file}"
        try:
            graph = read_graph(config.graph_file, weight=config.weight, format=config.format)
        except OSError as problem:
            raise ValueError(f"{option}: it can't be read ({problem.strerror})") from None
    try:
        graph.require_cuttable()
    except ValueError as problem:
        raise ValueError(f"{option}: {problem}") from None
    return graph


def random_graph(num_vertices: int, edge_probability: float, seed: int) -> nx.Graph:
    """Join each pair of vertices with the given probability; (15, 0.6, 42) is figure 4's graph.

    The strict upper triangle of one n×n float32 uniform draw is compared with the probability.
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
    """The optimum max Σ w_ij [x_i ≠ x_j], by enumeration of all 2^(n−1) partitions.

    The vertices are split into two halves. With x = (y, z), xᵀAx/2 = yᵀA₁₁y/2 + zᵀA₂₂z/2 + yᵀA₁₂z,
    so each pair of partitions of the halves is one entry of a matrix product.
    """
    n = graph.num_vertices
    if n > MAX_ENUMERATED_VERTICES:
        raise ValueError(f"graph has {n} vertices: enumeration reaches {MAX_ENUMERATED_VERTICES}")
    adjacency = graph.adjacency().toarray()
    half = n // 2
    first, second = _all_signs(half), _all_signs(n - half)
    second = second[: (len(second) + 1) // 2]  # the side of the last vertex is fixed by symmetry
    within_first = np.einsum("pi,ij,pj->p", first, adjacency[:half, :half], first) / 2
    within_second = np.einsum("pi,ij,pj->p", second, adjacency[half:, half:], second) / 2
    across = first @ adjacency[:half, half:] @ second.T
    smallest = (within_first[:, None] + within_second + across).min()
    return float((graph.weights.sum() - smallest) / 2)


def minimum_energy(model: QuadraticModel) -> float:
    """The smallest energy, by enumeration of all assignments."""
    n = model.num_variables
    if n > MAX_ENUMERATED_VARIABLES:
        raise ValueError(f"model has {n} variables: enumeration reaches {MAX_ENUMERATED_VARIABLES}")
    signs = _all_signs(n)
    every = (signs if model.spin else (signs + 1) / 2).astype(np.int64)
    i, j = model.ends.T
    extended = np.column_stack([every, np.ones(len(every), dtype=np.int64)])
    energies = (extended[:, i] * extended[:, j]) @ model.values
    return model.energy(every[energies.argmin()])


def _all_signs(count: int) -> Float[np.ndarray, "partitions vertices"]:
    """Every ±1 vector; the last entry changes slowest."""
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    return 2.0 * bits - 1
