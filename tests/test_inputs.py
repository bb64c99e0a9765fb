"""A command that reads a file does not resume with other content of that file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derandomization.laboratory import run
from derandomization.laboratory.checkpoints import Checkpoints
from derandomization.laboratory.run import Run
from JohnsonLindenstrauss import main as johnson_lindenstrauss
from MAXCUT import main as maxcut
from MAXCUT.graph import Graph
from MAXCUT.settings import GraphConfig
from MAXCUT.studies import baselines
from NeuralNetworks import own_data


class Seen(Exception):  # noqa: N818 - no error
    """Ends a command once its identity is known."""


def write_graph(path: Path, number: float) -> None:
    path.write_text(f"a b 1\nb c 2\na c {number}\n")


def write_partition(path: Path, number: float) -> None:
    path.write_text(f"vertex,side\na,0\nb,1\nc,{int(number) % 2}\n")


def write_points(path: Path, number: float) -> None:
    np.save(path, np.array([[1.0, 2.0], [3.0, number], [0.0, 1.0]]))


COMMANDS: dict[str, tuple[Any, str, str, Callable[[Path, float], None], dict[str, Any]]] = {
    "graph": (maxcut, "graph_file", "graph.edgelist", write_graph, {}),
    "initial cut": (maxcut, "initial_cut", "partition.csv", write_partition, {}),
    "baselines": (baselines, "graph_file", "graph.edgelist", write_graph, {}),
    "points": (johnson_lindenstrauss, "data", "points.npy", write_points, {"num_components": 1}),
    "table": (own_data, "data", "points.npy", write_points, {"target": "1"}),
}


@pytest.mark.parametrize(
    ("module", "option", "name", "write", "options"), COMMANDS.values(), ids=COMMANDS
)
def test_the_identity_holds_the_content_of_every_file(
    module: Any,
    option: str,
    name: str,
    write: Callable[[Path, float], None],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    identities: list[dict[str, Any]] = []

    def record(path: Path, *, identity: dict[str, Any], **others: object) -> Checkpoints:
        identities.append(identity)
        raise Seen

    monkeypatch.setattr(run, "Checkpoints", record)
    if option == "initial_cut":
        write_graph(tmp_path / "graph.edgelist", 3)
        options = {**options, "graph_file": tmp_path / "graph.edgelist"}
    path = tmp_path / name
    for number in (3, 4, 3):
        write(path, number)
        config = module.Config(
            output_dir=tmp_path / "out", device="cpu", quiet=True, **{option: path}, **options
        )
        with pytest.raises(Seen):
            module.main(config)
    first, other, again = identities
    assert first == again
    assert {name for name in first if first[name] != other[name]} == {"content of the input"}


def test_a_study_refuses_a_graph_that_changes_while_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "graph.edgelist"
    write_graph(path, 3)
    setting = baselines.MethodSetting(GraphConfig(graph_file=path), 0, "another", "uniform, mean")
    with pytest.raises(ValueError, match=r"graph_file is .*: it is not what it was"):
        baselines.cut_and_time(setting, 0)


def test_a_run_with_a_file_must_be_given_its_content(tmp_path: Path) -> None:
    write_graph(tmp_path / "graph.edgelist", 3)
    config = maxcut.Config(output_dir=tmp_path / "out", graph_file=tmp_path / "graph.edgelist")
    with pytest.raises(TypeError, match="the content of graph_file must be given as inputs"):
        Run("MAXCUT", config)
    Run("MAXCUT", config, inputs=Graph(2, np.array([[0, 1]]), np.ones(1)))
