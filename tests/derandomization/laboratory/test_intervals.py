"""Student's t interval, against scipy's, against its own coverage, and where there is none."""

import math
import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from derandomization.laboratory.intervals import Interval, confidence_interval, log_log_slope

samples = st.integers(2, 30).flatmap(
    lambda count: arrays(np.float64, count, elements=st.floats(-1e6, 1e6, width=32))
)


@given(samples)
def test_it_is_the_t_interval_of_scipy(values: np.ndarray) -> None:
    found = confidence_interval(values)
    scale = np.abs(values).max() + 1e-300
    assert found.mean == pytest.approx(values.mean(), rel=1e-12)
    error = scipy.stats.sem(values)
    if error > 1e-9 * scale:
        low, high = scipy.stats.t.interval(0.95, len(values) - 1, values.mean(), error)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9 * scale)
    else:
        assert found.low == pytest.approx(found.high, abs=1e-7 * scale)


@pytest.mark.parametrize(("count", "quantile"), [(2, 12.7062), (5, 2.7764), (10, 2.2622)])
def test_its_reach_is_that_of_the_tables(count: int, quantile: float) -> None:
    values = [1.0, -1.0] * (count // 2) + [0.0] * (count % 2)
    deviation = math.sqrt(2 * (count // 2) / (count - 1))
    found = confidence_interval(values)
    assert found.mean == 0
    assert found.high == -found.low == pytest.approx(quantile * deviation / count**0.5, rel=1e-4)


@pytest.mark.parametrize("count", [2, 4, 12])
def test_it_covers_the_mean_nineteen_times_in_twenty(count: int) -> None:
    rng = np.random.default_rng(count)
    found = [confidence_interval(rng.normal(3.0, 2.0, count)) for _ in range(2000)]
    covered = np.mean([each.low <= 3 <= each.high for each in found])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


def test_nans_are_left_out() -> None:
    known = [1.0, 2.0, 4.0]
    assert confidence_interval([math.nan, *known, math.nan]) == confidence_interval(known)
    assert confidence_interval(np.array(known)) == confidence_interval(known)


@pytest.mark.parametrize(
    ("values", "mean"), [([], math.nan), ([math.nan] * 3, math.nan), ([2.5], 2.5)]
)
def test_one_value_or_none_has_no_interval_and_no_warning(values: list, mean: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = confidence_interval(values)
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert str(found) == f"{mean:.3g}"


def test_values_all_alike_have_an_interval_of_no_length() -> None:
    found = confidence_interval([7.0] * 4)
    assert found == Interval(7.0, 7.0, 7.0)
    assert str(found) == "7"


def test_it_reads_as_mean_and_ends() -> None:
    assert str(Interval(0.12345, -1e-7, 2345.6)) == "0.123 [-1e-07, 2.35e+03]"


def test_the_slope_of_powers_is_their_exponent() -> None:
    positions = np.array([10.0, 100.0, 1e4])
    scales = np.array([1.0, 7.0, 300.0])
    for exponent in (0.5, 2.0):
        counts = scales * positions[:, None] ** exponent
        slope = log_log_slope(positions, counts)
        assert (slope.mean, slope.low, slope.high) == pytest.approx((exponent,) * 3, abs=1e-12)
    counts[1, 2] = math.nan
    assert log_log_slope(positions, counts).mean == pytest.approx(2, abs=1e-12)
    assert math.isnan(log_log_slope(positions, counts * math.nan).mean)
    mixed = np.array([[10.0, 10.0], [100.0, 1000.0], [1e4, 1e7]])  # slopes 1 and 2
    assert log_log_slope(positions, mixed).mean == pytest.approx(1.5)
