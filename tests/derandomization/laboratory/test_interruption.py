"""Runs that are stopped at any moment and go on end with the numbers of an unbroken run."""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import NeuralNetworks.experiment
from derandomization.laboratory.command_line import STOPPED
from derandomization.laboratory.configs import CHECKPOINT

# Imports take seconds and a run takes half of one: processes are forked from one that has them.
MOMENTS = 6
ADVICE = "stopped: the same command with --resume continues from what was saved"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
Start = Callable[..., multiprocessing.Process]


def _command(script: str, arguments: Sequence[str], errors: Path) -> None:
    """What ``python script arguments`` does, in a process that has imported it already."""
    errors.parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    sys.path.insert(0, str(Path(__file__).parent))
    sys.argv = [script, *arguments]
    module = __import__(script, fromlist=["main"])
    if script == "NeuralNetworks.main":
        # The toy neurons, which have nothing to resume, would take most of the time.
        NeuralNetworks.experiment._toy_neuron = lambda run, config: None
    module.launch(module.main, module.Config)


@pytest.fixture(scope="module")
def start(fork_server: None) -> Iterator[Start]:
    context = multiprocessing.get_context("forkserver")
    sys.path.insert(0, str(Path(__file__).parent))

    def begin(script: str, folder: Path, *arguments: str) -> multiprocessing.Process:
        options = ["--output-dir", str(folder), "--device", "cpu", *arguments]
        errors = folder.parent / f"{folder.name}.txt"
        process = context.Process(target=_command, args=(script, options, errors))
        process.start()
        return process

    yield begin
    sys.path.remove(str(Path(__file__).parent))


def _ended(process: multiprocessing.Process) -> int:
    process.join(timeout=120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def _wait_for(path: Path, process: multiprocessing.Process) -> None:
    while not path.exists() and process.is_alive():
        time.sleep(0.002)


def _numbers(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results = {name: value for name, value in record["results"].items() if name != "seconds"}
    with np.load(folder / "history.npz") as arrays:
        return {**results, "claims": record["claims"]}, dict(arrays)


def _require_equal(broken: Path, unbroken: Path) -> None:
    results, arrays = _numbers(broken)
    expected, expected_arrays = _numbers(unbroken)
    assert results == expected
    assert list(arrays) == list(expected_arrays)
    for name, array in expected_arrays.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name, strict=True)


@pytest.fixture(scope="module")
def unbroken_run(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Its folder and how many seconds it lasts."""
    unbroken = tmp_path_factory.mktemp("stoppable") / "unbroken"
    assert _ended(start("stoppable", unbroken)) == 0  # the first one waits for the imports
    began = time.perf_counter()
    assert _ended(start("stoppable", unbroken)) == 0
    return unbroken, time.perf_counter() - began


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_runs_stopped_at_random_moments_end_with_the_unbroken_runs_numbers(
    start: Start, unbroken_run: tuple[Path, float], tmp_path: Path, number: signal.Signals
) -> None:
    unbroken, lasts = unbroken_run
    moments = random.Random(int(number))
    resumed = 0
    for moment in range(MOMENTS):
        folder = tmp_path / str(moment)
        process = start("stoppable", folder, "--checkpoint-every", "0.02")
        if moment % 2:  # half of them anywhere, half of them once something is kept
            _wait_for(folder / CHECKPOINT, process)
        time.sleep(moments.uniform(0, lasts / (1 + 3 * (moment % 2))))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, number)
        code = _ended(process)
        if number == signal.SIGKILL:
            assert code in (-number, 0)
        elif code != 0 and (folder / CHECKPOINT).exists():
            assert code == STOPPED
            report = (tmp_path / f"{moment}.txt").read_text(encoding="utf-8")
            assert report.strip().splitlines()[-1] == ADVICE
        resumed += (folder / CHECKPOINT).exists()  # the others had nothing to keep, or had ended
        assert _ended(start("stoppable", folder, "--resume")) == 0
        _require_equal(folder, unbroken)
        assert sorted(path.name for path in folder.iterdir()) == ["history.npz", "results.json"]
    assert resumed >= MOMENTS // 4


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (
            "MAXCUT.main",
            ["--graph-size", "30", "--restarts", "2", "--workers", "1", "--steps", "300"],
        ),
        ("MAXCUT.main", ["--estimator", "sampled", "--steps", "400"]),
        (
            "JohnsonLindenstrauss.main",
            [
                "--pairs",
                *("--num-points", "40", "--dimension", "30", "--num-components", "8"),
                *("--steps", "400"),
            ],
        ),
        ("NeuralNetworks.main", ["--estimator", "sampled", "--steps", "200", "--width", "20"]),
    ],
    ids=["restarts", "sampled-cut", "pairs", "sampled-network"],
)
def test_the_experiments_too_go_on_bit_for_bit(
    start: Start, tmp_path: Path, script: str, options: list[str]
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    options = [*options, "--no-figures"]
    assert _ended(start(script, unbroken, *options)) == 0
    process = start(script, broken, "--checkpoint-every", "0.05", *options)
    _wait_for(broken / CHECKPOINT, process)
    os.kill(process.pid or 0, signal.SIGTERM)
    assert _ended(process) == STOPPED
    assert (broken / CHECKPOINT).exists()
    assert _ended(start(script, broken, "--resume", *options)) == 0
    _require_equal(broken, unbroken)
