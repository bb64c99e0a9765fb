"""Quadrature and samples against the moments of the normal distribution."""

import itertools
import math
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from derandomization import Expectation, GaussHermite, MonteCarlo, QuasiMonteCarlo


def normal_moment(power: int) -> int:
    """E[x^p], x ~ N(0, 1): (p − 1)!! for even p, else 0."""
    return math.prod(range(1, power, 2)) if power % 2 == 0 else 0


def rotation(dimension: int, seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return torch.from_numpy(np.linalg.qr(noise)[0])


def sampled(dimension: int, count: int, seed: int = 0) -> MonteCarlo:
    return MonteCarlo(dimension, count, torch.Generator().manual_seed(seed))


def quasi_random(dimension: int, count: int, seed: int = 0) -> QuasiMonteCarlo:
    return QuasiMonteCarlo(dimension, count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("nodes", [(2,), (5,), (9,), (2, 3), (6, 5), (2, 3, 4), (4, 4, 4)])
def test_exact_for_every_monomial_up_to_its_degree(nodes: tuple[int, ...]) -> None:
    points, weights = GaussHermite(nodes)()
    for powers in itertools.product(*(range(2 * n) for n in nodes)):
        terms = (points ** torch.tensor(powers)).prod(dim=1)
        exact = math.prod(normal_moment(p) for p in powers)
        scale = float(weights @ terms.abs())
        # No node of these rules is light enough to be dropped.
        assert float(weights @ terms) == pytest.approx(exact, abs=1e-12 * max(scale, 1)), powers


def test_not_exact_one_degree_above() -> None:
    points, weights = GaussHermite([4])()
    assert abs(float(weights @ points[:, 0] ** 8) - normal_moment(8)) > 1


@settings(max_examples=25, deadline=None)
@given(nodes=st.lists(st.integers(2, 24), min_size=1, max_size=3))
def test_weights_are_positive_and_sum_to_one(nodes: list[int]) -> None:
    points, weights = GaussHermite(nodes)()
    assert points.shape == (len(weights), len(nodes))
    assert (weights > 0).all()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-13)


def test_dropping_light_nodes_moves_a_bounded_expectation_by_less_than_a_ten_millionth() -> None:
    points, weights = GaussHermite([24, 24])()
    assert len(points) < 24 * 24 / 1.5
    exact = math.exp(-(0.7**2 + 1.3**2) / 2) * math.cos(0.4)
    found = weights @ torch.cos(points @ torch.tensor([0.7, 1.3]).double() + 0.4)
    assert float(found) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_axes_lie_along_the_basis(dimension: int) -> None:
    basis = rotation(dimension)
    nodes = [5, 3, 4][:dimension]
    plain, weights = GaussHermite(nodes)()
    turned, turned_weights = GaussHermite(nodes, basis=basis)()
    torch.testing.assert_close(turned @ basis.T, plain, rtol=0, atol=1e-13)
    assert torch.equal(weights, turned_weights)


@pytest.mark.parametrize("dimension", [2, 3])
def test_reflecting_any_basis_row_maps_the_rule_onto_itself(dimension: int) -> None:
    basis = rotation(dimension)
    points, weights = GaussHermite([6, 5, 4][:dimension], basis=basis)()
    for row in basis:
        reflected = points - 2 * (points @ row)[:, None] * row
        distances, partner = torch.cdist(reflected, points).min(dim=1)
        assert float(distances.max()) < 1e-6  # cdist itself rounds at √eps
        assert sorted(partner.tolist()) == list(range(len(points)))
        torch.testing.assert_close(weights[partner], weights, rtol=1e-12, atol=0)


def test_quadrature_and_monte_carlo_agree_within_four_standard_errors() -> None:
    def h(x: Tensor) -> Tensor:
        return torch.tanh(x[:, 0] + 0.3) * torch.exp(-x[:, 1].square()) + x[:, 0] * x[:, 1]

    points, weights = GaussHermite([40, 40])()
    draws, mean_weights = sampled(2, 200_000)()
    values = h(draws)
    error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(mean_weights @ values) - float(weights @ h(points))) < 4 * error


def test_monte_carlo_repeats_with_its_generator_and_is_fresh_at_each_call() -> None:
    first, second = sampled(3, 50, seed=7), sampled(3, 50, seed=7)
    draws = [first()[0] for _ in range(3)]
    for draw in draws:
        assert torch.equal(draw, second()[0])
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(sampled(3, 50, seed=8)()[0], draws[0])


