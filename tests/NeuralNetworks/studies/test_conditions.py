"""biases, regularization, smoothing, depth, losses, multi-index, all made small."""

import csv
import json
import math
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.studies import STUDIES, conditions
from NeuralNetworks.studies.training import Setting, accuracy_for

# What makes each study quick: constants of the module, and options.
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "biases": ({"BIASES_REGULARIZATIONS": (1e-4,)}, {"width": 10}),
    "regularization": (
        {"REGULARIZATIONS": (1e-2,), "ACCURACIES": (1e-2, 1e-3)},
        {"width": 5, "seeds": 1},
    ),
    "smoothing": ({"SHARPNESSES": (2.0, math.inf)}, {"width": 5, "steps": 60}),
    "depth": (
        {"DEPTHS": (2,), "WIDTHS": (10,), "DEPTHS_IN_20_DIMENSIONS": (2,), "WIDTH_OF_DEEP": 10},
        {"steps": 300},
    ),
    "losses": ({}, {"width": 2, "steps": 40, "seeds": 1}),
    "multi-index": ({"INDICES": (1, 3)}, {"dimension": 6, "width": 10, "regularization": 1e-2}),
}
IDS = {
    "biases": "BIAS",
    "regularization": "REG",
    "smoothing": "IOTA",
    "depth": "DEPTH",
    "losses": "LOSS",
    "multi-index": "T4.1",
}


def run_small(study: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict:
    """The record of a small run of the study."""
    command = pkgutil.resolve_name(STUDIES[study])
    constants, settings = SMALL[study]
    for name, value in constants.items():
        monkeypatch.setattr(conditions, name, value)
    chosen = {"seeds": 2, **settings, **options}
    command.main(command.Config(output_dir=folder, quiet=True, workers=1, **chosen))
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("study", SMALL)
def test_a_study_writes_its_numbers_and_its_claims(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_small(study, tmp_path, monkeypatch)
    seeds = record["config"]["seeds"]
    assert record["experiment"] == f"NeuralNetworks/{study}"
    rows = record["results"]["rows"]
    assert {claim["id"] for claim in record["claims"]} == {IDS[study], "T4.1", "L3.1"}
    refuted = [claim["statement"] for claim in record["claims"] if claim["holds"] is False]
    assert refuted == []
    assert any(c["id"] == IDS[study] and c["holds"] is True for c in record["claims"])
    for row in rows:
        assert len(row["measured"]["relative_orthogonal_norm"]["values"]) == seeds
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == seeds * len(rows)
    assert [float(line["risk"]) for line in table[:seeds]] == rows[0]["measured"]["risk"]["values"]
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000


@pytest.mark.parametrize("study", ["regularization", "smoothing", "depth", "losses"])
def test_descents_that_end_too_early_refute_the_claim(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run_small(study, tmp_path, monkeypatch, seeds=1, steps=3)
    claim = next(claim for claim in record["claims"] if claim["id"] == IDS[study])
    assert claim["holds"] is False


def test_frozen_biases_refute_every_claim_of_regularization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W⊥ stays at second-order points: at every λ and however small PGD's accuracy."""

    def frozen(setting: Setting, seed: int) -> dict[str, float]:
        broken = replace(setting, frozen=("output", "bias"), bias_deviation=1.0, nodes=(24, 16))
        return measure(replace(broken, regularization=1e-4), seed)

    measure = conditions.train_and_certify
    monkeypatch.setattr(conditions, "train_and_certify", frozen)
    record = run_small("regularization", tmp_path, monkeypatch, width=20, seeds=1, steps=500)
    claims = [(claim["id"], claim["holds"]) for claim in record["claims"]]
    assert claims[:2] == [("REG", False), ("L3.1", False)]
    assert claims[2] == ("T4.1", None)  # the lemma gives no bound where b is frozen
    assert "no bound on 3 of 3 runs" in record["claims"][2]["statement"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", RunConfig(output_dir=tmp_path, quiet=True))


def frozen_row(**changed: float) -> Row[Setting]:
    """A frozen run that ends at a strict minimiser with ‖W⊥‖ = 1 and ‖W‖ = 2."""
    measured = {
        "orthogonal_norm": 1.0,
        "relative_orthogonal_norm": 0.5,
        "gradient_norm": 1e-8,
        "min_curvature": 1e-3,
        "min_curvature_residual": 0.0,
        "hessian_lipschitz": 1.0,
    }
    setting = Setting(regularization=1e-5, frozen=("output", "bias"), accuracy=accuracy_for(1e-5))
    arrays = {name: np.array([value]) for name, value in (measured | changed).items()}
    return Row(setting, "frozen", arrays)


@pytest.mark.parametrize(
    ("changed", "share"),
    [
        ({}, (1 - 2e-5) / (2 + 2e-5)),  # the minimiser is within 2e-5
        ({"gradient_norm": 1e-6}, 0.0),  # K‖∇f‖ > λ_min²/2: none is certain
        ({"min_curvature": -1e-3}, 0.0),  # a saddle
        ({"min_curvature_residual": 1e-3}, 0.0),  # perhaps a saddle
        ({"orthogonal_norm": 1e-9, "relative_orthogonal_norm": 1e-9}, 0.0),  # it vanishes
    ],
)
def test_only_a_certain_minimiser_shows_that_weights_stay(
    changed: dict[str, float], share: float
) -> None:
    assert conditions.certain_shares(frozen_row(**changed)) == pytest.approx([share])


def test_frozen_biases_that_vanish_refute_the_claim_about_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conditions, "claim_second_order", lambda *_: None)
    conditions._claim_biases(run, [frozen_row(), frozen_row()])
    vanished = {"orthogonal_norm": 1e-9, "relative_orthogonal_norm": 1e-9}
    conditions._claim_biases(run, [frozen_row(), frozen_row(**vanished)])
    kept, refuted = run.claims[0], run.claims[2]
    assert (kept.holds, refuted.holds) == (True, False)
    assert "on 1 of 2 runs" in refuted.statement


def test_every_study_has_settings_and_defaults_of_its_own() -> None:
    for name, path in STUDIES.items():
        command = pkgutil.resolve_name(path)
        config = command.Config()
        assert config.output_dir == Path(f"results/NeuralNetworks/{name}")
        assert config.seeds >= 3
        assert callable(command.main)
        assert command.Config.__doc__
