"""Graphs of many kinds: every cut lies between the empty cut, the optimum and the bound."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from MAXCUT.graph import Graph
from MAXCUT.partition import Partition, derandomized_cut
from MAXCUT.utilities import maximum_cut

Draw = Callable[[np.random.Generator], nx.Graph]
ALONE, TOGETHER = 1, 50  # graphs of each kind


def weighted(graph: nx.Graph, weights: np.ndarray) -> nx.Graph:
    values = dict(zip(graph.edges, weights[: graph.number_of_edges()].tolist(), strict=True))
    nx.set_edge_attributes(graph, values, "weight")
    return graph


def size(rng: np.random.Generator, low: int = 2, high: int = 13) -> int:
    return int(rng.integers(low, high))


def random(rng: np.random.Generator, density: float = 0.5) -> nx.Graph:
    return nx.gnp_random_graph(size(rng), density, seed=int(rng.integers(2**31)))


def lollipop(rng: np.random.Generator) -> nx.Graph:
    return nx.lollipop_graph(size(rng, 3, 7), size(rng, 1, 6))


def double_star(rng: np.random.Generator) -> nx.Graph:
    graph = nx.disjoint_union(nx.star_graph(size(rng, 2, 6)), nx.star_graph(size(rng, 2, 6)))
    graph.add_edge(0, graph.number_of_nodes() - 1)
    return graph


def one_outlier(rng: np.random.Generator) -> nx.Graph:
    graph = random(rng)
    weights = np.ones(100)
    weights[0] = 1e9
    return weighted(graph, weights)


KINDS: dict[str, Draw] = {
    "unweighted": random,
    "sparse": lambda rng: random(rng, 0.15),
    "complete": lambda rng: nx.complete_graph(size(rng)),
    "bipartite": lambda rng: nx.complete_bipartite_graph(size(rng, 1, 7), size(rng, 1, 7)),
    "path": lambda rng: nx.path_graph(size(rng)),
    "ring": lambda rng: nx.cycle_graph(size(rng, 3)),
    "ladder": lambda rng: nx.ladder_graph(size(rng, 2, 7)),
    "tree": lambda rng: nx.random_labeled_tree(size(rng, 3), seed=int(rng.integers(2**31))),
    "star": lambda rng: nx.star_graph(size(rng)),
    "double star": double_star,
    "lollipop": lollipop,
    "isolated vertices": lambda rng: nx.disjoint_union(random(rng), nx.empty_graph(2)),
    "two components": lambda rng: nx.disjoint_union(nx.path_graph(3), nx.cycle_graph(5)),
    "signs": lambda rng: weighted(random(rng), rng.choice([-1.0, 1.0], 100)),
    "all negative": lambda rng: weighted(random(rng), -rng.uniform(0.1, 1, 100)),
    "ladder of -1 and a rung of 0.1": lambda rng: weighted(
        nx.ladder_graph(size(rng, 2, 7)), np.append(np.full(100, -1.0), 0.1)[::-1]
    ),
    "normal": lambda rng: weighted(nx.complete_graph(size(rng)), rng.standard_normal(100)),
    "nearly cancelling": lambda rng: weighted(
        random(rng), rng.choice([-1.0, 1.0], 100) + 1e-9 * rng.standard_normal(100)
    ),
    "lognormal": lambda rng: weighted(random(rng), rng.lognormal(0, 3, 100)),
    "tiny": lambda rng: weighted(random(rng), 1e-25 * rng.uniform(1, 2, 100)),
    "huge": lambda rng: weighted(random(rng), 1e25 * rng.normal(0, 1, 100)),
    "one outlier": one_outlier,
}


def require_consistent(graph: Graph, partition: Partition) -> None:
    """0 ≤ mean ≤ cut ≤ OPT ≤ bound, and the cut is the one that its sides have."""
    scale = float(np.abs(graph.weights).sum())
    optimum = max(0.0, maximum_cut(graph))
    signs = np.array([1.0 - 2 * partition.sides[label] for label in graph.labels])
    assert partition.cut_value == float(graph.cut_value(signs))
    assert 0 <= partition.cut_value <= optimum + 1e-12 * scale
    assert optimum <= partition.upper_bound + 1e-12 * scale
    assert partition.cut_value >= partition.goemans_williamson_mean - 1e-7 * scale
    assert partition.cut_value >= partition.polished_cut_value >= partition.derandomized_cut_value
    assert 0 <= partition.proven_ratio <= 1
    if partition.proven_optimal:
        assert partition.cut_value >= optimum - 1e-12 * scale
    if partition.guaranteed is not None:
        assert partition.derandomized_cut_value >= partition.guaranteed - 1e-7 * scale


def drawn(kind: str, count: int) -> list[Graph]:
    """Graphs of a kind that have an edge."""
    rng = np.random.default_rng(list(KINDS).index(kind))
    graphs: list[Graph] = []
    while len(graphs) < count:
        graph = Graph.from_networkx(KINDS[kind](rng))
        graphs += [graph] if len(graph.weights) else []
    return graphs


@pytest.mark.usefixtures("few_steps_here")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_a_graph_of_every_kind_is_cut_between_zero_and_the_optimum(kind: str) -> None:
    """Whatever V is left: the descents of the next test go on to their end."""
    for seed, graph in enumerate(drawn(kind, ALONE)):
        require_consistent(graph, derandomized_cut(graph, seed=seed))


@pytest.mark.usefixtures("short_descents")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_so_is_each_of_fifty_that_are_one_graph(kind: str) -> None:
    """A thousand graphs in 22 descents: each is a component of its kind's graph."""
    parts = drawn(kind, TOGETHER)
    offsets = np.cumsum([0, *(part.num_vertices for part in parts)])
    whole = Graph(
        int(offsets[-1]),
        np.concatenate([part.ends + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.weights for part in parts]),
    )
    partition = derandomized_cut(whole)
    sides = np.array([partition.sides[label] for label in whole.labels])
    scale = float(np.abs(whole.weights).sum())
    optima = np.array([max(0.0, maximum_cut(part)) for part in parts])
    cuts = np.array(
        [
            float(part.cut_value(1.0 - 2 * sides[offset : offset + part.num_vertices]))
            for part, offset in zip(parts, offsets, strict=False)
        ]
    )
    assert cuts.sum() == pytest.approx(partition.cut_value, rel=1e-12)
    assert (cuts >= -1e-12 * scale).all()
    assert (cuts <= optima + 1e-12 * scale).all()
    assert cuts.sum() >= partition.goemans_williamson_mean - 1e-7 * scale
    assert optima.sum() <= partition.upper_bound + 1e-12 * scale
    assert 0 <= partition.proven_ratio <= 1
