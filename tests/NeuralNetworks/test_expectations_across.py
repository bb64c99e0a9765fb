"""Antithetic and SimplexAcross: exact across a subspace, whatever lies along it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import (
    GaussHermite,
    MonteCarlo,
    QuasiMonteCarlo,
)
from NeuralNetworks.rules import Antithetic, SimplexAcross


def rotation(dimension: int, seed: int = 0) -> Tensor:
    noise = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return torch.from_numpy(np.linalg.qr(noise)[0])


def sampled(dimension: int, count: int) -> MonteCarlo:
    return MonteCarlo(dimension, count, torch.Generator().manual_seed(0))


def quasi_random(dimension: int, count: int) -> QuasiMonteCarlo:
    return QuasiMonteCarlo(dimension, count, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("dimension", "seen"), [(2, 1), (5, 2), (4, 4)])
def test_antithetic_points_come_in_pairs_that_differ_across_the_subspace_only(
    dimension: int, seen: int
) -> None:
    basis = rotation(dimension)
    directions, complement = basis[:seen], basis[seen:]
    points, weights = Antithetic(sampled(dimension, 7), directions)()
    alone, mass = sampled(dimension, 7)()
    assert torch.equal(points[:7], alone)
    assert weights.tolist() == [*(mass / 2).tolist(), *(mass / 2).tolist()]
    close = {"rtol": 0, "atol": 1e-14}
    torch.testing.assert_close(points[7:] @ directions.T, alone @ directions.T, **close)
    torch.testing.assert_close(points[7:] @ complement.T, -alone @ complement.T, **close)


def test_the_reflection_keeps_weights_and_the_normal_distribution() -> None:
    rule = GaussHermite((5, 4), basis=rotation(2))
    mirrored = Antithetic(rule, rotation(2, seed=1)[:1])  # along neither axis of the rule
    points, weights = mirrored()
    assert float(weights.sum()) == pytest.approx(1, abs=1e-14)
    assert torch.equal(weights[:20], rule()[1] / 2)  # weights of its own, not all alike
    identity = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(points.T @ (weights[:, None] * points), identity)
    twice, halves = Antithetic(mirrored, rotation(2, seed=1)[:1])()
    torch.testing.assert_close(twice[60:], points[:20], rtol=0, atol=1e-14)  # its own inverse
    assert float(halves.sum()) == pytest.approx(1, abs=1e-14)


def test_antithetic_batches_are_as_fresh_as_what_they_reflect() -> None:
    mirrored = Antithetic(quasi_random(3, 8), rotation(3)[:1])
    assert not torch.equal(mirrored()[0], mirrored()[0])


@pytest.mark.parametrize(("seen", "dimension"), [(1, 2), (1, 3), (2, 7), (1, 20), (3, 60)])
def test_simplexes_have_the_first_two_moments_given_each_point_along(
    seen: int, dimension: int
) -> None:
    along = GaussHermite((4,) * seen)
    basis = rotation(dimension)
    points, weights = SimplexAcross(along, basis)()
    centres, masses = along()
    vertices = dimension - seen + 1
    assert points.shape == (len(masses) * vertices, dimension)
    split = (points @ basis.T).view(len(masses), vertices, dimension)
    close = {"rtol": 0, "atol": 1e-12}
    repeated = centres[:, None].expand(-1, vertices, -1)
    torch.testing.assert_close(split[..., :seen], repeated, **close)
    torch.testing.assert_close(
        weights.view(-1, vertices), (masses / vertices)[:, None].expand(-1, vertices), **close
    )
    across = split[..., seen:]
    assert across.mean(dim=1).abs().max() < 1e-12
    covariance = across.transpose(1, 2) @ across / vertices
    identity = torch.eye(dimension - seen, dtype=torch.float64).expand_as(covariance)
    torch.testing.assert_close(covariance, identity, **close)
    # Regular: every vertex as far from 0, every pair as far apart. Neighbours are reversed.
    gram = across @ across.transpose(1, 2)
    regular = vertices * torch.eye(vertices, dtype=torch.float64) - 1
    torch.testing.assert_close(gram, regular.expand_as(gram), **close)
    torch.testing.assert_close(across[1:], -across[:-1], **close)


def test_with_nothing_across_the_rule_is_the_one_along() -> None:
    along, basis = GaussHermite((3, 3)), rotation(2)
    points, weights = SimplexAcross(along, basis)()
    assert torch.equal(points, along()[0] @ basis)
    assert torch.equal(weights, along()[1])


def test_a_simplex_rule_never_changes_not_even_over_points_that_do() -> None:
    rule = SimplexAcross(quasi_random(3, 16), rotation(5))
    assert torch.equal(rule()[0], rule()[0])


def test_every_rule_follows_its_module_to_another_precision() -> None:
    rules = [
        quasi_random(3, 4),
        Antithetic(quasi_random(3, 4), rotation(3)[:1]),
        SimplexAcross(GaussHermite((4,)), rotation(3)),
    ]
    for rule in rules:
        points, weights = rule.float()()
        assert points.dtype == weights.dtype == torch.float32
