"""One training measured, and what is claimed about many."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from derandomization import GaussHermite
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.model import Teacher
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies.training import (
    Setting,
    accuracy_for,
    claim_bounds,
    claim_collapse,
    claim_norm_falls,
    claim_second_order,
    equally_spaced_rule,
    largest_principal_angle,
    learned_directions,
    train_and_certify,
)

QUICK = Setting(widths=(20,), regularization=1e-2, max_steps=200)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", RunConfig(output_dir=tmp_path, quiet=True))


def row(name: str, **measured: list[float]) -> Row[None]:
    return Row(None, name, {key: np.array(values) for key, values in measured.items()})


def test_a_training_repeats_and_is_certified() -> None:
    first, second = train_and_certify(QUICK, 3), train_and_certify(QUICK, 3)
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert first["relative_orthogonal_norm"] < 1e-6
    assert first["orthogonal_norm"] <= first["sharp_weight_bound"]
    assert first["remaining_orthogonal_norm"] < 1e-6
    assert first["rank"] == 1
    assert first["principal_angle"] < 1e-6
    assert first["steps"] <= 200
    assert train_and_certify(QUICK, 4)["risk"] != first["risk"]


def test_a_training_that_only_samples_high_dimensions_has_no_certificate() -> None:
    setting = Setting(dimension=1200, widths=(20,), estimator="sampled", max_steps=2)
    measured = train_and_certify(setting, 0)
    assert math.isnan(measured["rho"])
    assert math.isnan(measured["weight_bound"])
    assert measured["relative_orthogonal_norm"] > 0.5


def test_directions_are_learned_where_the_singular_value_is_not_negligible() -> None:
    basis = torch.linalg.qr(
        torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    ).Q.double()
    weight = torch.diag(torch.tensor([3.0, 1.0, 1e-5, 1e-7]).double()) @ basis
    learned = learned_directions(weight)
    assert learned.shape == (3, 4)
    assert (learned @ basis[3]).abs().max() < 1e-5


@pytest.mark.parametrize("angle", [0.0, 1e-10, 0.3, math.pi / 2])
def test_the_principal_angle_is_the_largest(angle: float) -> None:
    directions = torch.eye(3, dtype=torch.float64)[:2]
    tilted = torch.tensor([0.0, math.cos(angle), math.sin(angle)], dtype=torch.float64)
    learned = torch.stack([directions[0], tilted])
    assert largest_principal_angle(learned, directions) == pytest.approx(angle, abs=1e-15)


def test_a_collapse_that_fails_somewhere_is_named(run: Run) -> None:
    rows = [
        row("fine", relative_orthogonal_norm=[1e-9, 1e-8]),
        row("bad", relative_orthogonal_norm=[1e-9, 1e-3]),
    ]
    claim_collapse(run, rows[:1], "REG", 1e-6)
    claim_collapse(run, rows, "REG", 1e-6)
    good, bad = run.claims
    assert (good.holds, good.measured) == (True, 1e-8)
    assert "2 of 2" in good.statement
    assert (bad.holds, bad.measured) == (False, 1e-3)
    assert "3 of 4; not at bad" in bad.statement


def test_a_bound_that_is_broken_is_named_and_without_one_the_claim_is_open(run: Run) -> None:
    nan = math.nan
    rows = [
        row(
            "a",
            orthogonal_norm=[1.0, 2.0],
            gaussian_bound=[nan, nan],
            gaussian_sharp_bound=[1.0, 4.0],
        ),
        row(
            "b",
            orthogonal_norm=[3.0, 4.0],
            gaussian_bound=[nan, nan],
            gaussian_sharp_bound=[nan, 3.9],
        ),
    ]
    claim_bounds(run, rows)
    lemma, sharp = run.claims
    assert (lemma.id, lemma.holds, lemma.measured) == ("T4.1", None, None)
    assert "0 of 0 runs; no bound on 4 of 4 runs" in lemma.statement
    assert (sharp.id, sharp.holds) == ("L3.1", False)
    assert "2 of 3 runs; no bound on 1 of 4 runs" in sharp.statement
    assert sharp.statement.endswith("not at b")
    assert sharp.measured == "≤ 1.03"
    run.claims.clear()
    claim_bounds(run, rows[:1])
    assert [claim.holds for claim in run.claims] == [None, True]


NEWTON = Setting(
    widths=(5,), regularization=1e-2, accuracy=accuracy_for(1e-2), optimizer="Newton", max_steps=100
)


def measure_row(setting: Setting, seed: int = 0) -> Row[Setting]:
    measured = train_and_certify(setting, seed)
    return Row(setting, "row", {name: np.array([value]) for name, value in measured.items()})


@pytest.mark.parametrize("regularization", [1e-8, 1e-2])
def test_newton_ends_at_a_second_order_point_within_its_tolerance(
    run: Run, regularization: float
) -> None:
    accuracy = accuracy_for(regularization)
    setting = replace(NEWTON, regularization=regularization, accuracy=accuracy, max_steps=1000)
    row = measure_row(setting)
    assert row.measured["gradient_norm"] <= accuracy
    assert row.measured["min_curvature"] >= -accuracy * 1.01
    claim_second_order(run, [row], "REG")
    assert run.claims[0].holds is True


@pytest.mark.parametrize(
    "broken",
    [
        {"max_steps": 4},
        {"frozen": ("output", "bias"), "bias_deviation": 1.0, "regularization": 1e-4},
    ],
)
def test_a_second_order_claim_fails_where_steps_run_out_or_biases_are_frozen(
    run: Run, broken: dict[str, Any]
) -> None:
    claim_second_order(run, [measure_row(replace(NEWTON, **broken))], "REG")
    assert run.claims[0].holds is False
    assert run.claims[0].statement.split(";")[1] == " not at row"


def test_a_second_order_claim_fails_without_regularization(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds, which include the Stein defect, still hold: the tolerance ρ/λ does not.

    With as many as 20 units the risk alone is flat in some directions of W⊥.
    """
    monkeypatch.setattr(PopulationRisk, "forward", PopulationRisk.risk)
    row = measure_row(replace(NEWTON, widths=(20,), accuracy=1e-4))
    assert row.measured["second_order"] == 1
    assert row.measured["orthogonal_norm"] <= row.measured["sharp_weight_bound"]
    claim_second_order(run, [row], "REG")
    assert run.claims[0].holds is False


