"""Break random commands in random ways, and compare each with the unbroken run.

    python tests/soak.py --minutes 60

A run that is stopped, killed or out of disk must end, once it is resumed, with the numbers of the
unbroken run. A checkpoint that is damaged or was made with other data must be refused in one line.
Never may a command print a traceback. The faults follow from ``--seed``.
"""

import argparse
import collections
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from derandomization.laboratory.command_line import STOPPED
from derandomization.laboratory.configs import CHECKPOINT
from derandomization.laboratory.folder_lock import LOCK
from tests.commands import (
    Commands,
    ended,
    is_running,
    printed_by,
    require_equal,
    worker_processes,
)

REFUSED = 2  # the exit code of an error
SMALLEST_DISK, LARGEST_DISK = 4_000, 60_000  # bytes of the full disk


@dataclass(frozen=True)
class Command:
    """A command to break. Its input file is ``data`` in the folder of the soak test."""

    module: str
    options: tuple[str, ...]
    data: str = ""
    workers: bool = False  # whether it starts other processes

    def arguments(self, inputs: Path) -> list[str]:
        """Its command line with the input file in this folder."""
        words = [str(inputs / self.data) if word == "DATA" else word for word in self.options]
        return [*words, "--no-figures"]


STOPPABLE = "tests.derandomization.laboratory.stoppable"
QUICK_COMMANDS = {
    "descents": Command(STOPPABLE, ("--steps", "100")),
    "study": Command(STOPPABLE, ("study", "--workers", "1")),
}
CUT = {"cut": Command("MAXCUT.main", ("--graph-file", "DATA", "--steps", "80"), "graph.edgelist")}
COMMANDS = (
    QUICK_COMMANDS
    | CUT
    | {
        "search": Command(
            "MAXCUT.main",
            ("--graph-file", "DATA", "--steps", "200", "--restarts", "2", "--workers", "1"),
            "graph.edgelist",
        ),
        "parallel search": Command(
            "MAXCUT.main",
            ("--graph-file", "DATA", "--steps", "200", "--restarts", "3", "--workers", "2"),
            "graph.edgelist",
            workers=True,
        ),
        "parallel study": Command(STOPPABLE, ("study", "--workers", "2"), workers=True),
        "sampled cut": Command("MAXCUT.main", ("--estimator", "sampled", "--steps", "150")),
        "lengths": Command(
            "JohnsonLindenstrauss.main",
            ("--num-points", "20", "--dimension", "30", "--num-components", "6", "--steps", "300"),
        ),
        "pairs": Command(
            "JohnsonLindenstrauss.main",
            ("--pairs", "--data", "DATA", "--num-components", "3", "--steps", "200"),
            "points.npy",
        ),
        "network": Command(
            "NeuralNetworks.main", ("--estimator", "antithetic", "--steps", "120", "--width", "20")
        ),
    }
)


