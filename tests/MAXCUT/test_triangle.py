"""The bound with triangle inequalities: valid whatever the multipliers, and close to its value."""

import itertools
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import MAXCUT.experiment
import MAXCUT.triangle
from derandomization.laboratory.command_line import launch
from MAXCUT.graph import Graph
from MAXCUT.limits import CutProgress
from MAXCUT.main import Config, main
from MAXCUT.partition import derandomized_cut
from MAXCUT.sdp import SdpSolution, solve_sdp
from MAXCUT.triangle import (
    MAX_VERTICES,
    SIGNS,
    Triangles,
    require_bound,
    tighten,
    triangle_bound,
    violated_triangles,
)
from MAXCUT.utilities import maximum_cut

WEIGHTS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "one": lambda rng, size: np.ones(size),
    "signs": lambda rng, size: rng.choice([-1.0, 1.0], size),
    "integers": lambda rng, size: rng.integers(-10, 11, size).astype(float),
    "normal": lambda rng, size: rng.standard_normal(size),
    "thirds": lambda rng, size: rng.integers(1, 10, size) / 3,
    "heavy tails": lambda rng, size: rng.standard_cauchy(size) ** 3,
    "huge": lambda rng, size: 1e20 * rng.standard_normal(size),
    "tiny": lambda rng, size: 1e-20 * rng.standard_normal(size),
}


def random_graph(n: int, weights: str, seed: int, density: float = 0.7) -> Graph:
    rng = np.random.default_rng(seed)
    ends = np.stack(np.triu_indices(n, 1), axis=1)
    ends = ends[rng.random(len(ends)) < density]
    return Graph.from_edges(tuple(range(n)), ends, WEIGHTS[weights](rng, len(ends)))


def best_cut(graph: Graph) -> np.ndarray:
    """A largest cut, by enumeration."""
    signs = np.array(
        [[1, *rest] for rest in itertools.product([1.0, -1.0], repeat=graph.num_vertices - 1)]
    )
    return signs[graph.cut_value(signs).argmax()]


def every_triangle(n: int) -> Triangles:
    vertices = np.array(list(itertools.combinations(range(n), 3)), dtype=np.int64).reshape(-1, 3)
    kinds = np.tile(np.arange(4), len(vertices))
    return Triangles(n, np.repeat(vertices, 4, axis=0), kinds)


def relaxation_value(graph: Graph) -> float:
    """The relaxation with all triangle inequalities, by a conic solver."""
    cp = pytest.importorskip("cvxpy")
    n = graph.num_vertices
    gram = cp.Variable((n, n), PSD=True)
    flat = cp.vec(gram, order="C")
    triangles = every_triangle(n)
    slacks = 1 + sum(
        cp.multiply(SIGNS[triangles.kinds, side], flat[triangles.pairs[:, side]])
        for side in range(3)
    )
    value = cp.sum(graph.weights) / 2 - cp.sum(cp.multiply(graph.adjacency().toarray(), gram)) / 4
    problem = cp.Problem(cp.Maximize(value), [cp.diag(gram) == 1, slacks >= 0])
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)


