"""Bifurcation, combination of cuts, single moves, and the searches made of them."""

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT.graph import Graph
from MAXCUT.optimizer import DerandomizedCut, derandomize
from MAXCUT.sdp import SdpSolution, solve_sdp
from MAXCUT.search import NUM_TABU_STEPS, Oscillators, combine_cuts, one_flip_optimum, search
from MAXCUT.utilities import maximum_cut

Build = Callable[..., Graph]


def cuts_of(graph: Graph, pump: float, start: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return Oscillators(graph).cuts(start, np.full(start.shape[1], pump), rng)


def test_the_best_of_eight_comes_near_the_optimum_of_small_graphs_and_mostly_is_it(
    signed_graph: Build,
) -> None:
    ratios = []
    for seed in range(10):
        graph = signed_graph(12, seed)
        found = cuts_of(graph, 0.0, np.random.default_rng(seed).uniform(-0.1, 0.1, (12, 8)))
        assert found.shape == (8, 12)
        assert set(found.ravel()) <= {-1.0, 1.0}
        ratios.append(graph.cut_value(found).max() / maximum_cut(graph))
    assert min(ratios) > 0.8
    assert sum(ratio > 1 - 1e-9 for ratio in ratios) >= 8


def test_a_bipartite_graph_is_cut_whole_from_anywhere() -> None:
    graph = Graph.from_networkx(nx.complete_bipartite_graph(9, 30))
    start = np.random.default_rng(1).uniform(-1, 1, (39, 6))
    assert (graph.cut_value(cuts_of(graph, 0.0, start)) == 270).all()


def test_scaled_weights_leave_the_cuts_as_they_are(signed_graph: Build) -> None:
    graph = signed_graph(20, 3)
    start = np.random.default_rng(2).uniform(-0.1, 0.1, (20, 5))
    for scale in (2.0**-90, 2.0**90):
        scaled = Graph(20, graph.ends, graph.weights * scale)
        assert np.array_equal(cuts_of(graph, 0.0, start), cuts_of(scaled, 0.0, start))


def test_a_high_pump_stays_at_a_cut_that_a_low_one_leaves() -> None:
    graph = Graph.from_networkx(nx.random_regular_graph(3, 60, seed=0))
    optimum = cuts_of(graph, 0.0, np.random.default_rng(0).uniform(-0.1, 0.1, (60, 1)))[0]
    start = np.repeat(optimum[:, None], 4, axis=1)
    stayed, left = (cuts_of(graph, pump, start) for pump in (0.99, 0.0))
    assert (stayed == optimum).all()
    assert (left != optimum).any()


def test_isolated_vertices_take_any_side() -> None:
    graph = Graph(4, np.array([[1, 2]]), np.array([1.0]))
    found = cuts_of(graph, 0.0, np.random.default_rng(0).uniform(-0.1, 0.1, (4, 3)))
    assert (graph.cut_value(found) == 1).all()


def parts_by_hand(graph: Graph, first: np.ndarray, second: np.ndarray) -> float:
    """The best of all mixtures of two cuts along the parts on which they differ."""
    differs = first != second
    drawn = nx.Graph(graph.ends.tolist())
    drawn.add_nodes_from(range(graph.num_vertices))
    parts = list(nx.connected_components(drawn.subgraph(np.flatnonzero(differs).tolist())))
    best = -np.inf
    for choice in range(2 ** len(parts)):
        mixed = first.copy()
        for number, part in enumerate(parts):
            if choice >> number & 1:
                mixed[list(part)] *= -1
        best = max(best, float(graph.cut_value(mixed)))
    return best


@settings(max_examples=80, deadline=None)
@given(n=st.integers(2, 14), seed=st.integers(0, 10_000), fill=st.sampled_from([0.15, 0.3, 0.8]))
def test_it_is_at_least_the_best_mixture_of_two(n: int, seed: int, fill: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
    ends = pairs[rng.random(len(pairs)) < fill]
    graph = Graph(n, ends, rng.standard_normal(len(ends)))
    cuts = rng.choice([-1.0, 1.0], (2, n))
    kept = cuts.copy()
    found = combine_cuts(graph, cuts)
    assert np.array_equal(cuts, kept)
    assert graph.cut_value(found) >= parts_by_hand(graph, cuts[0], cuts[1]) - 1e-9
    # No part of a mirror image is better than what was found, or it would have been taken.
    for other in (*cuts, *-cuts):
        assert parts_by_hand(graph, found, other) <= graph.cut_value(found) + 1e-9


def test_two_halves_of_a_ladder_become_its_best_cut() -> None:
    graph = Graph.from_networkx(nx.ladder_graph(20))
    whole = np.array([(-1.0) ** (vertex % 20 + vertex // 20) for vertex in range(40)])
    left = whole * np.where(np.arange(40) % 20 < 8, 1, np.random.default_rng(0).choice([-1, 1], 40))
    right = whole * np.where(
        np.arange(40) % 20 >= 8, 1, np.random.default_rng(1).choice([-1, 1], 40)
    )
    most = len(graph.weights)
    assert max(graph.cut_value(left), graph.cut_value(right)) < most
    assert graph.cut_value(combine_cuts(graph, np.array([left, right]))) == most


def test_one_cut_alone_stays_as_it_is() -> None:
    graph = Graph.from_networkx(nx.cycle_graph(5))
    cut = np.array([1.0, 1.0, -1.0, 1.0, -1.0])
    assert np.array_equal(combine_cuts(graph, cut[None]), cut)


def heavy_clusters(seed: int) -> tuple[Graph, np.ndarray]:
    """A complete graph of three clusters with heavy edges inside, and the sides that cut them best.

    Weights between clusters are a thousandth of those inside.
    """
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(15) for j in range(i + 1, 15)])
    inside = pairs[:, 0] % 3 == pairs[:, 1] % 3
    sides = rng.choice([-1.0, 1.0], 15)
    crossing = np.where(sides[pairs[:, 0]] != sides[pairs[:, 1]], 1.0, -1.0)
    weights = np.where(inside, crossing * rng.uniform(1, 2, len(pairs)), 1e-3)
    return Graph(15, pairs, weights), sides


@pytest.mark.parametrize("seed", range(4))
def test_a_complete_graph_takes_the_best_side_of_each_heavy_cluster(seed: int) -> None:
    graph, sides = heavy_clusters(seed)
    rng = np.random.default_rng(seed + 100)
    cluster = np.arange(15) % 3
    # Each cut is right on one cluster alone: no edge is missing, so all differences are one part.
    cuts = np.array([np.where(cluster == c, sides, rng.choice([-1, 1], 15)) for c in range(3)])
    heavy = np.abs(graph.weights) > 0.5
    most = float(graph.weights[heavy & (graph.weights > 0)].sum())
    assert graph.cut_value(cuts).max() < most - 1
    assert graph.cut_value(combine_cuts(graph, cuts)) >= most - 0.1


def test_equal_weights_of_a_complete_graph_leave_only_the_best_cut() -> None:
    rng = np.random.default_rng(0)
    graph = Graph.from_networkx(nx.complete_graph(40))
    cuts = np.where(rng.random((6, 40)) < 0.2, 1.0, -1.0)
    best = cuts[graph.cut_value(cuts).argmax()]
    assert np.array_equal(combine_cuts(graph, cuts), best)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 14), seed=st.integers(0, 10_000), fill=st.sampled_from([0.3, 1.0]))
def test_parts_that_share_edges_never_lose(n: int, seed: int, fill: float) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
    ends = pairs[rng.random(len(pairs)) < fill]
    weights = rng.standard_normal(len(ends)) * np.exp(3 * rng.standard_normal(len(ends)))
    graph = Graph(n, ends, weights)
    cuts = rng.choice([-1.0, 1.0], (3, n))
    found = graph.cut_value(combine_cuts(graph, cuts))
    assert found >= graph.cut_value(cuts).max() - 1e-12 * np.abs(weights).sum()


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_no_single_flip_improves_what_it_returns(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)], dtype=int).reshape(-1, 2)
    ends = pairs[rng.random(len(pairs)) < 0.6]
    graph = Graph(n, ends, rng.standard_normal(len(ends)))
    start = rng.choice([-1.0, 1.0], n)
    kept = start.copy()
    found = one_flip_optimum(graph, start)
    assert np.array_equal(start, kept)
    value = graph.cut_value(found)
    assert value >= graph.cut_value(start) - 1e-12
    for vertex in range(n):
        flipped = found.copy()
        flipped[vertex] *= -1
        assert graph.cut_value(flipped) <= value + 1e-9


