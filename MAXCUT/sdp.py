"""The Goemans–Williamson relaxation, solved by coordinate descent, with a dual bound."""

from dataclasses import dataclass

import networkx as nx
import numpy as np
import scipy.sparse
from jaxtyping import Float
from scipy.sparse.linalg import aslinearoperator

from derandomization.eigenvalues import smallest_eigenvalue
from MAXCUT.graph import Graph

MAX_SWEEPS = 5_000
# A sweep that gains less than n² times this part of the value ends the descent. The gap to the dual
# bound is then below 1e-6 of it at n = 15 and 1e-4 at n = 20 000, far below what cuts differ by.
RELATIVE_GAIN = 5e-16
# Optimal solutions of the G-set have ranks of 8 to 18. Past n = 264 this is less than ⌈√(2n)⌉ + 1,
# where theory excludes spurious points; the dual bound tells whether one was met.
MAX_RANK = 24
# Singular directions below this part of the largest carry 1e-12 of ‖V‖²: solver noise.
RANK_TOLERANCE = 1e-6
# Up to here a dense eigenvalue takes 0.2 s and leaves no doubt about the bound.
DENSE_VERTICES = 1_000
# Part of the upper bound that an eigenvalue's error may cost it.
BOUND_TOLERANCE = 1e-5


@dataclass(frozen=True)
class SdpSolution:
    """Unit vectors and what they prove.

    Attributes:
        vectors: V, row i is v_i, compressed to its numerical rank.
        value: Σ w_ij (1 − v_i·v_j)/2.
        upper_bound: no cut is worth more, by weak duality (the eigenvalue's residual included).
    """

    vectors: Float[np.ndarray, "vertices rank"]
    value: float
    upper_bound: float


def solve_sdp(graph: Graph, rng: np.random.Generator) -> SdpSolution:
    """max Σ w_ij (1 − v_i·v_j)/2 over unit vectors in R^r, r = min(⌈√(2n)⌉ + 1, 24).

    Cyclic exact minimisation v_i ← −g_i/‖g_i‖, g_i = Σ_j w_ij v_j. A colour class of the graph
    moves at once: no edge lies within it, so that equals moving its vertices one by one. Each
    sweep starts a little further along the last one's way (Nesterov's momentum, forgotten when
    the value falls), which takes a fifth of the sweeps on grids. A sweep costs O(edges · r).

    References:
        Goemans & Williamson 1995; Wang, Chang, Kolter 2017 (arXiv 1706.00476), the Mixing method;
        Boumal, Voroninski, Bandeira 2016, on the rank; O'Donoghue, Candès 2015, on the restarts.
    """
    adjacency = graph.adjacency()
    rank = min(int(np.ceil(np.sqrt(2 * graph.num_vertices))) + 1, MAX_RANK)
    vectors = _normalized(rng.standard_normal((graph.num_vertices, rank)))
    classes = [(rows, adjacency[rows]) for rows in _colour_classes(graph)]
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
    total = float(graph.weights.sum())
    return SdpSolution(vectors, total / 2 - energy / 4, dual_bound(graph, vectors))


def dual_bound(graph: Graph, vectors: Float[np.ndarray, "vertices rank"]) -> float:
    """Σw/2 + (Σ_i y_i − n·λ_min(A + diag y))/4 with y_i = −(AV)_i·v_i: at least every cut.

    Valid for any V, since xᵀAx = xᵀ(A + diag y)x − Σy ≥ n·λ_min − Σy at every x in {±1}^n; tight
    at the SDP's solution.
    """
    if (graph.weights <= 0).all():
        return 0.0  # what cutting nothing is worth: rounding would leave 1e-15 instead
    adjacency = graph.adjacency()
    duals = -(vectors * (adjacency @ vectors)).sum(axis=1)
    total, n = float(graph.weights.sum()), graph.num_vertices
    slack = adjacency + scipy.sparse.diags_array(duals)
    scale = max(total / 2 + duals.sum() / 4, np.finfo(float).tiny)
    smallest = smallest_eigenvalue(
        aslinearoperator(slack),
        tolerance=4 * BOUND_TOLERANCE * scale / n,
        dense_size=DENSE_VERTICES,
    )
    return float(total / 2 + (duals.sum() - n * smallest.lower_end) / 4)


def _colour_classes(graph: Graph) -> list[np.ndarray]:
    structure = nx.empty_graph(graph.num_vertices)
    structure.add_edges_from(graph.ends.tolist())
    colours = nx.greedy_color(structure)
    colour_of = np.array([colours[vertex] for vertex in range(graph.num_vertices)])
    return [np.flatnonzero(colour_of == colour) for colour in range(colour_of.max() + 1)]


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _compressed(vectors: np.ndarray) -> np.ndarray:
    """The same Gram matrix from as few columns as the numerical rank."""
    left, singular, _ = np.linalg.svd(vectors, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    return _normalized(left[:, kept] * singular[kept])