def rounding(graph: Graph) -> float:
    """Of the enumeration."""
    return 1e-13 * float(np.abs(graph.weights).sum())


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 10), weights=st.sampled_from(sorted(WEIGHTS)), seed=st.integers(0, 10**6))
def test_no_cut_is_above_the_bound(n: int, weights: str, seed: int) -> None:
    graph = random_graph(n, weights, seed)
    if not len(graph.weights):
        return
    # Whatever the vectors and the cut are that it is given.
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    solution = SdpSolution(vectors, value=0.0, upper_bound=np.inf)
    rounds = itertools.count()
    signs = rng.choice([-1.0, 1.0], n)
    found = tighten(graph, solution, signs, stop=lambda _: next(rounds) >= 3)
    assert maximum_cut(graph) - rounding(graph) <= found.upper_bound < np.inf


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(3, 9),
    weights=st.sampled_from(sorted(WEIGHTS)),
    seed=st.integers(0, 10**6),
    exponent=st.integers(-3, 6),
)
def test_no_cut_is_above_the_bound_of_nonsense_multipliers(
    n: int, weights: str, seed: int, exponent: int
) -> None:
    graph = random_graph(n, weights, seed)
    rng = np.random.default_rng(seed)
    triangles = every_triangle(n).kept(rng.random(4 * n * (n - 1) * (n - 2) // 6) < 0.5)
    size = 10.0**exponent * float(np.abs(graph.weights).max(initial=0.0))
    multipliers = size * rng.standard_normal(len(triangles))
    diagonal = size * rng.standard_normal(n)
    multipliers[rng.random(len(triangles)) < 0.1] = np.nan
    bound = triangle_bound(graph, triangles, multipliers, diagonal)
    assert bound >= maximum_cut(graph) - rounding(graph)


def exact_cut(graph: Graph, signs: np.ndarray) -> Fraction:
    crossing = signs[graph.ends[:, 0]] != signs[graph.ends[:, 1]]
    return sum(map(Fraction, graph.weights[crossing].tolist()), Fraction(0))


def test_weights_lost_beside_huge_multipliers_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of all cuts of the graph with the other weights one alone is bounded, without an error.
    for seed in range(20):
        graph = random_graph(6, "normal", seed, density=1.0)
        signs = best_cut(graph)
        monkeypatch.setattr(
            MAXCUT.triangle, "bound_of_duals", lambda g, _, x=signs: (float(exact_cut(g, x)), "")
        )
        triangles = every_triangle(6)
        triangles = triangles.kept(triangles.slacks(np.outer(signs, signs)) < 1)
        multipliers = 1e15 * np.random.default_rng(seed).random(len(triangles))
        bound = triangle_bound(graph, triangles, multipliers, np.zeros(6))
        assert Fraction(bound) >= exact_cut(graph, signs)


def test_the_signs_are_those_of_the_inequalities() -> None:
    # Each cut of three vertices satisfies three of the four with equality, and the last by 4.
    triangles = every_triangle(3)
    for signs in itertools.product([-1.0, 1.0], repeat=3):
        assert sorted(triangles.slacks(np.outer(signs, signs))) == [0, 0, 0, 4]
    gram = np.random.default_rng(0).standard_normal((5, 5))
    gram += gram.T
    multipliers = np.random.default_rng(1).random(40)
    triangles = every_triangle(5)
    total = (triangles.weighted_sum(multipliers) * gram).sum()
    assert total == pytest.approx(multipliers @ (triangles.slacks(gram) - 1))
    assert not np.tril(triangles.weighted_sum(multipliers)).any()


@pytest.mark.parametrize("count", [5, 1_000])
def test_the_most_violated_are_found(count: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((9, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gram = vectors @ vectors.T
    found = violated_triangles(gram, count, 0.05)
    slacks = np.sort(every_triangle(9).slacks(gram))
    expected = slacks[slacks < -0.05][:count]
    assert len(expected) > 4
    assert np.sort(found.slacks(gram)) == pytest.approx(expected)
    assert (np.diff(found.vertices, axis=1) > 0).all()
    assert not len(found.new_in(found))


@pytest.mark.parametrize("weights", ["normal", "thirds"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_bound_is_close_to_the_value_of_the_relaxation(weights: str, seed: int) -> None:
    graph = random_graph(12, weights, seed)
    solution = solve_sdp(graph, np.random.default_rng(0))
    tightest = relaxation_value(graph)
    found = tighten(graph, solution, best_cut(graph))
    assert found.upper_bound >= tightest - 1e-6 * solution.upper_bound
    assert found.upper_bound - tightest <= 1e-3 * (solution.upper_bound - tightest)


@pytest.mark.parametrize(
    ("graph", "plain", "tight"),
    [
        (nx.cycle_graph(5), 5 * (5 + 5**0.5) / 8, 4.0),
        (nx.complete_graph(3), 9 / 4, 2.0),
        # For X_ij = t semidefinite means t ≥ −1/4; the inequalities only say t ≥ −1/3.
        (nx.complete_graph(5), 25 / 4, 25 / 4),
    ],
)
def test_known_values(graph: nx.Graph, plain: float, tight: float) -> None:
    third = Graph.from_networkx(graph)
    third = Graph(third.num_vertices, third.ends, third.weights / 3)  # nothing is rounded down
    solution = solve_sdp(third, np.random.default_rng(0))
    assert solution.upper_bound == pytest.approx(plain / 3, rel=1e-6)
    found = tighten(third, solution, best_cut(third))
    assert found.upper_bound == pytest.approx(tight / 3, rel=1e-4)
    assert relaxation_value(third) == pytest.approx(tight / 3, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_of_planar_graphs_is_the_largest_cut(seed: int) -> None:
    grid = Graph.from_networkx(nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4)))
    weights = np.random.default_rng(seed).standard_normal(len(grid.weights))
    graph = Graph(grid.num_vertices, grid.ends, weights)
    solution = solve_sdp(graph, np.random.default_rng(0))
    found = tighten(graph, solution, best_cut(graph))
    assert found.upper_bound == pytest.approx(float(maximum_cut(graph)), rel=1e-10)


def test_a_partition_has_the_bound() -> None:
    # Where several cuts are the largest, only integer weights give a proof.
    cycle = nx.cycle_graph(5)
    for i, j in cycle.edges:
        cycle.edges[i, j]["weight"] = 1 + (i + j) / 7
    plain, tight = (derandomized_cut(cycle, bound=bound) for bound in ("sdp", "triangle"))
    assert not plain.proven_optimal
    assert tight.proven_optimal
    assert (plain.bound_proof, tight.bound_proof) == ("eigenvalues", "triangles")
    assert tight.sides == plain.sides


def test_it_stops_at_the_cut_and_when_it_is_told() -> None:
    graph = random_graph(20, "integers", 0)
    solution = solve_sdp(graph, np.random.default_rng(0))
    told: list[float] = []

    def stop(bound: float) -> bool:
        told.append(bound)
        return len(told) > 2

    found = tighten(graph, solution, np.ones(20), stop=stop)
    assert told == sorted(told, reverse=True)
    assert (told[0], told[-1], len(told)) == (solution.upper_bound, found.upper_bound, 3)
    assert found.upper_bound < solution.upper_bound


def test_a_callback_ends_it() -> None:
    # The bound of a complete graph stays above the largest cut.
    graph = nx.complete_graph(5)
    nx.set_edge_attributes(graph, 1 / 3, "weight")

    def callback(progress: CutProgress) -> bool:
        return progress.stage == "bound"

    stopped = derandomized_cut(graph, bound="triangle", callback=callback)
    assert stopped.stopped_by == "callback"
    assert stopped.cut_value == pytest.approx(2.0)
    assert stopped.upper_bound == pytest.approx(25 / 12)


def test_a_graph_that_is_too_large_is_named() -> None:
    graph = nx.cycle_graph(MAX_VERTICES + 1)
    with pytest.raises(ValueError, match="401 vertices: this bound is for at most 400"):
        derandomized_cut(graph, bound="triangle")


def test_a_bound_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match="bound is 'hexagon': it must be one of sdp, triangle"):
        require_bound("hexagon", 5)


def test_the_command_has_it_and_its_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MAXCUT.experiment, "_draw", lambda *_: None)
    path, folder = tmp_path / "cycle.edgelist", tmp_path / "out"
    path.write_text("".join(f"{i} {(i + 1) % 5} {1 + i / 7}\n" for i in range(5)))
    arguments = ["main.py", "--graph-file", str(path), "--bound", "triangle", "--quiet"]
    monkeypatch.setattr("sys.argv", [*arguments, "--output-dir", str(folder)])
    launch(main, Config, {})
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]
    assert results["bound_proof"] == "triangles"
    assert results["proven_optimal"]
    arguments = ["main.py", "--graph-size", "500", "--edge-probability", "0.01"]
    monkeypatch.setattr("sys.argv", [*arguments, "--bound", "triangle"])
    with pytest.raises(SystemExit) as ended:
        launch(main, Config, {})
    assert ended.value.code == 2
    assert "error: bound is 'triangle' and the graph has 500 vertices" in capsys.readouterr().err
