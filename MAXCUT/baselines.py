"""Goemans–Williamson's random hyperplanes: what derandomization starts from."""

import numpy as np
from jaxtyping import Float

from MAXCUT.graph import Graph

# inf over θ of (θ/π) / ((1 − cos θ)/2): the guarantee of Goemans & Williamson 1995.
GUARANTEED_RATIO = 0.87856


def hyperplane_expectation(graph: Graph, vectors: Float[np.ndarray, "vertices rank"]) -> float:
    """Σ w_ij arccos(v_i·v_j)/π: the exact mean of Goemans–Williamson rounding."""
    i, j = graph.ends.T
    inner = (vectors[i] * vectors[j]).sum(axis=1).clip(-1, 1)
    return float(graph.weights @ np.arccos(inner) / np.pi)


def hyperplane_cuts(
    graph: Graph,
    vectors: Float[np.ndarray, "vertices rank"],
    num_hyperplanes: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, " hyperplanes"]:
    """The value of sign(Vz) for each of many z ~ N(0, I), as (Σw − xᵀAx/2)/2."""
    normals = rng.standard_normal((num_hyperplanes, vectors.shape[1]))
    signs = np.where(vectors @ normals.T >= 0, 1.0, -1.0)
    return (graph.weights.sum() - (signs * (graph.adjacency() @ signs)).sum(axis=0) / 2) / 2
