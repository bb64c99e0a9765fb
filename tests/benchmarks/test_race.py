"""Steps and seconds to a level, on a descent whose every step is known."""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmarks.race import Problem, Racer, against, race, rows, series
from derandomization import DerandomizationObjective


class Halving(DerandomizationObjective):
    """f = w²/2 + b²/2: gradient steps of 1/2 halve both."""

    def __init__(self) -> None:
        super().__init__(1e-12)
        self.w = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.b = nn.Parameter(torch.ones((), dtype=torch.float64))

    def expected_value(self) -> Tensor:
        return (self.w.square() + self.b.square()) / 2

    def random_weights(self) -> Tensor:
        return self.w

    def bias(self) -> Tensor:
        return self.b


def halving(rate: float) -> Problem:
    objective = Halving()
    return objective, torch.optim.SGD(objective.parameters(), lr=rate)


def racer(rate: float, max_steps: int = 12) -> Racer:
    return Racer(lambda: halving(rate), lambda objective: objective.weight_norm(), max_steps)


def test_steps_to_a_level_are_those_it_takes() -> None:
    results = race({"ours": racer(0.5), "slow": racer(0.25)}, (0.25, 1e-3, 1e-9), repeats=2)
    ours, slow = results["ours"], results["slow"]
    assert ours.steps == {0.25: 2, 1e-3: 10, 1e-9: None}
    assert slow.steps[0.25] == math.ceil(math.log(0.25) / math.log(0.75))
    assert slow.steps[1e-3] is None
    assert slow.end == pytest.approx(0.75**12)


def test_seconds_grow_with_the_levels_and_are_missing_where_there_is_nothing() -> None:
    results = race({"ours": racer(0.5)}, (0.25, 1e-3, 1e-9), repeats=3)
    seconds = results["ours"].seconds
    assert [len(seconds[level]) for level in (0.25, 1e-3, 1e-9)] == [3, 3, 0]
    for early, late in zip(seconds[0.25], seconds[1e-3], strict=True):
        assert 0 < early.wall < late.wall
    assert results["ours"].median(1e-9) is None
    assert math.isnan(against(results, "ours", "ours", 1e-9).median)
    assert against(results, "ours", "ours", 1e-3).median == 1.0
    table = rows(results, (1e-3, 1e-9), "ours")
    assert [row["steps"] for row in table] == [10, None]
    assert series(results, (0.25, 1e-9))["ours"].shape == (2, 3)
