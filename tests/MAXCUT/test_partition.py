"""A graph as its owner holds it, cut in its own labels."""

import dataclasses
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse

import MAXCUT.optimizer
from MAXCUT.graph import Graph
from MAXCUT.partition import MAX_BYTES, Partition, derandomized_cut, read_partition, write_partition


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
    assert partition.proven_optimal
    assert partition.proven_ratio == 1
    assert partition.certificate.weight_norm <= min(
        partition.certificate.weight_bound, partition.certificate.sharp_weight_bound
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        partition.cut_value = 4.0  # type: ignore[misc]


@pytest.mark.usefixtures("few_steps_here")
@pytest.mark.parametrize("convert", [scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_a_sparse_matrix_is_the_same_graph(convert: type) -> None:
    graph = nx.petersen_graph()
    matrix = convert(nx.to_numpy_array(graph))
    partition = derandomized_cut(matrix)
    assert partition.cut_value == across(graph, partition) == 12  # known
    assert derandomized_cut(Graph.from_networkx(graph)).sides == partition.sides


@pytest.mark.usefixtures("few_steps_here")
def test_a_partition_is_shown_without_the_sides_of_all_its_nodes() -> None:
    shown = repr(derandomized_cut(nx.path_graph(300), seed=0))
    assert "cut_value=299" in shown
    assert len(shown) < 500


def test_the_weight_attribute_may_have_another_name() -> None:
    graph = nx.Graph()
    graph.add_edge(0, 1, strength=3.0)
    graph.add_edge(1, 2, strength=-2.0)
    assert derandomized_cut(graph, weight="strength").cut_value == 3
    assert derandomized_cut(graph).cut_value == 2


@pytest.mark.usefixtures("few_steps_here")
def test_the_same_seed_repeats_the_cut_whatever_the_workers() -> None:
    graph = nx.gnm_random_graph(12, 30, seed=0)
    first, second = (derandomized_cut(graph, restarts=2, workers=w, seed=3) for w in (1, 2))
    assert first == second


@pytest.mark.usefixtures("few_steps_here")
def test_where_only_negative_weights_are_nothing_is_cut() -> None:
    graph = nx.path_graph(5)
    nx.set_edge_attributes(graph, -1.0, "weight")
    partition = derandomized_cut(graph)
    assert partition.cut_value == 0
    assert len(set(partition.sides.values())) == 1
    assert partition.upper_bound == 0


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
    write_partition(path, graph, np.array([[1.0, -1.0, 1.0]]))
    assert path.read_text() == 'vertex,side\na,0\n7,1\n"b, c",0\n'


def stars() -> dict[str, nx.Graph]:
    """Graphs on which one step size for all vertices leaves V where it was."""
    rng = np.random.default_rng(0)
    lognormal = nx.barabasi_albert_graph(300, 2, seed=0)
    nx.set_edge_attributes(
        lognormal, {edge: float(rng.lognormal(0, 2)) for edge in lognormal.edges}, "weight"
    )
    outlier = nx.gnm_random_graph(300, 996, seed=0)
    nx.set_edge_attributes(outlier, 1.0, "weight")
    outlier.edges[next(iter(outlier.edges))]["weight"] = 1e9
    double = nx.disjoint_union(nx.star_graph(150), nx.star_graph(100))
    double.add_edge(0, 151)
    return {
        "star": nx.star_graph(150),
        "double star": double,
        "lognormal weights": lognormal,
        "one weight of 1e9": outlier,
    }


@pytest.mark.parametrize("name", stars())
def test_hubs_and_heavy_tails_lose_their_randomness_too(name: str) -> None:
    graph = stars()[name]
    partition = derandomized_cut(graph)
    assert partition.converged, partition.not_converged
    assert partition.not_converged == ""
    if "star" in name:
        assert partition.derandomized_cut_value == graph.number_of_edges()
        assert partition.proven_optimal


def test_an_outlier_weight_does_not_make_the_other_edges_random() -> None:
    """Without the outlier's own edge: as good a cut as the same graph without that weight has."""
    graph = stars()["one weight of 1e9"]
    partition = derandomized_cut(graph)
    nx.set_edge_attributes(graph, 1.0, "weight")
    plain = derandomized_cut(graph)
    assert partition.derandomized_cut_value - 1e9 + 1 >= 0.97 * plain.derandomized_cut_value


def test_a_descent_that_keeps_its_randomness_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(MAXCUT.optimizer.EXACT, max_steps=5)
    monkeypatch.setattr(MAXCUT.optimizer, "EXACT", settings)
    partition = derandomized_cut(nx.petersen_graph())
    assert not partition.converged
    assert partition.not_converged.startswith("after 5 steps ‖V‖ is ")
    assert partition.not_converged.endswith(" of its start, above 0.001")


@pytest.mark.usefixtures("short_descents")
@pytest.mark.parametrize("size", [400, 1_000])
@pytest.mark.parametrize("draw", [nx.path_graph, nx.cycle_graph])
def test_where_all_weights_are_negative_the_empty_cut_is_proven_optimal(
    size: int, draw: Callable[[int], nx.Graph]
) -> None:
    graph = draw(size)
    nx.set_edge_attributes(graph, -1.0, "weight")
    partition = derandomized_cut(graph)
    assert (partition.cut_value, partition.upper_bound, partition.proven_ratio) == (0, 0, 1)
    assert partition.proven_optimal


@pytest.mark.usefixtures("short_descents")
def test_one_positive_rung_among_negative_edges_gives_a_ratio_between_0_and_1() -> None:
    graph = nx.ladder_graph(100)
    nx.set_edge_attributes(graph, -1.0, "weight")
    graph.edges[50, 150]["weight"] = 0.1
    partition = derandomized_cut(graph)
    assert partition.cut_value == 0  # cutting the rung alone costs at least two edges
    assert partition.proven_ratio == 1


@pytest.mark.usefixtures("short_descents")
def test_a_path_is_cut_at_its_optimum_and_what_is_guaranteed_is_a_number() -> None:
    partition = derandomized_cut(nx.path_graph(2_000))
    assert partition.cut_value == partition.upper_bound == 1_999
    assert partition.proven_optimal
    assert partition.goemans_williamson_mean <= partition.cut_value
    assert partition.guaranteed is not None
    assert 1_600 < partition.guaranteed <= partition.derandomized_cut_value


@pytest.mark.usefixtures("few_steps_here")
def test_who_found_the_cut() -> None:
    graph = nx.gnm_random_graph(600, 3_600, seed=1)
    alone, searched = (derandomized_cut(graph, restarts=n) for n in (0, 1))
    assert alone.search_cut_value is None
    assert alone.derandomized_cut_value <= alone.polished_cut_value <= alone.cut_value
    assert searched.derandomized_cut_value == alone.derandomized_cut_value
    assert searched.polished_cut_value == alone.polished_cut_value
    assert searched.search_cut_value is not None
    assert searched.polished_cut_value < searched.search_cut_value <= searched.cut_value


@pytest.mark.usefixtures("few_steps_here")
@pytest.mark.parametrize("seed", [np.int64(3), np.random.default_rng(3)])
def test_seeds_of_numpy_are_seeds(seed: object) -> None:
    graph = nx.gnm_random_graph(12, 30, seed=0)
    assert derandomized_cut(graph, seed=seed).cut_value > 0  # type: ignore[arg-type]


@pytest.mark.usefixtures("few_steps_here", "short_searches")
def test_an_initial_cut_is_never_lost() -> None:
    graph = nx.gnm_random_graph(60, 240, seed=2)
    good = derandomized_cut(graph, restarts=2)
    again = derandomized_cut(graph, initial_cut=good.sides)
    assert again.cut_value >= good.cut_value
    listed = derandomized_cut(graph, initial_cut=[good.sides[node] for node in graph])
    assert listed.cut_value == again.cut_value


@pytest.mark.usefixtures("few_steps_here")
def test_several_cuts_are_different_and_in_order() -> None:
    graph = nx.gnm_random_graph(30, 100, seed=2)
    partition = derandomized_cut(graph, num_cuts=5)
    cuts = [(partition.sides, partition.cut_value), *partition.other_cuts]
    assert len(cuts) == 5
    values = [value for _, value in cuts]
    assert values == sorted(values, reverse=True)
    assert len({tuple(sides[node] for node in graph) for sides, _ in cuts}) == 5
    for sides, value in cuts:
        assert nx.cut_size(graph, [node for node in graph if sides[node]]) == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"restarts": 1.5}, "restarts is 1.5: it must be a whole number, at least 0"),
        ({"num_cuts": 0}, "num_cuts is 0: it must be at least 1"),
        ({"num_cuts": 10**9}, "num_cuts is 1000000000: it must lie between 1 and 1000"),
        ({"time_limit": "1"}, "time_limit is '1': it must be a number"),
        ({"target": "x"}, "target is 'x': it must be a number"),
        ({"callback": 3}, "callback is 3: it must be a function of a CutProgress"),
        ({"initial_cut": 5}, "initial_cut is 5: it must be a mapping or a list of 0 and 1"),
        ({"initial_cut": np.zeros((3, 2))}, "initial_cut: the side of 0 is array"),
        ({"workers": True}, "workers is True: it must be a whole number"),
        ({"seed": 0.5}, "seed is 0.5: it must be a whole number or a numpy Generator"),
        ({"seed": -1}, "seed is -1: it must lie between 0 and"),
        ({"initial_cut": {0: 1}}, "initial_cut has no side for the node 1"),
        ({"initial_cut": [0, 1]}, "initial_cut has 2 sides for 3 nodes"),
        ({"initial_cut": [0, 1, 2]}, "initial_cut: the side of 2 is 2: it must be 0 or 1"),
    ],
)
def test_an_argument_out_of_range_is_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(derandomized_cut)(nx.path_graph(3), **options)


