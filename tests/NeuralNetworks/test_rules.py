"""exact_rule: quadrature while it is small, then a simplex across, then nothing."""

import pytest
import torch

from derandomization import Expectation, GaussHermite, QuasiMonteCarlo
from NeuralNetworks import rules
from NeuralNetworks.model import Teacher, complete_basis
from NeuralNetworks.rules import SimplexAcross, exact_rule


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
    assert same(exact_rule(teacher, 5), GaussHermite(nodes, basis=basis))


@pytest.mark.parametrize(
    ("teacher", "nodes"),
    [(Teacher(4), (64,)), (Teacher(20, 2), (24, 24)), (Teacher(3, noise=0.2), (24, 24))],
)
def test_beyond_it_is_quadrature_along_the_teacher_and_a_simplex_across(
    teacher: Teacher, nodes: tuple[int, ...]
) -> None:
    basis = complete_basis(teacher.sample_directions())
    rule = exact_rule(teacher, 5)
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
    rule = exact_rule(teacher, 5)
    assert same(rule, expected)
    assert same(rule, exact_rule(teacher, 9))
    assert len(rule()[1]) == 256 * (len(directions[0]) - len(directions) + 1)


def test_nodes_may_be_fewer_but_never_more_than_several_axes_allow() -> None:
    basis = complete_basis(Teacher(2).directions)
    assert same(exact_rule(Teacher(2), 5, (10, 3)), GaussHermite((10, 3), basis=basis))
    assert same(exact_rule(Teacher(2), 5, (80, 9)), GaussHermite((64, 9), basis=basis))
    rule = exact_rule(Teacher(9), 5, (10, 3))
    assert same(rule, SimplexAcross(GaussHermite((10,)), complete_basis(Teacher(9).directions)))


@pytest.mark.parametrize(("teacher", "points"), [(Teacher(10), 18 * 10), (Teacher(8, 3), 256 * 6)])
def test_it_is_none_where_points_times_inputs_and_units_are_too_many(
    teacher: Teacher, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dimension = teacher.sample_dimension
    assert len(GaussHermite((24,)).weights) == 18  # the lightest nodes are dropped
    monkeypatch.setattr(rules, "MAX_RULE_NUMBERS", points * (dimension + 30))
    rule = exact_rule(teacher, 30, (24, 4))
    assert rule is not None
    assert len(rule()[1]) == points
    assert exact_rule(teacher, 31, (24, 4)) is None


def test_as_it_stands_it_reaches_far_for_small_students_and_not_for_large_ones() -> None:
    assert exact_rule(Teacher(100), 1000) is not None
    assert exact_rule(Teacher(300), 1000) is None
    assert exact_rule(Teacher(2), 10**6) is not None  # quadrature has few points
