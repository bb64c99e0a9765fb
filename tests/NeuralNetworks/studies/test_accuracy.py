"""Steps to the first ρ-SOSP: found as by brute force, counted and claimed as the theorems say."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import HessianDescent, PerturbedGradientDescent, certify
from derandomization.certificate import lemma_bound
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from NeuralNetworks.risk import PopulationRisk
from NeuralNetworks.studies import accuracy
from NeuralNetworks.studies.accuracy import (
    Config,
    FirstStationary,
    Method,
    Regime,
    Setting,
    count_steps,
    descend_to_second_order,
)
from NeuralNetworks.studies.saddles import saddle_risk

LIPSCHITZ = accuracy.HESSIAN_LIPSCHITZ
RHO, REGULARIZATION = 1e-2, 0.7  # the saddle's −1.4 is below −√(Kρ) = −0.55, and left soon
Optimizer = HessianDescent | PerturbedGradientDescent


def problem(
    method: Method, dimension: int = 2, regularization: float = REGULARIZATION, rho: float = RHO
) -> tuple[PopulationRisk, Optimizer]:
    """The study's, by default at a ρ and a λ that take some hundred steps."""
    generator = torch.Generator().manual_seed(3)
    objective = saddle_risk(dimension, regularization, generator)
    setting = Setting(method, "λ = 0.1", rho, 1)
    return objective, accuracy._optimizer(setting, objective, 5.0, generator)


def backward(objective: PopulationRisk) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        objective.zero_grad()
        value = objective()
        value.backward()
        return value.detach()

    return closure


def dense_hessian(objective: PopulationRisk) -> Tensor:
    """∇²f in (W, b) where the objective stands."""
    weight, bias = objective.student.weight.detach(), objective.student.bias.detach()

    def value(flat: Tensor) -> Tensor:
        parts = flat.split([weight.numel(), bias.numel()])
        moved = {"student.weight": parts[0].view_as(weight), "student.bias": parts[1]}
        return torch.func.functional_call(objective, moved, ())

    return torch.autograd.functional.hessian(
        value, torch.cat([weight.flatten(), bias]), vectorize=True
    )


def by_brute_force(
    objective: PopulationRisk, optimizer: Optimizer, rho: float = RHO
) -> FirstStationary:
    """Every point of the path, its gradient and all of its eigenvalues."""
    first: tuple[float, float] | None = None
    for step in range(2000):
        backward(objective)()
        gradients = (objective.student.weight.grad, objective.student.bias.grad)
        norm = math.hypot(
            *(float(gradient.norm()) for gradient in gradients if gradient is not None)
        )
        if norm <= rho:
            here = (float(step), objective.weight_norm())
            first = first or here
            if torch.linalg.eigvalsh(dense_hessian(objective))[0] >= -math.sqrt(LIPSCHITZ * rho):
                return FirstStationary(*first, *here)
        optimizer.step(backward(objective))
    raise AssertionError("not found within 2000 steps")


