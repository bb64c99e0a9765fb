import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization import descend, stein_bounds
from derandomization.hessian import Hessian
from MAXCUT.expected_cut import (
    ExpectedCut,
    ScoreFunction,
    conditional_rounding,
)
from MAXCUT.graph import Graph
from MAXCUT.sdp import hyperplane_expectation
from tests.MAXCUT.reference import ByAutograd


def small_graph() -> Graph:
    ends = np.array([[0, 1], [1, 2], [2, 3], [0, 3], [0, 2]])
    return Graph(4, ends, np.array([1.0, 2.0, -0.5, 1.5, 1.0]))


def objective_at_random(seed: int, smoothing: float = 0.3) -> ExpectedCut:
    rng = np.random.default_rng(seed)
    objective = ExpectedCut(
        small_graph(), rng.standard_normal((4, 2)), smoothing=smoothing, regularization=0.02
    )
    with torch.no_grad():
        objective.mean.copy_(torch.from_numpy(rng.standard_normal(4)))
    return objective


def test_expected_cut_equals_brute_force_sampling() -> None:
    graph, objective = small_graph(), objective_at_random(1)
    rng = np.random.default_rng(2)
    draws = 400_000
    z = rng.standard_normal((draws, 2))
    noise = 0.3 * rng.standard_normal((draws, 4))
    y = z @ objective.vectors.detach().numpy().T + objective.mean.detach().numpy() + noise
    cuts = graph.cut_value(np.where(y > 0, 1.0, -1.0))
    error = cuts.std() / math.sqrt(draws)
    assert abs(float(objective.expected_cut().detach()) - cuts.mean()) < 4 * error


def test_at_zero_mean_it_tends_to_the_hyperplane_expectation() -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = small_graph()
    objective = ExpectedCut(graph, vectors, smoothing=1e-3, regularization=0.1)
    exact = hyperplane_expectation(graph, vectors)
    assert float(objective.expected_cut().detach()) == pytest.approx(exact, abs=1e-4)


def test_value_is_minus_the_scaled_cut_plus_the_penalty() -> None:
    objective = objective_at_random(3)
    cut = float(objective.expected_cut().detach())
    penalty = 0.02 * float(objective.vectors.detach().square().sum())
    assert float(objective().detach()) == pytest.approx(-4 / 6 * cut + penalty)


def test_mean_is_stationary_at_zero_a_saddle() -> None:
    objective = objective_at_random(4)
    with torch.no_grad():
        objective.mean.zero_()
    objective().backward()
    assert float(objective.mean.grad.norm()) < 1e-14
    assert float(objective.vectors.grad.norm()) > 1e-3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), smoothing=st.floats(0.1, 2.0))
def test_steins_identity_ties_the_gradient_to_the_hessian(seed: int, smoothing: float) -> None:
    objective = objective_at_random(seed, smoothing)
    objective().backward()
    hessian = Hessian(ByAutograd(objective), [objective.mean])
    dense = torch.stack([hessian.product(e) for e in torch.eye(4, dtype=torch.float64)])
    identity = (dense + 2 * 0.02 * torch.eye(4, dtype=torch.float64)) @ objective.vectors
    torch.testing.assert_close(objective.vectors.grad, identity.detach(), atol=1e-9, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_sharp_bound_holds_wherever_it_exists(seed: int) -> None:
    objective = objective_at_random(seed, smoothing=1.5)
    bound = stein_bounds(objective).sharp_weight_bound
    assert bound is None or objective.weight_norm() <= bound


def test_sharp_bound_exists_far_from_the_kink() -> None:
    objective = objective_at_random(0)
    with torch.no_grad():
        objective.mean.copy_(torch.tensor([5.0, -5.0, 5.0, -5.0]))
        objective.vectors.mul_(0.1)
    bound = stein_bounds(objective).sharp_weight_bound
    assert bound is not None
    assert objective.weight_norm() <= bound < 1.01 * objective.weight_norm()


def test_hessian_lipschitz_constant_bounds_every_third_derivative() -> None:
    objective = objective_at_random(0, smoothing=0.5)
    bound = objective.hessian_lipschitz()
    ends, weights = objective.ends, objective.weights
    generator = torch.Generator().manual_seed(0)

    def smooth_cut(y: torch.Tensor) -> torch.Tensor:
        side = 2 * torch.special.ndtr(y / 0.5) - 1
        return -objective.scale * weights @ (1 - side[ends[0]] * side[ends[1]]) / 2

    largest = 0.0
    for _ in range(200):
        y = torch.randn(4, generator=generator, dtype=torch.float64) * 0.5
        u = torch.randn(4, generator=generator, dtype=torch.float64)
        u /= u.norm()
        step = 1e-4
        ahead, behind = (
            torch.autograd.functional.hessian(smooth_cut, y + sign * step * u) for sign in (1, -1)
        )
        change = (ahead - behind) / (2 * step)
        largest = max(largest, float(torch.linalg.matrix_norm(change, 2)))
    assert 0.05 * bound < largest <= bound


def test_hessian_lipschitz_constant_is_made_of_the_suprema_of_the_smoothed_sign() -> None:
    # c/2 · D · (sup|q‴| + 3 sup|q″| sup|q′|) with q(y) = 2Φ(y/ε) − 1, by finite differences.
    objective = objective_at_random(0, smoothing=0.5)
    y = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    q = 2 * torch.special.ndtr(y / 0.5) - 1
    suprema = []
    for _ in range(3):
        (q,) = torch.gradient(q, spacing=float(y[1] - y[0]))
        suprema.append(float(q[10:-10].abs().max()))
    degree = 1.0 + 1.5 + 1.0  # of vertex 0; vertex 2 has 2 + 0.5 + 1
    expected = 4 / 6 / 2 * degree * (suprema[2] + 3 * suprema[1] * suprema[0])
    assert objective.hessian_lipschitz() == pytest.approx(expected, rel=1e-4)


def test_score_function_gradient_is_unbiased() -> None:
    exact = objective_at_random(5, smoothing=0.8)
    sampled = ExpectedCut(
        small_graph(), exact.vectors.detach().numpy(), smoothing=0.8, regularization=0.02
    )
    # Few samples, so that the mean that is subtracted must leave out each sample itself.
    sampled.evaluation = ScoreFunction(4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        sampled.mean.copy_(exact.mean)
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(exact(), exact.parameters())])
    estimates = torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(sampled(), sampled.parameters())])
            for _ in range(8_000)
        ]
    )
    errors = estimates.std(dim=0) / math.sqrt(len(estimates))
    assert bool(((estimates.mean(dim=0) - expected).abs() < 4.5 * errors).all())


