"""Many calls of one function, shared among local processes or the workers of a Dask cluster."""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.context import BaseContext
from typing import Annotated, Any, TypeVar

import numpy as np
import torch

from derandomization.checks import require_at_least
from derandomization.laboratory.checkpoints import Checkpoints
from derandomization.laboratory.settings import Constraint, PositiveInt

ResultT = TypeVar("ResultT")
Calls = Mapping[int, tuple[Any, ...]]
# glibc's names (malloc.h), and the largest threshold it accepts for blocks mapped by themselves.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_POOLED_BLOCK = 32 * 2**20
KEPT_BYTES = 2**30
ATTEMPTS = 2  # a call whose worker dies is repeated once: the cause may have been chance


class WorkerDied(RuntimeError):  # noqa: N818 - it says what happened
    """A call killed its worker every time; all other calls were completed."""


def _require_address(name: str, value: str) -> None:
    if "://" not in value:
        raise ValueError(f"{name} is {value!r}: it must be an address such as tcp://host:8786")


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """The fields of every command that shares its work among processes."""

    workers: PositiveInt = field(default_factory=lambda: os.cpu_count() or 1)
    """Processes that share the work; by default one per core."""
    scheduler: Annotated[str | None, Constraint(_require_address)] = None
    """Address of a Dask scheduler, such as tcp://host:8786, to share the work among its workers."""


def parallel_calls(
    function: Callable[..., ResultT],
    arguments: Sequence[tuple[Any, ...]],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[tuple[int, ResultT]]:
    """Yield the number and the result of ``function(*arguments[number])``, in order of completion.

    The function is importable by its name, its arguments are picklable, and its errors are raised
    as they are. If a worker dies, only its current call is repeated; ``WorkerDied`` is raised,
    after all other calls, if that kills its worker again.

    Args:
        workers: processes, each with one torch thread; 1 is this process.
        scheduler: address of a Dask scheduler whose workers make the calls instead, and which
            decides how often a call is repeated.
        checkpoints: where every result is stored, arrays as tensors and tuples as lists. Results
            that are already there are not computed again.
    """
    require_at_least("workers", workers, 1)
    slots = [checkpoints.slot() for _ in arguments] if checkpoints else []
    for number, slot in enumerate(slots):
        if slot.content:
            yield number, slot.content["result"]
    calls = {n: each for n, each in enumerate(arguments) if not (slots and slots[n].content)}
    try:
        for number, result in _results(function, calls, workers, scheduler):
            if checkpoints:
                result = storable(result)
                slots[number].keep({"result": result})
                checkpoints.write_soon()
            yield number, result
    finally:
        if checkpoints:
            checkpoints.write()


def spawn_seeds(seed: int, count: int) -> list[int]:
    """Independent seeds from one root: more of them leave the earlier ones as they are."""
    children = np.random.SeedSequence(seed).spawn(require_at_least("seeds", count, 1))
    return [int(child.generate_state(1, np.uint64)[0] >> 1) for child in children]


def storable(value: Any) -> Any:
    """The value as tensors and plain types only, which ``Checkpoints`` can store."""
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return value.item() if isinstance(value, np.generic) else value


def _results(
    function: Callable[..., Any], calls: Calls, workers: int, scheduler: str | None
) -> Iterator[tuple[int, Any]]:
    if not calls:
        return iter(())
    if scheduler is not None:
        return _on_cluster(function, calls, scheduler)
    if min(workers, len(calls)) == 1:
        return ((number, function(*each)) for number, each in calls.items())
    return _on_processes(function, calls, min(workers, len(calls)))


def prepare_process() -> None:
    """Let this process compute on one thread, and keep the memory that it frees.

    The numbers of a run then do not depend on the number of cores, and its products are too small
    to share: a second thread does not shorten figure 3's step of 2.5 ms, and lengthens it to 28
    ms on a busy machine.

    By default glibc returns large free blocks to the system, so that every step pages its
    temporaries in again. Keeping them shortens figure 3's step from 5.1 to 2.1 ms. A C library
    without these settings is left as it is.
    """
    torch.set_num_threads(1)
    with contextlib.suppress(OSError, AttributeError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(M_MMAP_THRESHOLD, LARGEST_POOLED_BLOCK)
        allocator.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _start_worker() -> None:
    """Prepare a process of the pool, which ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    prepare_process()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _outcome(function: Callable[..., Any], each: tuple[Any, ...]) -> bytes:
    """Whether a call succeeded and its result or error, pickled so that they can be restored."""
    outcome: tuple[bool, Any]
    try:
        outcome = True, function(*each)
    except Exception as problem:
        outcome = False, problem
    except BaseException:  # SystemExit and the like must not become the parent's
        os._exit(1)
    try:
        pickled = pickle.dumps(outcome)
        pickle.loads(pickled)
    except Exception as problem:
        reason = f"{function.__name__} returned or raised what can't be pickled: {problem}"
        pickled = pickle.dumps((False, TypeError(reason)))
    return pickled


def _context(module: str) -> BaseContext:
    """How processes start: forked from one that has imported ``module`` and does nothing else.

    A spawned process would import torch again, which takes two seconds. A process forked from this
    one might inherit a lock that nobody releases. Windows can only spawn.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The first call starts the process that the others are forked from and decides what it imports.
    context.set_forkserver_preload([__name__, module])
    return context


class _Worker:
    """A pool of one process: if it dies, only its own call is lost."""

    def __init__(self, context: BaseContext) -> None:
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_start_worker)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        processes = list((self.pool._processes or {}).values())
        self.pool.shutdown(wait=False)
        for process in processes:
            process.terminate()
            process.join()


def _on_processes(
    function: Callable[..., Any], calls: Calls, count: int
) -> Iterator[tuple[int, Any]]:
    context = _context(function.__module__)
    waiting, attempts = deque(calls), Counter[int]()
    lost: list[int] = []
    idle: list[_Worker] = []
    busy: dict[Future[bytes], tuple[_Worker, int]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                worker = idle.pop() if idle else _Worker(context)
                try:
                    future = worker.pool.submit(_outcome, function, calls[waiting[0]])
                except BrokenProcessPool:
                    worker.stop()  # it died between two calls
                    continue
                busy[future] = worker, waiting[0]
                attempts[waiting.popleft()] += 1
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                worker, number = busy.pop(future)
                try:
                    succeeded, result = pickle.loads(future.result())
                except BrokenProcessPool:
                    worker.stop()
                    # Last in the queue: if this call kills its worker, the others come first.
                    (waiting if attempts[number] < ATTEMPTS else lost).append(number)
                    continue
                idle.append(worker)
                if not succeeded:
                    raise result
                yield number, result
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.stop()
    if lost:
        raise _died(function, [calls[number] for number in lost])


def _died(function: Callable[..., Any], lost: Sequence[tuple[Any, ...]]) -> WorkerDied:
    named = ", ".join(str(each)[:100] for each in lost[:3]) + (", …" if len(lost) > 3 else "")
    return WorkerDied(
        f"{len(lost)} calls of {function.__name__} killed their process {ATTEMPTS} times, for want "
        "of memory or because a script that asks for workers does so outside of "
        f"'if __name__ == \"__main__\":': {named}; the others are done and kept"
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
