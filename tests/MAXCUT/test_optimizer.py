import itertools
from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch

import MAXCUT.optimizer
from derandomization import PerturbedGradientDescent, descend
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.limits import Limits
from MAXCUT.optimizer import EXACT, SAMPLED, DerandomizedCut, derandomize, settings_for
from MAXCUT.sdp import GUARANTEED_RATIO, hyperplane_expectation, solve_sdp
from MAXCUT.utilities import maximum_cut, random_graph


def cut_of(graph: Graph, seed: int, **options: object) -> DerandomizedCut:
    solution = solve_sdp(graph, np.random.default_rng(seed))
    return derandomize(graph, solution, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs_are_cut_within_the_guarantee_and_derandomized(seed: int) -> None:
    graph = Graph.from_networkx(random_graph(13, 0.5, 100 + seed))
    cut = cut_of(graph, seed)
    vectors = solve_sdp(graph, np.random.default_rng(seed)).vectors
    assert cut.cut_value == graph.cut_value(cut.signs)
    assert cut.cut_value >= GUARANTEED_RATIO * maximum_cut(graph)
    assert cut.cut_value >= hyperplane_expectation(graph, vectors)
    assert cut.history.weight_norm[-1] <= 1e-3 * cut.history.weight_norm[0]
    # Where a vertex may as well be on either side, f is flat and the lemma has no bound.
    bounds = cut.certificate.weight_bound, cut.certificate.sharp_weight_bound
    assert cut.certificate.weight_norm <= min(bound for bound in bounds if bound is not None)


@pytest.mark.usefixtures("short_descents")
def test_the_papers_graph_is_cut_at_its_optimum_from_any_seed() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    assert {cut_of(graph, seed).cut_value for seed in range(3)} == {41.0}


def test_negative_and_fractional_weights() -> None:
    rng = np.random.default_rng(0)
    ends = np.array([(i, j) for i in range(10) for j in range(i + 1, 10)])
    graph = Graph(10, ends, rng.standard_normal(len(ends)))
    cut = cut_of(graph, 0)
    assert cut.cut_value >= 0.95 * maximum_cut(graph)
    # Where a vertex may as well be on either side, f is flat and the lemma has no bound.
    bounds = cut.certificate.weight_bound, cut.certificate.sharp_weight_bound
    assert cut.certificate.weight_norm <= min(bound for bound in bounds if bound is not None)


@pytest.mark.parametrize("weight", [1.0, 1e-30, 1e30])
def test_a_descent_with_gradients_in_float32_removes_the_randomness_too(weight: float) -> None:
    graph = Graph.from_networkx(random_graph(300, 0.3, 0))
    graph = replace(graph, weights=weight * graph.weights)
    assert settings_for(graph, "exact").gradient_dtype == torch.float32
    cut = cut_of(graph, 0)
    assert not cut.not_converged
    assert cut.guaranteed is not None
    assert cut.guaranteed <= cut.derandomized_cut_value
    sharp = cut.certificate.sharp_weight_bound
    assert sharp is None or cut.certificate.weight_norm <= sharp
    assert cut.certificate.gradient_norm <= 1e-3


def test_a_descent_whose_steps_were_too_long_starts_again_with_shorter_ones(
    two_blocks: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = cut_of(two_blocks, 0)
    assert not cut.not_converged
    assert cut.derandomized_cut_value == 50 * 50
    monkeypatch.setattr(MAXCUT.optimizer, "MOST_HALVINGS", 0)
    cut = cut_of(two_blocks, 0)
    assert "of its start, above 0.001" in cut.not_converged
    assert cut.derandomized_cut_value < 50 * 50


@pytest.mark.parametrize("limit", [{"target": 1.0}, {"time_limit": 0.1}])
def test_a_descent_that_a_limit_ends_does_not_start_again(
    two_blocks: Graph, limit: dict[str, float]
) -> None:
    starts: list[int] = []
    cut_of(
        two_blocks,
        0,
        limits=Limits(**limit),
        progress=lambda step, value, norm: starts.append(step) if step == 0 else None,
    )
    assert len(starts) == 1


def test_the_best_cut_of_a_descent_that_failed_is_not_lost(
    signed_graph: Callable[..., Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = signed_graph(12, 0)
    pairs = np.array(list(itertools.product([-1.0, 1.0], repeat=graph.num_vertices)))
    optimum = pairs[graph.cut_value(pairs).argmax()]
    ones = np.ones(graph.num_vertices)
    whole, descents = MAXCUT.optimizer._descend, []

    def only_the_first_sees_it(*parts: object, **more: object) -> object:
        history, watch = whole(*parts, **more)
        watch.best = ones if descents else optimum
        descents.append(history)
        return replace(history, reason="no decrease"), watch

    monkeypatch.setattr(MAXCUT.optimizer, "_descend", only_the_first_sees_it)
    monkeypatch.setattr(MAXCUT.optimizer, "good_hyperplane", lambda *_: ones)
    monkeypatch.setattr(MAXCUT.optimizer, "conditional_rounding", lambda *_: ones)
    monkeypatch.setattr(MAXCUT.optimizer, "one_flip_optimum", lambda *_: ones)
    monkeypatch.setattr(MAXCUT.optimizer, "_polished_hyperplanes", lambda *_: [])
    cut = cut_of(graph, 0, settings=replace(EXACT, max_steps=1))
    assert len(descents) == 1 + MAXCUT.optimizer.MOST_HALVINGS
    assert cut.cut_value == graph.cut_value(optimum)


def test_gradients_are_in_float32_where_that_keeps_enough_digits() -> None:
    def dtype(graph: Graph) -> torch.dtype:
        return settings_for(graph, "exact").gradient_dtype

    leaves = np.arange(1, 10_002)
    star = Graph(10_002, np.stack([np.zeros_like(leaves), leaves], axis=1), np.ones(10_001))
    assert dtype(star) == torch.float64
    assert dtype(Graph.from_networkx(random_graph(150, 0.9, 0))) == torch.float32
    assert dtype(Graph.from_networkx(random_graph(130, 0.9, 0))) == torch.float64
    settings = settings_for(Graph.from_networkx(random_graph(150, 0.9, 0)), "exact")
    with pytest.raises(ValueError, match=r"smoothing is 0\.001: .* it must be at least 0\.01"):
        replace(settings, smoothing=1e-3)


def test_a_cut_below_the_mean_hyperplane_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def random_signs(graph: Graph, _: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).choice([-1.0, 1.0], graph.num_vertices)

    monkeypatch.setattr(MAXCUT.optimizer, "conditional_rounding", random_signs)
    graph = Graph.from_networkx(nx.path_graph(100))
    mean = hyperplane_expectation(graph, solve_sdp(graph, np.random.default_rng(0)).vectors)
    cut = cut_of(graph, 0, settings=replace(EXACT, max_steps=2))
    assert cut.derandomized_cut_value < cut.guaranteed < mean <= cut.cut_value


def test_the_cut_is_never_below_the_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def split(graph: Graph, *_: object) -> np.ndarray:
        return np.array([1.0, -1.0])

    for name in ("conditional_rounding", "one_flip_optimum", "good_hyperplane"):
        monkeypatch.setattr(MAXCUT.optimizer, name, split)
    graph = Graph(2, np.array([[0, 1]]), np.array([-1.0]))
    cut = cut_of(graph, 0, settings=replace(EXACT, max_steps=20))
    assert (cut.derandomized_cut_value, cut.cut_value) == (-1, 0)


def test_plain_descent_stays_at_zero_mean_where_pgd_leaves() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    plain = ExpectedCut(graph, vectors, smoothing=0.1, regularization=0.01)
    descend(plain, torch.optim.SGD(plain.parameters(), lr=0.5, momentum=0.9), max_steps=100)
    perturbed = ExpectedCut(graph, vectors, smoothing=0.1, regularization=0.01)
    optimizer = PerturbedGradientDescent(
        perturbed.parameters(),
        lr=0.5,
        momentum=0.9,
        gradient_threshold=1.0,
        perturbation_radius=1e-2,
        perturbation_interval=1_000,
        decrease_threshold=1e-9,
        generator=torch.Generator().manual_seed(0),
    )
    descend(perturbed, optimizer, max_steps=100)
    # Rounding leaves 1e-16 in μ's gradient, which the saddle then magnifies; 1e-6 is far below 1.
    assert float(plain.mean.detach().norm()) < 1e-6
    assert plain.weight_norm() > 1
    assert float(perturbed.mean.detach().norm()) > 0.1


def test_sampled_descent_finds_a_good_cut_of_the_papers_graph() -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, 42))
    cut = cut_of(graph, 0, estimator="sampled", settings=replace(SAMPLED, max_steps=2_500))
    assert cut.cut_value >= 39
    assert cut.history.weight_norm[-1] < 0.1 * cut.history.weight_norm[0]


def test_large_graphs_start_at_the_signs_of_a_hyperplane(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = []
    whole = MAXCUT.optimizer._descend

    def noted(graph: Graph, objective: ExpectedCut, *rest: object, **more: object) -> object:
        starts.append((graph.num_vertices, objective.signs(), objective.mean.detach().abs().max()))
        return whole(graph, objective, *rest, **more)

    monkeypatch.setattr(MAXCUT.optimizer, "_descend", noted)
    for name in ("EXACT", "EXACT_LARGE"):
        settings = getattr(MAXCUT.optimizer, name)
        monkeypatch.setattr(MAXCUT.optimizer, name, replace(settings, max_steps=1))
    for num_vertices in (30, 120):
        cut_of(Graph.from_networkx(random_graph(num_vertices, 0.2, seed=0)), seed=0)
    (_, _, small), (_, signs, large) = starts
    assert small == 0
    assert large > 0
    graph = Graph.from_networkx(random_graph(120, 0.2, seed=0))
    solution = solve_sdp(graph, np.random.default_rng(0))
    assert graph.cut_value(signs) >= hyperplane_expectation(graph, solution.vectors)
