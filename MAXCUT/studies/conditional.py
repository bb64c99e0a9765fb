"""Conditional expectations: a deterministic rounding of the SDP, as a baseline."""

import numpy as np
import torch
from scipy.special import ndtri

from MAXCUT.crossing import crossing_probability
from MAXCUT.graph import Graph, Signs, Vectors

NUM_CANDIDATES = 33  # values of a coordinate, at quantiles of N(0, 1)
# The quadrature needs |r| < 1. At this limit two signs agree or differ up to arccos(r)/π = 1%.
LARGEST_CORRELATION = 0.9995


def conditional_expectation_cut(graph: Graph, vectors: Vectors) -> Signs:
    """sign(Vz), where the coordinates of z are chosen in turn to maximise E[cut | chosen].

    With z_1 … z_l chosen, vertex i takes the sign of μ_i + v'_i·z', where μ_i = Σ_{m ≤ l} v_im z_m
    and v'_i is the rest of v_i. An edge is cut with probability Φ(a_i) + Φ(a_j) − 2Φ₂(a_i, a_j;
    r_ij), where a_i = μ_i/‖v'_i‖ and r_ij is the correlation of the rests. Since the expectation is
    the mean over all values of z_{l+1}, some value does not decrease it; the best of 33 is taken.
    For the last coordinate the cut is piecewise constant, and the best of all values is taken.

    References:
        Mahajan, Ramesh, *Derandomizing Approximation Algorithms Based on Semidefinite
        Programming*, SIAM J. Comput. 1999, which discretises the coordinates.
    """
    candidates = ndtri((np.arange(NUM_CANDIDATES) + 0.5) / NUM_CANDIDATES)
    mean = np.zeros(graph.num_vertices)
    for column in range(vectors.shape[1] - 1):
        rest = vectors[:, column + 1 :]
        means = mean + candidates[:, None] * vectors[:, column]
        expected = [_expected_cut(graph, rest, each) for each in means]
        mean = means[int(np.argmax(expected))]
    return _best_last_coordinate(graph, mean, vectors[:, -1])


def _expected_cut(graph: Graph, rest: Vectors, mean: np.ndarray) -> float:
    i, j = graph.ends.T
    # If the rest of a vertex is 0, its sign is decided: the level ±∞ is clipped for the quadrature.
    length = np.maximum(np.linalg.norm(rest, axis=1), 1e-12)
    level = torch.from_numpy((mean / length).clip(-40, 40))
    correlation = (rest[i] * rest[j]).sum(axis=1) / (length[i] * length[j])
    correlation = torch.from_numpy(correlation.clip(-LARGEST_CORRELATION, LARGEST_CORRELATION))
    crossing = crossing_probability(level[graph.ends.T], correlation)
    return float(graph.weights @ crossing.numpy())


def _best_last_coordinate(graph: Graph, mean: np.ndarray, slope: np.ndarray) -> Signs:
    """The best sign(μ + vz) over all z: vertex i changes its sign at z = −μ_i/v_i."""
    moving = np.flatnonzero(slope)
    zeros = -mean[moving] / slope[moving]
    order, zeros = moving[np.argsort(zeros)], np.append(np.sort(zeros), np.inf)
    signs = np.where(np.where(slope == 0, mean >= 0, slope < 0), 1.0, -1.0)  # at z = −∞
    adjacency = graph.adjacency()
    best, best_flips, value, current = 0.0, 0, 0.0, signs.copy()
    for flips, vertex in enumerate(order, start=1):
        row = slice(adjacency.indptr[vertex], adjacency.indptr[vertex + 1])
        neighbours = current[adjacency.indices[row]]
        value += current[vertex] * float(adjacency.data[row] @ neighbours)
        current[vertex] *= -1
        if value > best and zeros[flips] > zeros[flips - 1]:  # else others flip at the same z
            best, best_flips = value, flips
    signs[order[:best_flips]] *= -1
    return signs
