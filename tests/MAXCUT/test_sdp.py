"""The relaxation's value, its bounds and what they rest on, on graphs of every kind."""

import math
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
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
    rounded_down,
    solve_sdp,
)
from MAXCUT.utilities import maximum_cut, random_graph

Build = Callable[..., Graph]
Weights = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, Callable[[int], nx.Graph]] = {
    "path": lambda _: nx.path_graph(11),
    "odd ring": lambda _: nx.cycle_graph(9),
    "ladder": lambda _: nx.ladder_graph(5),
    "star": lambda _: nx.star_graph(9),
    "two hubs": lambda _: nx.complete_bipartite_graph(2, 8),
    "tree": lambda seed: nx.random_labeled_tree(10, seed=seed),
    "torus": lambda _: nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4, periodic=True)),
    "complete": lambda _: nx.complete_graph(9),
    "random": lambda seed: nx.gnp_random_graph(10, 0.5, seed=seed),
    "sparse, with isolated vertices": lambda seed: nx.gnm_random_graph(11, 6, seed=seed),
    "preferential attachment": lambda seed: nx.barabasi_albert_graph(11, 2, seed=seed),
}
WEIGHTS: dict[str, Weights] = {
    "one": lambda rng, size: np.ones(size),
    "minus one": lambda rng, size: -np.ones(size),
    "signs": lambda rng, size: rng.choice([-1.0, 1.0], size),
    "integers": lambda rng, size: rng.integers(1, 10, size) * rng.choice([-1.0, 1.0], size),
    "normal": lambda rng, size: rng.standard_normal(size),
    "heavy tails": lambda rng, size: rng.standard_cauchy(size) ** 3,
    "tiny": lambda rng, size: 1e-20 * rng.standard_normal(size),
    "huge": lambda rng, size: 1e20 * rng.standard_normal(size),
    "one outlier": lambda rng, size: np.append(1e9, rng.standard_normal(size - 1)),
    "one negative outlier": lambda rng, size: np.append(-1e9, rng.standard_normal(size - 1)),
    "almost cancelling": lambda rng, size: rng.choice([-1.0, 1.0], size) + 1e-9,
}


def weighted(graph: nx.Graph, draw: Weights, seed: int) -> Graph:
    bare = Graph.from_networkx(graph)
    rng = np.random.default_rng(seed)
    return Graph(bare.num_vertices, bare.ends, draw(rng, len(bare.weights)).astype(float))


def outlier_graph(n: int = 200) -> Graph:
    """Five edges per vertex of weight ±1, and one edge of weight 1e9."""
    graph = nx.gnm_random_graph(n, 5 * n, seed=3)
    return weighted(graph, lambda rng, size: np.append(1e9, rng.choice([-1.0, 1.0], size - 1)), 0)


def torus(side: int) -> Graph:
    """A torus with weights ±1."""
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side, periodic=True))
    return weighted(grid, WEIGHTS["signs"], 0)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings(action="error"), np.errstate(all="raise", under="ignore"):
        yield


def test_odd_cycle_reaches_its_known_sdp_value() -> None:
    # The optimum places neighbours at angle π − π/n: value n(1 + cos(π/n))/2.
    n = 5
    graph = Graph.from_networkx(nx.cycle_graph(n))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(n * (1 + np.cos(np.pi / n)) / 2, abs=1e-6)
    assert solution.upper_bound == 4  # the integer below


def test_bipartite_graph_is_cut_whole_and_rank_one() -> None:
    graph = Graph.from_networkx(nx.complete_bipartite_graph(5, 7))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(35, rel=1e-9)
    assert solution.vectors.shape == (12, 1)
    assert (solution.upper_bound, solution.bound_proof) == (35, "weights")


def test_the_papers_graph_has_sdp_value_42_73() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(42.7279, abs=1e-3)
    assert 0 <= dual_bound(graph, solution.vectors) - solution.value < 1e-4
    assert (solution.upper_bound, solution.bound_proof) == (42, "eigenvalues")
    assert solution.bound_proof != "Lanczos"


