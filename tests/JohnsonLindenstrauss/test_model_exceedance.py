"""The union bound against draws, its gradient, and where its descent ends."""

import math

import pytest
import torch

from derandomization import stein_bounds
from JohnsonLindenstrauss.baselines import guaranteed_distortion
from JohnsonLindenstrauss.model import (
    ExceedanceProbability,
    cube_points,
    gaussian_images,
    max_distortion,
    span_coordinates,
)
from JohnsonLindenstrauss.train import train

POINTS, DIMENSION, COMPONENTS = 6, 9, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(epsilon: float = 0.5, variance: float = 0.05) -> ExceedanceProbability:
    objective = ExceedanceProbability(cube_points(POINTS, DIMENSION, generator()), 4, epsilon)
    with torch.no_grad():
        shape = objective.mean.shape
        noise = torch.randn(shape, generator=generator(1), dtype=torch.float64)
        objective.mean.copy_(noise * 0.45)
        objective.scale.fill_(math.sqrt(variance * shape[0] * shape[1]))
    return objective


@pytest.mark.parametrize("epsilon", [0.3, 1.2])
def test_probabilities_are_those_of_draws(epsilon: float) -> None:
    objective = build(epsilon)
    coordinates = span_coordinates(objective.points)
    noise = gaussian_images(coordinates, COMPONENTS, 40_000, generator(2))
    # Zu and Mu must be drawn in one basis: compare through the means' images and a common noise.
    images = objective.points @ objective.mean.detach().T + 0.05**0.5 * noise
    beyond = ((images.square().sum(dim=-1) - 1).abs() > epsilon).double().mean(dim=0)
    torch.testing.assert_close(
        objective.costs(objective.squared_lengths()).detach(), beyond, rtol=0, atol=0.012
    )
    assert float(objective.expected_value().detach()) == pytest.approx(
        float(beyond.sum()), abs=0.05
    )


def test_it_starts_where_the_guarantee_says() -> None:
    points = cube_points(50, 20, generator())
    for bound in (1, 2):
        epsilon = guaranteed_distortion(50 * bound, 8)
        objective = ExceedanceProbability(points, 8, epsilon)
        assert float(objective.expected_value().detach()) == pytest.approx(1 / bound, rel=1e-9)
        assert float(objective().detach()) == pytest.approx(1 / bound + 1 / 4, rel=1e-9)


@pytest.mark.parametrize("variance", [0.3, 0.05, 1e-3])
def test_the_gradient_is_that_of_differences(variance: float) -> None:
    objective = build(variance=variance)
    mean, scale = objective.mean.detach().clone(), objective.scale.detach().clone()

    def value(m: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(objective, {"mean": m, "scale": s}, ())

    inputs = (mean.requires_grad_(), scale.requires_grad_())
    assert torch.autograd.gradcheck(value, inputs, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_steins_identity_holds_so_that_the_sharp_bound_does() -> None:
    objective = build()
    bound = stein_bounds(objective).sharp_weight_bound
    assert bound is None or objective.weight_norm() <= bound


@pytest.mark.parametrize("sigma", [1e-2, 1e-4, 1e-6])
def test_it_is_a_step_function_as_the_noise_vanishes(sigma: float) -> None:
    objective = build(variance=sigma**2)
    q = (objective.points @ objective.mean.detach().T).square().sum(dim=1)
    gap = float(((q - 1).abs() - 0.5).abs().min())
    assert gap > 0.01
    beyond = ((q - 1).abs() > 0.5).double()
    atol = 0.4 if sigma == 1e-2 else 1e-12
    torch.testing.assert_close(
        objective.costs(objective.squared_lengths()).detach(), beyond, rtol=0, atol=atol
    )
    value = objective()
    value.backward()
    assert all(bool(p.grad.isfinite().all()) for p in objective.parameters())


def test_its_descent_ends_within_epsilon_without_randomness() -> None:
    points = cube_points(12, 20, generator(5))
    epsilon = guaranteed_distortion(24, 6)
    training = train(points, 6, generator=generator(), epsilon=epsilon, max_steps=800)
    history = training.history
    assert isinstance(training.exact_objective, ExceedanceProbability)
    assert history.weight_norm[-1] <= 1e-2 * history.weight_norm[0]
    assert max_distortion(training.exact_objective.mean, points) <= epsilon
    assert history.value[-1] < 1


def test_bad_arguments_are_named() -> None:
    points = cube_points(3, 4, generator())
    with pytest.raises(ValueError, match="epsilon is 0"):
        ExceedanceProbability(points, 2, 0.0)
    with pytest.raises(ValueError, match="estimator is sampled"):
        train(points, 2, generator=generator(), estimator="sampled", epsilon=0.5)