def test_weights_that_only_differ_by_rounding_do_not_go_round_in_circles() -> None:
    graph = Graph(3, np.array([[0, 1], [0, 2], [1, 2]]), np.array([0.1 + 0.2, -0.3, 0.0]))
    assert set(one_flip_optimum(graph, np.ones(3))) <= {-1.0, 1.0}


@pytest.fixture(scope="module")
def problem() -> tuple[Graph, SdpSolution]:
    rng = np.random.default_rng(1)
    pairs = np.array([(i, j) for i in range(30) for j in range(i + 1, 30)])
    ends = pairs[rng.random(len(pairs)) < 0.3]
    graph = Graph(30, ends, rng.choice([-1.0, 1.0], len(ends)))
    return graph, solve_sdp(graph, np.random.default_rng(0))


def test_a_search_repeats_and_never_loses_what_it_started_with(
    problem: tuple[Graph, SdpSolution],
) -> None:
    graph, solution = problem
    ones = np.ones(graph.num_vertices)
    first, second = (search(graph, solution.vectors, ones, 7) for _ in range(2))
    assert np.array_equal(first, second)
    assert graph.cut_value(first) <= solution.upper_bound
    again = search(graph, solution.vectors, first, 8)
    assert graph.cut_value(again) >= graph.cut_value(first)