def test_vectors_are_unit_and_give_the_value(signed_graph: Build) -> None:
    graph = signed_graph(40, seed=3)
    solution = solve_sdp(graph, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(solution.vectors, axis=1), 1, atol=1e-12)
    i, j = graph.ends.T
    inner = (solution.vectors[i] * solution.vectors[j]).sum(axis=1)
    assert solution.value == pytest.approx(graph.weights @ (1 - inner) / 2, abs=1e-9)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_bound_is_below_the_optimum(shape: str, weights: str) -> None:
    for seed in range(3):
        graph = weighted(SHAPES[shape](seed), WEIGHTS[weights], seed)
        size = float(np.abs(graph.weights).sum())
        optimum = maximum_cut(graph) - 1e-13 * size  # the enumeration's rounding error
        solution = solve_sdp(graph, np.random.default_rng(seed))
        assert optimum <= solution.upper_bound
        assert optimum <= dual_bound(graph, solution.vectors)
        assert 0 <= solution.upper_bound <= graph.weights.clip(min=0).sum() * (1 + 1e-15)
        assert optimum <= solution.value + 1e-6 * size
        assert np.isfinite(solution.vectors).all()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 12), seed=st.integers(0, 10_000), rank=st.integers(1, 4))
@example(n=4, seed=3, rank=1)  # all weights are negative, and the enumeration's 0 is 2e-16
def test_dual_bound_is_never_below_the_optimum_whatever_the_vectors(
    n: int, seed: int, rank: int, signed_graph: Build
) -> None:
    graph = signed_graph(n, seed)
    vectors = np.random.default_rng(seed).standard_normal((n, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # The enumeration adds up n products for each entry of its matrix.
    rounding = n * np.finfo(np.float64).eps * float(np.abs(graph.weights).sum())
    assert dual_bound(graph, vectors) >= maximum_cut(graph) - rounding


@pytest.mark.parametrize("seed", range(20))
def test_dual_bound_includes_its_rounding_errors(seed: int) -> None:
    # The alternating signs are optimal, so that the formula is exact but for rounding.
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    graph = weighted(nx.path_graph(n), lambda rng, size: rng.random(size), seed)
    alternating = np.where(np.arange(n) % 2, 1.0, -1.0)[:, None]
    optimum = sum(map(Fraction, graph.weights.tolist()))
    assert 0 <= Fraction(dual_bound(graph, alternating)) - optimum < 1e-11 * optimum


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
    degrees = 2 * np.abs(graph.weights).sum()
    assert bounds[0.5] - bounds[0.0] == pytest.approx(degrees * 0.5 / 4)


def test_dual_bound_closes_the_gap(signed_graph: Build) -> None:
    graph = signed_graph(300, seed=5)
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert 0 <= solution.upper_bound - solution.value < 1e-5 * solution.value


def test_the_value_converges_where_it_is_almost_zero() -> None:
    # All weights are −1 but those of one vertex, which are 1e-6: cutting it off gains 59e-6.
    graph = weighted(nx.complete_graph(60), WEIGHTS["minus one"], 0)
    graph.weights[(graph.ends == 0).any(axis=1)] = 1e-6
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(59e-6, rel=1e-3)
    assert 0 <= solution.upper_bound - solution.value < 1e-9


def test_momentum_does_not_cycle_where_all_vertices_pull_alike() -> None:
    graph = weighted(nx.complete_graph(100), lambda rng, size: rng.integers(0, 10, size), 1)
    solution = solve_sdp(graph, np.random.default_rng(0))
    gap = dual_bound(graph, solution.vectors) - solution.value
    assert 0 <= gap < 1e-6 * solution.value


def test_an_outlier_does_not_end_the_descent_of_the_other_vertices() -> None:
    graph = outlier_graph()
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert 0 <= dual_bound(graph, solution.vectors) - solution.value < 0.01
    assert solution.upper_bound <= math.ceil(solution.value)


def test_components_of_any_scale_are_bounded_as_they_are_alone(signed_graph: Build) -> None:
    small = signed_graph(30, seed=1)
    alone = solve_sdp(small, np.random.default_rng(0))
    large = Graph(2, np.array([[0, 1]]), np.array([2.0**30]))
    both = Graph(
        32, np.vstack([small.ends, large.ends + 30]), np.append(small.weights, large.weights)
    )
    found = solve_sdp(both, np.random.default_rng(0))
    # The large weight's rounding errors are 1e-7 each.
    assert found.upper_bound - 2.0**30 == pytest.approx(alone.upper_bound, abs=1e-3)


def test_isolated_vertices_and_one_edge() -> None:
    graph = Graph(4, np.array([[1, 2]]), np.array([2.0]))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.value == pytest.approx(2)
    assert solution.upper_bound == 2


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_graph_without_edges_has_no_cut(n: int) -> None:
    graph = Graph(n, np.empty((0, 2), dtype=int), np.empty(0))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert (solution.value, solution.upper_bound, solution.bound_proof) == (0, 0, "weights")


def test_bounds_are_rounded_down_only_where_weights_are_integers() -> None:
    ends = np.array([[0, 1], [0, 2], [1, 2]])
    bounds = [
        solve_sdp(Graph(3, ends, np.full(3, weight)), np.random.default_rng(0)).upper_bound
        for weight in (0.5, 1.0)
    ]
    assert bounds == [pytest.approx(1.125, abs=1e-6), 2]


def test_isolated_vertices_cost_nothing_on_any_scale() -> None:
    triangle = np.array([[0, 1], [0, 2], [1, 2]])
    graph = Graph(9, triangle, np.full(3, 1e-20))
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    assert dual_bound(graph, vectors) == pytest.approx(2.25e-20, rel=1e-6)


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


def test_dense_and_sparse_products_find_the_same_value(
    signed_graph: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = signed_graph(50, seed=2)
    dense = solve_sdp(graph, np.random.default_rng(0))
    monkeypatch.setattr(MAXCUT.sdp, "DENSE_RATIO", 0)
    monkeypatch.setattr(MAXCUT.sdp, "DENSE_ENTRIES", 0)
    sparse = solve_sdp(graph, np.random.default_rng(0))
    assert sparse.value == pytest.approx(dense.value, rel=1e-9)
    assert sparse.upper_bound == pytest.approx(dense.upper_bound, rel=1e-9)


LIMITS = {
    "eigenvalues": {},
    "dense factorization": {"DENSE_VERTICES": 0},
    "sparse factorization": {"DENSE_VERTICES": 0, "DENSE_FACTOR": 0},
    "Lanczos": {"DENSE_VERTICES": 0, "DENSE_FACTOR": 0, "MAX_OPERATIONS": 0},
}


@pytest.mark.parametrize("way", LIMITS)
def test_every_way_to_the_smallest_eigenvalue_stays_below_it(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in LIMITS[way].items():
        monkeypatch.setattr(MAXCUT.sdp, name, limit)
    graph = torus(15)
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.bound_proof in way
    exact = np.linalg.eigvalsh(
        graph.adjacency().toarray()
        - np.diag((solution.vectors * (graph.adjacency() @ solution.vectors)).sum(axis=1))
    )[0]
    tightest = solution.value - graph.num_vertices * exact / 4
    largest = rounded_down(graph, solution.value * (1 + 1e-4))
    assert rounded_down(graph, tightest) <= solution.upper_bound <= largest
    assert solution.upper_bound % 2 == 0  # each vertex has four edges of weight ±1
    assert dual_bound(graph, solution.vectors) >= tightest


@pytest.mark.parametrize("way", ["dense factorization", "sparse factorization"])
def test_a_factorization_finds_the_eigenvalue_that_lanczos_missed(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = torus(15)
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors[:, :1]
    vectors = np.sign(vectors)
    right = dual_bound(graph, vectors)
    for name, limit in LIMITS[way].items():
        monkeypatch.setattr(MAXCUT.sdp, name, limit)
    monkeypatch.setattr(MAXCUT.sdp, "_smallest_ritz_value", lambda *_: (0.0, 1e-3))
    assert right <= dual_bound(graph, vectors) <= 10 * right


def test_what_lanczos_may_be_off_by_is_charged_after_few_steps_too() -> None:
    matrix = nx.adjacency_matrix(nx.path_graph(2_000)).astype(float)
    exact = 2 * np.cos(np.pi * 2_000 / 2_001)
    for error in (0.3, 0.1):  # 24 and 41 steps
        ritz, uncertainty = MAXCUT.sdp._smallest_ritz_value(matrix, error)
        assert ritz > exact + 1e-4
        assert ritz - uncertainty <= exact


def test_what_rounding_may_hide_from_a_factorization_grows_with_the_matrix() -> None:
    matrix = scipy.sparse.eye_array(100).tocsr()
    hidden = MAXCUT.sdp._hidden_by_rounding(matrix)
    assert hidden >= 100 * np.finfo(float).eps
    assert MAXCUT.sdp._hidden_by_rounding(8 * matrix) == pytest.approx(8 * hidden)


def test_lanczos_ends_where_few_eigenvalues_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit in LIMITS["Lanczos"].items():
        monkeypatch.setattr(MAXCUT.sdp, name, limit)
    graph = Graph.from_networkx(nx.complete_graph(100))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert solution.upper_bound == 2500


def test_large_matrices_are_factored_only_where_it_stays_sparse() -> None:
    def matrix(graph: Graph) -> scipy.sparse.csr_array:
        return (graph.adjacency() + scipy.sparse.eye_array(graph.num_vertices) * 5).tocsr()

    expander = Graph.from_networkx(nx.random_regular_graph(6, 10_000, seed=0))
    assert MAXCUT.sdp._can_be_factored(matrix(torus(80)))
    assert not MAXCUT.sdp._can_be_factored(matrix(expander))


def test_progress_is_told_of_every_sweep() -> None:
    graph = torus(12)
    told: list[tuple[int, float]] = []
    solution = solve_sdp(
        graph, np.random.default_rng(0), progress=lambda *sweep: told.append(sweep)
    )
    sweeps, values = zip(*told, strict=True)
    assert sweeps == tuple(range(len(told)))
    assert values[-1] == pytest.approx(solution.value, rel=1e-6)
    again = solve_sdp(graph, np.random.default_rng(0))
    assert np.array_equal(again.vectors, solution.vectors)
    assert again.upper_bound == solution.upper_bound


def test_a_stopped_descent_keeps_a_valid_bound() -> None:
    graph = weighted(nx.gnp_random_graph(16, 0.5, seed=1), WEIGHTS["normal"], 0)
    calls = count()
    sweeps: list[int] = []
    solution = solve_sdp(
        graph,
        np.random.default_rng(0),
        progress=lambda sweep, _: sweeps.append(sweep),
        stop=lambda: next(calls) >= 2,
    )
    assert sweeps == [0, 1, 2]
    assert solution.value < solve_sdp(graph, np.random.default_rng(0)).value
    assert maximum_cut(graph) <= solution.upper_bound


def test_expectation_is_the_mean_of_the_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    rng = np.random.default_rng(0)
    vectors = solve_sdp(graph, rng).vectors
    cuts = hyperplane_cuts(graph, vectors, 20_000, rng)
    exact = hyperplane_expectation(graph, vectors)
    assert exact == pytest.approx(39.38, abs=0.05)
    assert abs(cuts.mean() - exact) < 4 * cuts.std() / math.sqrt(len(cuts))
    assert cuts.max() <= maximum_cut(graph)
    monkeypatch.setattr(MAXCUT.sdp, "BLOCK", 7)
    assert hyperplane_expectation(graph, vectors) == pytest.approx(exact, rel=1e-14)


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


def test_a_mean_that_no_draw_reaches_gives_the_best_draw(
    signed_graph: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = signed_graph(60, 0)
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    monkeypatch.setattr(MAXCUT.sdp, "DRAWS", 1)
    monkeypatch.setattr(MAXCUT.sdp, "MAX_DRAWS", 20)
    monkeypatch.setattr(MAXCUT.sdp, "hyperplane_expectation", lambda *_: math.inf)
    found = good_hyperplane(graph, vectors, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    draws = [hyperplane_cuts(graph, vectors, MAXCUT.sdp.DRAWS, rng).max() for _ in range(20)]
    assert draws[-1] < max(draws)
    assert graph.cut_value(found) == pytest.approx(max(draws))
