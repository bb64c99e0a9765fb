"""One training measured, and what is claimed about many."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.run import Run, RunConfig
from derandomization.laboratory.study import Row
from NeuralNetworks.studies.training import (
    Setting,
    claim_bounds,
    claim_collapse,
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


def test_a_bound_that_is_broken_is_named_and_one_that_is_silent_is_open(run: Run) -> None:
    nan = math.nan
    rows = [
        row(
            "a", orthogonal_norm=[1.0, 2.0], weight_bound=[nan, nan], sharp_weight_bound=[1.0, 4.0]
        ),
        row(
            "b", orthogonal_norm=[3.0, 4.0], weight_bound=[nan, nan], sharp_weight_bound=[nan, 3.9]
        ),
    ]
    claim_bounds(run, rows)
    lemma, sharp = run.claims
    assert (lemma.id, lemma.holds, lemma.measured) == ("T4.1", None, None)
    assert "0 of 0 runs, silent on 4" in lemma.statement
    assert (sharp.id, sharp.holds) == ("L3.1", False)
    assert "2 of 3 runs, silent on 1" in sharp.statement
    assert sharp.statement.endswith("not at b")
    assert sharp.measured == "norm/bound ≤ 1.03"
    run.claims.clear()
    claim_bounds(run, rows[:1])
    assert [claim.holds for claim in run.claims] == [None, True]
