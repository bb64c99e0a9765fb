import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import MAXCUT.experiment
import MAXCUT.optimizer
from derandomization.laboratory.command_line import launch
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.main import Config, main
from MAXCUT.sdp import sample_hyperplanes

FIELDS = {
    "cut_value",
    "optimum",
    "upper_bound",
    "proven_ratio",
    "sdp_value",
    "goemans_williamson_mean",
    "derandomized_cut_value",
    "polished_cut_value",
    "search_cut_value",
    "goemans_williamson_best",
    "converged",
    "relative_random_weights",
    "certificate",
    "num_vertices",
    "num_edges",
    "seconds",
}
QUIET = {"quiet": True, "figures": False}


def results_of(config: Config) -> dict:
    main(config)
    record = json.loads((config.output_dir / "results.json").read_text())
    assert set(record["results"]) >= FIELDS
    return record


def test_default_run_reproduces_figures_4_and_5(tmp_path: Path) -> None:
    record = results_of(Config(output_dir=tmp_path, quiet=True))
    numbers = record["results"]
    assert numbers["cut_value"] == numbers["optimum"] == 41
    assert numbers["num_edges"] == 62
    assert numbers["goemans_williamson_mean"] == pytest.approx(39.38, abs=0.05)
    assert numbers["relative_random_weights"] <= 1e-3
    assert numbers["optimum"] <= numbers["upper_bound"]
    assert numbers["proven_ratio"] == numbers["cut_value"] / numbers["upper_bound"]
    assert {claim["id"] for claim in record["claims"]} == {"F4", "T5.2", "F5", "L3.1"}
    assert all(claim["holds"] for claim in record["claims"])
    for name in record["figures"]:
        assert (tmp_path / name).stat().st_size > 10_000
    lines = (tmp_path / "partition.csv").read_text().splitlines()
    assert len(lines) == 16
    with np.load(tmp_path / "history.npz") as history:
        assert history["cut_value"][-1] == 41
        assert len(history["cut_value"]) == numbers["steps"] + 1


