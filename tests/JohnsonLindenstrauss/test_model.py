"""Closed forms against sampling and scipy, Stein's identity, and the baselines of figure 6."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor
from torch.func import functional_call

from derandomization import certify, stein_bounds
from JohnsonLindenstrauss.model import (
    BATCH_SIZE,
    ExpectedDistortion,
    SampledDistortion,
    cube_points,
    gaussian_images,
    max_distortion,
    span_coordinates,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def place(
    objective: ExpectedDistortion | SampledDistortion, length: float, variance: float
) -> None:
    """Put the objective at a random M with rows of about ``length`` and at σ²."""
    shape = objective.mean.shape
    with torch.no_grad():
        noise = torch.randn(shape, generator=generator(9), dtype=torch.float64)
        objective.mean.copy_(length * noise / shape[0] ** 0.5)
        objective.scale.fill_(math.sqrt(variance * objective.mean.numel()))


def small(length: float = 1.0, variance: float = 0.05) -> ExpectedDistortion:
    """n = 4, d = 5, k = 3, away from every special point."""
    objective = ExpectedDistortion(cube_points(4, 5, generator()), 3)
    place(objective, length, variance)
    return objective


def test_it_starts_at_the_random_embedding() -> None:
    objective = ExpectedDistortion(cube_points(7, 12, generator()), 4)
    assert objective.bias().shape == (4, 12)
    assert not objective.bias().any()
    assert objective.variance().item() == pytest.approx(1 / 4, rel=1e-14)
    assert objective.weight_norm() == pytest.approx(math.sqrt(12), rel=1e-14)
    # E(χ²_k/k − 1)² = 2/k, and λ‖W‖² is the earlier paper's σ²/2.
    assert objective.expected_value().item() == pytest.approx(2 / 4, rel=1e-13)
    assert objective().item() == pytest.approx(2 / 4 + 1 / 8, rel=1e-13)


@pytest.mark.parametrize(("length", "variance"), [(1.0, 0.05), (0.0, 0.3), (0.7, 0.4)])
def test_expected_value_is_the_mean_over_drawn_matrices(length: float, variance: float) -> None:
    objective = small(length, variance)
    mean, points = objective.mean.detach().numpy(), objective.points.numpy()
    draws = np.random.default_rng(1).standard_normal((200_000, *mean.shape))
    images = (mean + math.sqrt(variance) * draws) @ points.T
    squares = ((images**2).sum(axis=1) - 1) ** 2
    sample = squares.mean(axis=1)
    error = sample.std() / math.sqrt(len(sample))
    assert error < 0.01 * sample.mean()
    assert objective.expected_value().item() == pytest.approx(sample.mean(), abs=4.5 * error)


@settings(max_examples=60, deadline=None)
@given(
    components=st.integers(1, 40),
    q=st.floats(0, 4),
    variance=st.floats(1e-3, 2),
)
def test_expected_value_has_the_moments_of_scipys_noncentral_chi_square(
    components: int, q: float, variance: float
) -> None:
    point = torch.zeros(1, 40, dtype=torch.float64)
    point[0, 3] = 1
    objective = ExpectedDistortion(point, components)
    with torch.no_grad():
        objective.mean[0, 3] = math.sqrt(q)
        objective.scale.fill_(-math.sqrt(variance * objective.mean.numel()))
    mean, spread = stats.ncx2.stats(components, q / variance, moments="mv")
    exact = variance**2 * spread + (variance * mean - 1) ** 2
    assert objective.expected_value().item() == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("epsilon", [0.3, 0.8, 1.5])
def test_it_bounds_the_union_bound_by_markov(epsilon: float) -> None:
    objective = small(0.9, 0.02)
    q = (objective.points @ objective.mean.T).detach().square().sum(dim=1).numpy()
    law = stats.ncx2(3, q / 0.02)
    union = (law.cdf((1 - epsilon) / 0.02) + law.sf((1 + epsilon) / 0.02)).sum()
    assert 0 < union <= 4 / epsilon**2 * objective.expected_value().item()


def test_its_derivatives_are_the_numerical_ones() -> None:
    objective = small()

    def value(mean: Tensor, scale: Tensor) -> Tensor:
        return functional_call(objective, {"mean": mean, "scale": scale})

    parameters = tuple(p.detach().clone().requires_grad_() for p in objective.parameters())
    assert torch.autograd.gradcheck(value, parameters)
    assert torch.autograd.gradgradcheck(value, parameters)


@settings(max_examples=20, deadline=None)
@given(length=st.floats(0, 2), variance=st.floats(1e-4, 2))
def test_stein_ties_the_derivative_in_s_to_the_curvature_in_m(
    length: float, variance: float
) -> None:
    objective = small(length, variance)
    size = objective.mean.numel()
    hessian = torch.autograd.functional.hessian(
        lambda mean: functional_call(objective, {"mean": mean}), objective.mean.detach()
    )
    trace = hessian.reshape(size, size).trace().item()
    (slope,) = torch.autograd.grad(objective(), objective.scale)
    # ∂f/∂W = (∂²f/∂M² + 2λI)W with W = (s/√kd)I, hence ∂f/∂s = s(tr ∂²f/∂M²/kd + 2λ).
    scale = objective.scale.item()
    expected = scale * (trace / size + 2 * objective.regularization)
    assert slope.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("length", "variance", "speaks"),
    [(0.0, 1 / 3, True), (2.0, 0.1, True), (1.4, 1e-6, True), (0.1, 1e-3, False)],
)
def test_the_sharp_bound_is_above_the_norm_wherever_it_speaks(
    length: float, variance: float, speaks: bool
) -> None:
    objective = small(length, variance)
    bound = stein_bounds(objective).sharp_weight_bound
    assert (bound is not None) == speaks
    assert bound is None or objective.weight_norm() <= bound


def test_sampled_value_and_gradient_are_those_of_the_maximum_over_its_draws() -> None:
    points = cube_points(6, 9, generator())
    objective = SampledDistortion(points, 4, generator(5))
    place(objective, 0.8, 0.05)
    objective.expected_value().backward()
    mean, scale = (p.detach().clone().requires_grad_() for p in objective.parameters())
    noise = gaussian_images(span_coordinates(points), 4, BATCH_SIZE, generator(5))
    images = points @ mean.T + scale / math.sqrt(36) * noise
    largest = (images.square().sum(dim=-1) - 1).abs().amax()
    largest.backward()
    place(objective, 0.8, 0.05)
    objective.generator.manual_seed(5)
    assert objective.expected_value().item() == pytest.approx(largest.item(), rel=1e-13)
    torch.testing.assert_close(objective.mean.grad, mean.grad, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(objective.scale.grad, scale.grad, rtol=1e-12, atol=1e-14)


def test_sampled_draws_are_fresh_and_cannot_be_certified() -> None:
    objective = SampledDistortion(cube_points(6, 9, generator()), 4, generator(5))
    assert objective().item() != objective().item()
    assert objective().item() > objective.expected_value().item() * 0.01
    with pytest.raises(ValueError, match="certify the exact counterpart"):
        certify(objective)


@pytest.mark.parametrize(("num_points", "dimension"), [(4, 9), (9, 4), (1, 1)])
def test_span_coordinates_keep_every_inner_product(num_points: int, dimension: int) -> None:
    points = cube_points(num_points, dimension, generator())
    points = torch.cat([points, points[:1]])  # rank deficient
    coordinates = span_coordinates(points)
    assert coordinates.shape == (num_points + 1, min(num_points + 1, dimension))
    torch.testing.assert_close(coordinates @ coordinates.T, points @ points.T, rtol=0, atol=1e-14)


def test_gaussian_images_have_the_covariance_of_gaussian_matrices() -> None:
    points = cube_points(3, 8, generator())
    images = gaussian_images(span_coordinates(points), 2, 100_000, generator(1))
    assert images.shape == (100_000, 3, 2)
    covariance = np.cov(images.reshape(100_000, 6).numpy().T)
    # Entry (u, c), (v, c'): u·v where c = c', 0 elsewhere.
    expected = np.kron((points @ points.T).numpy(), np.eye(2))
    assert covariance == pytest.approx(expected, abs=0.02)


def test_cube_points_are_unit_vectors_of_the_positive_orthant() -> None:
    points = cube_points(100, 500, generator(3))
    assert points.min() >= 0
    assert points.norm(dim=1).numpy() == pytest.approx(1, rel=1e-14)
    # (E x)²/E x² = 3/4 for x uniform in [0, 1]: the angle between any two.
    cosines = (points @ points.T)[~torch.eye(100, dtype=torch.bool)]
    assert cosines.mean().item() == pytest.approx(0.75, abs=0.01)
    assert torch.equal(points, cube_points(100, 500, generator(3)))
    assert not torch.equal(points, cube_points(100, 500, generator(4)))


def test_max_distortion_is_the_worst_point_on_either_side() -> None:
    points = torch.eye(3, dtype=torch.float64)
    embedding = torch.diag(torch.tensor([1.0, 1.2, 0.5], dtype=torch.float64))
    assert max_distortion(embedding, points) == pytest.approx(0.75, rel=1e-14)
    assert max_distortion(embedding, points[:2]) == pytest.approx(0.44, rel=1e-14)


@pytest.mark.parametrize("components", [0, 6])
def test_the_number_of_components_is_at_most_the_dimension(components: int) -> None:
    with pytest.raises(ValueError, match=f"^num_components is {components}: .*between 1 and 5"):
        ExpectedDistortion(cube_points(4, 5, generator()), components)


def test_points_must_be_unit_vectors_and_regularization_positive() -> None:
    points = cube_points(4, 5, generator())
    with pytest.raises(ValueError, match="norms up to 1 away from 1: normalise them"):
        ExpectedDistortion(2 * points, 3)
    with pytest.raises(ValueError, match=r"^regularization is 0\.0"):
        ExpectedDistortion(points, 3, 0.0)
    with pytest.raises(ValueError, match=r"^num_points is 0: it must be at least 1"):
        cube_points(0, 5, generator())
