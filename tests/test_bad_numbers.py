"""On numbers at the ends of float64, each main gives finite results or one line of error."""

import json
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import networkx as nx
import numpy as np
import pytest
from matplotlib.figure import Figure

import JohnsonLindenstrauss.main
import MAXCUT.main
import NeuralNetworks.experiment
import NeuralNetworks.main
from derandomization.laboratory.figures import save
from MAXCUT.graph import Graph
from MAXCUT.partition import derandomized_cut

POINTS = np.random.default_rng(0).standard_normal((8, 5))


@pytest.fixture(autouse=True)
def png_figures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw figures as PNG only: a PDF or a GIF of the same numbers takes as long again."""

    def png_only(figure: Figure, path: Path) -> None:
        if path.suffix == ".png":
            save(figure, path)
        else:
            path.touch()

    monkeypatch.setattr("derandomization.laboratory.run.save", png_only)
    monkeypatch.setattr(
        "derandomization.laboratory.run.save_animation", lambda _, path: path.touch()
    )


@pytest.fixture(autouse=True)
def no_toy_neurons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of figures 1 and 2 have settings of their own, whatever the options are."""
    monkeypatch.setattr(NeuralNetworks.experiment, "_toy_neuron", lambda run, config: None)


def results(main: ModuleType, folder: Path, **options: object) -> dict:
    """Return the results.json of a short run; numpy's warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        main.main(main.Config(output_dir=folder / "out", quiet=True, steps=3, **options))
    return json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))


def numbers(value: object) -> Iterator[float]:
    """Yield every number in a part of results.json."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float):
        yield value


