"""Tails and densities against scipy, exact cases and sampling, in every regime."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from JohnsonLindenstrauss import chi_square
from JohnsonLindenstrauss.chi_square import density, log_density, log_tail, tail

DEGREES = (1, 2, 3, 30, 200)


def grid(df: int, largest: float, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """x up to 6 deviations from the mean, noncentrality over seven decades."""
    rng = np.random.default_rng(df)
    lam = 10 ** rng.uniform(-3, math.log10(largest), count)
    spread = np.sqrt(2 * df + 4 * lam)
    return np.maximum(df + lam + spread * rng.uniform(-4, 6, count), 1e-3 * df), lam


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("upper", [False, True])
def test_the_series_is_scipys(df: int, upper: bool) -> None:
    x, lam = grid(df, 1e4)
    reference = (stats.ncx2.logsf if upper else stats.ncx2.logcdf)(x, df, lam)
    good = reference > -400
    found = log_tail(x, df, lam, upper=upper)
    np.testing.assert_allclose(found[good], reference[good], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("upper", [False, True])
def test_the_saddle_point_agrees_where_it_takes_over(df: int, upper: bool) -> None:
    x, lam = grid(df, 1e4)
    x, lam = x[lam > 2e3], lam[lam > 2e3]
    reference = (stats.ncx2.sf if upper else stats.ncx2.cdf)(x, df, lam)
    found = np.exp(chi_square._saddle_point(x, df, lam, upper))
    np.testing.assert_allclose(found, reference, rtol=2e-5)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("lam", [0.0, 3.0, 1e3])
def test_the_saddle_point_is_smooth_at_the_mean(df: int, lam: float) -> None:
    # At the mean w is 0, and close to it δ + log(1 − δ) is summed as a series.
    spread = math.sqrt(2 * df + 4 * lam)
    x = df + lam + spread * np.array([-2e-3, -1e-3, 0.0, 1e-3, 2e-3])
    found = chi_square._saddle_point(x, df, np.full(5, lam), upper=True)
    line = np.polynomial.Polynomial.fit(x[[0, 1, 3, 4]], found[[0, 1, 3, 4]], 2)
    np.testing.assert_allclose(found, line(x), rtol=0, atol=1e-8)


@pytest.mark.parametrize("delta", [-0.9e-3, -1e-5, 1e-5, 0.9e-3])
def test_the_series_of_the_remainder_is_that_of_the_logarithm(delta: float) -> None:
    exact = (Decimal(delta) + (1 - Decimal(delta)).ln()) / Decimal(delta) ** 2
    assert chi_square._log_remainder(np.array(delta)) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize("shift", [-40.0, -3.0, -1e-9, 0.0, 1e-9, 3.0, 40.0])
@pytest.mark.parametrize("root", [1e2, 1e4, 1e6, 1e8])
def test_one_degree_of_freedom_is_two_normal_tails(root: float, shift: float) -> None:
    # X = (Z + √λ)²: Pr(X ≤ x) = Φ(√x − √λ) − Φ(−√x − √λ), the second nothing here.
    at = root + shift
    found = log_tail(np.array([at**2]), 1, np.array([root**2]), upper=False)[0]
    # The rounding of x is a shift of √x by 1e-16·√x, which the tail feels 40-fold.
    slack = 1e-4 if root == 1e2 else 1e-5
    assert found == pytest.approx(special.log_ndtr(shift), abs=slack + 50 * root * 1e-15)
    found = log_tail(np.array([at**2]), 1, np.array([root**2]), upper=True)[0]
    assert found == pytest.approx(special.log_ndtr(-shift), abs=slack + 50 * root * 1e-15)


def test_deep_tails_stay_finite_and_are_off_by_no_more_than_documented() -> None:
    for x in (1e3, 1e5, 1e8):
        found = log_tail(np.array([x]), 2, np.zeros(1), upper=True)[0]
        assert found == pytest.approx(-x / 2, abs=0.085)
        found = log_tail(np.array([x]), 1, np.zeros(1), upper=True)[0]
        assert found == pytest.approx(math.log(2) + special.log_ndtr(-math.sqrt(x)), abs=0.17)


def test_tails_complete_each_other_and_end_at_zero() -> None:
    x, lam = grid(5, 1e8)
    both = np.exp(log_tail(x, 5, lam, upper=True)) + np.exp(log_tail(x, 5, lam, upper=False))
    np.testing.assert_allclose(both, 1, rtol=1e-5)
    ends = np.zeros(2)
    assert (log_tail(ends, 4, np.array([0.0, 3.0]), upper=False) == -np.inf).all()
    assert (log_tail(ends, 4, np.array([0.0, 3.0]), upper=True) == 0).all()


@pytest.mark.parametrize("df", DEGREES)
def test_the_density_is_scipys(df: int) -> None:
    x, lam = grid(df, 1e6)
    reference = stats.ncx2.logpdf(x, df, lam)
    np.testing.assert_allclose(log_density(x, df, lam), reference, rtol=1e-9, atol=1e-9)
    central = stats.chi2.logpdf(x, df)
    np.testing.assert_allclose(log_density(x, df, 0 * x), central, rtol=1e-9, atol=1e-9)
    assert log_density(np.zeros(1), df, np.ones(1))[0] == -np.inf


def test_the_density_of_huge_noncentralities_is_normal() -> None:
    for lam in (1e10, 1e12, 1e14):
        peak = -math.log(2 * math.pi * 4 * lam) / 2
        found = log_density(np.array([lam]), 30, np.array([lam]))[0]
        assert found == pytest.approx(peak, abs=1e-3)


@settings(deadline=None, max_examples=25)
@given(df=st.integers(1, 40), lam=st.floats(0.1, 1e3), width=st.floats(-2, 3))
def test_the_density_integrates_to_the_tail(df: int, lam: float, width: float) -> None:
    deviation = math.sqrt(2 * df + 4 * lam)
    low = max(0.1, df + lam + width * deviation)
    high = low + deviation
    between = integrate.quad(
        lambda x: math.exp(float(log_density(np.array(x), df, np.array(lam)))), low, high
    )[0]
    ends = np.exp(log_tail(np.array([low, high]), df, np.full(2, lam), upper=False))
    assert ends[1] - ends[0] == pytest.approx(between, abs=1e-7)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 30])
def test_first_and_second_derivatives_are_those_of_differences(df: int) -> None:
    x = torch.tensor([0.7, 20.0, 60.0], dtype=torch.float64, requires_grad=True)
    lam = torch.tensor([0.5, 10.0, 30.0], dtype=torch.float64, requires_grad=True)
    for upper in (False, True):

        def value(x: torch.Tensor, lam: torch.Tensor, upper: bool = upper) -> torch.Tensor:
            return tail(x, df, lam, upper=upper)

        assert torch.autograd.gradcheck(value, (x, lam))
        assert torch.autograd.gradgradcheck(value, (x, lam))
    assert torch.autograd.gradcheck(lambda x, lam: density(x, df, lam), (x, lam))


def test_derivatives_at_no_noncentrality() -> None:
    x = torch.tensor([0.7, 9.0], dtype=torch.float64)
    lam = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(tail(x, 3, lam, upper=False).sum(), lam)
    np.testing.assert_allclose(slope.numpy(), -stats.chi2.pdf(x.numpy(), 5), rtol=1e-10)
