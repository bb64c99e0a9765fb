"""The saddle where gradient descent stays: what is known of it by hand, and what the study says."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import GaussHermite, certify
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies import saddles
from NeuralNetworks.studies.saddles import (
    Config,
    ManySaddles,
    Setting,
    descend_and_certify,
    saddle_risk,
)


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
    assert np.isnan(stayed["left_step"])
    assert 0 < left["left_step"] < left["steps"]
    assert left["min_curvature"] > -1e-8
    assert left["terminated"] == 1
    assert left["perturbations"] == 2  # one to leave, one to see that nothing more is to be had
    assert left["value"] < stayed["value"] - 0.5


def test_the_study_shows_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saddles, "DIMENSIONS", (2,))
    monkeypatch.setattr(saddles, "REGULARIZATIONS", (0.2,))
    monkeypatch.setattr(saddles, "SHOWN", (2, 0.2))
    monkeypatch.setattr(saddles, "LONGER", (2, 0.2))
    monkeypatch.setattr(saddles, "SHOWN_STEPS", np.array([0, 150, 430, 440]))
    saddles.main(
        Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, steps=320, longer_steps=20)
    )
    record = json.loads((tmp_path / "results.json").read_text())
    holds = [(claim["id"], claim["holds"]) for claim in record["claims"]]
    assert holds == [("FOSP", True)] * 4 + [("FOSP", None)]
    assert "after 320 steps" in record["claims"][0]["statement"]
    assert record["claims"][4]["measured"] == "2 of 2"
    assert record["claims"][0]["measured"] == pytest.approx(saddle_norm(2, 0.2))
    with (tmp_path / "table.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2 * 2 + 2
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


def row_of(method: saddles.Method, steps: int) -> Row[Setting]:
    each = Setting(method, 2, 0.2, steps)
    found = descend_and_certify(each, 2)
    return Row(each, method, {name: np.array([value]) for name, value in found.items()})


def holding(tmp_path: Path, stayed: Row[Setting], left: Row[Setting]) -> list[bool | None]:
    run = Run("Example", Config(output_dir=tmp_path, quiet=True))
    saddles._claim(run, [stayed], [left])
    return [claim.holds for claim in run.claims]


@pytest.mark.filterwarnings("ignore:the optimizer stopped")
def test_broken_descents_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stayed, left = row_of("gradient descent", 320), row_of("PGD", 2000)
    assert holding(tmp_path, stayed, left) == [True] * 4
    with monkeypatch.context() as patch:  # noise too small to leave within the interval
        patch.setattr(saddles, "PERTURBATION_RADIUS", 1e-300)
        assert holding(tmp_path, stayed, row_of("PGD", 2000)) == [True, True, False, False]

    def off_the_manifold(*arguments: object) -> PopulationRisk:
        objective = saddle_risk(*arguments)  # type: ignore[arg-type]
        with torch.no_grad():
            objective.student.bias.add_(0.1)
        return objective

    monkeypatch.setattr(saddles, "saddle_risk", off_the_manifold)
    assert holding(tmp_path, row_of("gradient descent", 200), left)[:2] == [False, False]


def test_descents_that_rounding_errors_end_are_counted(tmp_path: Path) -> None:
    steps = {"left_step": np.array([320.0, 300.0, np.nan])}
    run = Run("Example", Config(output_dir=tmp_path, quiet=True))
    saddles._report_longer(run, Row(Setting("gradient descent", 2, 0.2, 400), "", steps))
    assert (run.claims[0].measured, run.claims[0].holds) == ("1 of 3", None)
    assert "from step 300 on" in run.claims[0].statement


def many_saddles(signal: int) -> ManySaddles:
    """Three outputs at a random point, d = 2."""
    generator = torch.Generator().manual_seed(signal)
    constants, scales = torch.rand(2, 3, generator=generator).double() + 0.5
    weight = torch.randn(3, 2, 2, generator=generator).double()
    objective = ManySaddles(weight, constants, 0.3, scales=scales, signal=signal)
    with torch.no_grad():
        objective.units.add_(torch.randn(3, 2, 3, generator=generator).double())
    return objective


@pytest.mark.parametrize("signal", [0, 1])
def test_many_saddles_are_a_risk_and_satisfy_steins_identity(signal: int) -> None:
    objective = many_saddles(signal)
    points, weights = GaussHermite((6, 6))()

    def by_quadrature(units: Tensor) -> Tensor:
        hidden = torch.einsum("pd,jid->pji", points, units[..., :-1]) + units[..., -1]
        labels = signal * points[:, :1].square() + objective.constants
        errors = hidden.square().sum(dim=2) - labels
        return weights @ errors.square() @ objective.scales + 0.3 * units[..., :-1].square().sum()

    value = objective()
    value.backward()
    units = objective.units.detach().clone().requires_grad_(True)
    expected = by_quadrature(units)
    expected.backward()
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(objective.units.grad, units.grad, rtol=1e-10, atol=1e-10)
    penalty = 0.3 * objective.random_weights().square().sum()
    torch.testing.assert_close(objective.expected_value() + penalty, value)
    assert objective.random_weights().shape == (6, 2 - signal)
    assert certify(objective).stein_defect < 1e-10


@pytest.mark.parametrize("signal", [0, 1])
def test_the_lipschitz_constants_hold_within_the_radius_and_are_attained(signal: int) -> None:
    objective = many_saddles(signal)
    smoothness, hessian_lipschitz = objective.lipschitz_constants(objective.radius())
    units = objective.units.detach()

    def hessian(at: Tensor) -> Tensor:
        return torch.autograd.functional.hessian(
            lambda u: torch.func.functional_call(objective, {"units": u}, ()), at
        ).reshape(units.numel(), units.numel())

    assert torch.linalg.eigvalsh(hessian(units)).abs().max() <= smoothness
    assert torch.linalg.eigvalsh(hessian(0 * units)).abs().max() <= smoothness
    inside = 0.9 * units
    change = torch.linalg.matrix_norm(hessian(units) - hessian(inside), ord=2)
    assert change <= hessian_lipschitz * float((units - inside).norm())
    along = torch.zeros_like(units)  # one weight alone attains K
    along[0, 0, 0] = objective.radius()[0]
    change = torch.linalg.matrix_norm(hessian(along) - hessian(0.999 * along), ord=2)
    only_first = torch.tensor([float(along[0, 0, 0]), 0.0, 0.0], dtype=torch.float64)
    attained = float(change) / (0.001 * float(along.norm()))
    assert attained == pytest.approx(objective.lipschitz_constants(only_first)[1], rel=2e-3)


def test_broken_weights_of_many_saddles_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = many_saddles(1)
    monkeypatch.setattr(ManySaddles, "bias", lambda self: self.units[..., 0].flatten())
    assert certify(objective).stein_defect > 0.1
