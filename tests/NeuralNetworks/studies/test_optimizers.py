"""Optimizers at strict saddles: what they start from, and what claims say when one is broken."""

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.optim import SGD, Adam

from derandomization import GaussHermite, HessianDescent, PerturbedGradientDescent, certify
from derandomization.eigenvalues import Eigenvalue
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from derandomization.optimizers import hessian as hessian_module
from NeuralNetworks.studies import optimizers
from NeuralNetworks.studies.optimizers import (
    Config,
    Method,
    Sampling,
    Setting,
    at_saddles,
    descend_from_saddles,
    first_below,
    sample_from_saddles,
    sampled_values,
)

REGULARIZATION = 0.5  # quick: everything grows and shrinks by this rate
CONSTANTS = (0.9, 1.1)


@pytest.fixture(autouse=True)
def _few_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "CONSTANTS", CONSTANTS)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", Config(output_dir=tmp_path, quiet=True))


def row(method: Method, steps: int = 20_000, **changed: float) -> Row[Setting]:
    """One run at seed 0, with some of its numbers changed."""
    each = Setting(method, REGULARIZATION, steps)
    found = descend_from_saddles(each, 0) | changed
    return Row(each, method, {name: np.array([value]) for name, value in found.items()})


def holds(run: Run, each: Row[Setting]) -> bool | None:
    run.claims.clear()
    optimizers._claim_exact(run, [each])
    (claim,) = run.claims
    return claim.holds


@pytest.mark.parametrize("regularization", [0.1, 0.5])
def test_a_start_is_a_strict_saddle_of_every_output(regularization: float) -> None:
    objective = at_saddles(regularization, torch.Generator().manual_seed(0))
    certificate = certify(objective)
    assert certificate.gradient_norm < 1e-12
    assert certificate.min_curvature == pytest.approx(-2 * regularization)
    per_output = objective.random_weights().reshape(len(CONSTANTS), -1).norm(dim=1)
    expected = [((2 * c - regularization) / 8) ** 0.5 for c in CONSTANTS]
    assert per_output.tolist() == pytest.approx(expected)
    operator = torch.autograd.functional.hessian(
        lambda units: torch.func.functional_call(objective, {"units": units}, ()),
        objective.units.detach(),
    )
    size = objective.units.numel()
    negative = torch.linalg.eigvalsh(operator.reshape(size, size)) < -1e-9
    assert negative.sum() == len(CONSTANTS)


