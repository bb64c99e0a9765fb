"""Many calls of one function, shared among processes here or the workers of a cluster."""

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import numpy as np
import torch

from derandomization.checkpoints import Checkpoints
from derandomization.checks import require_at_least

ResultT = TypeVar("ResultT")
Calls = Mapping[int, tuple[Any, ...]]
ATTEMPTS = 2  # a call whose worker dies is made once more: what killed it may have been chance


class WorkerDied(RuntimeError):  # noqa: N818 - it says what happened
    """A call took its worker down every time; all others were made."""


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """The fields of everything that shares its work."""

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes to share the work; by default one a core."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://host:8786, to share the work among its workers."""

    def check_workers(self) -> None:
        """Raise ``ValueError`` unless there is somebody to work."""
        require_at_least("workers", self.workers, 1)
        if self.scheduler is not None and "://" not in self.scheduler:
            raise ValueError(
                f"scheduler is {self.scheduler!r}: it must be an address such as tcp://host:8786"
            )

    @property
    def crew(self) -> int | str:
        """Who works: what ``parallel_calls`` takes."""
        return self.scheduler or self.workers


def parallel_calls(
    function: Callable[..., ResultT],
    arguments: Sequence[tuple[Any, ...]],
    crew: int | str,
    checkpoints: Checkpoints | None = None,
) -> Iterator[tuple[int, ResultT]]:
    """Number and result of ``function(*arguments[number])`` for each, as they are done.

    A worker that dies costs its own call only, which is made once more.

    Args:
        function: importable by its name.
        arguments: each of them picklable.
        crew: a number of processes, each with one torch thread, 1 being this one; or the address
            of a Dask scheduler, which has its own say on how often a call is made again.
        checkpoints: where every result is kept and, at the latest where this ends, written;
            arrays as tensors and tuples as lists; what is there already is not computed again.

    Raises:
        ValueError: less than one worker, or no such scheduler. What ``function`` raises comes
            through.
        WorkerDied: when all others are done, a call that took its worker down twice.
    """
    if isinstance(crew, int):
        require_at_least("workers", crew, 1)
    slots = [checkpoints.slot() for _ in arguments] if checkpoints else []
    for number, slot in enumerate(slots):
        if slot.content:
            yield number, slot.content["result"]
    calls = {n: each for n, each in enumerate(arguments) if not (slots and slots[n].content)}
    try:
        for number, result in _results(function, calls, crew):
            if checkpoints:
                result = storable(result)
                slots[number].keep({"result": result})
                checkpoints.write_soon()
            yield number, result
    finally:
        if checkpoints:
            checkpoints.write()


def storable(value: Any) -> Any:
    """Tensors and plain types only, as ``Checkpoints`` wants them."""
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return value.item() if isinstance(value, np.generic) else value


def _results(
    function: Callable[..., Any], calls: Calls, crew: int | str
) -> Iterator[tuple[int, Any]]:
    if not calls:
        return iter(())
    if isinstance(crew, str):
        return _on_cluster(function, calls, crew)
    if min(crew, len(calls)) == 1:
        return ((number, function(*each)) for number, each in calls.items())
    return _on_processes(function, calls, min(crew, len(calls)))


class _Worker:
    """A process that makes one call after the other."""

    def __init__(self) -> None:
        # A forked child may inherit a lock that nobody holds any more; a spawned one starts clean.
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # or its death would not end what we read
        self.number = -1  # of the call it is at

    def give(self, function: Callable[..., Any], number: int, each: tuple[Any, ...]) -> None:
        self.number = number
        self.connection.send((function, each))

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


def _serve(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; whoever asked us decides
    torch.set_num_threads(1)
    while True:
        try:
            function, each = connection.recv()
        except (EOFError, OSError):
            return
        answer: tuple[bool, Any]
        try:
            answer = True, function(*each)
        except Exception as problem:
            answer = False, problem
        try:
            connection.send(answer)
        except OSError:
            return
        except Exception as problem:  # what can't be pickled
            connection.send((False, TypeError(f"{function.__name__} returned or raised {problem}")))


def _on_processes(
    function: Callable[..., Any], calls: Calls, count: int
) -> Iterator[tuple[int, Any]]:
    waiting, attempts = deque(calls), Counter[int]()
    lost: list[int] = []
    busy: dict[Any, _Worker] = {}
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _Worker()
                busy[worker.connection] = worker
                attempts[waiting[0]] += 1
                number = waiting.popleft()
                worker.give(function, number, calls[number])
            for connection in wait(list(busy)):
                worker = busy.pop(connection)
                try:
                    worked, answer = worker.connection.recv()
                except (EOFError, OSError):
                    worker.stop()
                    # Last in the line: if it is the call that kills, the others come first.
                    (waiting if attempts[worker.number] < ATTEMPTS else lost).append(worker.number)
                    continue
                idle.append(worker)
                if not worked:
                    raise answer
                yield worker.number, answer
    finally:
        for worker in (*busy.values(), *idle):
            worker.stop()
    if lost:
        raise _died(function, [calls[number] for number in lost])


def _died(function: Callable[..., Any], lost: Sequence[tuple[Any, ...]]) -> WorkerDied:
    named = ", ".join(str(each)[:100] for each in lost[:3]) + (", …" if len(lost) > 3 else "")
    return WorkerDied(
        f"{len(lost)} calls of {function.__name__} killed their process {ATTEMPTS} times, perhaps "
        f"for want of memory: {named}; the others are done and kept"
    )


def _on_cluster(
    function: Callable[..., Any], calls: Calls, address: str
) -> Iterator[tuple[int, Any]]:
    try:
        from distributed import Client, KilledWorker, as_completed
    except ImportError:
        raise ValueError(
            f"scheduler is {address}: that needs Dask; pip install 'derandomization[cluster]'"
        ) from None
    try:
        client = Client(address)
    except (OSError, ValueError) as problem:
        raise ValueError(f"scheduler is {address}: it can't be reached ({problem})") from None
    lost = []
    with client:
        numbers = {
            client.submit(_on_one_thread, function, each, pure=False): number
            for number, each in calls.items()
        }
        try:
            for future in as_completed(numbers):
                try:
                    yield numbers[future], future.result()
                except KilledWorker:
                    lost.append(calls[numbers[future]])
        finally:
            client.cancel(list(numbers))
    if lost:
        raise _died(function, lost)


def _on_one_thread(function: Callable[..., Any], each: tuple[Any, ...]) -> Any:
    torch.set_num_threads(1)
    return function(*each)