def write_inputs(folder: Path, seed: int) -> None:
    """A graph and points, which differ with the seed."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    edges = [(i, j) for i in range(12) for j in range(i) if rng.random() < 0.5]
    lines = [f"{i} {j} {rng.integers(1, 9)}\n" for i, j in edges]
    (folder / "graph.edgelist").write_text("".join(lines))
    np.save(folder / "points.npy", rng.standard_normal((12, 6)))


@dataclass
class Soak:
    """The unbroken runs, and the faults so far."""

    folder: Path
    random: Random
    commands: dict[str, Command]
    launcher: Commands = field(default_factory=Commands)
    outcomes: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    lasts: dict[str, float] = field(default_factory=dict)  # seconds of each unbroken run

    def prepare(self) -> None:
        """Make the inputs and the unbroken runs."""
        write_inputs(self.inputs, 0)
        self.run(COMMANDS["study"], self.folder / "first")  # which waits for the imports
        for name, command in self.commands.items():
            began = time.monotonic()
            code = self.run(command, self.unbroken(name))
            self.lasts[name] = time.monotonic() - began
            assert code == 0, printed_by(self.unbroken(name)).read_text()

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs"

    def unbroken(self, name: str) -> Path:
        return self.folder / f"unbroken {name}"

    def run(self, command: Command, folder: Path, *options: str, file_size: int = 0) -> int:
        """The exit code of a command, which must not have printed a traceback."""
        process = self.start(command, folder, *options, file_size=file_size)
        return self.exit_code(process, folder)

    def start(self, command: Command, folder: Path, *options: str, file_size: int = 0) -> Any:
        arguments = [*command.arguments(self.inputs), *options]
        return self.launcher.start(command.module, folder, *arguments, file_size=file_size)

    def exit_code(self, process: Any, folder: Path) -> int:
        """Wait for a command; it must not have printed a traceback."""
        code = ended(process)
        printed = printed_by(folder).read_text() if printed_by(folder).exists() else ""
        assert "Traceback" not in printed, printed
        assert code in (0, 1, REFUSED, STOPPED, -signal.SIGKILL, -signal.SIGTERM), (code, printed)
        assert code != 1, printed
        if code == REFUSED:
            assert printed.strip().splitlines()[-1].startswith("error: "), printed
        return code

    def require_refused(self, command: Command, folder: Path, *options: str) -> None:
        """The command must end in one line."""
        assert self.run(command, folder, *options) == REFUSED, printed_by(folder).read_text()

    def stopped(self, name: str, folder: Path, number: signal.Signals) -> bool:
        """Stop a new run at a random moment; return whether it left a checkpoint."""
        command = self.commands[name]
        process = self.start(command, folder, "--checkpoint-every", "0.02")
        if self.random.random() < 0.8:
            wait_for(folder / CHECKPOINT, process)
            time.sleep(self.random.uniform(0, 0.3 * self.lasts[name]))
        else:
            wait_for(printed_by(folder), process)
            time.sleep(self.random.uniform(0, self.lasts[name]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
            if self.random.random() < 0.2:  # twice
                time.sleep(self.random.uniform(0, 0.02))
                os.kill(process.pid, number)
        self.exit_code(process, folder)
        return (folder / CHECKPOINT).exists()


def wait_for(path: Path, process: Any) -> None:
    """Until the file exists or the process has ended."""
    while not path.exists() and process.is_alive():
        time.sleep(0.002)


def _signal(soak: Soak, name: str, folder: Path) -> str:
    number = soak.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    for _ in range(soak.random.randint(1, 2)):
        kept = soak.stopped(name, folder, number)
        if (folder / "results.json").exists():
            return "ended before the fault"
        shutil.rmtree(folder, ignore_errors=not kept) if not kept else None
    soak.run(soak.commands[name], folder, "--resume")
    return "resumed" if kept else "started again"


def _stop_with_checkpoint(soak: Soak, name: str, folder: Path) -> bool:
    number = soak.random.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    return soak.stopped(name, folder, number) and not (folder / "results.json").exists()


def _flipped_bit(soak: Soak, name: str, folder: Path) -> str:
    if not _stop_with_checkpoint(soak, name, folder):
        shutil.rmtree(folder, ignore_errors=True)
        soak.run(soak.commands[name], folder)
        return "ended before the fault"
    path = folder / CHECKPOINT
    whole = path.read_bytes()
    damaged = bytearray(whole)
    if soak.random.random() < 0.7:
        damaged[soak.random.randrange(len(whole))] ^= 1 << soak.random.randrange(8)
    else:
        del damaged[soak.random.randrange(len(whole)) :]
    path.write_bytes(damaged)
    soak.require_refused(soak.commands[name], folder, "--resume")
    if soak.random.random() < 0.5:
        path.write_bytes(whole)
        soak.run(soak.commands[name], folder, "--resume")
    else:
        soak.run(soak.commands[name], folder)
    return "refused"


def _other_data(soak: Soak, name: str, folder: Path) -> str:
    command = soak.commands[name]
    if not _stop_with_checkpoint(soak, name, folder):
        shutil.rmtree(folder, ignore_errors=True)
        soak.run(command, folder)
        return "ended before the fault"
    if command.data:
        try:
            write_inputs(soak.inputs, soak.random.randint(1, 1000))
            soak.require_refused(command, folder, "--resume")
        finally:
            write_inputs(soak.inputs, 0)
    else:
        soak.require_refused(command, folder, "--resume", "--seed", "7")
    soak.run(command, folder, "--resume")
    return "refused"


def _full_disk(soak: Soak, name: str, folder: Path) -> str:
    command, size = soak.commands[name], soak.random.randint(SMALLEST_DISK, LARGEST_DISK)
    with _small_disk(folder, size) as grow:
        limit = 0 if grow else size
        code = soak.run(command, folder, "--checkpoint-every", "0.02", file_size=limit)
        if grow:
            grow()
        resume = ["--resume"] if (folder / CHECKPOINT).exists() else []
        soak.run(command, folder, *resume)
        require_equal(folder, soak.unbroken(name))
    soak.run(command, folder)
    return "refused" if code else "the disk sufficed"


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Callable[[], Any] | None]:
    """A file system of so many bytes in the folder, and what makes it large; None if not root."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    folder.mkdir(parents=True)
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        yield None
        return
    larger = ["mount", "-o", "remount,size=100m", str(folder)]
    try:
        yield lambda: subprocess.run(larger, check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _second_run(soak: Soak, name: str, folder: Path) -> str:
    command = soak.commands[name]
    process = soak.start(command, folder)
    while not _holder(folder / LOCK) and process.is_alive():
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.1)  # until it has stopped
    locked = bool(_holder(folder / LOCK)) and process.is_alive()
    first = printed_by(folder).rename(folder.with_name("first.txt"))
    try:
        if locked:
            resume = soak.random.choice([[], ["--resume"]])
            soak.require_refused(command, folder, *resume)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
    first.rename(printed_by(folder))
    soak.exit_code(process, folder)
    return "refused" if locked else "ended before the fault"


