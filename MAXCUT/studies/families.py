"""Families of random graphs that are small enough to enumerate the optimum."""

from collections.abc import Callable, Mapping
from functools import partial

import networkx as nx
import numpy as np
from scipy.spatial import Delaunay

from MAXCUT.graph import Graph
from MAXCUT.utilities import random_graph

NUM_VERTICES = 15


def _random(edge_probability: float, seed: int) -> Graph:
    return Graph.from_networkx(random_graph(NUM_VERTICES, edge_probability, seed))


def _signed(seed: int) -> Graph:
    """A complete graph with weights ±1: a spin glass."""
    ends = np.argwhere(np.triu(np.ones((NUM_VERTICES, NUM_VERTICES)), 1))
    return Graph(NUM_VERTICES, ends, np.random.default_rng(seed).choice([-1.0, 1.0], len(ends)))


def _normal(seed: int) -> Graph:
    """Random graphs like the paper's, with standard normal weights."""
    ends = _random(0.6, seed).ends
    return Graph(NUM_VERTICES, ends, np.random.default_rng(seed).standard_normal(len(ends)))


def _planar(seed: int) -> Graph:
    """The Delaunay triangulation of random points in the unit square."""
    triangles = Delaunay(np.random.default_rng(seed).random((NUM_VERTICES, 2))).simplices
    ends = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2)), axis=0)
    return Graph(NUM_VERTICES, ends.astype(np.int64), np.ones(len(ends)))


def _karloff(seed: int) -> Graph:
    """The Clebsch graph: the 16 binary words of length 5 and even weight, joined at distance 4.

    Splitting by one letter cuts 4/5 of the edges, which is all that the SDP allows. The words
    themselves solve the SDP, and from them a hyperplane cuts arccos(−3/5)/π = 0.881 of that.
    The seed shuffles the vertices.

    References:
        Karloff, *How Good is the Goemans–Williamson MAX CUT Algorithm?*, SIAM J. Comput. 1999.
    """
    bits = (np.arange(32)[:, None] >> np.arange(5)) & 1
    words = np.random.default_rng(seed).permutation(bits[bits.sum(axis=1) % 2 == 0])
    ends = np.argwhere(np.triu((words[:, None] != words).sum(axis=2) == 4))
    return Graph(len(words), ends, np.ones(len(ends)))


# networkx requires seeds of 32 bits.
FAMILIES: Mapping[str, Callable[[int], Graph]] = {
    "Erdős–Rényi, p = 0.6": partial(_random, 0.6),
    "Erdős–Rényi, p = 0.2": partial(_random, 0.2),  # often with isolated vertices
    "4-regular": lambda seed: Graph.from_networkx(
        nx.random_regular_graph(4, NUM_VERTICES, seed=seed % 2**32)
    ),
    "weights ±1": _signed,
    "normal weights": _normal,
    "bipartite": lambda seed: Graph.from_networkx(
        nx.bipartite.random_graph(7, NUM_VERTICES - 7, 0.5, seed=seed % 2**32)
    ),
    "planar": _planar,
    "Karloff": _karloff,
}
