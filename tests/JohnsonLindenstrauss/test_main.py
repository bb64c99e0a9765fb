"""The command: what it writes, that it repeats, and what it refuses."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import JohnsonLindenstrauss.main
from derandomization.laboratory.command_line import launch
from JohnsonLindenstrauss.baselines import guaranteed_distortion
from JohnsonLindenstrauss.main import Config, main
from JohnsonLindenstrauss.model import cube_points, max_distortion

SCRIPT = Path(JohnsonLindenstrauss.main.__file__)
QUIET = {"quiet": True, "figures": False}
SMALL = {"num_points": 10, "dimension": 20, "num_components": 5, "seed": 3}
FIELDS = {
    "max_distortion",
    "random_mean",
    "random_min",
    "worst_of_20_mean",
    "worst_of_20_min",
    "guaranteed_distortion",
    "sigma",
    "relative_random_weights",
    "num_points",
    "steps",
    "perturbations",
    "certificate",
    "seconds",
    "plain_mean_norm",
    "plain_relative_random_weights",
}
CERTIFICATE = {
    "gradient_norm",
    "min_curvature",
    "hessian_lipschitz",
    "hessian_lipschitz_is_estimate",
    "rho",
    "weight_bound",
    "sharp_weight_bound",
    "weight_norm",
}
FIGURES = ["figure6_distortion.png", "figure7_variance.png"]


def call(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def read(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    main(Config(**SMALL, output_dir=folder, quiet=True))
    return folder


def test_every_documented_field_is_written(folder: Path) -> None:
    record = read(folder)
    results = record["results"]
    assert set(results) == FIELDS
    assert set(results["certificate"]) >= CERTIFICATE
    assert record["experiment"] == "JohnsonLindenstrauss"
    assert record["figures"] == FIGURES
    for name in FIGURES:
        assert (folder / name).stat().st_size > 10_000
    assert results["num_points"] == 10
    assert results["max_distortion"] <= 1e-8
    assert results["max_distortion"] < results["random_min"] < results["random_mean"]
    assert results["random_mean"] < results["worst_of_20_mean"]
    assert results["random_min"] < results["worst_of_20_min"]
    assert results["guaranteed_distortion"] == guaranteed_distortion(10, 5)
    assert results["sigma"] == pytest.approx(results["certificate"]["weight_norm"] / 10, rel=1e-9)
    # σ starts at 1/√k.
    assert results["relative_random_weights"] == pytest.approx(results["sigma"] * 5**0.5, rel=1e-9)
    assert results["perturbations"] >= 2


def test_the_embedding_has_the_distortion_reported(folder: Path) -> None:
    embedding = torch.from_numpy(np.load(folder / "embedding.npy"))
    assert embedding.shape == (5, 20)
    points = cube_points(10, 20, torch.Generator().manual_seed(3))
    reported = read(folder)["results"]["max_distortion"]
    assert max_distortion(embedding, points) == pytest.approx(reported, abs=1e-14)


def test_every_claim_is_checked_and_holds(folder: Path) -> None:
    claims = read(folder)["claims"]
    assert [claim["id"] for claim in claims] == ["F6", "T5.5", "F7", "L3.1", "L3.1", "FOSP"]
    assert all(claim["holds"] is True for claim in claims)
    assert all(c["measured"] <= c["reference"] for c in claims if c["id"] in ("F6", "T5.5", "L3.1"))


def test_history_holds_the_arrays_behind_the_figures(folder: Path) -> None:
    results = read(folder)["results"]
    with np.load(folder / "history.npz") as arrays:
        assert len(arrays["value"]) == len(arrays["weight_norm"]) == results["steps"] + 1
        assert arrays["max_distortion"][-1] == results["max_distortion"]
        assert arrays["variance"][-1] == pytest.approx(results["sigma"] ** 2, rel=1e-12)
        assert arrays["variance"][0] == pytest.approx(1 / 5, rel=1e-12)
        assert len(arrays["perturbation_steps"]) == results["perturbations"]
        assert arrays["random_single"].mean() == results["random_mean"]
        assert arrays["random_worst_of_20"].min() == results["worst_of_20_min"]
        assert arrays["sharp_bound_steps"][[0, -1]].tolist() == [0, results["steps"]]
        certified = results["certificate"]["sharp_weight_bound"]
        assert arrays["sharp_bound"][-1] == pytest.approx(certified, rel=1e-9)


def test_the_script_repeats_the_run_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    process = call(*arguments, "--no-figures", cwd=tmp_path)  # and by default writes into results/
    assert process.returncode == 0, process.stderr
    written = tmp_path / "results" / "JohnsonLindenstrauss"
    first, again = read(folder), read(written)
    assert {**first["results"], "seconds": 0} == {**again["results"], "seconds": 0}
    assert first["claims"] == again["claims"]
    assert (folder / "embedding.npy").read_bytes() == (written / "embedding.npy").read_bytes()
    for claim in again["claims"]:
        assert claim["id"] in process.stdout


def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--num-components", "501", "--output-dir", f"{tmp_path}/out"]
    monkeypatch.setattr(sys, "argv", ["main.py", *options])
    with pytest.raises(SystemExit) as stop:
        launch(main, Config)
    assert stop.value.code == 2
    expected = "error: num_components is 501: it must be at most the dimension, 500\n"
    assert capsys.readouterr() == ("", expected)
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_undone_does_not_hold_and_what_is_silent_is_not_claimed(
    tmp_path: Path,
) -> None:
    sizes = {"num_points": 1, "dimension": 2, "num_components": 1}
    main(Config(**sizes, estimator="sampled", steps=20, output_dir=tmp_path, **QUIET))
    results, claims = (read(tmp_path)[key] for key in ("results", "claims"))
    assert results["steps"] == 20
    assert results["guaranteed_distortion"] == 0  # one point has no union bound
    assert "T5.5" not in {claim["id"] for claim in claims}
    holds = {claim["id"]: claim["holds"] for claim in claims}
    assert holds["F6"] is False
    assert holds["F7"] is False
    assert results["certificate"]["weight_bound"] is None
    assert next(claim["holds"] for claim in claims if claim["id"] == "L3.1") is None


def test_a_descent_that_never_left_zero_makes_no_claim_hold(tmp_path: Path) -> None:
    main(Config(**(SMALL | {"steps": 1}), output_dir=tmp_path, **QUIET))
    holds = {claim["id"]: claim["holds"] for claim in read(tmp_path)["claims"]}
    assert [holds[id] for id in ("F6", "T5.5", "F7", "FOSP")] == [False] * 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_points": 0}, "num_points is 0: it must be at least 1"),
        ({"dimension": -5}, "dimension is -5: it must be at least 1"),
        ({"num_components": 0}, "num_components is 0: it must be at least 1"),
        ({"dimension": 29}, "num_components is 30: it must be at most the dimension, 29"),
        ({"steps": 0}, "steps is 0: it must be at least 1"),
        ({"seed": -1}, "seed is -1: it must lie between 0 and"),
    ],
)
def test_a_setting_out_of_range_is_named(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Config(**changed)


def test_the_defaults_are_the_papers() -> None:
    config = dataclasses.asdict(Config())
    assert (config["num_points"], config["dimension"], config["num_components"]) == (100, 500, 30)
    assert config["output_dir"] == Path("results/JohnsonLindenstrauss")
    assert config["estimator"] == "exact"
