"""One function over many settings and seeds, on all cores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from derandomization.checkpoints import Checkpoints
from derandomization.checks import require_at_least
from derandomization.workers import parallel_calls

SettingT = TypeVar("SettingT")
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
    crew: int | str = 1,
    progress: Callable[[], Any] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, np.ndarray]]:
    """Call ``function(setting, seed)`` for every pair; whoever computes it, it is the same.

    Args:
        function: importable by its name, so that another process can call it; its numbers carry
            the same names whatever the setting.
        settings: each of them picklable.
        seeds: the same for every setting.
        crew: processes or a Dask scheduler, as ``parallel_calls`` takes them.
        progress: called whenever a pair is done.
        checkpoints: where every measurement is kept as soon as it is there.

    Returns:
        For each setting, by name, what was measured: one entry a seed, in the order of seeds.

    Raises:
        ValueError, WorkerDied: as ``parallel_calls``. What ``function`` raises comes through.
    """
    pairs = [(setting, seed) for setting in settings for seed in seeds]
    found: list[Measurement] = [{}] * len(pairs)
    for index, measurement in parallel_calls(function, pairs, crew, checkpoints):
        found[index] = measurement
        if progress:
            progress()
    rows = [found[start : start + len(seeds)] for start in range(0, len(pairs), len(seeds))]
    return [{name: np.array([each[name] for each in row]) for name in row[0]} for row in rows]
