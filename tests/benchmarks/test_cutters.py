"""Every way to cut gives a cut, within its seconds, and the optimum of a graph this small."""

import pytest

from benchmarks.cutters import ALL, Budget, annealing, derandomized, tabu
from benchmarks.measure import Seconds
from MAXCUT.graph import Graph
from MAXCUT.utilities import maximum_cut, random_graph

GRAPH = Graph.from_networkx(random_graph(15, 0.6, seed=42))


@pytest.mark.parametrize("name", list(ALL))
def test_it_finds_the_optimum_of_the_papers_graph(name: str) -> None:
    # One-exchange begins with one side empty and may end at 40 whatever its order.
    missed = 1 if name == "one-exchange" else 0
    assert ALL[name](GRAPH, 0.3, 0) >= maximum_cut(GRAPH) - missed


def test_ours_as_a_whole_does_too() -> None:
    assert derandomized(GRAPH, 0, 42) == maximum_cut(GRAPH)


@pytest.mark.parametrize("cutter", [annealing, tabu])
def test_an_isolated_last_vertex_and_fractional_weights_are_no_trouble(cutter) -> None:  # type: ignore[no-untyped-def]
    graph = Graph(4, GRAPH.ends[:0].reshape(0, 2), GRAPH.weights[:0])
    assert cutter(graph, 0.05, 0) == 0.0


def test_a_budget_runs_out() -> None:
    times = iter([Seconds(0.0, 1.0), Seconds(9.0, 2.5), Seconds(9.0, 4.5)])
    budget = Budget(3.0, clock=lambda: next(times))
    assert (budget.left, budget.left) == (1.5, -0.5)
