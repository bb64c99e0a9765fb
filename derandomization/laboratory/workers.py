"""Many calls of one function, shared among local processes or the workers of a Dask cluster."""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
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
    as they are. If a worker dies, the calls that were running are repeated, once, each in a process
    of its own; ``WorkerDied`` is raised, after all other calls, if one kills its worker again.

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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    prepare_process()


@contextlib.contextmanager
def _processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that is closed at once at the end, whatever its processes are doing."""
    others = set(multiprocessing.active_children())
    # A forked child may inherit a lock that nobody will release; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        ours = set(multiprocessing.active_children()) - others
        pool.shutdown(wait=False)
        for process in ours:
            process.terminate()
            process.join()


def _on_processes(
    function: Callable[..., Any], calls: Calls, count: int
) -> Iterator[tuple[int, Any]]:
    waiting = deque(calls)
    suspects: list[int] = []  # calls that were running when a worker died
    while waiting:
        running: dict[Future[Any], int] = {}
        try:
            with _processes(count) as pool:
                while waiting or running:
                    while waiting and len(running) < count:
                        running[pool.submit(function, *calls[waiting[0]])] = waiting[0]
                        waiting.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        result = _result(future, function)
                        yield running.pop(future), result
        except BrokenProcessPool:
            suspects.extend(running.values())
    lost = []
    for number in suspects:
        try:
            with _processes(1) as pool:
                yield number, _result(pool.submit(function, *calls[number]), function)
        except BrokenProcessPool:
            lost.append(calls[number])
    if lost:
        raise _died(function, lost)


def _result(future: "Future[Any]", function: Callable[..., Any]) -> Any:
    """The result of a call, with a readable error where it could not be sent back."""
    try:
        return future.result()
    except (pickle.PicklingError, AttributeError) as problem:
        if "pickle" not in str(problem):
            raise
        raise TypeError(
            f"{function.__name__} was given, returned or raised what can't be pickled: {problem}"
        ) from None


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
            client.submit(_on_prepared_process, function, each, pure=False): number
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


def _on_prepared_process(function: Callable[..., Any], each: tuple[Any, ...]) -> Any:
    prepare_process()
    return function(*each)
