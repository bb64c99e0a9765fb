"""More cuts from one SDP solution: its hyperplanes, and what is found around the best of them."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from MAXCUT.bifurcation import Oscillators
from MAXCUT.crossover import combined
from MAXCUT.graph import Graph
from MAXCUT.polish import one_flip_optimum

# Chosen on the G-set: half the rounds of twice the steps do as well.
NUM_ROUNDS, NUM_CUTS = 12, 16
HYPERPLANE = 0.3  # of v_i·z, which starts the first round's oscillators
# A vertex, around the best cut's ±1. On large graphs 0.3 does as well; on some of 14 vertices every
# oscillator then comes back.
NOISE = 1.0
# Pumps from 0, which forgets the cut, to this, which leaves most of it: what moves a cut without
# destroying it differs from graph to graph.
HIGHEST_PUMP = 0.8


class Cut(NamedTuple):
    """What a search found.

    Attributes:
        signs: ±1 a vertex; no flip of a single one gains.
        value: of the cut.
    """

    signs: Float[np.ndarray, " vertices"]
    value: float


def search(
    graph: Graph,
    vectors: Float[np.ndarray, "vertices rank"],
    signs: Float[np.ndarray, " vertices"],
    seed: int,
) -> Cut:
    """A cut, 16 random hyperplanes bifurcated, then rounds around the best so far.

    Goemans and Williamson's random cut is sign(Vz). Here v_i·z is where vertex i's oscillator
    starts, which leaves a better cut than its sign. Each round ends with the cuts combined, part
    by part. Costs 12 000 steps of O(16 · edges).

    Args:
        graph: the graph to cut.
        vectors: V, of the SDP.
        signs: a cut to start with, ±1 a vertex.
        seed: of hyperplanes, noise and pumps.
    """
    rng = np.random.default_rng(seed)
    oscillators = Oscillators.of(graph)
    normals = rng.standard_normal((vectors.shape[1], NUM_CUTS))
    found = oscillators.cuts(HYPERPLANE * vectors @ normals, np.zeros(NUM_CUTS), rng)
    signs = combined(graph, np.vstack([signs, found]))
    for _ in range(NUM_ROUNDS - 1):
        around = signs[:, None] + NOISE * rng.standard_normal((len(signs), NUM_CUTS))
        found = oscillators.cuts(around, rng.uniform(0, HIGHEST_PUMP, NUM_CUTS), rng)
        signs = combined(graph, np.vstack([signs, found]))
    signs = one_flip_optimum(graph, signs)
    return Cut(signs, float(graph.cut_value(signs)))
