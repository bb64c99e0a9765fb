"""Random graphs with weights of both signs, and settings that make a cut quick."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

import MAXCUT.optimizer
import MAXCUT.search
from MAXCUT.graph import Graph


@pytest.fixture(scope="session")
def signed_graph() -> Callable[..., Graph]:
    """Build one from its number of vertices and a seed: two in five pairs joined, w ~ N(0, 1)."""

    def build(n: int, seed: int) -> Graph:
        rng = np.random.default_rng(seed)
        pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)])
        ends = pairs[rng.random(len(pairs)) < 0.4]
        return Graph(n, ends, rng.standard_normal(len(ends)))

    return build


@pytest.fixture(scope="session")
def two_blocks() -> Graph:
    """Complete, of weight 1 between two halves and 0.75 within each; the optimum parts them.

    The curvature grows so much on the way from the relaxation that the first descent fails.
    """
    ends = np.stack(np.triu_indices(100, 1), axis=1)
    crosses = (ends[:, 0] < 50) != (ends[:, 1] < 50)
    return Graph(100, ends, np.where(crosses, 1.0, 0.75))


@pytest.fixture
def short_descents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descents that wait a fifth as long after a perturbation and end by their rule all the same.

    For tests that do not ask how small V becomes.
    """
    for name in ("EXACT", "EXACT_LARGE"):
        settings = getattr(MAXCUT.optimizer, name)
        interval = settings.perturbation_interval // 5
        shorter = replace(settings, perturbation_interval=interval, decrease_threshold=1e-6)
        monkeypatch.setattr(MAXCUT.optimizer, name, shorter)


@pytest.fixture
def short_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches of a tenth of the steps, in this process: for tests that do not ask how good."""
    for name in ("NUM_STEPS", "NUM_LAST_STEPS"):
        monkeypatch.setattr(MAXCUT.search, name, getattr(MAXCUT.search, name) // 10)


def stop_after_a_few_steps(patch: pytest.MonkeyPatch) -> None:
    for name in ("EXACT", "EXACT_LARGE"):
        settings = getattr(MAXCUT.optimizer, name)
        patch.setattr(MAXCUT.optimizer, name, replace(settings, max_steps=20))
    patch.setattr(MAXCUT.optimizer, "MOST_HYPERPLANES", 8)


@pytest.fixture(scope="module")
def few_steps() -> Iterator[None]:
    """For tests of what is around a descent: relaxation, bound and polishing are as always."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after_a_few_steps(patch)
        yield


@pytest.fixture
def few_steps_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for one test of a file."""
    stop_after_a_few_steps(monkeypatch)
