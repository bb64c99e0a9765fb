"""The command: what it writes, that it repeats, and what it refuses."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

import NeuralNetworks.main
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.run import Claim, Run
from NeuralNetworks import experiment, toy
from NeuralNetworks.activations import rectified_moments
from NeuralNetworks.main import Config, main

SCRIPT = Path(NeuralNetworks.main.__file__)
FIELDS = {
    "weight_norm",
    "orthogonal_norm",
    "relative_orthogonal_norm",
    "parallel_norm",
    "reason",
    "risk",
    "steps",
    "perturbations",
    "certificate",
    "toy_frozen_threshold",
    "seconds",
}
CERTIFICATE = {
    "gradient_norm",
    "min_curvature",
    "hessian_lipschitz",
    "hessian_lipschitz_is_estimate",
    "rho",
    "weight_bound",
    "sharp_weight_bound",
    "gaussian_bound",
    "gaussian_sharp_bound",
    "weight_norm",
}
FIGURES = [
    "figure1_frozen_bias.png",
    "figure2_trained_bias.png",
    "figure3_collapse.png",
    "figure3_weight_norm.png",
    "figure3_singular_values.png",
    "figure3_collapse.gif",
]
SMALL = {"width": 40, "regularization": 1e-3, "steps": 400, "seed": 3}


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
    assert record["experiment"] == "NeuralNetworks"
    assert record["figures"] == FIGURES
    for name in FIGURES:
        assert (folder / name).stat().st_size > 10_000
    assert results["steps"] == 400
    assert results["relative_orthogonal_norm"] <= 1e-6
    ratio = results["orthogonal_norm"] / results["weight_norm"]
    assert results["relative_orthogonal_norm"] == ratio
    assert results["certificate"]["weight_norm"] == pytest.approx(
        results["orthogonal_norm"], rel=1e-9
    )
    assert round(results["toy_frozen_threshold"], 4) == 0.4501


def test_every_claim_is_checked_and_holds(folder: Path) -> None:
    claims = {claim["id"]: claim for claim in read(folder)["claims"]}
    assert list(claims) == ["F1", "F2", "F3", "T4.1", "L3.1"]
    assert all(claim["holds"] is True for claim in claims.values())
    assert claims["T4.1"]["measured"] <= claims["T4.1"]["reference"]
    assert claims["L3.1"]["measured"] <= claims["L3.1"]["reference"]


def test_history_holds_the_arrays_behind_the_figures(folder: Path) -> None:
    results = read(folder)["results"]
    with np.load(folder / "history.npz") as arrays:
        assert len(arrays["value"]) == len(arrays["weight_norm"]) == 401
        assert arrays["weight_norm"][-1] == results["orthogonal_norm"]
        assert arrays["total_weight_norm"][-1] == results["weight_norm"]
        assert len(arrays["perturbation_steps"]) == results["perturbations"]
        assert arrays["snapshot_steps"][[0, -1]].tolist() == [0, 400]
        assert arrays["snapshot_weights"].shape == (len(arrays["snapshot_steps"]), 40, 2)
        end = arrays["snapshot_weights"][-1]
        assert np.abs(end[:, 0] - end[:, 1]).max() < 1e-5  # on span(u), u = (1, 1)/√2
        assert np.array_equal(arrays["toy_regularizations"], experiment.TOY_REGULARIZATIONS)


def test_the_same_seed_repeats_the_run_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    # By default it writes into results/NeuralNetworks.
    arguments = [f"--{name}={value}" for name, value in SMALL.items()]
    process = call(*arguments, "--no-figures", cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    again = read(tmp_path / "results" / "NeuralNetworks")
    assert again["figures"] == []
    assert not list((tmp_path / "results" / "NeuralNetworks").glob("*.[pg]*f"))
    first = read(folder)
    assert {**first["results"], "seconds": 0} == {**again["results"], "seconds": 0}
    assert first["claims"] == again["claims"]
    for claim in again["claims"]:
        assert claim["id"] in process.stdout


def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["main.py", "--width", "-3", "--output-dir", f"{tmp_path}/out"]
    )
    with pytest.raises(SystemExit) as stop:
        launch(main, Config)
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", "error: width is -3: it must be at least 1\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "TOY_REGULARIZATIONS", np.array([0.44, 0.46]))


@pytest.fixture
def only_figure_3s_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_toy_neuron", "_draw"):
        monkeypatch.setattr(experiment, name, lambda *_: None)


def toy_claims(folder: Path) -> dict[str, Claim]:
    config = Config(output_dir=folder, quiet=True)
    run = Run("NeuralNetworks", config)
    experiment._toy_neuron(run, config)
    return {claim.id: claim for claim in run.claims}


def test_the_toy_claims_fail_with_a_wrong_moment(
    tmp_path: Path, quick_toy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(bias: Tensor, deviation: Tensor, order: int) -> list[Tensor]:
        moments = rectified_moments(bias, deviation, order)
        return [*moments[:6], 1.01 * moments[6]]

    assert toy_claims(tmp_path)["F1"].holds is True
    monkeypatch.setattr(toy, "rectified_moments", wrong)
    claims = toy_claims(tmp_path)
    assert claims["F1"].holds is False
    assert abs(claims["F1"].measured - 0.4501) > 1e-3
    assert claims["F2"].holds is False  # b* is no longer 1


def verdicts(folder: Path, **options: object) -> dict[str, list[bool | None]]:
    """Run with these options; what each claim says, by its id."""
    main(Config(output_dir=folder, quiet=True, **options))  # type: ignore[arg-type]
    found: dict[str, list[bool | None]] = {}
    for claim in read(folder)["claims"]:
        found.setdefault(claim["id"], []).append(claim["holds"])
    return found


def test_in_twenty_dimensions_a_short_descent_refutes_no_theorem(
    tmp_path: Path, only_figure_3s_claims: None
) -> None:
    found = verdicts(
        tmp_path, activation="tanh", dimension=20, width=20, regularization=1e-4, steps=150
    )
    assert False not in found["T4.1"] + found["L3.1"]
    assert found["L3.1"] == [True, True]  # by the rule that is exact at W⊥ = 0, and Gaussian points
    results = read(tmp_path)["results"]
    assert results["orthogonal_norm"] > 0.1
    gaussian = results["on_gaussian_points"]
    assert gaussian["weight_norm"] == pytest.approx(results["orthogonal_norm"], rel=1e-9)
    assert gaussian["stein_defect"] < results["certificate"]["stein_defect"]


def test_with_frozen_weights_or_biases_nothing_is_claimed_to_vanish(
    tmp_path: Path, only_figure_3s_claims: None
) -> None:
    for frozen in (("weight", "output"), ("bias", "output")):
        found = verdicts(tmp_path, frozen=frozen, width=20, steps=20)
        assert found["F3"] == [None]
        assert found["T4.1"] == [None]
        assert found["L3.1"] != [False]


@pytest.mark.parametrize(("dimension", "estimator"), [(3, "exact"), (5, "sampled")])
def test_beyond_the_plane_it_draws_u_and_one_direction_across(
    dimension: int, estimator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "_toy_neuron", lambda run, config: None)
    config = Config(
        dimension=dimension,
        estimator=estimator,
        width=8,
        regularization=1e-2,
        steps=20,
        output_dir=tmp_path,
        figures=False,
        quiet=True,
    )
    main(config)
    record = read(tmp_path)
    assert record["results"]["certificate"]["weight_norm"] > 0
    with np.load(tmp_path / "history.npz") as arrays:
        assert arrays["snapshot_weights"].shape[1:] == (8, 2)
        along = np.linalg.norm(arrays["snapshot_weights"][0, :, 0])
        across = arrays["weight_norm"][0]
        assert np.hypot(along, across) == pytest.approx(arrays["total_weight_norm"][0], rel=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dimension": 1}, "dimension is 1: it must be at least 2"),
        ({"indices": 2}, "indices is 2: it must be below dimension, which is 2"),
        ({"noise": -1.0}, r"noise is -1\.0: it must lie between 0 and inf"),
        ({"depth": 1}, "depth is 1: it must lie between 2 and 1000"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0: it must be a finite number above 0"),
        ({"width": 0}, "width is 0: it must be at least 1"),
        ({"regularization": 0.0}, r"regularization is 0\.0: it must be a finite number above 0"),
        ({"regularization": -1e-5}, "regularization is -1e-05"),
        ({"regularization": float("nan")}, "regularization is nan"),
        ({"steps": 0}, "steps is 0: it must be at least 1"),
        ({"seed": -1}, "seed is -1: it must lie between 0 and"),
    ],
)
def test_a_setting_out_of_range_is_named(changed: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Config(**changed)


def test_the_defaults_are_the_papers() -> None:
    config = dataclasses.asdict(Config())
    assert (config["dimension"], config["width"], config["regularization"]) == (2, 1000, 1e-5)
    assert config["output_dir"] == Path("results/NeuralNetworks")
    assert config["frozen"] == ("output",)