def test_norms_must_fall_in_proportion_to_rho(run: Run) -> None:
    rho = np.array([[1e-2, 2e-2], [1e-3, 2e-3], [1e-4, 1e-4]])
    for power in (1.3, 0.8, 0.0):
        rows = [row("a", rho=list(each), orthogonal_norm=list(3 * each**power)) for each in rho]
        claim_norm_falls(run, rows)
    assert [claim.holds for claim in run.claims] == [True, False, False]
    assert run.claims[1].measured.startswith("0.8 ")
    one_point = row("a", rho=[1e-3, 1e-3], orthogonal_norm=[1e-9, 1e-9])
    claim_norm_falls(run, [one_point, one_point])  # no slope
    assert run.claims[3].holds is False


def test_pgd_ends_at_the_accuracy_it_is_given(run: Run) -> None:
    rows = []
    for accuracy in (1e-2, 1e-3):
        setting = Setting(widths=(5,), regularization=3e-2, accuracy=accuracy, max_steps=2000)
        rows.append(measure_row(setting))
        assert rows[-1].measured["gradient_norm"] <= accuracy
        assert rows[-1].measured["second_order"] == 1
    claim_norm_falls(run, rows)
    assert run.claims[0].holds is True


def test_equally_spaced_points_integrate_what_a_quadrature_does() -> None:
    teacher = Teacher(2)
    inputs, weights = equally_spaced_rule(teacher, (200, 12))()
    exact_inputs, exact_weights = GaussHermite((60, 60))()

    def moment(points: torch.Tensor) -> torch.Tensor:
        return teacher(points) ** 2 * (points[:, 0] - points[:, 1]) ** 2

    expected = float(exact_weights @ moment(exact_inputs))
    assert float(weights @ moment(inputs)) == pytest.approx(expected, abs=1e-6)
