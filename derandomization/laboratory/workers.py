"""Many calls of one function, shared among local processes or the workers of a Dask cluster."""

import contextlib
import importlib
import logging
import multiprocessing
import os
import pickle
import platform
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

import numpy as np
import torch

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from derandomization.checks import require_at_least
from derandomization.laboratory.checkpoints import Checkpoints
from derandomization.laboratory.identity import code_digest, library_versions
from derandomization.laboratory.process import WorkerDied, handling_signals, prepare_process

ResultT = TypeVar("ResultT")
Calls = Mapping[int, tuple[Any, ...]]
DEFERRED = (signal.SIGINT, signal.SIGTERM)
ATTEMPTS = 2  # a call whose worker dies is repeated once: the cause may have been chance


def parallel_calls(
    function: Callable[..., ResultT],
    arguments: Sequence[tuple[Any, ...]],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    checkpoints: Checkpoints | None = None,
    code: Sequence[str] = (),
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
        code: packages that the calls need besides the one of the function. A cluster with a worker
            whose code or libraries differ from those here is refused with a ``ValueError``.
    """
    require_at_least("workers", workers, 1)
    calls = dict(enumerate(arguments))
    kind = f"call of {function.__name__}"
    slots = [checkpoints.slot(kind) for _ in arguments] if checkpoints else []
    for number, slot in enumerate(slots):
        if kept := slot.restored(lambda content: (content["result"],)):
            del calls[number]
            yield number, kept[0]
    try:
        for number, result in _results(function, calls, workers, scheduler, code):
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
    function: Callable[..., Any],
    calls: Calls,
    workers: int,
    scheduler: str | None,
    code: Sequence[str],
) -> Iterator[tuple[int, Any]]:
    if not calls:
        return iter(())
    if scheduler is not None:
        return _on_cluster(function, calls, scheduler, code)
    if min(workers, len(calls)) == 1:
        return ((number, function(*each)) for number, each in calls.items())
    return _on_processes(function, calls, min(workers, len(calls)))


def _start_worker() -> None:
    """Prepare a process of the pool, which ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, DEFERRED)
    parent = multiprocessing.parent_process()
    if parent is not None:
        _end_with(parent.sentinel)
    prepare_process()


@contextlib.contextmanager
def _deferred_signals() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM wait: a process is started and known, or stopped, or not at all.

    In a process that is started within, they wait until it is prepared.
    """
    came: list[int] = []
    masks = hasattr(signal, "pthread_sigmask")
    try:
        with handling_signals(lambda number, frame: came.append(number), *DEFERRED):
            before = signal.pthread_sigmask(signal.SIG_BLOCK, DEFERRED) if masks else set()
            try:
                yield
            finally:
                if masks:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    finally:
        if came:
            signal.raise_signal(came[0])


def _end_with(sentinel: int) -> None:
    """Let this process end as soon as the run that started it has ended, however it ends.

    ``sentinel`` is a pipe that the kernel closes then. Linux sends a signal that ends this process;
    elsewhere a thread may have to wait until a long call has released Python's lock.
    """
    if fcntl is not None and hasattr(os, "O_ASYNC"):
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
        fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    threading.Thread(target=_exit_after, args=(sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
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
            process.kill()  # SIGTERM may be ignored: a child inherits that
            process.join()


def _on_processes(
    function: Callable[..., Any], calls: Calls, count: int
) -> Iterator[tuple[int, Any]]:
    context = _context(function.__module__)
    waiting, attempts = deque(calls), Counter[int]()
    lost: list[int] = []
    idle: list[_Worker] = []
    started: list[_Worker] = []  # Ctrl-C may come while a worker is in neither of the other two
    busy: dict[Future[bytes], tuple[_Worker, int]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < count:
                if not idle:
                    started.append(_Worker(context))
                    idle.append(started[-1])
                worker = idle.pop()
                try:
                    with _deferred_signals():
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
        with _deferred_signals():
            for worker in started:
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
    function: Callable[..., Any], calls: Calls, address: str, code: Sequence[str]
) -> Iterator[tuple[int, Any]]:
    try:
        from distributed import Client, KilledWorker, as_completed
        from distributed.comm import CommClosedError
    except ImportError:
        raise ValueError(
            f"scheduler is {address}: that needs Dask; pip install 'derandomization[cluster]'"
        ) from None
    try:
        client = Client(address)
    except (OSError, ValueError) as problem:
        raise ValueError(f"scheduler is {address}: it can't be reached ({problem})") from None
    packages = [name for name in (function.__module__, *code) if name != "__main__"]
    expected = _versions(packages)
    lost_connection = ValueError(
        f"scheduler is {address}: the connection to it was lost; finished calls are kept"
    )
    lost = []
    with _muted("distributed.client"), client:
        try:
            versions = client.run(_versions, packages, on_error="return")
        except (CancelledError, OSError):
            raise lost_connection from None
        for worker, found in versions.items():
            _require_same(f"scheduler is {address}: its worker {worker}", expected, found)
        numbers = {
            client.submit(_on_one_thread, function, each, expected, packages, pure=False): number
            for number, each in calls.items()
        }
        try:
            for future in as_completed(numbers):
                try:
                    yield numbers[future], future.result()
                except KilledWorker:
                    lost.append(calls[numbers[future]])
                except (CancelledError, CommClosedError):
                    raise lost_connection from None
        finally:
            client.cancel(list(numbers))
    if lost:
        raise _died(function, lost)


@contextlib.contextmanager
def _muted(name: str) -> Iterator[None]:
    """Within, this logger prints nothing: it prints tracebacks of what is raised here anyway."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """The code of these packages and the libraries, as this process has them."""
    return {"code": code_digest(*map(importlib.import_module, packages)), **library_versions()}


def _require_same(worker: str, expected: Mapping[str, str], found: Any) -> None:
    """Raise ``ValueError`` unless a worker has the code and the libraries that are expected."""
    if isinstance(found, BaseException):
        raise ValueError(f"{worker} has no such code ({type(found).__name__}: {found})")
    for name, here in expected.items():
        if found[name] != here:
            raise ValueError(
                f"{worker} has other code: {name} is {found[name]}, here {here}; install the same "
                "on every machine"
            )


def _on_one_thread(
    function: Callable[..., Any],
    each: tuple[Any, ...],
    expected: Mapping[str, str],
    packages: Sequence[str],
) -> Any:
    """The result of a call; workers that came after the first call are asked for their code too."""
    _require_same(f"the worker on {platform.node()}", expected, _versions(packages))
    torch.set_num_threads(1)
    return function(*each)
