"""parallel_calls: every call is made, whoever dies, and none that is kept is made twice."""

import importlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import derandomization
from derandomization.laboratory.checkpoints import Checkpoints
from derandomization.laboratory.configs import WorkersConfig
from derandomization.laboratory.process import WorkerDied
from derandomization.laboratory.settings import check_fields
from derandomization.laboratory.workers import (
    _deferred_signals,
    _require_same,
    parallel_calls,
    storable,
)
from tests.soak import cluster as cluster_of


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)  # other processes look there as well
    monkeypatch.setenv("PYTHONPATH", here)  # and those of a cluster here
    return importlib.import_module("worker_functions")


def _collect(calls: Iterator[tuple[int, int]], found: dict[int, int]) -> None:
    for number, result in calls:
        found[number] = result  # noqa: PERF403 - what came before an error is looked at


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_call_is_made_once(functions: ModuleType, workers: int) -> None:
    found = dict(parallel_calls(functions.square, [(n,) for n in range(4)], workers=workers))
    assert {n: each["square"] for n, each in found.items()} == {n: n**2 for n in range(4)}
    processes = {each["process"] for each in found.values()}
    assert (processes == {os.getpid()}) == (workers == 1)
    assert len(processes) <= workers


def test_a_worker_that_dies_costs_nothing_but_its_call_and_that_is_made_again(
    functions: ModuleType, tmp_path: Path
) -> None:
    calls = [(str(tmp_path), n) for n in range(5)]
    assert dict(parallel_calls(functions.dies_once, calls, workers=2)) == {
        n: 10 * n for n in range(5)
    }
    assert (tmp_path / "died").exists()


def test_a_call_that_kills_every_time_is_named_once_the_others_are_done_and_kept(
    functions: ModuleType, tmp_path: Path
) -> None:
    found: dict[int, int] = {}
    checkpoints = Checkpoints(tmp_path / "checkpoint.pt")
    calls = parallel_calls(
        functions.always_dies, [(n,) for n in range(5)], workers=2, checkpoints=checkpoints
    )
    with pytest.raises(WorkerDied, match=r"1 calls of always_dies killed .* 2 times.*: \(2,\);"):
        _collect(calls, found)
    assert found == {0: 0, 1: 10, 3: 30, 4: 40}
    again = Checkpoints(tmp_path / "checkpoint.pt", resume=True)
    kept = [again.slot("call of always_dies").restored(dict) for _ in range(5)]
    assert kept == [None if n == 2 else {"result": 10 * n} for n in range(5)]


def test_an_error_of_a_call_comes_through_or_says_why_it_cannot(functions: ModuleType) -> None:
    calls = [(1,), (2,)]
    with pytest.raises(AttributeError, match="no attribute pickle"):
        list(parallel_calls(functions.raises_pickle_attribute, calls, workers=2))
    with pytest.raises(TypeError, match="raises_two_arguments returned or raised what can't"):
        list(parallel_calls(functions.raises_two_arguments, calls, workers=2))


def test_a_call_that_exits_is_a_worker_that_died(functions: ModuleType) -> None:
    found: dict[int, int] = {}
    with pytest.raises(WorkerDied, match="1 calls of exits killed"):
        _collect(parallel_calls(functions.exits, [(n,) for n in range(4)], workers=2), found)
    assert found == {0: 0, 2: 2, 3: 3}


def test_a_worker_that_dies_between_two_calls_is_replaced(functions: ModuleType) -> None:
    calls = parallel_calls(functions.square, [(n,) for n in range(6)], workers=2)
    number, first = next(calls)
    os.kill(int(first["process"]), signal.SIGKILL)
    time.sleep(1)  # until the pool knows
    found = {number: first} | dict(calls)
    assert {n: each["square"] for n, each in found.items()} == {n: n**2 for n in range(6)}


