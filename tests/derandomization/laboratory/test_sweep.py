"""sweep: one function over settings and seeds, the same whatever the number of processes."""

import importlib
import os
import pickle
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from derandomization.descent import Diverged
from derandomization.laboratory.study import spawn_seeds, sweep

SETTINGS, SEEDS = [("a", 1.0), ("b", -2.0), ("c", 0.5)], [11, 5, 7]


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))  # other processes look there as well
    return importlib.import_module("sweep_functions")


@given(st.integers(0, 2**63 - 1), st.integers(1, 20))
def test_seeds_are_distinct_in_range_and_more_of_them_leave_the_earlier_ones(
    seed: int, count: int
) -> None:
    seeds = spawn_seeds(seed, count)
    assert len(set(seeds)) == count
    assert all(0 <= each < 2**63 for each in seeds)  # what a torch.Generator takes
    torch.Generator().manual_seed(seeds[-1])
    assert spawn_seeds(seed, count + 3)[:count] == seeds


def test_different_roots_share_no_seed() -> None:
    found = [seed for root in range(50) for seed in spawn_seeds(root, 20)]
    assert len(set(found)) == 1000
    assert max(found) > 2**62  # spread over the whole range, not its lower half
    with pytest.raises(ValueError, match="seeds is 0: it must be at least 1"):
        spawn_seeds(0, 0)


def test_measurements_come_by_setting_and_then_in_the_order_of_seeds(
    functions: ModuleType,
) -> None:
    rows = sweep(functions.numbers, SETTINGS, SEEDS)
    assert len(rows) == 3
    for row, (name, scale) in zip(rows, SETTINGS, strict=True):
        assert list(row) == ["scaled", "silent", "seed"]
        assert row["seed"].tolist() == SEEDS
        assert np.isnan(row["silent"]).all() == (name == "b")
        alone = [functions.numbers((name, scale), seed)["scaled"] for seed in SEEDS]
        assert row["scaled"].tolist() == alone


def test_one_worker_is_this_process_and_two_are_others_with_one_thread_each(
    functions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here,) = sweep(functions.circumstances, [0], SEEDS)
    assert set(here["process"]) == {os.getpid()}
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (there,) = sweep(functions.circumstances, [0], SEEDS, workers=2)
    assert os.getpid() not in there["process"]
    assert set(there["threads"]) == {1}


def test_two_workers_find_the_same_and_report_every_pair(functions: ModuleType) -> None:
    done: list[int] = []
    alone = sweep(functions.numbers, SETTINGS, SEEDS, progress=lambda: done.append(1))
    shared = sweep(functions.numbers, SETTINGS, SEEDS, workers=2, progress=lambda: done.append(2))
    assert done == [1] * 9 + [2] * 9
    for first, second in zip(alone, shared, strict=True):
        assert list(first) == list(second)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_more_workers_than_pairs_are_not_started(
    functions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = sweep(functions.circumstances, [0], [1], workers=50)
    assert row["process"].tolist() == [os.getpid()]


def test_what_the_function_raises_comes_through_at_once(functions: ModuleType) -> None:
    done: list[int] = []
    settings = ["good", "bad", "never reached"]
    with pytest.raises(ValueError, match=r"^setting bad at seed 2$"):
        sweep(functions.refusing, settings, [1, 2, 3], progress=lambda: done.append(1))
    assert len(done) == 4


def test_from_another_process_too_and_a_divergence_with_its_history(functions: ModuleType) -> None:
    with pytest.raises(Diverged, match=r"^at step 1$") as error:
        sweep(functions.diverging, ["x"], [3, 3], workers=2)
    assert error.value.history.value.tolist() == [1.0, np.inf]
    assert error.value.history.snapshots[0]["weight"].tolist() == [3.0, 3.0, 3.0]


def test_a_function_without_a_name_of_its_own_needs_one_worker() -> None:
    def local(setting: float, seed: int) -> dict[str, float]:
        return {"sum": setting + seed}

    (row,) = sweep(local, [0.5], [1, 2])
    assert row["sum"].tolist() == [1.5, 2.5]
    with pytest.raises((AttributeError, pickle.PicklingError), match="local"):
        sweep(local, [0.5], [1, 2], workers=2)


@pytest.mark.parametrize("workers", [0, -1])
def test_less_than_one_worker_is_refused(functions: ModuleType, workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers is {workers}: it must be at least 1"):
        sweep(functions.numbers, SETTINGS, SEEDS, workers=workers)


def test_no_setting_is_no_row(functions: ModuleType) -> None:
    assert sweep(functions.numbers, [], SEEDS, workers=2) == []
