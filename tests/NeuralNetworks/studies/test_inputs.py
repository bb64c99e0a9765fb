"""Inputs that are not standard Gaussian: their rules, the bound with δ, and the whole study."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import derandomization.certificate
from derandomization.laboratory.intervals import log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.model import complete_basis
from NeuralNetworks.studies import inputs as study
from NeuralNetworks.studies.inputs import (
    INPUTS,
    Config,
    Inputs,
    ProductRule,
    Setting,
    angle,
    at_angle,
    axis,
    claim_bound,
    labelled_inputs,
    settings,
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
QUICK = Setting(
    varied="angle",
    series="gaussian",
    inputs="gaussian",
    direction=at_angle(30),
    regularization=1e-2,
    width=12,
    steps=150,
    nodes=14,
)
CORRELATED = replace(QUICK, direction=(1, 0), correlation=0.6, varied="correlation")


def distribution(**changes: Any) -> tuple[torch.Tensor, ...]:
    population = labelled_inputs(replace(QUICK, **changes), torch.Generator().manual_seed(0))
    return *population(), population.directions


def row_of(setting: Setting, seed: int = 3) -> Row[Setting]:
    found = train_on_inputs(setting, seed)
    return Row(setting, setting.series, {name: np.array([value]) for name, value in found.items()})


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
    basis = complete_basis(torch.tensor([at_angle(20)], dtype=torch.float64))
    points, weights = ProductRule(inputs, 14, basis=basis)()
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


def test_rademacher_inputs_are_all_signs() -> None:
    points, weights = ProductRule("rademacher", 14, 5)()
    assert {tuple(point) for point in points.tolist()} == set(product((-1.0, 1.0), repeat=5))
    assert torch.equal(weights, torch.full((32,), 1 / 32).double())


@pytest.mark.parametrize("whiten", [False, True])
def test_correlated_inputs_have_their_covariance_and_the_labels_of_the_first(whiten: bool) -> None:
    options = {"direction": (1, 0), "correlation": 0.6, "nodes": 20}
    given, labels, weights, _ = distribution(**options)
    assert torch.allclose(labels, given[:, 0].tanh())
    expected = torch.tensor([[1, 0.6], [0.6, 1]]).double()
    found = given
    if whiten:
        found, same, _, directions = distribution(**options, whiten=True)
        assert torch.allclose(same, labels)
        expected = torch.eye(2).double()
        seen = (found @ directions.T)[:, 0]
        assert torch.allclose(seen * given[:, 0].norm() / seen.norm(), given[:, 0])
    assert torch.allclose(found.T @ (weights[:, None] * found), expected)


@pytest.mark.parametrize("degrees", [0.0, 15.0, 45.0])
def test_the_tilt_of_rademacher_inputs_is_that_of_four_points(degrees: float) -> None:
    turn = math.radians(degrees)
    both, one = (math.tanh(math.cos(turn) + s * math.sin(turn)) for s in (1, -1))
    expected = abs(math.degrees(math.atan2(both - one, both + one)) - degrees)
    setting = replace(QUICK, inputs="rademacher", direction=at_angle(degrees), steps=1)
    found = train_on_inputs(setting, 0)["tilt"]
    assert found == pytest.approx(expected, abs=1e-13)
    assert (found < 1e-13) == (degrees in (0, 45))


def test_the_tilt_of_gaussian_inputs_is_towards_the_covariance_times_u() -> None:
    """Stein's lemma: E(xy) = E(h′) Σu."""
    assert train_on_inputs(replace(QUICK, steps=1), 0)["tilt"] < 1e-7
    found = train_on_inputs(replace(CORRELATED, steps=1), 0)["tilt"]
    assert found == pytest.approx(math.degrees(math.atan(0.6)))


def test_an_angle_is_between_lines() -> None:
    first = torch.tensor([[1.0, 0.0]]).double()
    assert angle(torch.tensor([-3.0, 3.0]).double(), first) == pytest.approx(45)
    assert angle(torch.tensor([0.0, 2.0]).double(), first) == pytest.approx(90)


def test_gaussian_inputs_collapse_and_others_turn_to_their_mean() -> None:
    gaussian = train_on_inputs(QUICK, 3)
    assert gaussian == train_on_inputs(QUICK, 3)
    assert gaussian["relative_orthogonal_norm"] < 1e-6
    assert gaussian["stein_defect"] < 1e-8
    signs = train_on_inputs(replace(QUICK, inputs="rademacher"), 3)
    assert signs["turn"] == pytest.approx(signs["tilt"], rel=0.05)
    sine = math.sin(math.radians(signs["turn"]))
    assert signs["relative_orthogonal_norm"] == pytest.approx(sine, rel=0.05)
    assert signs["singular_ratio"] < 0.05
    assert signs["stein_defect"] > 1e-3
    without_defect = signs["weight_gradient_norm"] / (2e-2 + signs["bias_curvature"])
    assert without_defect < signs["orthogonal_norm"] < signs["bound"]


