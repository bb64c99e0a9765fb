"""Whitening, labels and claims of the study real-data, and the whole of it, small."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn.decomposition
import torch

import derandomization.certificate
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.model import orthogonal_part
from NeuralNetworks.studies import inputs, real_data
from NeuralNetworks.studies.real_data import (
    DATA,
    Config,
    Setting,
    labelled,
    mean_kurtosis,
    real_inputs,
    train_on_data,
    whitened,
)

QUICK = Setting("wine", gaussian=False, regularization=1e-2, width=8, steps=60)
NORMS = {"orthogonal_norm": np.array([1.0, 2.0]), "relative_orthogonal_norm": np.array([0.1, 0.2])}


def claims(tmp_path: Path, rows: list[Row[Setting]]) -> list:
    run = Run("NeuralNetworks/real-data", Config(output_dir=tmp_path, quiet=True))
    real_data._claims(run, rows)
    return run.claims


@pytest.mark.parametrize("name", DATA)
def test_inputs_are_whitened_and_span_the_leading_components(name: str) -> None:
    found = real_inputs(name)
    load, components = DATA[name]
    raw = load(return_X_y=True)[0]
    assert found.shape == (len(raw), components)
    assert torch.allclose(found.mean(dim=0), torch.zeros(components).double(), atol=1e-10)
    covariance = found.T @ found / len(found)
    assert torch.allclose(covariance, torch.eye(components).double(), atol=1e-10)
    expected = sklearn.decomposition.PCA(components).fit_transform(raw)
    expected /= np.sqrt(np.mean(expected**2, axis=0))
    cosines = np.abs(np.mean(expected * found.numpy(), axis=0))
    assert np.allclose(cosines, 1, atol=1e-6)


def test_the_mean_kurtosis_is_that_of_projections() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(400, 3, generator=generator, dtype=torch.float64) ** 3
    sample = whitened(drawn, 3)
    directions = torch.randn(40_000, 3, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    sampled = float(((sample @ directions.T) ** 4).mean())
    assert mean_kurtosis(sample) == pytest.approx(sampled, rel=0.02)
    assert mean_kurtosis(sample) > 10
    normal = torch.randn(20_000, 5, generator=generator, dtype=torch.float64)
    assert mean_kurtosis(normal) == pytest.approx(3, rel=0.03)


def test_labels_depend_on_the_span_of_the_directions_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    points, directions = (
        torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (30, 2)
    )
    data = labelled(points, directions)
    assert orthogonal_part(directions, data.directions).norm() < 1e-12
    across = orthogonal_part(torch.ones_like(points), data.directions)
    assert torch.allclose(labelled(points + across, directions).labels, data.labels)
    first, second = (points @ data.directions.T).T.abs()
    assert torch.allclose((data.labels - second.cos()).abs(), first.sin().abs())


def test_a_gaussian_sample_has_the_same_size_and_directions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(
        real_data, "labelled", lambda *given: seen.append(given) or labelled(*given)
    )
    for gaussian in (False, True):
        train_on_data(replace(QUICK, gaussian=gaussian, steps=1), 5)
    (real, directions), (drawn, same) = seen
    assert torch.equal(directions, same)
    assert drawn.shape == real.shape
    assert torch.allclose(drawn.T @ drawn, real.T @ real, atol=1e-8)
    assert mean_kurtosis(drawn) < 3.05 < mean_kurtosis(real)


def test_w_across_stays_within_the_bound_and_repeats() -> None:
    found = train_on_data(QUICK, 3)
    assert found == train_on_data(QUICK, 3)
    assert found != train_on_data(QUICK, 4)
    assert 0.05 < found["relative_orthogonal_norm"] < 0.9
    total = math.hypot(found["orthogonal_norm"], found["parallel_norm"])
    assert found["orthogonal_norm"] == pytest.approx(found["relative_orthogonal_norm"] * total)
    assert found["orthogonal_norm"] < found["bound"] < 20 * found["orthogonal_norm"]


def test_the_bound_is_claimed_and_broken_without_the_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows() -> list[Row[Setting]]:
        found = train_on_data(replace(QUICK, steps=200), 3)
        measured = {name: np.array([value]) for name, value in found.items()}
        return [Row(replace(QUICK, gaussian=gaussian), "", measured) for gaussian in (False, True)]

    assert claims(tmp_path, rows())[0].holds is True

    def without_defect(objective: object) -> object:
        bounds = derandomization.certificate.stein_bounds(objective)
        margin = 2 * QUICK.regularization + bounds.bias_curvature
        return replace(bounds, sharp_weight_bound=bounds.weight_gradient_norm / margin)

    monkeypatch.setattr(inputs, "stein_bounds", without_defect)
    broken = claims(tmp_path, rows())[0]
    assert broken.holds is False
    assert broken.measured > 10
    assert "on 0 of 2 runs" in broken.statement


def test_what_stays_is_compared_with_gaussian_samples(tmp_path: Path) -> None:
    gaussian = {**NORMS, "relative_orthogonal_norm": np.array([0.05, 0.07])}
    bounds = {"bound": np.array([1.5, math.nan])}
    rows = [
        Row(QUICK, "", NORMS | bounds),
        Row(replace(QUICK, gaussian=True), "", gaussian | bounds),
    ]
    bound, found = claims(tmp_path, rows)
    assert (bound.id, bound.reference_kind, bound.reference) == ("REAL", "bound", 1.0)
    assert bound.measured == pytest.approx(1 / 1.5)
    assert "on 2 of 2 runs (none on 2, where" in bound.statement
    assert found.holds is None
    assert (found.measured, found.reference) == ("15.0%", "6.0%")
    assert found.statement.startswith("wine, n = 178, d = 13, mean kurtosis 3.5")


def test_the_study_writes_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_data, "DATA", {name: DATA[name] for name in ("wine", "diabetes")})
    real_data.main(Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, width=5, steps=10))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/real-data"
    names = {row["name"] for row in record["results"]["rows"]}
    assert len(names) == 2 * 2 * 2
    assert "wine, Gaussian sample, λ = 0.01" in names
    assert [claim["holds"] for claim in record["claims"]] == [True, None, None]
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 2 * len(names)
    assert record["figures"] == ["real_data.png"]
    assert (tmp_path / "real_data.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["width", "steps"])
def test_settings_out_of_range_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**{name: 0})