# On 31 and 44 oscillators that stay too close to the best cut miss the optimum.
@pytest.mark.parametrize("seed", [0, 5, 31, 44])
def test_a_search_finds_the_optimum_of_a_small_graph(seed: int, signed_graph: Build) -> None:
    graph = signed_graph(14, seed)
    solution = solve_sdp(graph, np.random.default_rng(seed))
    found = search(graph, solution.vectors, np.ones(14), seed)
    assert graph.cut_value(found) == pytest.approx(maximum_cut(graph))


def test_searches_of_another_seed_are_others() -> None:
    graph = Graph.from_networkx(nx.random_regular_graph(3, 200, seed=0))
    solution = solve_sdp(graph, np.random.default_rng(0))
    first, second = (search(graph, solution.vectors, np.ones(200), seed) for seed in (7, 8))
    assert 0 < (first != second).sum() < 200


SQUARE = [[0, 1], [1, 2], [2, 3], [3, 0]]
STAR = [[0, leaf] for leaf in range(1, 12)]
PAIRS = [[i, j] for i in range(10) for j in range(i)]
SPANS = 10.0 ** np.linspace(-30, -18, len(PAIRS))
ROBUST = {
    "one edge, isolated vertices": Graph(5, np.array([[1, 3]]), np.array([2.0])),
    "all negative": Graph(60, np.array([[i, i + 1] for i in range(59)]), -np.ones(59)),
    "star": Graph(12, np.array(STAR), np.ones(11)),
    "disconnected": Graph(9, np.array([*SQUARE, [5, 6], [6, 7], [7, 5]]), np.ones(7)),
    "small weights, ratio 1e12": Graph(10, np.array(PAIRS), SPANS),
    "large weights, ratio 1e12": Graph(10, np.array(PAIRS), 1e30 * SPANS[::-1] / SPANS[-1]),
    "an outlier": Graph(10, np.array(PAIRS), np.array([1e12] + [1.0] * (len(PAIRS) - 1))),
    "no edge": Graph(3, np.zeros((0, 2), dtype=int), np.zeros(0)),
}


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("name", ROBUST)
def test_a_search_finds_the_optimum_of_graphs_of_every_kind(name: str, rank: int) -> None:
    graph = ROBUST[name]
    vectors = np.random.default_rng(0).standard_normal((graph.num_vertices, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    start = np.random.default_rng(1).choice([-1.0, 1.0], graph.num_vertices)
    found = graph.cut_value(search(graph, vectors, start, 0))
    optimum = 0.0 if (graph.weights <= 0).all() else maximum_cut(graph)
    # Relative to the lightest edge where one is far heavier than the others.
    rest = 1e12 if name == "an outlier" else 0.0
    assert found - rest == pytest.approx(optimum - rest, rel=1e-9)


def test_light_edges_beside_a_heavy_one_are_cut_by_single_moves() -> None:
    weights = np.array([1e12, 1.0, 1.0, 1.0])
    graph = Graph(5, np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), weights)
    assert graph.cut_value(one_flip_optimum(graph, np.ones(5))) == 1e12 + 3


def test_stop_ends_a_search_at_once_with_the_best_cut_so_far(
    problem: tuple[Graph, SdpSolution],
) -> None:
    graph, solution = problem
    ones = np.ones(graph.num_vertices)
    told: list[np.ndarray] = []
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return len(told) == 1

    assert np.array_equal(search(graph, solution.vectors, ones, 7, stop=lambda: True), ones)
    found = search(graph, solution.vectors, ones, 7, stop=stop, on_cut=told.append)
    assert asked > NUM_TABU_STEPS / 16 > 50
    assert len(told) == 1
    assert np.array_equal(found, told[-1])


def test_a_search_tells_every_better_cut_and_asks_every_few_steps(
    problem: tuple[Graph, SdpSolution],
) -> None:
    graph, solution = problem
    told: list[np.ndarray] = []
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return False

    ones = np.ones(graph.num_vertices)
    found = search(graph, solution.vectors, ones, 7, stop=stop, on_cut=told.append)
    values = graph.cut_value(np.array(told))
    assert values[0] > 0
    assert (np.diff(values) > 0).all()
    assert np.array_equal(found, told[-1])
    assert np.array_equal(found, search(graph, solution.vectors, ones, 7))
    assert len(asked) > 1_500  # of more than 6 000 steps


BIQMAC = Path(__file__).parents[3] / "shared" / "biqmac"


@pytest.mark.skipif(not BIQMAC.is_dir(), reason="../shared/biqmac is not there")
@pytest.mark.parametrize("name", ["ising2.5-100_7777", "ising3.0-150_7777", "t2g15_7777"])
def test_two_searches_find_the_best_known_cut_of_heavy_tails(name: str) -> None:
    table = np.loadtxt(BIQMAC / f"{name}.mc", skiprows=1)
    ends = table[:, :2].astype(int) - 1
    n = int(ends.max()) + 1
    graph = Graph.from_edges(tuple(range(n)), ends, table[:, 2])
    (line,) = [
        line for line in (BIQMAC / "best_known.csv").read_text().split() if line.startswith(name)
    ]
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    found = [search(graph, vectors, np.ones(n), seed) for seed in (0, 1)]
    assert graph.cut_value(combine_cuts(graph, np.array(found))) == float(line.split(",")[-1])


def cut_of(problem: tuple[Graph, SdpSolution], restarts: int) -> DerandomizedCut:
    generator = torch.Generator().manual_seed(3)
    return derandomize(*problem, generator=generator, restarts=restarts)


def test_restarts_keep_the_best_cut(problem: tuple[Graph, SdpSolution]) -> None:
    graph, solution = problem
    alone, several = cut_of(problem, 0), cut_of(problem, 2)
    assert len(alone.restart_cut_values) == 0
    assert len(several.restart_cut_values) == 2
    assert several.cut_value >= max(alone.cut_value, *several.restart_cut_values)
    assert several.cut_value == graph.cut_value(several.signs) <= solution.upper_bound
    assert several.derandomized_cut_value <= several.cut_value
    assert several.certificate.weight_norm < 1e-3 * several.history.weight_norm[0]


def test_a_negative_number_of_restarts_is_named(problem: tuple[Graph, SdpSolution]) -> None:
    with pytest.raises(ValueError, match="restarts is -1: it must be at least 0"):
        cut_of(problem, -1)
