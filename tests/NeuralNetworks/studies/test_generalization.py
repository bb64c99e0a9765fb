"""Features, refits and risks of the study generalization, and the whole of it, small."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.intervals import log_log_slope
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset
from NeuralNetworks.studies import generalization
from NeuralNetworks.studies.generalization import (
    RIDGES,
    Config,
    FirstLayer,
    Setting,
    excess_risk,
    learn_and_refit,
    linear_risk,
    main,
    project,
    refit_output,
    ridge_refit,
)

GRID = np.linspace(-10, 10, 4001)
MASS = np.exp(-(GRID**2) / 2) / math.sqrt(2 * math.pi) * (GRID[1] - GRID[0])
QUICK = {"samples": 40, "dimension": 5, "width": 12, "noise": 0.1, "steps": 60}


def measured(
    first_layer: FirstLayer, regularization: float | None = None, seed: int = 3, **changes: float
) -> dict[str, float]:
    settings = QUICK | changes
    setting = Setting(first_layer=first_layer, regularization=regularization, **settings)
    return dict(learn_and_refit(setting, seed))


def problem(points: int, features: int, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(points)
    matrix = torch.randn(points, features, generator=generator, dtype=torch.float64)
    matrix *= torch.logspace(0, -3, features, dtype=torch.float64)
    labels = matrix.sum(dim=1) + noise * torch.randn(points, generator=generator).double()
    return matrix, labels


def left_out(matrix: np.ndarray, labels: np.ndarray, ridge: float) -> float:
    """The mean squared error on each label, from a fit to all others."""
    errors = []
    for i in range(len(labels)):
        others, rest = np.delete(matrix, i, axis=0), np.delete(labels, i)
        gram = others.T @ others + ridge * np.eye(matrix.shape[1])
        errors.append(labels[i] - matrix[i] @ np.linalg.solve(gram, others.T @ rest))
    return float(np.mean(np.square(errors)))


@pytest.mark.parametrize(
    ("points", "features", "noise"), [(30, 6, 0.3), (30, 6, 1e-3), (8, 20, 0.1)]
)
def test_the_refit_is_the_ridge_regression_of_least_leave_one_out_error(
    points: int, features: int, noise: float
) -> None:
    matrix, labels = problem(points, features, noise)
    refit = ridge_refit(matrix, labels)
    phi, y = matrix.numpy(), labels.numpy()
    scale = np.trace(phi.T @ phi) / features
    errors = [left_out(phi, y, scale * ridge) for ridge in RIDGES]
    assert refit.ridge == RIDGES[int(np.argmin(errors))]
    assert refit.leave_one_out == pytest.approx(min(errors), rel=1e-6)
    # Ridge regression is least squares with √μ·a = 0 for further labels.
    stacked = np.concatenate([phi, math.sqrt(scale * refit.ridge) * np.eye(features)])
    expected = np.linalg.lstsq(stacked, np.concatenate([y, np.zeros(features)]), rcond=None)[0]
    assert np.allclose(refit.coefficients.numpy(), expected, rtol=1e-6, atol=1e-9)


def test_more_noise_asks_for_more_ridge() -> None:
    quiet, loud = (ridge_refit(*problem(30, 6, noise)) for noise in (1e-3, 10.0))
    assert quiet.ridge < loud.ridge


def test_a_refitted_student_says_what_the_regression_says() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = Teacher(5)
    student = Student(5, 12, generator)
    inputs = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    data = Dataset(inputs, teacher(inputs), teacher.directions)
    weight, bias = student.weight.detach().clone(), student.bias.detach().clone()
    refit = refit_output(student, data)
    matrix = torch.log1p(torch.exp(2 * (inputs @ weight.T + bias))) / 2
    assert torch.allclose(student(inputs), matrix @ refit.coefficients, rtol=0, atol=1e-9)
    assert (student(inputs) - data.labels).square().mean() < 0.1 * data.labels.square().mean()
    assert torch.equal(student.weight, weight)
    assert torch.equal(student.bias, bias)


def test_the_oracle_sees_the_teachers_direction_only_and_keeps_its_norm() -> None:
    generator = torch.Generator().manual_seed(1)
    teacher = Teacher(5)
    student = Student(5, 12, generator)
    drawn = student.weight.detach().clone()
    project(student, teacher)
    inputs = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    along = inputs @ teacher.directions.T @ teacher.directions
    assert torch.allclose(student(inputs), student(along), rtol=0, atol=1e-12)
    weight = student.weight.detach()
    assert float(weight.norm()) == pytest.approx(float(drawn.norm()))
    ratios = (weight @ teacher.directions.T) / (drawn @ teacher.directions.T)
    assert torch.allclose(ratios, ratios[0].expand_as(ratios))
    assert ratios[0] > 1


def test_the_excess_risk_is_the_one_without_noise() -> None:
    teacher = Teacher(2, noise=0.7)
    student = Student(2, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        student.output.zero_()
    second_moment = float(MASS @ np.tanh(GRID) ** 2)
    assert excess_risk(student, teacher) == pytest.approx(second_moment, rel=5e-3)


def test_no_linear_function_has_less_than_the_linear_risk() -> None:
    slopes = np.linspace(0, 1, 1001)[:, None]
    risks = (np.tanh(GRID) - slopes * GRID) ** 2 @ MASS
    assert linear_risk(Teacher(20)) == pytest.approx(risks.min(), rel=1e-4)
    straight = Teacher(3, link=lambda z: 2 * z[:, 0])
    assert linear_risk(straight) == pytest.approx(0, abs=1e-12)


def test_methods_differ_in_w_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that does nothing is the random features, and so is the oracle if d = 1."""
    monkeypatch.setattr(generalization, "descend", lambda *_, **__: None)
    trained, random = measured("trained", 1e-3), measured("random")
    assert {name for name in random if trained[name] != random[name]} == {
        "risk_trained_biases",
        "risk_as_trained",
    }
    along, drawn = (measured(layer, dimension=1) for layer in ("oracle", "random"))
    assert along == pytest.approx(drawn, nan_ok=True)


