"""Ways to cut a graph in so many CPU seconds: ours, and what one would use instead."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from dimod import BinaryQuadraticModel
from dwave.samplers import SimulatedAnnealingSampler, TabuSampler
from networkx.algorithms.approximation import one_exchange

from benchmarks.measure import Seconds, now
from derandomization.laboratory.study import spawn_seeds
from MAXCUT.graph import Graph
from MAXCUT.optimizer import derandomize
from MAXCUT.sdp import hyperplane_cuts, solve_sdp
from MAXCUT.search import search

Cutter = Callable[[Graph, float, int], float]
HYPERPLANES = 200  # drawn at a time
FIRST_SWEEPS = 500  # of the first anneal; every next one is twice as long while there is time
FEWEST_SWEEPS = 50  # an anneal shorter than this is not worth the rest of the time
WORTHWHILE = 0.05  # of the time: with less of it left tabu search is not called again
MANY = 10_000  # searches, more than any budget has room for


class Budget:
    """CPU seconds that run out."""

    def __init__(self, seconds: float, clock: Callable[[], Seconds] = now) -> None:
        self._clock, self._seconds, self._started = clock, seconds, clock()

    @property
    def left(self) -> float:
        return self._seconds - self._clock().since(self._started).cpu


def derandomized(graph: Graph, restarts: int, seed: int) -> float:
    """The whole of ours: SDP, bound, descent, restarts and certificate."""
    solution = solve_sdp(graph, np.random.default_rng(seed))
    generator = torch.Generator().manual_seed(seed)
    return derandomize(graph, solution, generator=generator, restarts=restarts).cut_value


def searched(graph: Graph, seconds: float, seed: int) -> float:
    """Our restarts alone, from one SDP solution, as long as there is time for one more."""
    budget, best, longest = Budget(seconds), np.ones(graph.num_vertices), 0.0
    solution = solve_sdp(graph, np.random.default_rng(seed))
    for each in spawn_seeds(seed, MANY):
        before = budget.left
        best = search(graph, solution.vectors, best, each)
        longest = max(longest, before - budget.left)
        if budget.left < longest:
            break
    return float(graph.cut_value(best))


def hyperplanes(graph: Graph, seconds: float, seed: int) -> float:
    """Goemans–Williamson: the best of as many hyperplanes as there is time for."""
    budget, best, rng = Budget(seconds), -np.inf, np.random.default_rng(seed)
    solution = solve_sdp(graph, rng)
    while budget.left > 0:
        best = max(best, float(hyperplane_cuts(graph, solution.vectors, HYPERPLANES, rng).max()))
    return best


def exchanges(graph: Graph, seconds: float, seed: int) -> float:
    """networkx's one-exchange by default: from one side empty, each time in another order."""
    budget, best = Budget(seconds), -np.inf
    drawn = graph.to_networkx()
    while budget.left > 0 or best == -np.inf:
        value, _ = one_exchange(drawn, weight="weight", seed=seed)
        best, seed = max(best, float(value)), seed + 1
    return best


def tabu(graph: Graph, seconds: float, seed: int) -> float:
    """dwave-samplers' tabu search."""
    return _cut(graph, tabu_energy(_ising(graph), seconds, seed))


def annealing(graph: Graph, seconds: float, seed: int) -> float:
    """dwave-samplers' simulated annealing."""
    return _cut(graph, annealing_energy(_ising(graph), seconds, seed))


def tabu_energy(
    model: BinaryQuadraticModel, seconds: float, seed: int, enough: float = -np.inf
) -> float:
    """The least energy of tabu search, which ends early at an energy of at most ``enough``.

    It counts wall seconds, so it is asked again for the rest.
    """
    budget, lowest = Budget(seconds), np.inf
    while lowest == np.inf or (lowest > enough and budget.left > WORTHWHILE * seconds):
        milliseconds = max(1, int(1_000 * budget.left))
        found = TabuSampler().sample(
            model,
            timeout=milliseconds,
            seed=seed % 2**31,
            energy_threshold=max(enough, np.finfo(float).min),
        )
        lowest, seed = min(lowest, float(found.first.energy)), seed + 1
    return lowest


def annealing_energy(
    model: BinaryQuadraticModel, seconds: float, seed: int, enough: float = -np.inf
) -> float:
    """The least energy of annealing, each anneal twice as long as the last that fitted.

    It ends early after an anneal with an energy of at most ``enough``.
    """
    budget = Budget(seconds)
    lowest, sweeps, a_sweep = np.inf, FIRST_SWEEPS, 0.0
    while True:
        before = budget.left
        found = SimulatedAnnealingSampler().sample(
            model, num_sweeps=sweeps, num_reads=1, seed=seed % 2**31
        )
        lowest, seed = min(lowest, float(found.first.energy)), seed + 1
        a_sweep = max((before - budget.left) / sweeps, 1e-9)
        sweeps = min(2 * sweeps, int(budget.left / a_sweep))
        if sweeps < FEWEST_SWEEPS or lowest <= enough:
            return lowest


OTHERS: dict[str, Cutter] = {"tabu search": tabu, "simulated annealing": annealing}
ALL: dict[str, Cutter] = {
    "derandomized, restarts": searched,
    "best hyperplane": hyperplanes,
    "one-exchange": exchanges,
    **OTHERS,
}


def bound(cutter: Cutter, graph: Graph, seconds: float, seed: int) -> Callable[[], float]:
    """A contender for ``in_turn``."""
    return partial(cutter, graph, seconds, seed)


def _ising(graph: Graph) -> BinaryQuadraticModel:
    """Σ w_ij s_i s_j: the lower, the more is cut."""
    model = BinaryQuadraticModel("SPIN")
    model.add_linear_from((vertex, 0.0) for vertex in range(graph.num_vertices))
    model.add_quadratic_from(
        (*ends, weight) for ends, weight in zip(graph.ends.tolist(), graph.weights, strict=True)
    )
    return model


def _cut(graph: Graph, energy: float) -> float:
    return float((graph.weights.sum() - energy) / 2)