@pytest.mark.parametrize("method", get_args(Method))
def test_the_first_stationary_points_are_those_of_brute_force(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_brute_force(*problem(method))
    judged: list[int] = []

    class Counted(accuracy.Hessian):
        def smallest_eigenvalue(self, **options):  # type: ignore[no-untyped-def]
            judged.append(1)
            return super().smallest_eigenvalue(**options)

    monkeypatch.setattr(accuracy, "Hessian", Counted)
    objective, optimizer = problem(method)
    found = descend_to_second_order(objective, optimizer, RHO, 2000)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found.first_order_norm > 0.1 > 1e-3 > found.second_order_norm
    waited = found.second_order_step - found.first_order_step
    assert waited > 10
    assert len(judged) < waited / 2  # K spares most eigenvalues at the saddle


def test_a_saddle_that_is_shallow_enough_counts_from_where_it_is() -> None:
    """λ_min comes to −2λ from below, and √(Kρ) is hardly more."""
    there = ("PGD", 3, 0.1, rho := 0.2005**2 / LIPSCHITZ)
    expected = by_brute_force(*problem(*there), rho)
    found = descend_to_second_order(*problem(*there), rho, 2000)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found.first_order_step < found.second_order_step - 5
    assert found.second_order_norm > 1  # far from a minimum


def test_a_descent_that_starts_at_a_minimum_is_at_both_points_at_once() -> None:
    objective, optimizer = problem("Hessian descent")
    while not optimizer.terminated:
        optimizer.step(backward(objective))
    _, again = problem("PGD")
    again.param_groups[0]["params"] = [objective.student.weight, objective.student.bias]
    found = descend_to_second_order(objective, again, RHO, 5)
    assert (found.first_order_step, found.second_order_step) == (0, 0)
    assert found.first_order_norm == found.second_order_norm < 1e-3


def test_what_is_not_reached_is_nan() -> None:
    objective, optimizer = problem("PGD")
    assert np.isnan(descend_to_second_order(objective, optimizer, RHO, 3)).all()
    found = descend_to_second_order(objective, optimizer, RHO, 100)
    assert found.first_order_step < 97
    assert found.first_order_norm > 0.1
    assert np.isnan([found.second_order_step, found.second_order_norm]).all()
    with pytest.raises(ValueError, match="steps is 0"):
        Config(steps=0)


def test_an_optimizer_that_gives_up_at_the_saddle_ends_the_descent() -> None:
    objective, _ = problem("PGD")
    impatient = PerturbedGradientDescent(
        [objective.student.weight, objective.student.bias],
        lr=1 / accuracy.SMOOTHNESS,
        gradient_threshold=RHO,
        perturbation_radius=1e-6,
        perturbation_interval=1,
        decrease_threshold=1.0,
        generator=torch.Generator().manual_seed(0),
    )
    found = descend_to_second_order(objective, impatient, RHO, 10**6)
    assert impatient.terminated
    assert impatient.num_steps < 1000
    assert found.first_order_norm > 0.1
    assert math.isnan(found.second_order_step)


@pytest.mark.parametrize(("regularization", "steps"), [(0.1, 450), (0.05, 800)])
def test_the_constants_hold_along_the_paths_and_are_not_far_above(
    regularization: float, steps: int
) -> None:
    objective, optimizer = problem("Hessian descent", 2, regularization, 3e-5)
    curvatures, third_derivatives = [], []
    for step in range(steps):
        if step in range(4, 24, 4) or step % 150 == 0:
            curvatures.append(float(torch.linalg.eigvalsh(dense_hessian(objective)).abs().max()))
            third_derivatives.append(certify(objective).hessian_lipschitz)
        optimizer.step(backward(objective))
    assert objective.weight_norm() < 1e-3  # the path led past the saddle to its end
    assert 0.9 * accuracy.SMOOTHNESS < max(curvatures) <= accuracy.SMOOTHNESS
    assert 0.9 * LIPSCHITZ < max(third_derivatives) <= LIPSCHITZ


def test_a_measurement_counts_both_kinds_of_steps_or_none() -> None:
    hessian = count_steps(Setting("Hessian descent", "λ = √(Kρ)", RHO, 5000), 0)
    assert hessian["curvature_steps"] == 1
    assert hessian["gradient_steps"] == hessian["steps"] - 1
    assert hessian["first_order_steps"] < hessian["steps"]
    generator = torch.Generator().manual_seed(0)
    start = saddle_risk(2, (LIPSCHITZ * RHO) ** 0.5, generator)
    assert hessian["value_gap"] == float(start().detach())
    cut_short = count_steps(Setting("Hessian descent", "λ = √(Kρ)", RHO, int(hessian["steps"])), 0)
    for quantity in ("steps", "gradient_steps", "curvature_steps", "orthogonal_norm"):
        assert math.isnan(cut_short[quantity])
    assert cut_short["first_order_steps"] == hessian["first_order_steps"]


@pytest.mark.parametrize("steps", [5000, 60])
def test_the_study_says_yes_where_it_gets_there_and_no_where_not(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = dict.fromkeys(get_args(Regime), (2e-2, 1e-2))
    monkeypatch.setattr(accuracy, "ACCURACIES", accuracies)
    monkeypatch.setattr(accuracy, "FIXED_REGULARIZATION", REGULARIZATION)
    enough = steps == 5000
    seeds = 2 if enough else 1
    accuracy.main(Config(output_dir=tmp_path, quiet=True, seeds=seeds, workers=1, steps=steps))
    record = json.loads((tmp_path / "results.json").read_text())
    assert [claim["id"] for claim in record["claims"]] == ["T4.2"] * 8
    assert [claim["holds"] for claim in record["claims"]] == [enough] * 7 + [None]
    *_, counts, second_order, first_order = record["claims"]
    if enough:
        assert 0 < counts["measured"] < 1
        assert 0 < second_order["measured"] < 1 < first_order["measured"]
    else:
        assert second_order["measured"] is None
    assert len(record["results"]["rows"]) == 8
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000


def rows_of(method: Method, regime: Regime, **measured: list[list[float]]) -> list[Row[Setting]]:
    """A row for each ρ of 1e-1 and 1e-2."""
    settings = [Setting(method, regime, rho, 100) for rho in (1e-1, 1e-2)]
    return [
        Row(setting, "", {name: np.array(values[i]) for name, values in measured.items()})
        for i, setting in enumerate(settings)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", Config(output_dir=tmp_path, quiet=True))


@pytest.mark.parametrize(
    ("method", "last", "holds"),
    [
        ("PGD", [999.0, 999.0], True),
        ("PGD", [999.0, 1001.0], False),  # above the line of ρ^−2 through its first, 10
        ("PGD", [999.0, math.nan], False),
        ("Hessian descent", [316.0, 316.0], True),
        ("Hessian descent", [316.0, 317.0], False),  # of ρ^−1.5
        ("Hessian descent", [20.0, 3000.0], False),
    ],
)
def test_steps_that_grow_faster_than_the_theorem_says_fail(
    method: Method, last: list[float], holds: bool, run: Run
) -> None:
    accuracy._claim_order(run, rows_of(method, "λ = 0.1", steps=[[10.0, 10.0], last]))
    assert run.claims[0].holds is holds
    met = 4 - (not holds)
    assert f"on {met} of 4 runs" in run.claims[0].statement


def test_counts_above_the_provable_numbers_fail(run: Run) -> None:
    gap = 2.0
    gradient = [2 * accuracy.SMOOTHNESS * gap / rho**2 for rho in (1e-1, 1e-2)]
    curvature = [1.6 * gap * (LIPSCHITZ / rho**3) ** 0.5 for rho in (1e-1, 1e-2)]
    rows = rows_of(
        "Hessian descent",
        "λ = 0.1",
        gradient_steps=[[gradient[0] * 0.99, 1.0], [gradient[1] * 0.5, 1.0]],
        curvature_steps=[[1.0, 1.0], [curvature[1] * 1.01, 1.0]],
        value_gap=[[gap, gap], [gap, gap]],
    )
    accuracy._claim_counts(run, rows)
    within, above = run.claims
    assert (within.holds, within.measured) == (True, pytest.approx(0.99))
    assert (above.holds, above.measured) == (False, pytest.approx(1.01))
    assert "on 4 of 4 runs" in within.statement
    assert "on 3 of 4 runs" in above.statement


def test_a_norm_above_the_bound_fails_at_a_second_order_point_only(run: Run) -> None:
    bounds = [lemma_bound(rho, LIPSCHITZ, (LIPSCHITZ * rho) ** 0.5) for rho in (1e-1, 1e-2)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    norms = [[bounds[0] * 0.9, 0.0], [bounds[1] * 1.1, 0.0]]
    rows = rows_of("PGD", "λ = √(Kρ)", orthogonal_norm=norms, first_order_norm=norms)
    accuracy._claim_bound(run, rows)
    second_order, first_order = run.claims
    assert (second_order.holds, first_order.holds) == (False, None)
    for claim in run.claims:
        assert claim.measured == pytest.approx(1.1)
        assert "on 3 of 4 runs" in claim.statement
