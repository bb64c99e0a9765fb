import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch import Tensor
from torch.autograd.functional import hessian

import MAXCUT.crossing
from MAXCUT.crossing import (
    DECIDED,
    SERIES,
    crossing_probability,
    density,
    first_derivatives,
    second_derivatives,
)
from tests.MAXCUT.reference import crossing

finite = st.floats(-4, 4, allow_nan=False)
correlations = st.floats(-0.99, 0.99, allow_nan=False)


def drawn(count: int, largest: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = 2 * torch.randn(2, count, generator=generator, dtype=torch.float64)
    return a, b, largest * torch.linspace(-1, 1, count, dtype=torch.float64)


@settings(max_examples=100, deadline=None)
@given(a=finite, b=finite, r=correlations)
def test_the_probability_is_that_of_scipys_normal_distribution(
    a: float, b: float, r: float
) -> None:
    levels, correlation = (torch.tensor(x, dtype=torch.float64) for x in ([[a], [b]], [r]))
    ours = crossing_probability(levels, correlation)
    joint = multivariate_normal(cov=[[1, r], [r, 1]]).cdf([a, b])
    alone = torch.special.ndtr(torch.tensor([a, b], dtype=torch.float64)).sum()
    assert float(ours) == pytest.approx(float(alone) - 2 * joint, abs=1e-7)


def test_without_levels_it_is_sheppards_formula() -> None:
    r = torch.linspace(-0.999, 0.999, 101, dtype=torch.float64)
    zero = torch.zeros_like(r)
    expected = torch.arccos(r) / math.pi
    found = crossing_probability(torch.stack([zero, zero]), r)
    torch.testing.assert_close(found, expected, atol=1e-13, rtol=0)


@pytest.mark.parametrize(
    ("largest", "error"),
    [(SERIES, 1e-11), (0.2, 1e-12), (0.9, 1e-8), (0.99, 1e-9), (0.999, 1e-10), (0.9999, 1e-7)],
)
def test_every_rule_is_as_exact_as_it_says(largest: float, error: float) -> None:
    a, b, r = drawn(500, largest)
    near = torch.linspace(-2, 2, 500, dtype=torch.float64).sin() * (1 - r * r).sqrt()
    b = torch.where(torch.arange(500) % 2 == 0, b, a * r.sign() + near)
    found = crossing_probability(torch.stack([a, b]), r)
    torch.testing.assert_close(found, crossing(a, b, r), rtol=0, atol=error)


def test_edges_with_a_decided_end_need_no_quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, r = drawn(500, 0.95)
    a = a.sign() * DECIDED * (1.001 + a.abs())
    found = crossing_probability(torch.stack([a, b]), r)
    torch.testing.assert_close(found, crossing(a, b, r), rtol=0, atol=1e-14)
    monkeypatch.setattr(MAXCUT.crossing, "DECIDED", math.inf)
    everywhere = crossing_probability(torch.stack([a, b]), r)
    torch.testing.assert_close(found, everywhere, rtol=0, atol=1e-14)


def test_many_edges_each_have_the_rule_of_their_own_correlation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MAXCUT.crossing, "FEW_EDGES", 0)
    used, integral = [], MAXCUT.crossing._integral

    def watched(a: Tensor, b: Tensor, r: Tensor, rule: tuple[Tensor, Tensor]) -> Tensor:
        used.append((len(rule[0]), len(r), float(r.abs().max())))
        return integral(a, b, r, rule)

    monkeypatch.setattr(MAXCUT.crossing, "_integral", watched)
    a, b, r = drawn(1_000, 0.999)
    levels = torch.stack([a, b]).clamp(-3, 3)
    found = crossing_probability(levels, r)
    torch.testing.assert_close(found, crossing(*levels, r), rtol=0, atol=1e-8)
    assert [nodes for nodes, _, _ in used] == [4, 9, 20, 40]
    assert sum(count for _, count, _ in used) == 1_000
    for (_, _, largest), limit in zip(used, [0.2, 0.9, 0.99, 1.0], strict=True):
        assert limit - 0.01 < largest <= limit


def test_the_derivatives_are_those_of_the_probability() -> None:
    rows = torch.stack(drawn(30, 0.9), dim=1)
    levels, correlation = rows.T[:2], rows.T[2]
    by_levels, joint = first_derivatives(levels, density(levels), correlation)
    first = torch.stack([*by_levels, joint], dim=1)
    second = torch.stack(second_derivatives(levels, correlation), dim=1)
    for row, slopes, curvatures in zip(rows, first, second, strict=True):
        point = row.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(crossing(*point), point)
        torch.testing.assert_close(slopes, gradient, rtol=1e-7, atol=1e-9)
        known = hessian(lambda x: crossing(*x), row)
        pairs = [known[at] for at in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        torch.testing.assert_close(curvatures, torch.stack(pairs), rtol=1e-6, atol=1e-7)
