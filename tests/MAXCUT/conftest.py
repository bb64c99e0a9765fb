"""Random graphs with weights of both signs, and descents of a few steps."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from MAXCUT import optimizer
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


@pytest.fixture(scope="module")
def short_descents() -> Iterator[None]:
    """For tests of what is around a descent: relaxation, bound and polishing are as always."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizer, "EXACT", replace(optimizer.EXACT, max_steps=20))
        patch.setattr(optimizer, "MOST_HYPERPLANES", 8)
        yield