def test_same_seed_gives_the_same_results(tmp_path: Path) -> None:
    first, second = (
        results_of(Config(output_dir=tmp_path / name, graph_size=9, seed=5, steps=50, **QUIET))[
            "results"
        ]
        for name in ("a", "b")
    )
    first.pop("seconds")
    second.pop("seconds")
    assert first == second


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, which take most of the time."""
    monkeypatch.setattr(MAXCUT.experiment, "_draw", lambda *_: None)


def verdicts(record: dict) -> list[tuple[str, bool | None]]:
    return [(claim["id"], claim["holds"]) for claim in record["claims"]]


def sign_of_the_mean(graph: Graph, mean_signs: np.ndarray) -> np.ndarray:
    return np.where(mean_signs >= 0, 1.0, -1.0)


def random_signs(graph: Graph, mean_signs: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], graph.num_vertices)


@pytest.mark.usefixtures("undrawn")
def test_a_descent_cut_short_keeps_its_randomness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MAXCUT.optimizer, "conditional_rounding", sign_of_the_mean)
    found = verdicts(results_of(Config(output_dir=tmp_path, steps=1, quiet=True)))
    # While V is large little is guaranteed, and sign(μ) may be above or below it. The cut returned
    # reaches the mean: a hyperplane does.
    assert found[:2] + found[3:5] == [
        ("F4", False),
        ("T5.2", False),
        ("T5.2", True),
        ("F5", False),
    ]
    assert found[5:] == [("L3.1", None)] * 2


@pytest.mark.usefixtures("undrawn", "short_descents")
@pytest.mark.parametrize(
    ("rounding", "kept"),
    [
        (MAXCUT.optimizer.conditional_rounding, True),
        (random_signs, False),
    ],
)
def test_a_path_keeps_what_is_guaranteed_only_if_rounded_by_expectations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounding: Any, kept: bool
) -> None:
    monkeypatch.setattr(MAXCUT.optimizer, "conditional_rounding", rounding)
    path = tmp_path / "path.edgelist"
    path.write_text("".join(f"{i} {i + 1}\n" for i in range(99)))
    config = Config(graph_file=path, seed=0, output_dir=tmp_path / "out", quiet=True)
    record = results_of(config)
    guaranteed = record["results"]["guaranteed_cut"]
    (claim,) = [each for each in record["claims"] if each["reference"] == guaranteed]
    assert (claim["id"], claim["reference_kind"], claim["holds"]) == ("T5.2", "bound", kept)
    assert 80 < guaranteed < record["results"]["goemans_williamson_mean"] <= 99


@pytest.mark.usefixtures("undrawn")
def test_a_cut_below_the_mean_of_the_hyperplanes_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(graph: Graph, *_: object) -> np.ndarray:
        return np.ones(graph.num_vertices)

    def no_good_hyperplane(graph: Graph, *options: Any) -> tuple[np.ndarray, np.ndarray]:
        return sample_hyperplanes(graph, *options)[0], nothing(graph)

    for name in ("conditional_rounding", "one_flip_optimum", "good_hyperplane"):
        monkeypatch.setattr(MAXCUT.optimizer, name, nothing)
    monkeypatch.setattr(MAXCUT.experiment, "sample_hyperplanes", no_good_hyperplane)
    monkeypatch.setattr(ExpectedCut, "signs", lambda self: np.ones(len(self.mean)))
    monkeypatch.setattr(MAXCUT.optimizer, "_polished_hyperplanes", lambda *_: [])
    found = verdicts(results_of(Config(output_dir=tmp_path, steps=50, quiet=True)))
    assert found[:4] == [("F4", False)] + [("T5.2", False)] * 3


@pytest.mark.usefixtures("short_descents")
def test_large_graph_has_no_enumerated_optimum(tmp_path: Path) -> None:
    config = Config(output_dir=tmp_path, graph_size=40, edge_probability=0.2, **QUIET)
    numbers = results_of(config)["results"]
    assert numbers["optimum"] is None
    assert 0.9 < numbers["proven_ratio"] <= 1
    assert numbers["cut_value"] >= numbers["goemans_williamson_mean"]


@pytest.mark.usefixtures("few_steps_here")
def test_a_graph_of_ones_own_is_cut_under_its_own_names(tmp_path: Path) -> None:
    file = tmp_path / "towns.edgelist"
    file.write_text("bern basel 2\nbasel chur 1.5\nchur bern 0.25\nchur zug -1\n")
    folder = tmp_path / "out"
    numbers = results_of(Config(graph_file=file, output_dir=folder, **QUIET))["results"]
    assert numbers["cut_value"] == numbers["optimum"] == 3.5
    assert numbers["derandomized_cut_value"] <= numbers["cut_value"] <= numbers["upper_bound"]
    heading, *lines = (folder / "partition.csv").read_text().splitlines()
    sides = dict(line.split(",") for line in lines)
    assert heading == "vertex,side"
    assert sides["basel"] != sides["bern"] == sides["chur"] == sides["zug"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"graph_size": 1}, "graph_size is 1: it must be at least 2"),
        ({"edge_probability": 2.0}, "edge_probability is 2.0: it must lie between 0 and 1"),
        ({"edge_probability": float("nan")}, "edge_probability is nan"),
        ({"steps": 0}, "steps is 0: it must be at least 1"),
        ({"restarts": -1}, "restarts is -1: it must lie between 0 and 100000"),
    ],
)
def test_settings_out_of_range_are_named(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Config(**options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--edge-probability", "2"], "edge_probability is 2.0: it must lie between 0 and 1"),
        (["--edge-probability", "0"], "edge_probability is 0.0: the graph has no edge to cut"),
        (["--graph-file", "no.mtx"], "graph_file is no.mtx: it can't be read (No such file"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_no_folder(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["main.py", *arguments, "--output-dir", str(folder)])
    with pytest.raises(SystemExit) as stop:
        launch(main, Config)
    assert stop.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: ")
    assert words in errors
    assert errors.count("\n") == 1
    assert not folder.exists()
