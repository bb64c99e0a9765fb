"""Four solvers, one value."""

import networkx as nx
import numpy as np
import pytest

from benchmarks.relaxation import SOLVERS
from MAXCUT.graph import Graph
from MAXCUT.sdp import solve_sdp


@pytest.mark.parametrize("name", list(SOLVERS))
def test_every_solver_finds_the_value(name: str) -> None:
    graph = Graph.from_networkx(nx.gnm_random_graph(14, 40, seed=2))
    expected = solve_sdp(graph, np.random.default_rng(5))
    found = SOLVERS[name](graph)
    assert found.value == pytest.approx(expected.value, rel=1e-3)
    assert found.status in ("proven", "optimal", "converged")