SCRIPT = """
import networkx as nx
from MAXCUT import derandomized_cut
print(derandomized_cut(nx.petersen_graph(), restarts=2).cut_value)
"""


def test_a_script_without_a_main_guard_may_use_restarts(tmp_path: Path) -> None:
    script = tmp_path / "cut.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "12.0\n", "")


def test_a_partition_file_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "partition.csv"
    graph = Graph(3, np.array([[0, 1]]), np.array([1.0]), ("a", 7, "b, c"))
    write_partition(path, graph, np.array([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]]))
    assert path.read_text() == 'vertex,side1,side2\na,0,0\n7,1,0\n"b, c",0,1\n'
    assert read_partition(path, graph) == {"a": 0, 7: 1, "b, c": 0}
    path.write_text("vertex,side\na,2\n")
    with pytest.raises(ValueError, match="line 2: a line must be a vertex and 0 or 1"):
        read_partition(path, graph)
    path.write_text("vertex,side\nd,1\n")
    with pytest.raises(ValueError, match="line 2: the graph has no vertex 'd'"):
        read_partition(path, graph)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,0\n" + 200_000 * b"x" + b",1\n", r", line 2: field larger than field limit"),
        (b"a,0\n\xff,1\n", r", line 2: the line is not UTF-8"),
        (b"a,0\nb\0,1\n", r", line 2: the line has a NUL byte"),
        (b"a,0\n" + 10_000 * b"x" + b",1\n", r", line 2: the graph has no vertex 'x{60}'"),
        (b'a,0\n"x\ny",1\n\n', r", line 3: the graph has no vertex 'x\\ny'"),
        (b"a,0\na,1\n", r", line 2: the vertex 'a' is listed twice"),
        (b"", ": the file is empty"),
    ],
)
def test_a_broken_partition_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "partition.csv"
    path.write_bytes(content)
    graph = Graph(2, np.array([[0, 1]]), np.array([1.0]), ("a", "b"))
    with pytest.raises(ValueError, match=f"^{path}{message}") as raised:
        read_partition(path, graph)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 400 + len(str(path))


def test_a_partition_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "partition.csv"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    graph = Graph(2, np.array([[0, 1]]), np.array([1.0]))
    with pytest.raises(ValueError, match=f"the file holds more than {MAX_BYTES} bytes"):
        read_partition(path, graph)


@pytest.mark.usefixtures("few_steps_here")
@pytest.mark.parametrize("outlier", [-1e16, -1e14, 1e14])
def test_an_outlier_weight_proves_nothing_about_the_other_edges(outlier: float) -> None:
    graph = nx.gnp_random_graph(60, 0.2, seed=1)
    plain = derandomized_cut(graph)
    assert not plain.proven_optimal
    nx.set_edge_attributes(graph, 1.0, "weight")
    graph.add_edge("a", "b", weight=outlier)
    partition = derandomized_cut(graph)
    assert not partition.proven_optimal
    if outlier < 0:
        assert partition.proven_ratio < 0.99
        assert partition.cut_value >= plain.goemans_williamson_mean - 1


@pytest.mark.usefixtures("short_descents")
def test_the_mean_is_not_above_the_cut_where_rounding_would_put_it() -> None:
    partition = derandomized_cut(nx.star_graph(499))
    assert partition.goemans_williamson_mean <= partition.cut_value == 499
