"""One function over many settings and seeds, on all cores."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import numpy as np
import torch

from derandomization.checks import require_at_least

SettingT = TypeVar("SettingT")
ResultT = TypeVar("ResultT")
Measurement = Mapping[str, float]


def spawn_seeds(seed: int, count: int) -> list[int]:
    """Independent seeds from one root: more of them leave the earlier ones as they are."""
    children = np.random.SeedSequence(seed).spawn(require_at_least("seeds", count, 1))
    return [int(child.generate_state(1, np.uint64)[0] >> 1) for child in children]


def sweep(
    function: Callable[[SettingT, int], Measurement],
    settings: Sequence[SettingT],
    seeds: Sequence[int],
    *,
    workers: int = 1,
    progress: Callable[[], Any] | None = None,
) -> list[dict[str, np.ndarray]]:
    """Call ``function(setting, seed)`` for every pair; what comes back does not depend on workers.

    Args:
        function: importable by its name, so that another process can call it; its numbers carry
            the same names whatever the setting.
        settings: each of them picklable.
        seeds: the same for every setting.
        workers: processes, each with one torch thread; 1 computes in this one.
        progress: called whenever a pair is done.

    Returns:
        For each setting, by name, what was measured: one entry a seed, in the order of seeds.

    Raises:
        ValueError: less than one worker. What ``function`` raises comes through.
    """
    pairs = [(setting, seed) for setting in settings for seed in seeds]
    found: list[Measurement] = [{}] * len(pairs)
    for index, measurement in parallel_calls(function, pairs, workers):
        found[index] = measurement
        if progress:
            progress()
    rows = [found[start : start + len(seeds)] for start in range(0, len(pairs), len(seeds))]
    return [{name: np.array([each[name] for each in row]) for name in row[0]} for row in rows]


def parallel_calls(
    function: Callable[..., ResultT], arguments: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, ResultT]]:
    """Number and result of ``function(*arguments[number])`` for each, as they are done.

    Args:
        function: importable by its name.
        arguments: each of them picklable.
        workers: processes, each with one torch thread; 1 computes in this one.

    Raises:
        ValueError: less than one worker. What ``function`` raises comes through.
    """
    require_at_least("workers", workers, 1)
    workers = min(workers, len(arguments))
    if workers <= 1:
        for index, each in enumerate(arguments):
            yield index, function(*each)
        return
    # A forked child may inherit a lock that nobody holds any more; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,))
    with pool:
        futures: dict[Future[ResultT], int] = {
            pool.submit(function, *each): index for index, each in enumerate(arguments)
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