def test_correlated_gaussians_turn_towards_the_covariance_times_u() -> None:
    weak, strong = (
        train_on_inputs(replace(CORRELATED, regularization=value, steps=steps), 3)
        for value, steps in ((1e-3, 250), (1e-2, 150))
    )
    assert 1 < weak["turn"] < strong["turn"] < strong["tilt"]
    assert min(weak["relative_orthogonal_norm"], strong["relative_orthogonal_norm"]) > 0.03


def test_a_random_direction_depends_on_the_seed_alone() -> None:
    setting = replace(QUICK, inputs="rademacher", direction=None, dimension=3, steps=1)
    first, again, other = (train_on_inputs(setting, seed)["tilt"] for seed in (0, 0, 1))
    assert first == again != other


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


def test_whitening_is_claimed_to_repair_correlation_and_fails_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("NeuralNetworks/inputs", Config(output_dir=tmp_path, quiet=True))
    setting = replace(CORRELATED, whiten=True)
    others = [row_of(QUICK), row_of(replace(CORRELATED, steps=1))]
    study._claim_collapse(run, [*others, row_of(setting)])
    monkeypatch.setattr(study, "whitened", lambda population: population)
    study._claim_collapse(run, [*others, row_of(setting)])
    assert [claim.holds for claim in run.claims] == [True, False]
    assert "on 1 of 2 runs" in run.claims[1].statement
    assert run.claims[1].measured > 0.1


def test_the_bound_is_claimed_and_broken_without_the_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("NeuralNetworks/inputs", Config(output_dir=tmp_path, quiet=True))
    signs = replace(QUICK, inputs="rademacher")
    claim_bound(run, "NG", [row_of(signs)])

    def without_defect(objective: object) -> object:
        bounds = derandomization.certificate.stein_bounds(objective)
        margin = 2 * QUICK.regularization + bounds.bias_curvature
        return replace(bounds, sharp_weight_bound=bounds.weight_gradient_norm / margin)

    monkeypatch.setattr(study, "stein_bounds", without_defect)
    claim_bound(run, "NG", [row_of(signs)])
    assert [claim.holds for claim in run.claims] == [True, False]
    assert run.claims[0].measured < 1 < run.claims[1].measured


def test_runs_without_a_bound_are_told(tmp_path: Path) -> None:
    run = Run("NeuralNetworks/inputs", Config(output_dir=tmp_path, quiet=True))
    norms = {"orthogonal_norm": np.array([1.0, 2.0])}
    for bounds in ([2.0, math.nan], [math.nan, math.nan], [0.5, 3.0]):
        claim_bound(run, "NG", [Row(QUICK, "", norms | {"bound": np.array(bounds)})])
    some, none, broken = run.claims
    assert (some.holds, some.measured) == (True, 0.5)
    assert "on 1 of 1 runs (none on 1, where" in some.statement
    assert (none.holds, none.measured) == (None, None)
    assert (broken.holds, broken.measured) == (False, 2.0)
    assert "on 1 of 2 runs;" in broken.statement


def test_the_study_runs_every_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "INPUTS", ("gaussian", "rademacher"))
    monkeypatch.setattr(study, "DIMENSIONS", (2, 4))
    monkeypatch.setattr(study, "CORRELATIONS", (0.6,))
    monkeypatch.setattr(study, "ANGLES", (0, 45))
    monkeypatch.setattr(study, "COLLAPSED", 1.0)
    config = Config(output_dir=tmp_path, quiet=True, seeds=1, workers=1, width=4, steps=3)
    study.main(config)
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/inputs"
    rows = {row["name"]: row for row in record["results"]["rows"]}
    assert list(rows) == list(settings(config))
    assert len(rows) == 2 * 2 + 2 + 2 * 2 + 3
    found = record["claims"]
    assert {claim["id"] for claim in found} == {"NG"}
    assert [claim["holds"] for claim in found] == [True, True] + [None] * (2 + 1 + 2 + 2)
    assert found[2]["statement"].startswith("gaussian inputs, d = 2, u at 0, 45° to an axis")
    norms = [
        rows[f"{study.RAMP}, d = {d}"]["measured"]["relative_orthogonal_norm"]["values"]
        for d in (2, 4)
    ]
    slope = log_log_slope((2, 4), np.array(norms))
    assert f"as d^s, s = {slope}" in found[5]["statement"]
    assert "d^s" not in found[6]["statement"]
    assert found[5]["measured"] == ", ".join(f"{each:.2g}" for each in np.median(norms, axis=1))
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + len(rows)
    assert record["figures"] == ["inputs.png", "bounds.png"]
    assert (tmp_path / "inputs.png").stat().st_size > 10_000


@pytest.mark.parametrize(("name", "value"), [("width", 0), ("steps", 0), ("nodes", 5)])
def test_settings_out_of_range_are_named(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**{name: value})