def test_a_batch_of_quadrature_points_gives_the_exact_objective() -> None:
    objective = at_saddles(REGULARIZATION, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        objective.units.add_(torch.randn(objective.units.shape, generator=generator))
    points, weights = GaussHermite((6, 6))()
    values = [
        sampled_values(
            objective.units[None], points[None, i : i + 1], objective.constants, REGULARIZATION
        )
        for i in range(len(points))
    ]
    exact = float(objective().detach())
    assert float((torch.cat(values) @ weights).detach()) == pytest.approx(exact, rel=1e-12)
    batch = sampled_values(
        objective.units[None], points[None, :2], objective.constants, REGULARIZATION
    )
    torch.testing.assert_close(batch, (values[0] + values[1]) / 2)


def test_every_method_has_the_step_of_the_curvature_at_the_saddles() -> None:
    objective = at_saddles(REGULARIZATION, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    made = {m: optimizers._optimizer(m, objective, generator) for m in get_args(Method)}
    kinds = [type(optimizer) for optimizer in made.values()]
    assert kinds == [PerturbedGradientDescent] * 2 + [HessianDescent, SGD, Adam]
    assert made["PGD"].param_groups[0]["momentum"] == 0
    assert made["PGD, momentum"].param_groups[0]["momentum"] == 0.9
    units = objective.units.detach()
    dense = torch.autograd.functional.hessian(
        lambda u: torch.func.functional_call(objective, {"units": u}, ()), units
    ).reshape(units.numel(), units.numel())
    curvature = float(torch.linalg.eigvalsh(dense)[-1])
    assert made["gradient descent"].param_groups[0]["lr"] * curvature == pytest.approx(1, rel=0.1)
    hessian = made["Hessian descent"]
    assert isinstance(hessian, HessianDescent)
    assert hessian.smoothness > curvature
    assert hessian.accuracy == pytest.approx(2 * REGULARIZATION * optimizers.ACCURACY)


def test_records_below_a_fraction_of_the_first_are_found() -> None:
    assert first_below(np.array([2.0, 1.9, 0.2, 0.3]), 0.1) == 2
    assert math.isnan(first_below(np.array([2.0, 0.3]), 0.1))


@pytest.mark.parametrize("method", ["PGD, momentum", "Hessian descent"])
def test_a_method_of_the_paper_leaves_and_the_claim_needs_all_of_it(
    method: Method, run: Run
) -> None:
    working = row(method)
    assert holds(run, working) is True
    assert working.measured["escapes"] >= 2
    assert 0 < working.measured["left_step"] < working.measured["steps"]
    for name, value in (("orthogonal_norm", 1e-5), ("second_order", 0.0)):
        changed = Row(working.setting, method, working.measured | {name: np.array([value])})
        assert holds(run, changed) is False


@pytest.mark.filterwarnings("ignore:the optimizer stopped")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_pgd_without_noise_fails(
    momentum: float, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_objective = PerturbedGradientDescent.for_objective

    def quiet(*arguments: Any, **options: Any) -> PerturbedGradientDescent:
        made = for_objective(*arguments, **options)
        made.param_groups[0]["perturbation_radius"] = 1e-300
        made.param_groups[0]["perturbation_interval"] = 50
        return made

    monkeypatch.setattr(PerturbedGradientDescent, "for_objective", quiet)
    assert holds(run, row("PGD, momentum" if momentum else "PGD", 500)) is False


@pytest.mark.filterwarnings("ignore:the optimizer stopped")
def test_hessian_descent_with_a_wrong_hessian_fails(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        hessian_module._DifferencedHessian,
        "smallest_eigenvalue",
        lambda self, *_: Eigenvalue(0.0, 0.0, np.zeros(self.size)),
    )
    assert holds(run, row("Hessian descent", 500)) is False


def test_gradient_descent_stays_and_the_claim_fails_where_noise_makes_it_leave(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holds(run, row("gradient descent", 200)) is True
    assert math.isnan(row("gradient descent", 200).measured["left_step"][0])

    def noisy(*arguments: Any) -> Any:
        objective = at_saddles(*arguments)
        with torch.no_grad():
            objective.units.add_(1e-3)
        return objective

    monkeypatch.setattr(optimizers, "at_saddles", noisy)
    assert holds(run, row("gradient descent", 400)) is False


def test_adam_is_reported(run: Run) -> None:
    assert holds(run, row("Adam", 20)) is None


def test_sgd_leaves_and_smaller_steps_leave_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "SGD_TIME", 300)
    large, small, decaying = (
        sample_from_saddles(Sampling(fraction, 50, decays, REGULARIZATION), (0, 1, 2))
        for fraction, decays in ((1.0, False), (0.25, False), (1.0, True))
    )
    assert (large["left_step"] < 300).all()
    assert (large["steps"] == 300).all()
    assert (small["steps"] == 1200).all()
    assert 0.2 < small["orthogonal_norm"].mean() / large["orthogonal_norm"].mean() < 0.9
    assert len({float(x) for x in large["orthogonal_norm"]}) == 3  # each seed has its own batches
    assert not np.array_equal(decaying["orthogonal_norm"], large["orthogonal_norm"])


def test_sgd_with_frozen_steps_does_not_leave() -> None:
    found = sample_from_saddles(Sampling(1e6, 50, False, 1e-9), (0,))  # no step at all
    assert found["steps"] == 0
    assert math.isnan(found["left_step"][0])


def sampled_row(fraction: float, batch: int, floor: list[float]) -> Row[Sampling]:
    found = {"orthogonal_norm": np.array(floor), "left_step": np.array([10.0, math.nan])}
    each = Sampling(fraction, batch, False, REGULARIZATION)
    return Row(each, str(each), found)


def test_the_powers_of_step_and_batch_are_those_of_the_rows(run: Run) -> None:
    rows = [
        sampled_row(1.0, 50, [2.0, 4.0]),
        sampled_row(0.5, 50, [1.0, 2.0]),
        sampled_row(0.25, 50, [0.5, 1.0]),
        sampled_row(0.5, 200, [0.5, 1.0]),
    ]
    numbers = {"left_step": np.array([5.0]), "orthogonal_norm": np.array([1e-9])}
    pgd = Row(Setting("PGD", REGULARIZATION, 1), "PGD", numbers)
    optimizers._report_sampled(run, rows, pgd)
    assert [claim.holds for claim in run.claims] == [None] * 6
    assert [claim.measured for claim in run.claims[-2:]] == ["1", "-0.5"]
    assert "on 1 of 2 seeds, after 10 steps (PGD 5)" in run.claims[0].statement
    assert run.claims[0].reference == "PGD 1e-09"


def test_the_study_compares_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "SGD_TIME", 10)
    optimizers.main(
        Config(
            output_dir=tmp_path,
            quiet=True,
            seeds=1,
            workers=1,
            steps=40,
            unaided_steps=20,
            regularization=REGULARIZATION,
        )
    )
    record = json.loads((tmp_path / "results.json").read_text())
    names = [each["name"] for each in record["results"]["rows"]]
    assert names[:5] == list(get_args(Method))
    assert len(names) == 12
    claims = record["claims"]
    assert [claim["id"] for claim in claims] == ["OPT"] * 5 + ["SGD"] * 9
    # 40 steps are too few for the paper's methods; gradient descent does stay.
    assert [claim["holds"] for claim in claims] == [False] * 3 + [True] + [None] * 10
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000