def test_a_graph_without_weight_is_refused() -> None:
    empty = Graph(3, np.empty((0, 2), dtype=np.int64), np.empty(0))
    with pytest.raises(ValueError, match="number of edges is 0: it must be at least 1"):
        ExpectedCut(empty, np.eye(3), smoothing=0.1, regularization=0.1)


def test_rounding_by_conditional_expectations_never_loses_where_signs_do(
    signed_graph: Callable[..., Graph],
) -> None:
    losses = []
    for seed in range(50):
        graph = signed_graph(12, seed)
        means = np.random.default_rng(seed).uniform(-1, 1, 12)
        i, j = graph.ends.T
        expected = float(graph.weights @ (1 - means[i] * means[j]) / 2)
        signs = conditional_rounding(graph, means)
        assert set(signs) <= {-1.0, 1.0}
        assert graph.cut_value(signs) >= expected - 1e-12
        losses.append(graph.cut_value(np.sign(means)) < expected)
    assert any(losses)


def test_decided_signs_stay_and_an_isolated_vertex_keeps_its_own() -> None:
    graph = Graph(3, np.array([[0, 1]]), np.array([1.0]))
    assert conditional_rounding(graph, np.array([1.0, -1.0, -0.5])).tolist() == [1, -1, -1]
    assert conditional_rounding(graph, np.array([0.0, 0.0, 0.0])).tolist() == [1, -1, 1]


def test_the_mean_signs_are_those_of_samples() -> None:
    objective = objective_at_random(2)
    vectors, mean = objective.vectors.detach().numpy(), objective.mean.detach().numpy()
    rng = np.random.default_rng(0)
    noise = objective.smoothing * rng.standard_normal((200_000, 4))
    sampled = np.sign(rng.standard_normal((200_000, 2)) @ vectors.T + mean + noise).mean(axis=0)
    assert objective.mean_signs() == pytest.approx(sampled, abs=0.01)


def test_what_is_guaranteed_is_the_expected_cut_where_f_is_the_same_and_nothing_where_it_rose() -> (
    None
):
    """E[cut] = (λ‖V‖² − f)/c, so that with f of the start it is what is guaranteed."""
    graph, objective = small_graph(), objective_at_random(3)
    start = np.random.default_rng(4).standard_normal((4, 2))
    first = ExpectedCut(graph, start, smoothing=0.3, regularization=0.02)
    assert float(objective()) > float(first())
    assert objective.guaranteed_cut(start) is None
    objective.vectors.data.copy_(first.vectors.data)
    descend(objective, torch.optim.SGD(objective.parameters(), lr=0.05), max_steps=20)
    penalty = 0.02 * objective.weight_norm() ** 2
    expected = (penalty - float(first().detach())) / objective.scale
    i, j = graph.ends.T
    means = objective.mean_signs()
    independent = float(graph.weights @ (1 - means[i] * means[j])) / 2
    expected -= max(0.0, float(objective.expected_cut().detach()) - independent)
    guaranteed = objective.guaranteed_cut(start)
    assert guaranteed == pytest.approx(expected, rel=1e-12)
    assert guaranteed <= float(objective.expected_cut().detach())
