import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import MAXCUT.sdp
from derandomization.eigenvalues import Eigenvalue
from MAXCUT.graph import Graph
from MAXCUT.sdp import (
    GUARANTEED_RATIO,
    dual_bound,
    good_hyperplane,
    hyperplane_cuts,
    hyperplane_expectation,
    solve_sdp,
)
from MAXCUT.utilities import maximum_cut, random_graph

Build = Callable[..., Graph]


def test_odd_cycle_reaches_its_known_sdp_value() -> None:
    # The optimum places neighbours at angle π − π/n: value n(1 + cos(π/n))/2.
    n = 5
    solution = solve_sdp(Graph.from_networkx(nx.cycle_graph(n)), np.random.default_rng(0))
    assert solution.value == pytest.approx(n * (1 + np.cos(np.pi / n)) / 2, abs=1e-6)


def test_bipartite_graph_is_cut_whole_and_rank_one() -> None:
    graph = Graph.from_networkx(nx.complete_bipartite_graph(5, 7))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(35, rel=1e-9)
    assert solution.vectors.shape == (12, 1)


def test_the_papers_graph_has_sdp_value_42_73() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(42.7279, abs=1e-3)
    assert 0 <= solution.upper_bound - solution.value < 1e-4


def test_vectors_are_unit_and_give_the_value(signed_graph: Build) -> None:
    graph = signed_graph(40, seed=3)
    solution = solve_sdp(graph, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(solution.vectors, axis=1), 1, atol=1e-12)
    i, j = graph.ends.T
    inner = (solution.vectors[i] * solution.vectors[j]).sum(axis=1)
    assert solution.value == pytest.approx(graph.weights @ (1 - inner) / 2, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 12), seed=st.integers(0, 10_000), rank=st.integers(1, 4))
def test_dual_bound_is_never_below_the_optimum_whatever_the_vectors(
    n: int, seed: int, rank: int, signed_graph: Build
) -> None:
    graph = signed_graph(n, seed)
    if len(graph.weights) == 0:
        return
    vectors = np.random.default_rng(seed).standard_normal((n, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    optimum = maximum_cut(graph)
    assert dual_bound(graph, vectors) >= optimum - 1e-12 * abs(optimum)
    assert solve_sdp(graph, np.random.default_rng(seed)).upper_bound >= optimum - 1e-9


def test_dual_bound_charges_the_eigenvalue_for_its_residual(
    monkeypatch: pytest.MonkeyPatch, signed_graph: Build
) -> None:
    graph = signed_graph(6, seed=1)
    vectors = np.ones((6, 1))
    bounds = {}
    for residual in (0.0, 0.5):
        found = Eigenvalue(value=-1.0, residual=residual)
        monkeypatch.setattr(MAXCUT.sdp, "smallest_eigenvalue", lambda *_, f=found, **__: f)
        bounds[residual] = dual_bound(graph, vectors)
    assert bounds[0.5] - bounds[0.0] == pytest.approx(6 * 0.5 / 4)


def test_dual_bound_closes_the_gap_past_the_dense_size(signed_graph: Build) -> None:
    graph = signed_graph(300, seed=5)
    solution = solve_sdp(graph, np.random.default_rng(0))
    dense = np.linalg.eigvalsh(
        graph.adjacency().toarray()
        - np.diag((solution.vectors * (graph.adjacency() @ solution.vectors)).sum(axis=1))
    )
    assert dense[0] > -1e-3  # second-order optimal: A + diag y is positive semidefinite
    assert 0 <= solution.upper_bound - solution.value < 1e-3 * solution.value


def test_isolated_vertices_and_one_edge() -> None:
    graph = Graph(4, np.array([[1, 2]]), np.array([2.0]))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(2)
    assert solution.upper_bound == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_an_interior_point_solver_finds_the_same_value(seed: int, signed_graph: Build) -> None:
    cvxpy = pytest.importorskip("cvxpy")
    pytest.importorskip("clarabel")
    graph = signed_graph(25, seed)
    gram = cvxpy.Variable((25, 25), PSD=True)
    i, j = graph.ends.T
    cut = cvxpy.sum(cvxpy.multiply(graph.weights, 1 - gram[i, j])) / 2
    value = cvxpy.Problem(cvxpy.Maximize(cut), [cvxpy.diag(gram) == 1]).solve(solver="CLARABEL")
    solution = solve_sdp(graph, np.random.default_rng(seed))
    assert solution.value == pytest.approx(value, rel=1e-5)
    assert solution.upper_bound >= value * (1 - 1e-7)
    assert solution.upper_bound == pytest.approx(value, rel=1e-4)


def test_expectation_is_the_mean_of_the_cuts() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    rng = np.random.default_rng(0)
    vectors = solve_sdp(graph, rng).vectors
    cuts = hyperplane_cuts(graph, vectors, 20_000, rng)
    exact = hyperplane_expectation(graph, vectors)
    assert exact == pytest.approx(39.38, abs=0.05)
    assert abs(cuts.mean() - exact) < 4 * cuts.std() / math.sqrt(len(cuts))
    assert cuts.max() <= maximum_cut(graph)


def test_guaranteed_ratio_is_the_minimum_over_angles() -> None:
    angles = np.linspace(1e-3, np.pi, 1_000_001)
    ratios = (angles / np.pi) / ((1 - np.cos(angles)) / 2)
    assert ratios.min() == pytest.approx(GUARANTEED_RATIO, abs=1e-5)
    assert ratios.min() >= GUARANTEED_RATIO


def test_opposite_vectors_are_always_separated() -> None:
    graph = Graph.from_networkx(nx.cycle_graph(4))
    vectors = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    assert hyperplane_expectation(graph, vectors) == pytest.approx(4)
    assert (hyperplane_cuts(graph, vectors, 50, np.random.default_rng(0)) == 4).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_good_hyperplane_reaches_the_mean(
    signed_graph: Build, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(MAXCUT.sdp, "DRAWS", 1)  # most draws reach it only after some others
    graph = signed_graph(14, seed)
    vectors = solve_sdp(graph, np.random.default_rng(seed)).vectors
    mean = hyperplane_expectation(graph, vectors)
    draws = [np.random.default_rng(each) for each in range(20)]
    assert all(graph.cut_value(good_hyperplane(graph, vectors, rng)) >= mean for rng in draws)
    first = [hyperplane_cuts(graph, vectors, 1, np.random.default_rng(each)) for each in range(20)]
    assert min(first) < mean


def test_antipodal_vectors_reach_a_mean_that_no_cut_exceeds() -> None:
    graph = Graph.from_networkx(nx.path_graph(50))
    vectors = np.where(np.arange(50) % 2, 1.0, -1.0)[:, None]
    assert graph.cut_value(good_hyperplane(graph, vectors, np.random.default_rng(0))) == 49
