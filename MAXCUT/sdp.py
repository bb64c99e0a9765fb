"""Goemans and Williamson's relaxation, its proven upper bound, and rounding by hyperplanes."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import Float
from scipy.sparse.linalg import aslinearoperator

from derandomization.eigenvalues import smallest_eigenvalue
from MAXCUT.graph import Graph, Signs, Vectors

# inf over θ of (θ/π) / ((1 − cos θ)/2): the guarantee of Goemans & Williamson 1995.
GUARANTEED_RATIO = 0.87856
MAX_SWEEPS = 5_000
# The descent ends at a sweep that changes the value by less than n² times this fraction.
RELATIVE_GAIN = 5e-16
# Optimal solutions of the G-set have ranks of 8 to 18. Beyond n = 264 spurious points may exist.
MAX_RANK = 24
# Singular directions below this fraction of the largest hold 1e-12 of ‖V‖²: the solver's error.
RANK_TOLERANCE = 1e-6
# Up to this size a dense eigensolver takes 0.2 s and computes the bound without iteration.
DENSE_VERTICES = 1_000
# The fraction of the upper bound that the eigenvalue's error may add.
BOUND_TOLERANCE = 1e-5
DRAWS = 100  # hyperplanes that are tried together
# The fraction of Σ|w| by which rounding errors may move the hyperplanes' mean: where two vectors
# are parallel, arccos turns an error of 1e-16 into one of 1e-8.
MEAN_TOLERANCE = 1e-7


@dataclass(frozen=True)
class SdpSolution:
    """Unit vectors, the value of the relaxation, and the bound on every cut.

    The bound is proven by weak duality, as the residual of its eigenvalue is included.
    """

    vectors: Vectors
    value: float  # Σ w_ij (1 − v_i·v_j)/2
    upper_bound: float  # no cut has a larger value


def solve_sdp(graph: Graph, rng: np.random.Generator) -> SdpSolution:
    """Maximise Σ w_ij (1 − v_i·v_j)/2 over unit vectors in R^r, r = min(⌈√(2n)⌉ + 1, 24).

    Coordinate descent sets v_i ← −g_i/‖g_i‖ with g_i = Σ_j w_ij v_j. All vertices of a colour class
    of the graph move at once, which equals moving them one by one since no edge joins them.
    Nesterov's momentum, reset whenever the value falls, needs a fifth of the sweeps on grids.
    A sweep costs O(edges · r). The first vectors are random.

    References:
        Goemans & Williamson 1995; Wang, Chang, Kolter 2017 (arXiv 1706.00476), the Mixing method;
        Boumal, Voroninski, Bandeira 2016, on the rank; O'Donoghue, Candès 2015, on the resets.
    """
    adjacency = graph.adjacency()
    rank = min(int(np.ceil(np.sqrt(2 * graph.num_vertices))) + 1, MAX_RANK)
    vectors = _normalized(rng.standard_normal((graph.num_vertices, rank)))
    colours = nx.greedy_color(graph.to_networkx())
    colour_of = np.array([colours[vertex] for vertex in range(graph.num_vertices)])
    alike = [np.flatnonzero(colour_of == colour) for colour in range(colour_of.max() + 1)]
    classes = [(rows, adjacency[rows]) for rows in alike]
    gain = RELATIVE_GAIN * graph.num_vertices**2
    previous, energy, streak = vectors, np.inf, 0  # energy: Σ_ij A_ij v_i·v_j
    for _ in range(MAX_SWEEPS):
        step = vectors - previous
        previous = vectors
        vectors = _normalized(vectors + streak / (streak + 3) * step)
        for rows, block in classes:
            field = block @ vectors
            length = np.linalg.norm(field, axis=1, keepdims=True)
            vectors[rows] = np.where(length > 0, -field / np.maximum(length, 1e-300), vectors[rows])
        last, energy = energy, float((vectors * (adjacency @ vectors)).sum())
        if streak and abs(last - energy) <= gain * abs(energy):
            break
        streak = streak + 1 if energy <= last else 0
    vectors = _compressed(vectors)
    energy = float((vectors * (adjacency @ vectors)).sum())
    value = float(graph.weights.sum()) / 2 - energy / 4
    return SdpSolution(vectors, value, dual_bound(graph, vectors))


def dual_bound(graph: Graph, vectors: Vectors) -> float:
    """An upper bound on every cut: Σw/2 + (Σ_i y_i − n·λ_min(A + diag y))/4, y_i = −(AV)_i·v_i.

    It holds for any V, since xᵀAx = xᵀ(A + diag y)x − Σy ≥ n·λ_min − Σy for every x in {±1}^n. It
    is tight at the SDP's solution.
    """
    if (graph.weights <= 0).all():
        return 0.0  # the empty cut is optimal; the formula would give a rounding error instead
    adjacency = graph.adjacency()
    duals = -(vectors * (adjacency @ vectors)).sum(axis=1)
    total, n = float(graph.weights.sum()), graph.num_vertices
    slack = adjacency + scipy.sparse.diags_array(duals)
    scale = max(total / 2 + duals.sum() / 4, np.finfo(float).tiny)
    tolerance = 4 * BOUND_TOLERANCE * scale / n
    smallest = smallest_eigenvalue(
        aslinearoperator(slack), tolerance=tolerance, dense_size=DENSE_VERTICES
    )
    return float(total / 2 + (duals.sum() - n * smallest.lower_end) / 4)


def hyperplane_expectation(graph: Graph, vectors: Vectors) -> float:
    """Σ w_ij arccos(v_i·v_j)/π: the exact mean of Goemans–Williamson rounding."""
    i, j = graph.ends.T
    inner = (vectors[i] * vectors[j]).sum(axis=1).clip(-1, 1)
    return float(graph.weights @ np.arccos(inner) / np.pi)


def hyperplane_cuts(
    graph: Graph, vectors: Vectors, num_hyperplanes: int, rng: np.random.Generator
) -> Float[np.ndarray, " hyperplanes"]:
    """The values of the cuts sign(Vz) for many z ~ N(0, I)."""
    return _drawn(graph, vectors, num_hyperplanes, rng)[1]


def good_hyperplane(graph: Graph, vectors: Vectors, rng: np.random.Generator) -> Signs:
    """The best sign(Vz) of 100 random z, or of as many more as it takes to reach the mean."""
    enough = hyperplane_expectation(graph, vectors)
    enough -= MEAN_TOLERANCE * float(np.abs(graph.weights).sum())
    while True:
        signs, values = _drawn(graph, vectors, DRAWS, rng)
        if values.max() >= enough:
            return signs[:, values.argmax()]


def _drawn(
    graph: Graph, vectors: Vectors, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "vertices cuts"], Float[np.ndarray, " cuts"]]:
    """The cuts x = sign(Vz) of random z, and their values (Σw − xᵀAx/2)/2."""
    signs = np.where(vectors @ rng.standard_normal((count, vectors.shape[1])).T >= 0, 1.0, -1.0)
    energies = (signs * (graph.adjacency() @ signs)).sum(axis=0)
    return signs, (graph.weights.sum() - energies / 2) / 2


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _compressed(vectors: np.ndarray) -> np.ndarray:
    """Vectors with the same Gram matrix and as few columns as the numerical rank."""
    left, singular, _ = np.linalg.svd(vectors, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    return _normalized(left[:, kept] * singular[kept])
