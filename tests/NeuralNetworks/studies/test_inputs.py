"""Inputs that are not Gaussian: their rules, Stein's defect, and the study from end to end."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from NeuralNetworks.model import Student, Teacher, complete_basis
from NeuralNetworks.risk import Population
from NeuralNetworks.studies import inputs as study
from NeuralNetworks.studies.inputs import (
    INPUTS,
    Config,
    Inputs,
    ProductRule,
    Setting,
    axis,
    stein_defect,
    tilt,
    train_on_inputs,
)

NAN = math.nan
# E x⁴, E x⁶ at mean 0 and variance 1; Student's t with 5 degrees of freedom has no sixth moment.
MOMENTS: dict[Inputs, tuple[float, float]] = {
    "gaussian": (3, 15),
    "uniform": (9 / 5, 27 / 7),
    "rademacher": (1, 1),
    "laplace": (6, 90),
    "student-t": (9, NAN),
}
DENSITIES = {
    "gaussian": stats.norm(),
    "uniform": stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    "laplace": stats.laplace(scale=1 / math.sqrt(2)),
    "student-t": stats.t(5, scale=math.sqrt(3 / 5)),
}
QUICK = Setting("gaussian", 30.0, 1e-2, width=12, steps=150, nodes=14)


def teacher_at(degrees: float) -> Teacher:
    turn = math.radians(degrees)
    direction = torch.tensor([[math.cos(turn), math.sin(turn)]], dtype=torch.float64)
    return Teacher(2, directions=direction)


@pytest.mark.parametrize("count", [8, 14, 28])
@pytest.mark.parametrize("inputs", INPUTS)
def test_an_axis_has_the_moments_of_its_distribution(inputs: Inputs, count: int) -> None:
    nodes, weights = axis(inputs, count)
    fourth, sixth = MOMENTS[inputs]
    assert weights.sum() == pytest.approx(1, abs=1e-14)
    assert weights @ nodes == pytest.approx(0, abs=1e-14)
    assert weights @ nodes**2 == pytest.approx(1, rel=1e-13)
    assert weights @ nodes**3 == pytest.approx(0, abs=1e-13)
    assert weights @ nodes**4 == pytest.approx(fourth, rel=1e-12)
    if not math.isnan(sixth):
        assert weights @ nodes**6 == pytest.approx(sixth, rel=1e-12)


@pytest.mark.parametrize("inputs", DENSITIES)
def test_an_axis_integrates_against_its_density(inputs: Inputs) -> None:
    """What moments leave open: tanh² sees the middle, softplus² one of the tails."""
    density = DENSITIES[inputs]
    for function in (lambda x: np.tanh(x) ** 2, lambda x: np.logaddexp(0, 2 * x + 1) ** 2):
        exact = 0.0
        for low, high in ((-60, 0), (0, 60)):
            ends = max(low, density.support()[0]), min(high, density.support()[1])
            piece = integrate.quad(lambda x, f=function: f(x) * density.pdf(x), *ends, limit=200)
            exact += piece[0]
        for count, tolerance in ((14, 5e-3), (28, 5e-4)):
            nodes, weights = axis(inputs, count)
            assert weights @ function(nodes) == pytest.approx(exact, rel=tolerance)


@pytest.mark.parametrize("inputs", INPUTS)
def test_the_product_is_isotropic_and_independent_along_its_axes(inputs: Inputs) -> None:
    basis = complete_basis(teacher_at(20).directions)
    points, weights = ProductRule(inputs, 14, basis)()
    along = points @ basis.T
    fourth = MOMENTS[inputs][0]
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert torch.allclose(points.T @ (weights[:, None] * points), torch.eye(2).double())
    assert weights @ along.square().prod(dim=1) == pytest.approx(1, rel=1e-10)
    for i in (0, 1):
        assert weights @ along[:, i] ** 4 == pytest.approx(fourth, rel=1e-10)


def test_points_of_no_weight_are_left_out() -> None:
    many = ProductRule("gaussian", 112)()[1]
    assert len(many) < 112**2 / 4
    assert many.sum() == pytest.approx(1, abs=1e-12)
    assert len(ProductRule("uniform", 14)()[1]) == 14**2


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("inputs", INPUTS)
def test_steins_identity_is_the_gaussians_own(inputs: Inputs, seed: int) -> None:
    student = Student(2, 12, torch.Generator().manual_seed(seed))
    rule = ProductRule(inputs, 360 if inputs == "gaussian" else 28)
    defect = stein_defect(student, Population(teacher_at(30), rule))
    if inputs == "gaussian":
        assert defect < 1e-10
    else:
        assert defect > 1e-2


@pytest.mark.parametrize("degrees", [0.0, 15.0, 45.0])
def test_the_tilt_of_rademacher_inputs_is_that_of_four_points(degrees: float) -> None:
    turn = math.radians(degrees)
    both, one = (math.tanh(math.cos(turn) + s * math.sin(turn)) for s in (1, -1))
    expected = abs(math.sin(math.atan2(both - one, both + one) - turn))
    found = tilt(Population(teacher_at(degrees), ProductRule("rademacher", 2)))
    assert found == pytest.approx(expected, abs=1e-15)
    assert (found < 1e-15) == (degrees in (0, 45))


def test_the_tilt_of_gaussian_inputs_is_none() -> None:
    assert tilt(Population(teacher_at(30), ProductRule("gaussian", 60))) < 1e-9
    assert tilt(Population(teacher_at(30), ProductRule("uniform", 60))) > 1e-2


def test_gaussian_inputs_collapse_within_the_bounds_and_others_turn_to_their_mean() -> None:
    gaussian = train_on_inputs(QUICK, 3)
    assert gaussian == train_on_inputs(QUICK, 3)
    assert gaussian["relative_orthogonal_norm"] < 1e-6
    assert gaussian["norm_to_bound"] < 1
    assert gaussian["norm_to_sharp_bound"] < 1
    assert gaussian["stein_defect"] < 1e-8
    signs = train_on_inputs(replace(QUICK, inputs="rademacher"), 3)
    assert signs["relative_orthogonal_norm"] == pytest.approx(signs["tilt"], rel=0.05)
    assert signs["singular_ratio"] < 0.05
    assert signs["norm_to_bound"] > 1
    assert signs["norm_to_sharp_bound"] > 1


@pytest.mark.parametrize("inputs", ["uniform", "laplace", "student-t"])
def test_twice_the_nodes_tell_the_same(inputs: Inputs) -> None:
    setting = replace(QUICK, inputs=inputs, steps=80)
    few, many = (
        train_on_inputs(replace(setting, nodes=nodes), 0)["relative_orthogonal_norm"]
        for nodes in (14, 28)
    )
    assert few > 0.02
    assert few == pytest.approx(many, rel=0.02)
    assert inputs == "uniform" or few != many


def test_the_study_reports_and_asserts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "INPUTS", ("gaussian", "rademacher"))
    monkeypatch.setattr(study, "ANGLES", (0.0, 30.0, 45.0))
    monkeypatch.setattr(study, "REGULARIZATIONS", {1e-2: 100})
    monkeypatch.setattr(study, "MAIN_REGULARIZATION", 1e-2)
    monkeypatch.setattr(study, "COLLAPSED", 1e-3)
    config = Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, width=8)
    study.main(config)
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/inputs"
    rows = {row["name"]: row for row in record["results"]["rows"]}
    assert len(rows) == 2 * 3
    values = rows["rademacher, 30°, λ = 0.01"]["measured"]["relative_orthogonal_norm"]["values"]
    assert len(values) == 2
    assert min(values) > 1e-2
    claims = record["claims"]
    assert {(claim["id"], claim["holds"]) for claim in claims} == {("NG", None)}
    found = [claim["statement"].split(";")[0] for claim in claims]
    assert found[:3] == [
        f"gaussian inputs, u at {where}: ‖W⊥‖/‖W‖ ≤ 0.001 on 2 of 2 runs"
        for where in ("0°", "45°", "angles between")
    ]
    assert found[6] == "rademacher inputs, u at angles between: ‖W⊥‖/‖W‖ ≤ 0.001 on 0 of 2 runs"
    assert "on 2 of 2; ‖W⊥‖/‖W‖" in claims[6]["statement"]  # the sharp form, broken
    assert claims[7]["statement"].startswith("rademacher, 30°, λ = 0.01: is W of rank one")
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 2 * len(rows)
    assert record["figures"] == ["inputs.png"]
    assert (tmp_path / "inputs.png").stat().st_size > 10_000


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("steps", 0), ("nodes", 5)])
def test_settings_out_of_range_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**{name: value})
