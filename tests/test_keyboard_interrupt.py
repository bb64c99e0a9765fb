"""Ctrl-C in a Python session: KeyboardInterrupt at once, and nothing of the session is changed."""

import gc
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from JohnsonLindenstrauss.estimator import LearnedProjection
from MAXCUT import derandomized_cut
from NeuralNetworks import PrincipalSubspace
from tests.commands import worker_processes

SECONDS = 2.0  # of computing until the exception arrives
LABELLED = np.random.default_rng(0).standard_normal((10_000, 60))

# Each takes far longer than the moments below.
CALLS: dict[str, Callable[[], Any]] = {
    "projection": lambda: LearnedProjection(10, random_state=0).fit(
        np.random.default_rng(0).standard_normal((1_000, 60))
    ),
    "subspace": lambda: PrincipalSubspace(random_state=0).fit(LABELLED, np.sin(LABELLED[:, 0])),
    "cut": lambda: derandomized_cut(nx.gnp_random_graph(200, 0.1, seed=0), restarts=50),
    "parallel cut": lambda: derandomized_cut(
        nx.gnp_random_graph(30, 0.3, seed=0), restarts=200, workers=2
    ),
}
MOMENTS = [0.01, 0.3, 1.0]  # seconds of computing after which Ctrl-C is pressed


def _state() -> dict[str, Any]:
    """Everything global that a computation might change.

    Not the state of ``random``: from it beartype draws which items it checks in the tests.
    """
    numpy_name, numpy_state, *numpy_rest = np.random.get_state()  # noqa: NPY002
    return {
        "threads of torch": torch.get_num_threads(),
        "threads of BLAS": sorted((p["filepath"], p["num_threads"]) for p in threadpool_info()),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "seed of torch": torch.random.get_rng_state().tolist(),
        "seed of numpy": (numpy_name, numpy_state.tolist(), *numpy_rest),
        "floating point errors": np.geterr(),
        "signal handlers": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warnings": list(warnings.filters),
        "threads": {each.name for each in threading.enumerate()},
        "processes": multiprocessing.active_children(),
    }


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[float], list[float]]]:
    """Press Ctrl-C once this process has computed for so long; returns when, once it has."""
    # Hypothesis times the collector by a callback, from which no exception comes out.
    callbacks, gc.callbacks[:] = [*gc.callbacks], []
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def press(seconds: float) -> list[float]:
        pressed: list[float] = []
        until = time.process_time() + seconds

        def wait() -> None:
            # A parent of workers computes nothing while it waits for them.
            latest = time.monotonic() + 3 * seconds
            while time.process_time() < until and time.monotonic() < latest:
                if ended.wait(0.005):
                    return
            pressed.append(time.process_time())
            os.kill(os.getpid(), signal.SIGINT)

        threads.append(threading.Thread(target=wait, daemon=True))
        threads[-1].start()
        return pressed

    yield press
    ended.set()
    for thread in threads:
        thread.join()
    gc.callbacks[:] = callbacks


@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_ctrl_c_ends_a_computation_and_leaves_the_session_as_it_was(
    call: Callable[[], Any], seconds: float, ctrl_c: Callable[[float], list[float]]
) -> None:
    before = _state()
    pressed = ctrl_c(seconds)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert time.process_time() - pressed[0] < SECONDS
    until = time.monotonic() + 20  # for threads that wait for a process that was killed
    while _state()["threads"] - before["threads"] and time.monotonic() < until:
        time.sleep(0.01)
    while worker_processes(os.getpid()) and time.monotonic() < until:  # killed, not yet gone
        time.sleep(0.01)
    after = _state()
    for name, value in before.items():
        assert after[name] == value, name
    assert worker_processes(os.getpid()) == []
