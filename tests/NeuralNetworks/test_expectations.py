"""Expectations for a teacher's risk: exact across the teacher, at any number of dimensions."""

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import Expectation, GaussHermite, MonteCarlo, QuasiMonteCarlo
from NeuralNetworks import expectations
from NeuralNetworks.expectations import Antithetic, SimplexAcross, exact_expectation
from NeuralNetworks.model import Teacher, complete_basis


def same(rule: Expectation | None, expected: Expectation) -> bool:
    assert type(rule) is type(expected)
    return all(torch.equal(a, b) for a, b in zip(rule(), expected(), strict=True))


@pytest.mark.parametrize(
    ("teacher", "nodes"),
    [
        (Teacher(1), (64,)),
        (Teacher(2), (64, 8)),
        (Teacher(3), (64, 8, 8)),
        (Teacher(2, 2), (24, 24)),
        (Teacher(3, 2), (24, 24, 8)),
        (Teacher(3, 3), (12, 12, 12)),
        (Teacher(1, noise=0.1), (24, 24)),
        (Teacher(2, noise=0.1), (24, 24, 8)),
        (Teacher(2, 2, noise=0.1), (12, 12, 12)),
    ],
)
def test_up_to_three_dimensions_it_is_quadrature_along_the_teacher_and_across(
    teacher: Teacher, nodes: tuple[int, ...]
) -> None:
    basis = complete_basis(teacher.sample_directions())
    assert same(exact_expectation(teacher, 5), GaussHermite(nodes, basis=basis))


@pytest.mark.parametrize(
    ("teacher", "nodes"),
    [(Teacher(4), (64,)), (Teacher(20, 2), (24, 24)), (Teacher(3, noise=0.2), (24, 24))],
)
def test_beyond_it_is_quadrature_along_the_teacher_and_a_simplex_across(
    teacher: Teacher, nodes: tuple[int, ...]
) -> None:
    basis = complete_basis(teacher.sample_directions())
    rule = exact_expectation(teacher, 5)
    assert same(rule, SimplexAcross(GaussHermite(nodes), basis))
    points, _ = rule()
    assert points.shape[1] == teacher.sample_dimension


@pytest.mark.parametrize("teacher", [Teacher(7, 3), Teacher(4, 4), Teacher(5, 2, noise=0.3)])
def test_along_three_axes_and_more_points_are_quasi_random_but_always_the_same(
    teacher: Teacher,
) -> None:
    directions = teacher.sample_directions()
    along = QuasiMonteCarlo(len(directions), 256, torch.Generator().manual_seed(0))
    expected = SimplexAcross(along, complete_basis(directions))
    rule = exact_expectation(teacher, 5)
    assert same(rule, expected)
    assert same(rule, exact_expectation(teacher, 9))
    assert len(rule()[1]) == 256 * (len(directions[0]) - len(directions) + 1)


def test_nodes_may_be_fewer_but_never_more_than_several_axes_allow() -> None:
    basis = complete_basis(Teacher(2).directions)
    assert same(exact_expectation(Teacher(2), 5, (10, 3)), GaussHermite((10, 3), basis=basis))
    assert same(exact_expectation(Teacher(2), 5, (80, 9)), GaussHermite((64, 9), basis=basis))
    rule = exact_expectation(Teacher(9), 5, (10, 3))
    assert same(rule, SimplexAcross(GaussHermite((10,)), complete_basis(Teacher(9).directions)))


@pytest.mark.parametrize(("teacher", "points"), [(Teacher(10), 18 * 10), (Teacher(8, 3), 256 * 6)])
def test_it_is_none_where_points_times_inputs_and_units_are_too_many(
    teacher: Teacher, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dimension = teacher.sample_dimension
    assert len(GaussHermite((24,)).weights) == 18  # the lightest nodes are dropped
    monkeypatch.setattr(expectations, "MAX_RULE_NUMBERS", points * (dimension + 30))
    rule = exact_expectation(teacher, 30, (24, 4))
    assert rule is not None
    assert len(rule()[1]) == points
    assert exact_expectation(teacher, 31, (24, 4)) is None


def test_as_it_stands_it_reaches_far_for_small_students_and_not_for_large_ones() -> None:
    assert exact_expectation(Teacher(100), 1000) is not None
    assert exact_expectation(Teacher(300), 1000) is None
    assert exact_expectation(Teacher(2), 10**6) is not None  # quadrature has few points


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
