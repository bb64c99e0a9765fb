"""Large λ with frozen biases: λ*, the rate of SGD, and the study from end to end."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization import GaussHermite
from derandomization.hessian import Hessian
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.model import Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies import strong_regularization as study
from NeuralNetworks.studies.strong_regularization import (
    METHODS,
    NOISELESS,
    OURS,
    THEIRS,
    Config,
    Method,
    Setting,
    convexity_threshold,
    decay_slope,
    train_and_split,
)

STRONG = Setting(NOISELESS, 0.2, width=20, steps=150, batch_size=20)


def exact_risk(student: Student, regularization: float = 1.0) -> PopulationRisk:
    teacher = Teacher(2)
    rule = GaussHermite((32, 16), basis=complete_basis(teacher.directions))
    return PopulationRisk(student, Population(teacher, rule), regularization)


def random_student(seed: int) -> Student:
    """Of few units and large output weights: curvature of either sign, risk of any size."""
    generator = torch.Generator().manual_seed(seed)
    student = Student(2, 3, generator)
    sizes = torch.rand(3, generator=generator)
    with torch.no_grad():
        for parameter, size in zip(student.parameters(), sizes, strict=True):
            parameter.normal_(generator=generator).mul_(3 * size)
    return student


def test_the_threshold_is_the_formula_and_leaves_the_student_as_it_is() -> None:
    student = random_student(0)
    before = student.weight.clone()
    objective = exact_risk(student)
    found = convexity_threshold(objective)
    assert torch.equal(student.weight, before)
    with torch.no_grad():
        student.weight.zero_()
        blind_risk = float(objective.risk())
    largest = float(student.output.abs().max())
    # ReLU_ι″(0) = ι/4 = 1/2 is the largest.
    assert found == pytest.approx(0.5 * largest * math.sqrt(blind_risk) / 3, rel=1e-12)


def test_past_the_threshold_the_curvature_in_b_is_above_minus_two_lambda() -> None:
    """E[∇²g] + 2λI ≻ 0 where the risk is no more than at W = 0, though E[∇²g] alone is not."""
    shares = []
    for seed in range(80):
        student = random_student(seed)
        objective = exact_risk(student)
        threshold = convexity_threshold(objective)
        blind_risk = (threshold * 3 / 0.5 / float(student.output.detach().abs().max())) ** 2
        if float(objective.risk().detach()) > blind_risk:
            continue
        hessian = Hessian(objective, [student.bias])
        matrix = torch.stack([hessian.product(row) for row in torch.eye(3).double()])
        shares.append(float(torch.linalg.eigvalsh(matrix)[0]) / (2 * threshold))
    assert len(shares) >= 10
    assert min(shares) > -1
    assert min(shares) < -0.1


@pytest.mark.parametrize("power", [-0.5, 0.0, -1.0])
def test_the_slope_is_the_power_of_t(power: float) -> None:
    steps = np.maximum(np.arange(3201), 1.0)
    assert decay_slope(3 * steps**power) == pytest.approx(power, abs=0.02)


def test_without_noise_w_goes_past_the_threshold_and_stays_where_it_is_small() -> None:
    strong = train_and_split(STRONG, 1)
    assert strong == pytest.approx(train_and_split(STRONG, 1), nan_ok=True)
    assert strong["convexity_threshold"] < STRONG.regularization
    assert strong["relative_orthogonal_norm"] < 1e-6
    weak = train_and_split(replace(STRONG, regularization=2e-4, steps=300), 1)
    assert weak["gradient_norm"] < 1e-4
    assert weak["relative_orthogonal_norm"] > 1e-2
    assert weak["risk"] < strong["risk"]
    assert weak["parallel_norm"] > strong["parallel_norm"]
    assert math.isnan(weak["slope"])


def test_trained_biases_let_w_go_at_a_small_regularization() -> None:
    ours = train_and_split(replace(STRONG, method=OURS, regularization=1e-3, steps=400), 1)
    assert ours["relative_orthogonal_norm"] < 1e-6
    assert ours["remaining_orthogonal_norm"] < 1e-6


def test_sgd_leaves_its_noise_which_falls_and_trains_nothing_but_w() -> None:
    setting = replace(STRONG, method=THEIRS, steps=640)
    measured = train_and_split(setting, 1)
    assert 1e-5 < measured["relative_orthogonal_norm"] < 0.2
    assert -1.2 < measured["slope"] < -0.1
    generator = torch.Generator().manual_seed(1)
    student = study._student(setting, generator)
    before = {name: p.clone() for name, p in student.named_parameters()}
    study._descend(student, Teacher(2), replace(setting, steps=32), generator)
    changed = [n for n, p in student.named_parameters() if not torch.equal(p, before[n])]
    assert changed == ["weight"]
    assert float(before["bias"].std()) > 0.5


def row(method: Method, value: float, **measured: list[float]) -> Row[Setting]:
    seeds = len(next(iter(measured.values())))
    fillers = ("orthogonal_norm", "parallel_norm", "risk", "gradient_norm", "slope")
    arrays = {name: np.full(seeds, 0.1) for name in fillers}
    arrays["convexity_threshold"] = np.full(seeds, 1e-2)
    arrays |= {name: np.array(values) for name, values in measured.items()}
    setting = replace(STRONG, method=method, regularization=value)
    return Row(setting, f"{method}, λ = {value:g}", arrays)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", RunConfig(output_dir=tmp_path, quiet=True))


def test_what_does_not_hold_is_said(run: Run) -> None:
    stay, gone = [0.1, 0.2], [1e-9, 1e-9]
    rows = [
        *(row(OURS, v, relative_orthogonal_norm=stay) for v in (1e-3, 1e-1)),
        *(row(THEIRS, v, relative_orthogonal_norm=stay, slope=[-0.21, -0.2]) for v in (1e-3, 1e-1)),
        row(NOISELESS, 1e-3, relative_orthogonal_norm=gone),
        row(NOISELESS, 1e-1, relative_orthogonal_norm=[1e-9, 1e-2]),
    ]
    study._claims(run, rows)
    ours, stays, threshold, rate, *costs = run.claims
    assert (ours.holds, stays.holds, threshold.holds, rate.holds) == (False, None, False, False)
    assert "1 of 2" in threshold.statement
    assert "λ = 0.1 > λ*" in rate.statement
    assert all(cost.holds is None for cost in costs)
    assert all("median" in cost.statement and "λ = 0.001" in cost.statement for cost in costs)


def test_where_no_run_is_past_its_threshold_nothing_is_claimed_of_theirs(run: Run) -> None:
    rows = [row(m, 1e-3, relative_orthogonal_norm=[0.1, 0.2]) for m in METHODS]
    study._claims(run, rows)
    assert [claim.holds for claim in run.claims] == [False, None, None]
    assert run.claims[-1].measured is None


def test_the_study_compares_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "REGULARIZATIONS", (5e-3, 0.2))
    monkeypatch.setattr(study, "COLLAPSED", 1e-3)
    small = {"width": 10, "sgd_steps": 64, "exact_steps": 120, "batch_size": 10}
    study.main(Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, **small))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/strong-regularization"
    assert [row["name"] for row in record["results"]["rows"]] == [
        f"{method}, λ = {value}" for method in METHODS for value in ("0.005", "0.2")
    ]
    claims = record["claims"]
    assert {claim["id"] for claim in claims} == {"OPT"}
    assert [claims[i]["holds"] for i in (0, 1, 2)] == [True, None, True]
    assert claims[3]["statement"].startswith("frozen b, SGD, λ = 0.2 > λ*")
    assert [claim["statement"].split(":")[0] for claim in claims[4:]] == [
        f"median {symbol} at the smallest λ at which W⊥ vanishes" for symbol in ("risk", "‖W∥‖")
    ]
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 2 * 6
    assert record["figures"] == ["strong_regularization.png"]
    assert (tmp_path / "strong_regularization.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "value"), [("width", 0), ("sgd_steps", 31), ("exact_steps", 0), ("batch_size", 0)]
)
def test_settings_out_of_range_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**{name: value})