def test_monte_carlo_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    sampled(2, 10)()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("powers", [(1, 0), (2, 0), (1, 1), (2, 2), (4, 0), (0, 3)])
def test_monte_carlo_is_unbiased(powers: tuple[int, int]) -> None:
    estimator = sampled(2, 20, seed=1)
    exponents = torch.tensor(powers)
    batches = [estimator() for _ in range(2000)]
    means = torch.stack([w @ (x**exponents).prod(dim=1) for x, w in batches])
    exact = normal_moment(powers[0]) * normal_moment(powers[1])
    z_score = (float(means.mean()) - exact) / (float(means.std()) / math.sqrt(len(means)))
    assert abs(z_score) < 4


def test_monte_carlo_draws_in_the_precision_of_its_module() -> None:
    points, weights = sampled(2, 4).float()()
    assert points.dtype == weights.dtype == torch.float32


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "dimension of a quadrature is 0: it must lie between 1 and 3"),
        ([4] * 4, "dimension of a quadrature is 4"),
        ([4, 1], "num_nodes is 1: it must be at least 2"),
    ],
)
def test_a_quadrature_out_of_range_says_so(nodes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GaussHermite(nodes)


@pytest.mark.parametrize(
    ("dimension", "count", "message"),
    [(0, 5, "dimension is 0: it must be at least 1"), (2, 0, "num_samples is 0")],
)
def test_a_sample_out_of_range_says_so(dimension: int, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampled(dimension, count)


def test_a_quasi_random_batch_continues_the_sequence_and_repeats_with_its_generator() -> None:
    first, second = quasi_random(3, 32, seed=7), quasi_random(3, 32, seed=7)
    draws = [first()[0] for _ in range(3)]
    for draw in draws:
        assert torch.equal(draw, second()[0])
    assert len(torch.cat(draws).unique(dim=0)) == 96
    assert not torch.equal(quasi_random(3, 32, seed=8)()[0], draws[0])
    generator = torch.Generator().manual_seed(7)
    two = [QuasiMonteCarlo(3, 32, generator)()[0] for _ in range(2)]
    assert not torch.equal(*two)  # the generator moves on, so two sequences differ
    assert torch.equal(two[0], draws[0])


def test_quasi_random_draws_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    quasi_random(2, 8)()
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_together_fill_every_axis_evenly() -> None:
    estimator = quasi_random(2, 32, seed=3)
    points = torch.cat([estimator()[0] for _ in range(8)])
    cells = (256 * torch.special.ndtr(points)).long()
    for axis in cells.T:  # one point in each of 256 intervals: the property of a Sobol net
        assert sorted(axis.tolist()) == list(range(256))


@pytest.mark.parametrize("powers", [(1, 0), (2, 0), (1, 1), (2, 2), (4, 0), (0, 3)])
def test_a_quasi_random_batch_is_unbiased_and_has_less_noise(powers: tuple[int, int]) -> None:
    exponents = torch.tensor(powers)

    def means(estimators: list[Expectation]) -> Tensor:
        batches = [estimator() for estimator in estimators]
        return torch.stack([w @ (x**exponents).prod(dim=1) for x, w in batches])

    found = means([quasi_random(2, 32, seed=seed) for seed in range(300)])
    exact = normal_moment(powers[0]) * normal_moment(powers[1])
    assert abs(float(found.mean()) - exact) < 4 * float(found.std()) / math.sqrt(300)
    independent = means([sampled(2, 32, seed=seed) for seed in range(300)])
    assert found.std() < 0.85 * independent.std()


def test_the_ends_of_the_sequence_are_finite_and_opposite() -> None:
    estimator = quasi_random(1, 2)
    ends = torch.tensor([[0.0], [1 - 2.0**-30]], dtype=torch.float64)
    estimator.engine = types.SimpleNamespace(draw=lambda count, dtype: ends[:count].to(dtype))
    (low,), (high,) = estimator()[0].tolist()
    assert low == -high == pytest.approx(stats.norm.ppf(2.0**-31), rel=1e-12)


def test_quasi_random_points_reach_a_thousand_dimensions() -> None:
    points, weights = quasi_random(1000, 64)()
    assert points.shape == (64, 1000)
    assert torch.isfinite(points).all()
    assert weights.tolist() == [1 / 64] * 64
    norms = points.square().sum(dim=1)  # chi-square with 1000 degrees of freedom
    assert abs(float(norms.mean()) - 1000) < 4 * math.sqrt(2000 / 64)


@pytest.mark.parametrize(
    ("dimension", "count", "message"),
    [
        (0, 5, "dimension is 0: it must lie between 1 and 21201"),
        (21202, 5, "dimension is 21202"),
        (2, 0, "num_samples is 0: it must be at least 1"),
    ],
)
def test_a_sequence_out_of_range_says_so(dimension: int, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quasi_random(dimension, count)