def test_training_discovers_and_only_then_is_there_a_trained_student() -> None:
    random, oracle = measured("random"), measured("oracle")
    strong, weak = (measured("trained", value, samples=400) for value in (1e-2, 1e-7))
    assert strong["relative_orthogonal_norm"] < 0.1 < weak["relative_orthogonal_norm"]
    assert strong["principal_angle"] < 0.1 < random["principal_angle"]
    assert oracle["relative_orthogonal_norm"] < 1e-12
    assert oracle["principal_angle"] < 1e-12
    for name in ("risk_trained_biases", "risk_as_trained"):
        assert math.isnan(random[name])
        assert math.isnan(oracle[name])
        assert 0 < strong[name] < 0.4
    assert len({strong["risk"], strong["risk_trained_biases"], strong["risk_as_trained"]}) == 3


def test_a_measurement_repeats_and_the_seed_matters() -> None:
    first, second = measured("trained", 1e-3), measured("trained", 1e-3)
    assert first == second
    assert measured("trained", 1e-3, seed=4)["risk"] != first["risk"]


def test_the_study_reports_and_asserts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generalization, "SAMPLES", (20, 40, 80))
    main(
        Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, dimension=4, width=10, steps=20)
    )
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/generalization"
    rows = {row["name"]: row["measured"] for row in record["results"]["rows"]}
    assert len(rows) == 5 * 3
    claims = {claim["statement"].split(", n = ")[0]: claim for claim in record["claims"]}
    assert len(claims) == len(record["claims"]) == 5 + 3 * 3
    assert all((claim["id"], claim["holds"]) == ("GEN", None) for claim in record["claims"])
    oracle, weak = (
        np.array([rows[f"{method}, n = {n}"]["risk"]["values"] for n in (20, 40, 80)])
        for method in ("oracle", "trained, λ = 1e-07")
    )
    norms = [
        rows[f"trained, λ = 0.001, n = {n}"]["relative_orthogonal_norm"]["values"] for n in (40, 80)
    ]
    remark = f"as n^s from n = 40 on, s = {log_log_slope((40, 80), np.array(norms))}"
    assert remark in claims["trained, λ = 0.001: median ‖W⊥‖/‖W‖"]["statement"]
    claim = claims["oracle: median test risk after the refit"]
    assert claim["measured"] == ", ".join(f"{risk:.2g}" for risk in np.median(oracle, axis=1))
    assert f"below λ = 1e-07 on {(oracle < weak).sum()} of 6 runs" in claim["statement"]
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * len(rows)
    assert [float(line["risk"]) for line in table[-2:]] == oracle[-1].tolist()
    assert record["figures"] == ["generalization.png"]
    assert (tmp_path / "generalization.png").stat().st_size > 10_000


@pytest.mark.parametrize("bad", [{"dimension": 1}, {"width": 0}, {"noise": -0.1}, {"steps": 0}])
def test_settings_out_of_range_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Config(**bad)
