"""Turns are fair, ratios and exponents are right, memory is that of the work."""

import math

import numpy as np
import pytest

from benchmarks.measure import (
    Footprint,
    Seconds,
    fastest_step,
    fitted_exponent,
    footprint,
    in_turn,
    ratio,
)


class FakeClock:
    """Stands still but for what ``pass_by`` adds."""

    def __init__(self) -> None:
        self.wall, self.cpu = 100.0, 7.0

    def __call__(self) -> Seconds:
        return Seconds(self.wall, self.cpu)

    def pass_by(self, wall: float, cpu: float) -> None:
        self.wall, self.cpu = self.wall + wall, self.cpu + cpu


def test_contenders_take_turns_forwards_and_backwards() -> None:
    order: list[str] = []
    contenders = {name: lambda name=name: order.append(name) for name in "abc"}
    in_turn(contenders, 3)
    assert "".join(order) == "abc" + "cba" + "abc"


def test_what_is_reported_is_what_was_measured() -> None:
    clock = FakeClock()
    taken = iter([(3.0, 2.0), (1.0, 1.0), (5.0, 4.0), (9.0, 8.0)])

    def work() -> str:
        clock.pass_by(*next(taken))
        return "done"

    # slow, fast, then backwards: fast, slow
    turns = in_turn({"slow": work, "fast": work}, 2, clock=clock)
    assert turns["slow"].seconds == [Seconds(3.0, 2.0), Seconds(9.0, 8.0)]
    assert turns["fast"].seconds == [Seconds(1.0, 1.0), Seconds(5.0, 4.0)]
    assert (turns["slow"].cpu, turns["slow"].wall) == (5.0, 6.0)
    assert turns["slow"].outcomes == ["done", "done"]
    found = ratio(turns["slow"].seconds, turns["fast"].seconds)
    assert list(found.cpu) == [2.0, 2.0]
    assert found.row() == {
        "ratio": 2.0,
        "lowest": 2.0,
        "highest": 2.0,
        "wall ratio": pytest.approx((3.0 + 9 / 5) / 2),
    }


def test_a_ratio_is_the_median_of_the_rounds_and_shows_their_spread() -> None:
    of = [Seconds(1.0, value) for value in (10.0, 40.0, 30.0)]
    to = [Seconds(1.0, 10.0)] * 3
    row = ratio(of, to).row()
    assert (row["ratio"], row["lowest"], row["highest"]) == (3.0, 1.0, 4.0)


def test_who_is_too_slow_has_one_turn() -> None:
    clock = FakeClock()
    contenders = {
        "slow": lambda: clock.pass_by(20.0, 20.0),
        "fast": lambda: clock.pass_by(1.0, 1.0),
    }
    turns = in_turn(contenders, 3, clock=clock, patience=10.0)
    assert [len(turns[name].seconds) for name in contenders] == [1, 3]
    assert list(ratio(turns["slow"].seconds, turns["fast"].seconds).cpu) == [20.0]


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_fitted_exponent_recovers_a_power(power: float) -> None:
    sizes = [10.0, 100.0, 1_000.0]
    assert fitted_exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_a_step_is_timed_by_its_fastest_block() -> None:
    calls: list[int] = []
    seconds = fastest_step(lambda: calls.append(sum(range(20_000))), repeats=2, at_least=1e-3)
    assert 0 <= seconds < 0.1
    assert len(calls) >= 4  # two to warm up, and at least one a block


def allocate(megabytes: int) -> None:
    """Touch so much memory in a process of its own."""
    np.ones(megabytes * 125_000)


def test_memory_is_that_of_the_work_in_a_process_of_its_own() -> None:
    here = np.ones(50_000_000)  # 400 MB that the child must not be charged
    small, large = footprint(allocate, 1), footprint(allocate, 200)
    del here
    if math.isnan(small.peak):
        pytest.skip("this system has no /proc")
    assert 150e6 < large.peak - small.peak < 250e6
    assert small.before <= small.peak < 500e6 + small.before


def test_memory_is_reported_in_megabytes() -> None:
    row = Footprint(before=1e8, peak=3e8).row()
    assert row == {"peak MB": 300.0, "of which imports MB": 100.0}
