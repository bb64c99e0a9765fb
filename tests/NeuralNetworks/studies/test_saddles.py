"""The saddle where gradient descent stays: what is known of it by hand, and what the study says."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies import saddles
from NeuralNetworks.studies.saddles import Config, Setting, descend_and_certify, saddle_risk


def level(dimension: int, regularization: float) -> float:
    """m ≥ 0 such that WᵀW/d = uuᵀ + mI makes W stationary at b = 0, c = 1."""
    return (2 - regularization * dimension) / (4 + 2 * dimension)


def saddle_norm(dimension: int, regularization: float) -> float:
    """‖W_⊥‖ there: d − 1 directions across u, and d units."""
    return (dimension * (dimension - 1) * level(dimension, regularization)) ** 0.5


def at_saddle(dimension: int, regularization: float) -> PopulationRisk:
    """The risk where W is √d·Q·(uuᵀ + mI)^½, Q a rotation, and b = 0."""
    generator = torch.Generator().manual_seed(dimension)
    objective = saddle_risk(dimension, regularization, generator)
    (u,) = objective.examples.directions
    m = level(dimension, regularization)
    eye = torch.eye(dimension, dtype=torch.float64)
    root = m**0.5 * eye + ((1 + m) ** 0.5 - m**0.5) * torch.outer(u, u)
    rotation, _ = torch.linalg.qr(torch.randn(dimension, dimension, generator=generator).double())
    with torch.no_grad():
        objective.student.weight.copy_(dimension**0.5 * rotation @ root)
    return objective


def dense_hessian(objective: PopulationRisk) -> Tensor:
    """∇²f in (W, b), W row by row first."""
    weight, bias = objective.student.weight, objective.student.bias

    def value(flat: Tensor) -> Tensor:
        parts = flat.split([weight.numel(), bias.numel()])
        moved = {
            "student.weight": parts[0].view_as(weight),
            "student.bias": parts[1],
        }
        return torch.func.functional_call(objective, moved, ())

    flat = torch.cat([weight.detach().flatten(), bias.detach()])
    return torch.autograd.functional.hessian(value, flat)


@pytest.mark.parametrize("dimension", [2, 3])
def test_the_risk_is_what_the_moments_of_a_gaussian_say(dimension: int) -> None:
    """E(xᵀAx + v·x + s)² = 2‖A‖² + ‖v‖² + (tr A + s)², A symmetric."""
    generator = torch.Generator().manual_seed(5)
    objective = saddle_risk(dimension, 0.3, generator)
    student = objective.student
    with torch.no_grad():
        student.bias.copy_(torch.randn(dimension, generator=generator))
        student.weight.mul_(2)
        (u,) = objective.examples.directions
        quadratic = student.weight.T @ student.weight / dimension - torch.outer(u, u)
        linear = 2 * student.weight.T @ student.bias / dimension
        constant = student.bias.square().sum() / dimension - 1
        expected = (
            2 * quadratic.square().sum()
            + linear.square().sum()
            + (quadratic.trace() + constant).square()
        )
        assert float(objective.risk()) == pytest.approx(float(expected), rel=1e-12)
        penalty = float(objective()) - float(objective.risk())
    assert penalty == pytest.approx(0.3 * float(student.weight.detach().square().sum()))


def test_a_start_is_random_of_norm_one_and_without_a_bias() -> None:
    first, again, other = (
        saddle_risk(3, 0.1, torch.Generator().manual_seed(seed)).student for seed in (0, 0, 1)
    )
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert float(first.weight.detach().norm()) == pytest.approx(1, rel=1e-14)
    assert not first.bias.any()


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("regularization", [0.01, 0.1])
def test_the_saddle_has_the_curvature_minus_two_lambda_and_only_in_b(
    dimension: int, regularization: float
) -> None:
    objective = at_saddle(dimension, regularization)
    assert objective.weight_norm() == pytest.approx(saddle_norm(dimension, regularization))
    objective().backward()
    gradients = (objective.student.weight.grad, objective.student.bias.grad)
    assert all(gradient is not None and gradient.norm() < 1e-14 for gradient in gradients)
    values, vectors = torch.linalg.eigh(dense_hessian(objective))
    assert float(values[0]) == pytest.approx(-2 * regularization, rel=1e-10)
    negative = vectors[:, values < -1e-10]
    assert negative.shape[1] == dimension - 1  # Stein: a direction of b for each column of W_⊥
    in_weight = negative[: objective.student.weight.numel()]
    assert float(in_weight.norm()) < 1e-10


def test_gradient_descent_stays_and_pgd_leaves() -> None:
    stayed = descend_and_certify(Setting("gradient descent", 3, 0.1, 300), 2)
    left = descend_and_certify(Setting("PGD", 3, 0.1, 5000), 2)
    assert stayed["orthogonal_norm"] == pytest.approx(saddle_norm(3, 0.1), rel=1e-8)
    assert stayed["min_curvature"] == pytest.approx(-0.2, rel=1e-6)
    assert stayed["bias_norm"] < 1e-10
    assert (stayed["steps"], stayed["terminated"], stayed["perturbations"]) == (300, 0, 0)
    assert left["orthogonal_norm"] < 1e-6
    assert left["bias_norm"] > 1
    assert left["min_curvature"] > -1e-8
    assert left["terminated"] == 1
    assert left["perturbations"] == 2  # one to leave, one to see that nothing more is to be had
    assert left["value"] < stayed["value"] - 0.5


def test_the_study_shows_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saddles, "DIMENSIONS", (2,))
    monkeypatch.setattr(saddles, "REGULARIZATIONS", (0.2,))
    monkeypatch.setattr(saddles, "SHOWN", (2, 0.2))
    monkeypatch.setattr(saddles, "SHOWN_STEPS", np.array([0, 150, 430, 440]))
    saddles.main(Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, steps=320))
    record = json.loads((tmp_path / "results.json").read_text())
    assert [(claim["id"], claim["holds"]) for claim in record["claims"]] == [("FOSP", True)] * 4
    assert record["claims"][0]["measured"] == pytest.approx(saddle_norm(2, 0.2))
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * 2
    history = np.load(tmp_path / "history.npz")
    paths = {m: history[f"{m}_weight_norm"] for m in ("gradient_descent", "pgd")}
    assert paths["pgd"].shape == (4, 2)
    np.testing.assert_array_equal(paths["pgd"][0], paths["gradient_descent"][0])
    np.testing.assert_allclose(paths["gradient_descent"][1:], saddle_norm(2, 0.2), rtol=1e-4)
    np.testing.assert_array_equal(paths["pgd"][3], paths["pgd"][2])  # it had ended before
    assert (paths["pgd"][3] < 1e-6).all()
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000


GOOD = {
    "gradient descent": {
        "orthogonal_norm": 0.7,
        "gradient_norm": 1e-15,
        "min_curvature": -0.2,
        "value": 0.8,
        "terminated": 0.0,
    },
    "PGD": {
        "orthogonal_norm": 1e-9,
        "gradient_norm": 1e-11,
        "min_curvature": 0.0,
        "value": 0.2,
        "terminated": 1.0,
    },
}


@pytest.mark.parametrize(
    ("method", "quantity", "value", "failing"),
    [
        ("PGD", "value", 0.2, []),
        ("gradient descent", "orthogonal_norm", 1e-3, [0]),
        ("gradient descent", "gradient_norm", 1e-8, [0]),
        ("gradient descent", "min_curvature", 1e-12, [0, 1]),
        ("gradient descent", "min_curvature", -0.201, [1]),
        ("PGD", "orthogonal_norm", 1e-5, [2]),
        ("PGD", "terminated", 0.0, [2]),
        ("PGD", "value", 0.8, [3]),
    ],
)
def test_a_claim_fails_on_one_seed_that_breaks_it(
    method: saddles.Method, quantity: str, value: float, failing: list[int], tmp_path: Path
) -> None:
    rows = {
        name: Row(
            Setting(name, 2, 0.1, 800), name, {key: np.full(2, x) for key, x in measured.items()}
        )
        for name, measured in GOOD.items()
    }
    rows[method].measured[quantity][1] = value
    run = Run("Example", Config(output_dir=tmp_path, quiet=True))
    saddles._claim(run, [rows["gradient descent"]], [rows["PGD"]])
    assert [i for i, claim in enumerate(run.claims) if claim.holds is not True] == failing
