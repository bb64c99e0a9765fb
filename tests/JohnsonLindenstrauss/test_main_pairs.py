"""``--pairs`` and ``--data`` from the command's own entry."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.command_line import launch
from JohnsonLindenstrauss.main import Config, main
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pairs import exact_ratio_range

QUIET = {"quiet": True, "figures": False}
SMALL = {"num_points": 25, "dimension": 40, "num_components": 8, "steps": 600, "seed": 3}
FIGURES = ["figure6_distortion.png", "figure7_variance.png", "histogram.png", "shepard.png"]
FIELDS = {
    "max_distortion",
    "random_mean",
    "random_min",
    "random_draws",
    "pca",
    "pca_rescaled",
    "lower_bound",
    "proven_ratio",
    "guaranteed_distortion",
    "sigma",
    "relative_random_weights",
    "num_points",
    "copies",
    "num_pairs",
    "steps",
    "seconds",
}


def read(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    main(Config(**SMALL, pairs=True, output_dir=folder, quiet=True))
    return folder


def test_every_documented_field_and_figure_is_written(folder: Path) -> None:
    record = read(folder)
    results = record["results"]
    assert set(results) == FIELDS
    assert record["figures"] == FIGURES
    for name in FIGURES:
        assert (folder / name).stat().st_size > 10_000
    assert results["num_pairs"] == 25 * 24 // 2
    assert results["random_draws"] == 1000
    assert results["max_distortion"] < results["random_min"] < results["random_mean"]
    assert results["max_distortion"] < results["pca_rescaled"] <= results["pca"]
    assert 0 < results["lower_bound"] < results["max_distortion"]
    assert results["proven_ratio"] == results["lower_bound"] / results["max_distortion"]
    assert [claim["id"] for claim in record["claims"]] == ["F6", "F6", "T5.5", "F7", "F6"]
    assert all(claim["holds"] is True for claim in record["claims"])


def test_the_embedding_has_the_distortion_reported(folder: Path) -> None:
    embedding = torch.from_numpy(np.load(folder / "embedding.npy"))
    points = cube_points(25, 40, torch.Generator().manual_seed(3))
    reported = read(folder)["results"]["max_distortion"]
    assert exact_ratio_range(embedding, points).distortion == pytest.approx(reported, rel=1e-9)


def test_the_history_holds_the_arrays_behind_the_figures(folder: Path) -> None:
    results = read(folder)["results"]
    with np.load(folder / "history.npz") as arrays:
        assert len(arrays["value"]) == results["steps"] <= 600
        assert len(arrays["variance"]) == 300  # the steps in which the embedding is random
        assert arrays["variance"][-1] == pytest.approx(results["sigma"] ** 2)
        assert len(arrays["rounds"]) == len(arrays["max_distortion"])
        assert arrays["random"].mean() == pytest.approx(results["random_mean"])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command with these arguments, in this process and in the test's folder."""

    def run(*arguments: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["main.py", *arguments])
        launch(main, Config)

    return run


def test_a_file_with_copies_and_constant_columns_is_embedded_with_warnings(
    tmp_path: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    points = np.random.default_rng(0).normal(size=(12, 6))
    points[:, 2] = 7
    np.save(tmp_path / "points.npy", points[[*range(12), 4]])
    arguments = ["--pairs", "--data", "points.npy", "--num-components", "3", "--steps", "200"]
    command(*arguments, "--output-dir", "out", "--no-figures")
    printed = capsys.readouterr().out
    assert "1 of 6 columns are constant" in printed
    assert "1 points equal earlier ones" in printed
    results = read(tmp_path / "out")["results"]
    assert (results["num_points"], results["copies"]) == (12, 1)


def test_what_can_t_be_embedded_is_one_line(
    tmp_path: Path, command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "nan.npy", np.array([[1, np.nan], [2, 3]]))
    with pytest.raises(SystemExit) as stop:
        command("--pairs", "--data", "nan.npy", "--num-components", "1")
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: nan.npy: row 1, column 2 is nan: no number\n"
    assert not (tmp_path / "results").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (np.ones((5, 4)), {"pairs": True}, "all points are equal"),
        (np.ones((1, 4)), {"pairs": True}, "all points are equal"),
        (np.eye(4), {"num_components": 5}, "num_components is 5: it must be at most"),
        (np.zeros((3, 4)), {}, "row 1 is all zeros"),
        (np.eye(4)[:, :3], {"pairs": True, "normalize": True}, "row 4 is all zeros"),
    ],
)
def test_points_that_can_t_be_embedded_are_named(
    table: np.ndarray, options: dict, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "points.npy"
    np.save(path, table)
    chosen = {"num_components": 2} | options
    with pytest.raises(ValueError, match=message):
        main(Config(**chosen, data=path, output_dir=tmp_path / "out", quiet=True))


def test_points_of_a_file_are_normalised_unless_pairs_are_kept(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(6, 8)) * 9
    np.savetxt(tmp_path / "points.csv", points, delimiter=",")
    sizes = {"num_components": 3, "steps": 400}
    main(Config(data=tmp_path / "points.csv", **sizes, output_dir=tmp_path, **QUIET))
    assert read(tmp_path)["results"]["max_distortion"] < 0.1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"block_size": 0}, "block_size is 0"),
        ({"pairs": True, "estimator": "sampled"}, "estimator is sampled"),
        ({"objective": "exceedance", "estimator": "sampled"}, "estimator is sampled"),
        ({"pairs": True, "objective": "exceedance"}, "objective is exceedance"),
    ],
)
def test_settings_that_exclude_each_other_are_named(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Config(**changed)


def test_the_exceedance_objective_ends_within_its_epsilon(tmp_path: Path) -> None:
    sizes = {"num_points": 12, "dimension": 20, "num_components": 6, "steps": 800}
    main(Config(**sizes, objective="exceedance", output_dir=tmp_path, **QUIET))
    holds = {claim["id"]: claim["holds"] for claim in read(tmp_path)["claims"]}
    assert holds["F7"] is True
    assert holds["T5.5"] is True
