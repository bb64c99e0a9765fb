"""The interpolated number of points, its growth, and the table."""

import json
import math

import pytest

from benchmarks import directions, samples
from benchmarks.directions import Cell, Outcome
from benchmarks.report import Effort


def test_points_are_interpolated_between_two_sizes() -> None:
    sizes = (10, 20, 40, 80)
    tried: list[int] = []

    def error(points: int) -> float:
        tried.append(points)
        return 2 / math.sqrt(points)

    assert samples.points_needed(error, (25, 64, 400, 900)) == pytest.approx(100)
    assert tried == [25, 64, 400]  # no more than is needed
    assert samples.points_needed(lambda points: 0.2, sizes) == 10
    assert math.isnan(samples.points_needed(lambda points: 0.21, sizes))


def test_growth_is_the_exponent_of_a_power() -> None:
    assert samples.growth((10, 20, 40), [30.0, 120.0, 480.0]) == pytest.approx(2)
    assert samples.growth((10, 20, 40), [30.0, math.nan, 480.0]) == pytest.approx(2)
    assert math.isnan(samples.growth((10, 20), [30.0, math.nan]))


def test_the_table_has_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(name: str, cell: Cell, seed: int) -> Outcome:
        error = 1.0 if name == "SIR" else math.sqrt(cell.dimension / cell.points)
        return Outcome(error, 2, 1.0)

    monkeypatch.setattr(directions, "measured", measured)
    report = samples.measure(Effort(1, quick=True))
    rows, (exponents,) = report.tables.values()
    assert [row["d"] for row in rows] == [4, 5]
    assert [row["rMAVE"] for row in rows] == pytest.approx([100, 125])
    assert exponents["rMAVE"] == pytest.approx(1)
    assert math.isnan(rows[0]["SIR"])
    json.dumps(list(rows))
