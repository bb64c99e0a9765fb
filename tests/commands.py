"""Commands of the experiments in processes of their own, and what they leave in their folders.

Imports take seconds and a small run takes half of one: the processes are forked from one that has
imported the experiments.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reproduction import EXPERIMENTS

MODULES = [f"{each}.experiment" for each in EXPERIMENTS]
MODULES += ["tests.derandomization.laboratory.stoppable"]
SECONDS = 300.0  # after which a command hangs


class Commands:
    """Starts commands such as ("MAXCUT.main", "--seed", "3"), whose ``launch`` is in the module."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(modules))

    def start(self, module: str, folder: Path, *arguments: str, file_size: int = 0) -> Any:
        """Start a command that writes to the folder, and files of at most so many bytes.

        What it prints goes to a file beside the folder: see ``printed``.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        printed_by(folder).unlink(missing_ok=True)
        options = [*arguments, "--output-dir", str(folder), "--device", "cpu"]
        process = self._context.Process(target=_command, args=(module, options, folder, file_size))
        process.start()
        return process

    def run(self, module: str, folder: Path, *arguments: str, file_size: int = 0) -> int:
        """Start a command and return its exit code."""
        return ended(self.start(module, folder, *arguments, file_size=file_size))


def printed_by(folder: Path) -> Path:
    """The file with what the last command with this folder has printed."""
    return folder.with_name(f"{folder.name}.txt")


def ended(process: Any) -> int:
    """Wait for a command and return its exit code."""
    process.join(timeout=SECONDS)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the command hangs")
    return process.exitcode


def _command(module: str, arguments: Sequence[str], folder: Path, file_size: int) -> None:
    """What ``python module arguments`` does, in a process that has imported it already."""
    try:
        stream = os.open(printed_by(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.argv = [module, *arguments]
        loaded = __import__(module, fromlist=["main"])
        if file_size:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        studies = getattr(loaded, "STUDIES", {}) | getattr(loaded, "OWN_DATA", {})
        loaded.launch(loaded.main, loaded.Config, studies)
    except KeyboardInterrupt:  # before or after ``launch``
        os._exit(130)


def require_equal(found: Path, expected: Path) -> None:
    """Raise ``AssertionError`` unless two folders have the same files with the same numbers."""
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(path.name for path in found.iterdir()) == names
    for name in names:
        if name == "results.json":
            assert _numbers(found / name) == _numbers(expected / name)
        elif name.endswith(".npz"):
            with np.load(found / name) as arrays, np.load(expected / name) as wanted:
                assert list(arrays) == list(wanted)
                for key in wanted:
                    np.testing.assert_array_equal(arrays[key], wanted[key], key, strict=True)
        elif not name.endswith((".png", ".pdf", ".svg", ".gif")):
            assert (found / name).read_bytes() == (expected / name).read_bytes(), name


def _numbers(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text(encoding="utf-8"))
    results = {name: value for name, value in record["results"].items() if name != "seconds"}
    return {**results, "claims": record["claims"], "config": record["config"]["seed"]}


def worker_processes(process: int) -> list[int]:
    """The running workers of a process: Python starts a server that forks them, where it can."""
    servers = [each for each in _children(process) if b"forkserver" in _command_line(each)]
    forked = [worker for server in servers for worker in _children(server)]
    spawned = [each for each in _children(process) if b"spawn_main" in _command_line(each)]
    return [each for each in (*forked, *spawned) if is_running(each)]


def is_running(process: int) -> bool:
    """Whether a process exists and has not ended."""
    return bool(_command_line(process))  # it is empty once it has ended


def _children(process: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{process}/task").iterdir())
        return [int(word) for each in threads for word in (each / "children").read_text().split()]
    except OSError:  # it has ended
        return []


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