def test_ctrl_c_waits_while_a_process_is_started_and_comes_then() -> None:
    handler, reached = signal.getsignal(signal.SIGINT), []

    def start() -> None:
        with _deferred_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, worker_functions\n"
        "from derandomization.laboratory.workers import parallel_calls\n"
        "if __name__ == '__main__':\n"
        "    calls = [(sys.argv[1], 60) for _ in range(2)]\n"
        "    list(parallel_calls(worker_functions.sleeps, calls, workers=2))\n"
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    folders = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, script, marks], env=os.environ | {"PYTHONPATH": folders}
    )
    began = time.monotonic()
    while len(list(marks.iterdir())) < 2:
        assert time.monotonic() - began < 90
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    began = time.monotonic()
    while any(_is_running(int(mark.name)) for mark in marks.iterdir()):
        assert time.monotonic() - began < 20
        time.sleep(0.1)


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_can_not_be_pickled_says_so(functions: ModuleType) -> None:
    with pytest.raises(TypeError, match="unpicklable returned or raised"):
        list(parallel_calls(functions.unpicklable, [(1,), (2,)], workers=2))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        list(parallel_calls(lambda number: number, [(1,), (2,)], workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_start_makes_only_the_calls_that_are_missing(
    functions: ModuleType, tmp_path: Path, workers: int
) -> None:
    path, marks = tmp_path / "checkpoint.pt", tmp_path / "marks"
    marks.mkdir()
    calls = [(str(marks), n) for n in range(6)]
    first = parallel_calls(functions.counted, calls, workers=workers, checkpoints=Checkpoints(path))
    stopped = [next(first) for _ in range(3)]
    first.close()  # what Ctrl-C does to the loop
    done = {number for number, _ in stopped}
    before = len(list(marks.iterdir()))
    found = dict(
        parallel_calls(
            functions.counted, calls, workers=workers, checkpoints=Checkpoints(path, resume=True)
        )
    )
    assert found == {n: {"half": n / 2} for n in range(6)}
    assert len(list(marks.iterdir())) == before + 3
    assert all(len(list(marks.glob(f"{n}.*"))) == 1 for n in done)


def test_results_of_other_kinds_are_kept_too(functions: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    calls = [(n,) for n in range(3)]
    (fresh,) = [
        each
        for n, each in parallel_calls(
            functions.everything, calls, workers=1, checkpoints=Checkpoints(path)
        )
        if n == 2
    ]
    kept = dict(
        parallel_calls(
            functions.everything, calls, workers=1, checkpoints=Checkpoints(path, resume=True)
        )
    )[2]
    for found in (fresh, kept):
        assert torch.equal(found[0], torch.arange(2))
        assert found[1:] == [1.5, [2], "text"]
        assert type(found[1]) is float


def test_storable_leaves_what_is_not_finite_as_it_is() -> None:
    assert str(storable({"a": (float("nan"), float("inf"))})) == "{'a': [nan, inf]}"


@pytest.mark.parametrize("scheduler", ["host", "8786", ""])
def test_an_address_that_is_none_is_refused(scheduler: str) -> None:
    with pytest.raises(ValueError, match=r"scheduler is .*: it must be an address such as tcp://"):
        check_fields(WorkersConfig(scheduler=scheduler))


def test_a_scheduler_that_is_not_there_is_one_line(functions: ModuleType) -> None:
    pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ValueError, match=r"scheduler is tcp://127\.0\.0\.1:9: it can't be reached"),
    ):
        list(parallel_calls(functions.square, [(1,)], scheduler="tcp://127.0.0.1:9"))


@pytest.fixture
def cluster(functions: ModuleType) -> Iterator[str]:
    """The address of a scheduler with two worker processes on the loopback interface."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as running,
    ):
        yield running.scheduler_address


def test_a_worker_with_other_code_is_refused_before_the_first_call(
    functions: ModuleType, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    package = Path(derandomization.__file__).parent
    shutil.copytree(package, tmp_path / "derandomization")
    with (tmp_path / "derandomization" / "checks.py").open("a") as file:
        file.write("# another version\n")
    first = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    marks = tmp_path / "marks"
    marks.mkdir()
    calls = [(str(marks), n) for n in range(2)]
    with cluster_of({"PYTHONPATH": first, "PYTHONSAFEPATH": "1"}) as (address, _, _):
        with distributed.Client(address) as client:  # who comes later is asked at its first call
            client.wait_for_workers(2, timeout=60)
        with pytest.raises(ValueError, match="has other code: code is") as error:
            list(parallel_calls(functions.counted, calls, scheduler=address))
    assert str(error.value).startswith(f"scheduler is {address}: its worker tcp://")
    assert list(marks.iterdir()) == []


def test_other_versions_and_missing_code_are_named() -> None:
    with pytest.raises(ValueError, match=r"w has other code: torch is 1\.0, here 2\.0; install"):
        _require_same("w", {"torch": "2.0"}, {"torch": "1.0"})
    with pytest.raises(ValueError, match="w has no such code"):
        _require_same("w", {"torch": "2.0"}, ModuleNotFoundError("No module named 'MAXCUT'"))
    _require_same("w", {"torch": "2.0"}, {"torch": "2.0"})


def test_a_scheduler_that_is_killed_is_one_line_and_what_was_done_is_kept(
    functions: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    marks, path = tmp_path / "marks", tmp_path / "checkpoint.pt"
    marks.mkdir()
    arguments = [(str(marks), n) for n in range(20)]
    with cluster_of({}) as (address, scheduler, _):
        calls = parallel_calls(
            functions.slowly, arguments, scheduler=address, checkpoints=Checkpoints(path)
        )
        done = dict([next(calls)])
        scheduler.kill()
        with pytest.raises(ValueError, match="the connection to it was lost; finished calls"):
            _collect(calls, done)
    assert "Traceback" not in capfd.readouterr().err
    again = Checkpoints(path, resume=True)
    kept = [again.slot("call of slowly").restored(dict) for _ in range(20)]
    assert {n: each["result"] for n, each in enumerate(kept) if each} == done


def _processes(marks: Path) -> set[int]:
    return {int(path.suffix[1:]) for path in marks.iterdir()}


def test_a_cluster_makes_every_call_and_one_of_its_workers_may_be_killed(
    functions: ModuleType, cluster: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    checkpoints = Checkpoints(tmp_path / "checkpoint.pt")
    calls = parallel_calls(
        functions.slowly,
        [(str(marks), n) for n in range(10)],
        scheduler=cluster,
        checkpoints=checkpoints,
    )
    found = dict([next(calls)])
    began = time.monotonic()
    while len(_processes(marks)) < 2:  # until both work
        assert time.monotonic() - began < 60
        time.sleep(0.01)
    assert os.getpid() not in _processes(marks)
    killed = _processes(marks).pop()
    os.kill(killed, signal.SIGKILL)
    before = len(list(marks.glob(f"*.{killed}")))
    found |= dict(calls)
    assert found == {n: n for n in range(10)}
    assert len(list(marks.glob(f"*.{killed}"))) == before  # others did the rest
    kept = Checkpoints(tmp_path / "checkpoint.pt", resume=True)
    found = [kept.slot("call of slowly").restored(dict) for _ in range(10)]
    assert found == [{"result": n} for n in range(10)]
