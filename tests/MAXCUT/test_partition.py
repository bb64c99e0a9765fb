"""A graph as its owner holds it, cut in its own labels."""

import dataclasses
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

from MAXCUT.graph import Graph
from MAXCUT.partition import Partition, derandomized_cut, write_partition


def across(graph: nx.Graph, partition: Partition) -> float:
    return float(nx.cut_size(graph, [n for n in graph if partition.sides[n]], weight="weight"))


def test_a_networkx_graph_is_cut_in_its_own_labels() -> None:
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        [("bern", "basel", 2), ("basel", ("chur", 7), 1.5), (("chur", 7), "bern", 0.25)]
    )
    graph.add_node("lonely")
    partition = derandomized_cut(graph)
    assert set(partition.sides) == set(graph)
    assert partition.cut_value == across(graph, partition) == 3.5
    assert partition.cut_value <= partition.upper_bound
    assert partition.proven_ratio == partition.cut_value / partition.upper_bound
    assert partition.certificate.weight_norm <= min(
        partition.certificate.weight_bound, partition.certificate.sharp_weight_bound
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        partition.cut_value = 4.0  # type: ignore[misc]


@pytest.mark.parametrize("convert", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_a_sparse_matrix_is_the_same_graph(convert: type) -> None:
    graph = nx.petersen_graph()
    matrix = convert(nx.to_numpy_array(graph))
    partition = derandomized_cut(matrix)
    assert partition.cut_value == across(graph, partition) == 12  # known
    assert derandomized_cut(Graph.from_networkx(graph)).sides == partition.sides


def test_the_weight_attribute_may_have_another_name() -> None:
    graph = nx.Graph()
    graph.add_edge(0, 1, strength=3.0)
    graph.add_edge(1, 2, strength=-2.0)
    assert derandomized_cut(graph, weight="strength").cut_value == 3
    assert derandomized_cut(graph).cut_value == 2


def test_the_same_seed_repeats_the_cut_whatever_the_workers() -> None:
    graph = nx.gnm_random_graph(12, 30, seed=0)
    first, second = (derandomized_cut(graph, restarts=2, workers=w, seed=3) for w in (1, 2))
    assert first == second


def test_where_only_negative_weights_are_nothing_is_cut() -> None:
    graph = nx.path_graph(5)
    nx.set_edge_attributes(graph, -1.0, "weight")
    partition = derandomized_cut(graph)
    assert partition.cut_value == 0
    assert len(set(partition.sides.values())) == 1
    assert partition.upper_bound < 1e-4


@pytest.mark.parametrize(
    ("graph", "options", "message"),
    [
        (nx.empty_graph(4), {}, "no edge to cut"),
        (nx.path_graph(3), {"restarts": -1}, "restarts is -1: it must be at least 0"),
    ],
)
def test_what_cannot_be_cut_is_named(graph: object, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        derandomized_cut(graph, **options)  # type: ignore[arg-type]


def test_partition_file_has_a_line_a_vertex(tmp_path: Path) -> None:
    path = tmp_path / "partition.csv"
    graph = Graph(3, np.array([[0, 1]]), np.array([1.0]), ("a", 7, "b, c"))
    write_partition(path, graph, np.array([1.0, -1.0, 1.0]))
    assert path.read_text() == 'vertex,side\na,0\n7,1\n"b, c",0\n'
