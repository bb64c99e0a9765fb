"""Limits: a time limit, a target and a callback end a computation, and say which did."""

import dataclasses
import math
import time

import networkx as nx
import numpy as np
import pytest

import MAXCUT.optimizer
from MAXCUT import derandomized_cut
from MAXCUT.limits import CutProgress, Limits
from MAXCUT.partition import Partition


def random_graph(size: int, seed: int = 0) -> nx.Graph:
    return nx.gnm_random_graph(size, 4 * size, seed=seed)


def test_a_time_limit_is_kept_and_named() -> None:
    graph = random_graph(1_500)
    derandomized_cut(random_graph(20))  # the imports are not part of the limit
    began = time.monotonic()
    partition = derandomized_cut(graph, restarts=1_000, time_limit=8.0)
    assert time.monotonic() - began <= 8.8
    assert partition.stopped_by == "time_limit"
    assert partition.search_cut_value is not None
    assert partition.cut_value >= partition.goemans_williamson_mean
    assert partition.upper_bound >= partition.cut_value


@pytest.fixture(scope="module")
def without_limits() -> Partition:
    """What is found on the random graph of 300 vertices."""
    return derandomized_cut(random_graph(300))


def test_a_target_ends_the_search(without_limits: Partition) -> None:
    graph = random_graph(300)
    goal = without_limits.cut_value
    partition = derandomized_cut(graph, restarts=10_000, target=goal)
    assert partition.stopped_by == "target"
    assert partition.cut_value >= goal


def test_a_callback_is_told_the_stages_and_may_stop() -> None:
    told: list[CutProgress] = []

    def stop_in_the_search(progress: CutProgress) -> bool:
        told.append(progress)
        return progress.stage == "search"

    partition = derandomized_cut(random_graph(400), restarts=10_000, callback=stop_in_the_search)
    assert partition.stopped_by == "callback"
    assert {each.stage for each in told} >= {"descent", "search"}
    assert told[-1].stage == "search"
    assert told[-1].upper_bound >= partition.cut_value >= told[-1].cut_value > 0
    assert sorted(each.seconds for each in told) == [each.seconds for each in told]


def test_a_target_ends_the_descent_too_and_is_reached(without_limits: Partition) -> None:
    graph = random_graph(300)
    mean = without_limits.goemans_williamson_mean
    partition = derandomized_cut(graph, target=mean - 5)
    assert partition.stopped_by == "target"
    assert partition.cut_value >= mean - 5
    assert not partition.converged


@pytest.mark.parametrize("steps", [100, 175, 250])
def test_what_is_guaranteed_holds_before_v_has_vanished(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(MAXCUT.optimizer.EXACT_LARGE, max_steps=steps)
    monkeypatch.setattr(MAXCUT.optimizer, "EXACT_LARGE", settings)
    partition = derandomized_cut(nx.gnp_random_graph(100, 0.1, seed=3))
    assert not partition.converged
    assert partition.guaranteed is not None
    assert partition.guaranteed <= partition.derandomized_cut_value


def test_the_limit_holds_for_many_cuts_too() -> None:
    graph = random_graph(300)
    began = time.monotonic()
    derandomized_cut(graph, time_limit=6.0, num_cuts=1_000)
    assert time.monotonic() - began <= 6.6


def test_without_limits_nothing_stops() -> None:
    partition = derandomized_cut(random_graph(20), callback=lambda progress: None)
    assert partition.stopped_by is None
    assert partition.certificate is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_limit": 0}, "time_limit is 0: it must be a finite number above 0"),
        ({"time_limit": -1.0}, "time_limit is -1.0: it must be a finite number above 0"),
        ({"time_limit": math.nan}, "time_limit is nan"),
        ({"target": math.nan}, "target is nan: it must be a number"),
    ],
)
def test_limits_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        derandomized_cut(nx.path_graph(3), **options)


def test_another_process_is_told_the_time_that_is_left() -> None:
    limits = Limits(time_limit=0.2)
    over = limits.deadline(0.5)
    assert not over()
    time.sleep(0.15)
    assert over()
    assert not limits.reached("search")
    assert not Limits().deadline(0.5)()
    assert np.isinf(Limits().left())
