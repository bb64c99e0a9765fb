"""The softened maximum against its formula, its gradient against autograd and differences."""

import math

import pytest
import torch
from torch import Tensor

from JohnsonLindenstrauss.model import (
    ExpectedDistortion,
    PairDistortion,
    mean_square_distortion,
)
from JohnsonLindenstrauss.pairs import PairBlocks, RatioRange, WorstPairs

POINTS, RANK, COMPONENTS = 9, 5, 3


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def listed(points: Tensor) -> WorstPairs:
    i, j = torch.triu_indices(len(points), len(points), 1)
    inverse = 1 / (points[i] - points[j]).square().sum(dim=1)
    return WorstPairs(i, j, inverse, RatioRange(0.0, 1.0), len(points))


def build(kind: str, sharpness: float = 7.0, variance: float = 0.05) -> PairDistortion:
    points = gaussian(POINTS, RANK)
    pairs = PairBlocks(points, 4) if kind == "all" else listed(points)
    objective = PairDistortion(points, COMPONENTS, pairs, sharpness)
    with torch.no_grad():
        objective.mean.copy_(gaussian(COMPONENTS, RANK, seed=1) / 2)
        objective.scale.fill_(math.sqrt(variance * COMPONENTS * RANK))
    return objective


def formula(objective: PairDistortion) -> Tensor:
    points, k = objective.points, objective.num_components
    i, j = torch.triu_indices(len(points), len(points), 1)
    u = points[i] - points[j]
    q = (u @ objective.mean.T).square().sum(dim=1) / u.square().sum(dim=1)
    v = objective.scale.square() / (k * points.shape[1])
    moment = (q + k * v - 1).square() + 2 * k * v.square() + 4 * v * q
    beta = objective.sharpness
    softened = torch.logsumexp(beta * moment.sqrt(), dim=0) / beta
    return softened + objective.regularization * objective.scale.square()


@pytest.mark.parametrize("kind", ["all", "listed"])
@pytest.mark.parametrize("sharpness", [0.5, 7.0, 900.0])
@pytest.mark.parametrize("variance", [0.0, 1e-12, 0.05, 1 / COMPONENTS])
def test_value_and_gradient_are_the_formulas(kind: str, sharpness: float, variance: float) -> None:
    objective = build(kind, sharpness, variance)
    value = objective()
    fused = torch.autograd.grad(value, list(objective.parameters()))
    expected = formula(objective)
    slow = torch.autograd.grad(expected, list(objective.parameters()))
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    for one, other in zip(fused, slow, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", ["all", "listed"])
def test_the_gradient_is_that_of_differences(kind: str) -> None:
    objective = build(kind)
    mean, scale = objective.mean.detach().clone(), objective.scale.detach().clone()

    def value(m: Tensor, s: Tensor) -> Tensor:
        parameters = {"mean": m, "scale": s}
        return torch.func.functional_call(objective, parameters, ())

    assert torch.autograd.gradcheck(value, (mean.requires_grad_(), scale.requires_grad_()))


def test_the_moments_are_those_of_gaussian_draws() -> None:
    objective = build("all", sharpness=1e6)  # the largest root moment alone
    points = objective.points
    noise = gaussian(100_000, COMPONENTS, RANK, seed=3) * 0.05**0.5
    i, j = torch.triu_indices(POINTS, POINTS, 1)
    units = torch.nn.functional.normalize(points[i] - points[j])
    images = (objective.mean.detach() + noise) @ units.T
    moments = (images.square().sum(dim=1) - 1).square().mean(dim=0)
    penalty = objective.regularization * float(objective.scale.detach()) ** 2
    sampled = float(moments.sqrt().max())
    assert float(objective()) - penalty == pytest.approx(sampled, rel=0.02)


def test_it_starts_at_the_random_embedding_and_bounds_the_largest() -> None:
    points = gaussian(POINTS, RANK)
    objective = PairDistortion(points, COMPONENTS, PairBlocks(points), 10.0)
    assert float(objective.mean.detach().norm()) == 0
    assert float(objective.variance().detach()) == pytest.approx(1 / COMPONENTS)
    assert objective.random_weights() is objective.scale
    assert objective.bias() is objective.mean
    root = math.sqrt(2 / COMPONENTS)  # every ‖Au‖² is χ²_k/k
    softened = root + math.log(POINTS * (POINTS - 1) / 2) / 10
    assert float(objective.expected_value()) == pytest.approx(softened, rel=1e-12)
    assert float(objective()) == pytest.approx(softened + 1, rel=1e-12)
    (slope,) = torch.autograd.grad(objective(), [objective.mean])
    assert float(slope.norm()) == 0  # a stationary point in M


def test_float32_agrees_where_weights_underflow() -> None:
    single, double = build("all", 5000.0).float(), build("all", 5000.0)
    single.pairs = PairBlocks(double.points, 4, torch.float32)
    assert float(single()) == pytest.approx(float(double()), rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"sharpness": 0.0}, "sharpness is 0"), ({"num_components": 0}, "num_components is 0")],
)
def test_arguments_out_of_range_are_named(changed: dict, message: str) -> None:
    points = gaussian(3, 2)
    arguments = {"num_components": 1, "pairs": PairBlocks(points), "sharpness": 1.0} | changed
    with pytest.raises(ValueError, match=message):
        PairDistortion(points, **arguments)


def test_the_mean_square_is_that_of_all_pairs_with_its_slope() -> None:
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(9, 4, generator=rng, dtype=torch.float64)
    mean = torch.randn(2, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    i, j = torch.triu_indices(9, 9, 1)
    differences = points[i] - points[j]
    units = differences / differences.norm(dim=1, keepdim=True)
    moments = ExpectedDistortion(units, 2)
    with torch.no_grad():
        moments.mean.copy_(mean)
        moments.scale.zero_()
    direct = ((units @ mean.T).square().sum(dim=1) - 1).square().mean()
    (slope,) = torch.autograd.grad(direct, mean)
    for block_size in (2, 9):
        blocks = PairBlocks(points, block_size)
        value, in_images = mean_square_distortion(points @ mean.detach().T, blocks)
        assert value == pytest.approx(float(direct), rel=1e-12)
        assert value == pytest.approx(float(moments.expected_value()), rel=1e-12)
        torch.testing.assert_close(in_images.T @ points, slope)
