"""Objectives of the sizes that are asked for, exponents of the upper decades, and the tables."""

import math
from collections.abc import Callable

import pytest
import torch

from benchmarks.growth import (
    ALL,
    POINTS,
    cut_objective,
    measure,
    network_objective,
    one_step,
    pair_objective,
    stepper,
    upper_exponent,
)
from benchmarks.measure import Footprint, fastest_step, footprint
from benchmarks.report import Effort


def test_a_random_graph_has_so_many_distinct_edges() -> None:
    objective = cut_objective(2_000)
    i, j = objective.ends
    assert objective.vectors.shape[0] == 400
    assert bool((i < j).all())
    assert int(j.max()) < 400
    assert len(torch.unique(torch.stack([i, j]), dim=1).T) == 2_000
    assert len(torch.unique(i)) > 300


def test_objectives_are_finite_and_a_step_changes_them_hardly() -> None:
    for objective in (cut_objective(100), network_objective(8, 2), pair_objective(20, 3, 10)):
        value = float(objective().detach())
        before = [each.detach().clone() for each in objective.parameters()]
        stepper(objective)()
        moved = [bool((a != b).any()) for a, b in zip(before, objective.parameters(), strict=True)]
        assert math.isfinite(value)
        assert any(moved)
        assert float(objective().detach()) == pytest.approx(value, rel=1e-3)


def test_a_step_takes_longer_with_more_edges() -> None:
    few, many = (
        fastest_step(stepper(cut_objective(edges)), repeats=2, at_least=0.02)
        for edges in (1_000, 30_000)
    )
    assert 0 < few < many


def test_the_exponent_is_that_of_the_upper_two_decades() -> None:
    sizes = [1.0, 10.0, 100.0, 1_000.0, 10_000.0]
    values = [7.0, 7.0, *(3 * size**1.5 for size in sizes[2:])]
    assert upper_exponent(sizes, values) == pytest.approx(1.5)


def test_pairs_cover_four_decades_and_two_of_them_are_fitted() -> None:
    pairs = [points * (points - 1) / 2 for points in POINTS]
    assert pairs[0] == pytest.approx(1e5, rel=0.02)
    assert pairs[-1] == pytest.approx(1e9, rel=0.02)
    assert sum(each >= pairs[-1] / 100 for each in pairs) == 5


def test_the_memory_of_a_step_is_that_of_a_process_of_its_own() -> None:
    memory = footprint(one_step, network_objective, 8, 2).row()
    assert not memory["peak MB"] < memory["of which imports MB"]


def test_every_series_has_a_table_with_time_and_memory_and_a_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def in_this_process(function: Callable[..., object], *arguments: object) -> Footprint:
        function(*arguments)
        return Footprint(50.0, 100.0)

    monkeypatch.setattr("benchmarks.growth.footprint", in_this_process)  # 3 s for a process
    report = measure(Effort(1, quick=True))
    assert list(report.tables)[:-1] == [series.title for series in ALL]
    for series in ALL:
        rows = report.tables[series.title]
        assert len(rows) == len(series.quick)
        for row in rows:
            assert row["CPU s of a step"] > 0  # type: ignore[operator]
            assert {"peak MB", "of which imports MB", series.unit} <= set(row)
    assert [target.statement for target in report.targets] == [
        f"a step grows as ({series.unit})^α, the fitted α" for series in ALL
    ]
    assert len(report.panels) in (3, 6)  # without memory where the system does not tell it
