"""A target is met when the number says so, and never when there is none."""

import math

import pytest

from benchmarks.measure import Ratio
from benchmarks.report import Report, Target


@pytest.mark.parametrize(
    ("sense", "wanted", "measured", "met"),
    [
        ("≥", 20.0, 20.0, True),
        ("≥", 20.0, 19.9, False),
        ("≤", 1.1, 1.1, True),
        ("≤", 1.1, 1.2, False),
        ("≥", 20.0, math.nan, False),
        ("≤", 1.1, math.nan, False),
    ],
)
def test_targets(sense: str, wanted: float, measured: float, met: bool) -> None:
    assert Target("", sense, wanted, measured).met is met  # type: ignore[arg-type]


def test_a_ratio_is_judged_by_its_median_and_keeps_its_spread() -> None:
    report = Report()
    report.at_least("slow over fast", 3.0, Ratio([1.0, 4.0, 9.0], [1.0, 1.0, 1.0]))
    report.at_most("slow over fast", 3.0, Ratio([1.0, 4.0, 9.0], [1.0, 1.0, 1.0]))
    assert [each.met for each in report.targets] == [True, False]
    assert all((each.measured, each.spread) == (4.0, (1.0, 9.0)) for each in report.targets)
