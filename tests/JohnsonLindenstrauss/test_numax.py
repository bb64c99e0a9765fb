"""NuMax against cases with a known solution."""

import math

import pytest
import torch

from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.numax import _Solver, numax
from JohnsonLindenstrauss.pairs import exact_ratio_range


@pytest.mark.parametrize("angle", [0.3, 1.0, math.pi / 2])
@pytest.mark.parametrize("eps", [0.1, 0.4])
def test_two_differences_need_rank_1_along_their_bisector(angle: float, eps: float) -> None:
    """For an acute angle P = c wwᵀ: c cos²(angle/2) = 1 − ε; at a right angle tr P = 2(1 − ε)."""
    units = torch.tensor([[1, 0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    solver = _Solver(2, eps)
    assert solver.solve(units, torch.arange(2))
    expected = (1 - eps) / math.cos(angle / 2) ** 2
    assert float(solver.matrix.trace()) == pytest.approx(expected, rel=1e-3)
    if angle < 1.5:
        bisector = torch.tensor([math.cos(angle / 2), math.sin(angle / 2)], dtype=torch.float64)
        expected_matrix = expected * torch.outer(bisector, bisector)
        torch.testing.assert_close(solver.matrix, expected_matrix, atol=5e-3, rtol=0)


@pytest.mark.parametrize("rank", [1, 3])
def test_points_in_a_subspace_need_its_dimension_as_eps_goes_to_0(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    inside = torch.randn(25, rank, generator=generator, dtype=torch.float64)
    points = inside @ torch.randn(rank, 8, generator=generator, dtype=torch.float64)
    solution = numax(points, 1e-6)
    assert solution.converged
    assert solution.rank == rank
    assert solution.nuclear_norm == pytest.approx(rank, rel=1e-3)
    assert exact_ratio_range(solution.embedding, points).distortion < 1e-3


def test_orthogonal_differences_each_shrink_by_eps() -> None:
    """0, e₁ and e₂ give e₁, e₂ and (e₁ − e₂)/√2: P = (1 − ε)I has the least trace."""
    points = torch.tensor([[0, 0], [1, 0], [0, 1]], dtype=torch.float64)
    solution = numax(points, 0.2)
    assert (solution.rank, solution.converged) == (2, True)
    assert solution.nuclear_norm == pytest.approx(1.6, rel=1e-4)


def test_pairs_that_are_added_later_are_within_eps_too() -> None:
    points = cube_points(40, 60, torch.Generator().manual_seed(0))
    solution = numax(points, 0.2)
    assert solution.converged
    assert solution.rank < 39
    assert solution.distortion <= 0.2 + 1e-3
    found = exact_ratio_range(solution.embedding, points).distortion
    assert found == pytest.approx(solution.distortion, abs=1e-3)
    assert numax(points, 0.05).rank > solution.rank


@pytest.mark.parametrize(
    ("points", "eps", "message"),
    [
        (torch.eye(3), 1.0, "eps is 1.0"),
        (torch.eye(3), -0.1, "eps is -0.1"),
        (torch.eye(3), math.nan, "eps is nan"),
        (torch.eye(401), 0.1, "number of distinct points is 401"),
        (torch.ones(3, 2), 0.1, "all points are equal"),
    ],
)
def test_bad_input_is_named(points: torch.Tensor, eps: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        numax(points, eps)
