"""Random graphs with weights of both signs."""

from collections.abc import Callable

import numpy as np
import pytest

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