def graph_file(folder: Path, text: str) -> Path:
    path = folder / "graph.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "optimum"),
    [
        ("2 1\n1 2\n", 1),
        ("3 2\n1 2 -1\n2 3 -2\n", 0),
        ("3 2\n1 2 2e29\n2 3 2e29\n", 4e29),
        ("3 2\n1 2 1e-29\n2 3 2e-29\n", 3e-29),
        ("4 3\n1 2 1e30\n2 3 1\n3 4 1e-300\n", 1e30),
        ("5 1\n2 4\n", 1),
    ],
)
def test_graphs_are_cut(text: str, optimum: float, tmp_path: Path) -> None:
    record = results(MAXCUT.main, tmp_path, graph_file=graph_file(tmp_path, text))
    found = record["results"]
    assert all(map(math.isfinite, numbers(found)))
    assert found["cut_value"] == pytest.approx(optimum, rel=1e-12)
    assert found["upper_bound"] >= optimum * (1 - 1e-12)
    assert found["proven_ratio"] > 0.99


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "3 2\n1 2 1e300\n2 3 1e300\n",
            "the graph's largest weight is 1e+300: it must lie between",
        ),
        ("3 2\n1 2 1.7e308\n2 3 1.7e308\n", "the weights are so large that their sum overflows"),
        ("2 1\n1 2 5e-324\n", "the graph's largest weight is 4.94066e-324: it must lie between"),
        ("2 1\n1 2 1e-400\n", "the graph has no edge to cut"),
        ("1 0\n", "the graph has no edge to cut"),
        ("2 1\n1 2 -0\n", "the graph has no edge to cut"),
    ],
)
def test_graphs_are_refused_by_their_file(text: str, message: str, tmp_path: Path) -> None:
    path = graph_file(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        results(MAXCUT.main, tmp_path, graph_file=path)
    assert str(path) in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.filterwarnings("ignore:1 self-loop")
@pytest.mark.parametrize(
    "graph",
    [
        nx.Graph(),
        nx.empty_graph(1),
        nx.Graph([(0, 0)]),
        Graph(0, np.zeros((0, 2), int), np.ones(0)),
    ],
)
def test_nothing_to_cut(graph: nx.Graph | Graph) -> None:
    with pytest.raises(ValueError, match=r"^the graph has no edge to cut$"):
        derandomized_cut(graph)


@pytest.mark.parametrize(
    ("ends", "weight", "message"),
    [
        ([[0, 1]], math.nan, "the weight of the edge 0 – 1 is nan"),
        ([[0, 1]], -math.inf, "the weight of the edge 0 – 1 is -inf"),
        ([[0, 1]], 1e31, "the graph's largest weight is 1e+31"),
        ([[0, 5]], 1.0, "an edge ends outside the vertices 0 to 1"),
    ],
)
def test_graphs_made_by_hand_are_checked_too(ends: list, weight: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        derandomized_cut(Graph(2, np.array(ends), np.array([weight])))


@pytest.mark.parametrize("weight", [1e-30, 1e30])
def test_restarts_add_up_the_largest_and_the_smallest_weights(weight: float) -> None:
    graph = nx.cycle_graph(5)
    nx.set_edge_attributes(graph, weight, "weight")
    partition = derandomized_cut(graph, restarts=1, workers=1)
    assert partition.cut_value == pytest.approx(4 * weight)
    assert 0.87 < partition.proven_ratio <= 1


@pytest.mark.parametrize(
    "option", [{"seed": -1}, {"seed": 10**30}, {"workers": 0}, {"restarts": -1}]
)
def test_options_are_named(option: dict[str, int]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"^{name} is {option[name]}: it must"):
        derandomized_cut(nx.path_graph(3), **option)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize(
    ("points", "k"),
    [
        (POINTS * 1e-320, 1),
        (np.sign(POINTS) * 1.7e308, 2),
        (POINTS + 1e15, 5),
        (POINTS[:2], 1),
    ],
    ids=["denormal", "largest", "offset", "two"],
)
def test_points_are_embedded(points: np.ndarray, k: int, pairs: bool, tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", points)
    record = results(
        JohnsonLindenstrauss.main,
        tmp_path,
        data=tmp_path / "points.npy",
        num_components=k,
        pairs=pairs,
    )
    assert all(map(math.isfinite, numbers(record["results"])))
    assert np.isfinite(np.load(tmp_path / "out" / "embedding.npy")).all()
    if pairs and len(points) == 2:
        assert record["results"]["max_distortion"] < 1e-15
        assert False not in [claim["holds"] for claim in record["claims"]]


@pytest.mark.parametrize(
    ("points", "pairs", "message"),
    [
        (np.vstack([POINTS, np.zeros(5)]), False, "row 9 is all zeros: it can't be normalised"),
        (POINTS[:1], True, "all points are equal"),
        (np.ones((3, 5)), True, "all points are equal"),
        (np.vstack([POINTS, np.full(5, 1e300)]), True, "two points are too close together"),
    ],
)
def test_points_are_refused_by_their_file(
    points: np.ndarray, pairs: bool, message: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "points.npy", points)
    options = {"data": tmp_path / "points.npy", "pairs": pairs, "num_components": 1}
    with pytest.raises(ValueError, match=message) as raised:
        results(JohnsonLindenstrauss.main, tmp_path, **options)
    assert str(tmp_path / "points.npy") in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("sizes", [(1, 3, 1), (1, 3, 3), (4, 1, 1)])
@pytest.mark.parametrize("pairs", [False, True])
def test_the_smallest_random_points(
    sizes: tuple[int, int, int], pairs: bool, tmp_path: Path
) -> None:
    n, d, k = sizes
    options = {"num_points": n, "dimension": d, "num_components": k, "pairs": pairs}
    if pairs:
        with pytest.raises(
            ValueError, match=f"num_points is {n}, dimension is {d}: all points are"
        ):
            results(JohnsonLindenstrauss.main, tmp_path, **options)
    else:
        found = results(JohnsonLindenstrauss.main, tmp_path, **options)["results"]
        assert all(map(math.isfinite, numbers(found)))


@pytest.mark.parametrize(
    "option",
    [{"noise": 1e100}, {"noise": 5e-324}, {"regularization": 1e100}, {"regularization": 5e-324}],
)
def test_students_are_trained(option: dict[str, float], tmp_path: Path) -> None:
    found = results(NeuralNetworks.main, tmp_path, width=1, **option)["results"]
    assert all(map(math.isfinite, numbers(found)))