def _holder(path: Path) -> str:
    """Who holds a lock: its file is written once it is locked, and removed with the lock."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _killed_worker(soak: Soak, name: str, folder: Path) -> str:
    command = soak.commands[name]
    process = soak.start(command, folder)
    killed = False
    while process.is_alive() and not killed:
        for worker in worker_processes(process.pid)[:1]:
            time.sleep(soak.random.uniform(0, 0.1 * soak.lasts[name]))
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                killed = True
        time.sleep(0.002)
    soak.exit_code(process, folder)
    return "repeated the call" if killed else "ended before the fault"


def _orphans(soak: Soak, name: str, folder: Path) -> str:
    """Kill a command that has workers: they must end with it."""
    command = soak.commands[name]
    process = soak.start(command, folder)
    workers: list[int] = []
    while process.is_alive() and len(workers) < 2:
        workers = worker_processes(process.pid)
        time.sleep(0.002)
    time.sleep(soak.random.uniform(0, 0.1 * soak.lasts[name]))
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    soak.exit_code(process, folder)
    until = time.monotonic() + 30  # one that still imports ends after that
    while any(map(is_running, workers)):
        assert time.monotonic() < until, "workers outlive their parent"
        time.sleep(0.02)
    resume = ["--resume"] if (folder / CHECKPOINT).exists() else []
    soak.run(command, folder, *resume)
    return "workers ended" if workers else "ended before the fault"


def _killed_scheduler(soak: Soak, name: str, folder: Path) -> str:
    """Kill the scheduler of a cluster, or one of its workers, during a study."""
    study = Command(STOPPABLE, ("study", "--seeds", "30"))
    expected = soak.folder / "unbroken cluster study"
    if not expected.exists():
        assert soak.run(study, expected, "--workers", "1") == 0
    with cluster({}) as (address, scheduler, workers):
        process = soak.start(study, folder, "--scheduler", address)
        wait_for(folder / CHECKPOINT, process)
        victim = soak.random.choice([scheduler, workers[0]])
        victim.kill()
        code = soak.exit_code(process, folder)
        assert code == 0 or victim is scheduler
    if code:
        assert soak.run(study, folder, "--workers", "1", "--resume") == 0
    require_equal(folder, expected)
    shutil.rmtree(folder)
    soak.run(soak.commands[name], folder)
    return "refused" if code else "went on"


@contextlib.contextmanager
def cluster(variables: dict[str, str]) -> Iterator[tuple[str, Any, list[Any]]]:
    """The address of a scheduler with two workers that have these variables, and the processes."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    quiet["env"] = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    processes = [
        subprocess.Popen([*dask, "--host", "127.0.0.1", "--port", str(port)], **quiet),
    ]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
    options = ["--nthreads", "1", "--no-nanny", "--death-timeout", "60"]
    processes += [subprocess.Popen([*worker, *options], **quiet) for _ in range(2)]
    try:
        _wait_for_port(port)
        yield address, processes[0], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait_for_port(port: int) -> None:
    import socket

    until = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < until
        time.sleep(0.1)


FAULTS: dict[str, Callable[[Soak, str, Path], str]] = {
    "signal": _signal,
    "flipped bit": _flipped_bit,
    "other data": _other_data,
    "full disk": _full_disk,
    "second run": _second_run,
}
WORKER_FAULTS = {"killed worker": _killed_worker, "killed parent": _orphans}
CLUSTER_FAULTS = {"killed scheduler": _killed_scheduler}


def soak_for(
    soak: Soak, enough: Callable[[int], bool], report: Callable[[str], Any], *, cluster: bool
) -> list[str]:
    """Break commands until it is enough; return a line for each failure."""
    failures = []
    count = 0
    while not enough(count):
        name = soak.random.choice(list(soak.commands))
        faults = FAULTS | (WORKER_FAULTS if soak.commands[name].workers else {})
        faults |= CLUSTER_FAULTS if cluster and soak.random.random() < 0.1 else {}
        fault = soak.random.choice(list(faults))
        folder = soak.folder / f"broken {count}"
        began = time.monotonic()
        try:
            outcome = faults[fault](soak, name, folder)
            require_equal(folder, soak.unbroken(name))
        except AssertionError as problem:
            outcome = "FAILED"
            failures.append(f"fault {count}, {fault} of {name}: {problem}")
            report(failures[-1])
        else:
            shutil.rmtree(folder)
        soak.outcomes[fault, outcome] += 1
        report(f"{count}: {fault} of {name}: {outcome} ({time.monotonic() - began:.1f} s)")
        count += 1
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run for some minutes and print how often each fault had which outcome."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary one by default")
    chosen = parser.parse_args(arguments)
    until = time.monotonic() + 60 * chosen.minutes
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        soak = Soak(folder, Random(chosen.seed), COMMANDS)
        soak.prepare()
        failures = soak_for(
            soak,
            lambda count: time.monotonic() > until,
            lambda line: print(line, flush=True),
            cluster=True,
        )
    for (fault, outcome), count in sorted(soak.outcomes.items()):
        print(f"{count:6d}  {fault}: {outcome}")
    print(f"{sum(soak.outcomes.values())} faults, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
