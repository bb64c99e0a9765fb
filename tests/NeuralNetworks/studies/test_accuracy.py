"""Steps until a method terminates: what is proven, and what claims say of a broken method."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from derandomization import HessianDescent, PerturbedGradientDescent
from derandomization.eigenvalues import Eigenvalue
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from derandomization.optimizers import hessian as hessian_module
from NeuralNetworks.studies import accuracy
from NeuralNetworks.studies.accuracy import (
    Config,
    Method,
    Setting,
    Sweep,
    count_steps,
    landscape,
    proven_counts,
)

# Small and quick: three outputs, all of which have saddles deeper than √(Kρ), two with W⊥ ≠ 0.
RHO, MARGIN, OUTPUTS = 4e-3, 1.0, 3


def setting(method: Method, sweep: Sweep = "ρ", rho: float = RHO, steps: int = 20_000) -> Setting:
    return Setting(method, sweep, rho, MARGIN, OUTPUTS, 1, steps)


def row(each: Setting, **measured: list[float]) -> Row[Setting]:
    """A row of numbers that are given, or of one run at seed 0."""
    found = {name: np.array(values) for name, values in measured.items()}
    if not found:
        found = {name: np.array([value]) for name, value in count_steps(each, 0).items()}
    return Row(each, "", found)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", Config(output_dir=tmp_path, quiet=True))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """PGD waits for fewer steps than theory says, and for a gradient that is less small."""
    from_theory = PerturbedGradientDescent.from_theory

    def quick(*arguments: Any, **options: Any) -> PerturbedGradientDescent:
        made = from_theory(*arguments, **options)
        quicker = {"perturbation_interval": 300, "gradient_threshold": options["accuracy"] / 10}
        made.param_groups[0].update(quicker, perturbation_radius=1e-4)
        return made

    monkeypatch.setattr(PerturbedGradientDescent, "from_theory", quick)


def test_the_scale_of_an_output_changes_its_curvature_and_not_its_third_derivative() -> None:
    objective, depths = landscape(setting("PGD"), torch.Generator().manual_seed(0))
    with torch.no_grad():
        objective.units.zero_()
    parameters = objective.units.detach()

    def value(units: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(objective, {"units": units}, ())

    hessian = torch.autograd.functional.hessian(value, parameters)
    size = parameters.numel()
    of_biases = hessian.reshape(size, size).diagonal().reshape(parameters.shape)[..., -1]
    torch.testing.assert_close(of_biases, -depths[:, None].expand(OUTPUTS, 2))
    for j in range(OUTPUTS):
        radius = torch.zeros(OUTPUTS, dtype=torch.float64)
        radius[j] = accuracy.REACH * depths[j]
        assert objective.lipschitz_constants(radius)[1] == pytest.approx(accuracy.HESSIAN_LIPSCHITZ)


def test_the_depths_fill_unit_intervals_of_their_inverse_squares() -> None:
    dense = Setting("PGD", "f(x₀)", RHO, MARGIN, 12, 4, 1)
    depths = landscape(dense, torch.Generator().manual_seed(1))[1]
    counts = torch.floor(depths**-2).long().bincount()
    assert counts.tolist() == [0, 4, 4, 4]


def test_hessian_descent_takes_one_curvature_step_for_each_deep_saddle() -> None:
    found = count_steps(setting("Hessian descent"), 0)
    assert found["saddles"] == found["curvature_steps"] == OUTPUTS
    assert found["steps"] > 100
    assert found["gradient_norm"] <= RHO
    assert 0 < found["largest_radius"] <= accuracy.REACH
    assert 1e-12 < found["orthogonal_norm"] < RHO / (MARGIN * math.sqrt(19.8 * RHO))


def test_the_proven_counts_are_those_of_the_theorems() -> None:
    x = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    constants = {"smoothness": 5.0, "hessian_lipschitz": 16.0, "accuracy": 0.25}
    counts = proven_counts(HessianDescent([x], **constants), 3.0)
    assert counts["curvature_steps"] == pytest.approx(1.6 * 3 * 4 * 8)
    assert counts["steps"] - counts["curvature_steps"] == pytest.approx(2 * 5 * 3 * 16)
    pgd = PerturbedGradientDescent.from_theory(
        [x], **constants, failure_probability=0.1, value_gap=3.0
    )
    chi = 3 * math.log(4 * 5 * 3 / (0.25**2 * 0.1))
    leading = 2 * 5 * 3 * chi**4 / 0.25**2 + chi**4 * 5 * 3 / 0.25**2
    assert proven_counts(pgd, 3.0)["steps"] == pytest.approx(leading, rel=0.01)


def test_the_study_says_yes_where_methods_terminate_and_no_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    small = {
        "ρ": ((16e-3, 1.0, 2, 1), (8e-3, 1.0, 2, 1)),
        "f(x₀)": ((16e-3, 1.0, 1, 1), (16e-3, 1.0, 2, 2)),
    }
    monkeypatch.setattr(accuracy, "SWEEPS", small)
    for steps, holds in ((20_000, True), (20, False)):
        folder = tmp_path / str(steps)
        accuracy.main(Config(output_dir=folder, quiet=True, seeds=1, workers=1, steps=steps))
        record = json.loads((folder / "results.json").read_text())
        claims = record["claims"]
        assert [claim["id"] for claim in claims] == ["T4.2"] * 10
        assert [claim["holds"] for claim in claims[:7]] == [holds] * 7
        assert [claim["holds"] for claim in claims[8:]] == [None] * 2
        assert len(record["results"]["rows"]) == 8
        (figure,) = record["figures"]
        assert (folder / figure).stat().st_size > 10_000


def without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """PGD perturbs by nothing."""
    perturb = PerturbedGradientDescent._perturb

    def nothing(self: PerturbedGradientDescent, value: float) -> None:
        before = [p.clone() for p in self._parameters()]
        perturb(self, value)
        for parameter, earlier in zip(self._parameters(), before, strict=True):
            parameter.copy_(earlier)

    monkeypatch.setattr(PerturbedGradientDescent, "_perturb", nothing)


def with_a_convex_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hessian descent finds no negative curvature."""
    monkeypatch.setattr(
        hessian_module._DifferencedHessian,
        "smallest_eigenvalue",
        lambda self, *_: Eigenvalue(0.0, 0.0, np.zeros(self.size)),
    )


@pytest.mark.parametrize(
    ("method", "broken"), [("PGD", without_noise), ("Hessian descent", with_a_convex_hessian)]
)
def test_a_method_that_ends_at_a_saddle_fails(
    method: Method,
    broken: Callable[[pytest.MonkeyPatch], None],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    impatient: None,
) -> None:
    working = row(setting(method))
    broken(monkeypatch)
    failing = row(setting(method))
    assert failing.measured["steps"] < 20_000  # it does terminate
    for rows, holds in (([working], True), ([working, failing], False)):
        run.claims.clear()
        accuracy._claim_end(run, rows)
        accuracy._claim_bound(run, rows)
        assert [claim.holds for claim in run.claims] == [holds, holds]
        assert all(f"on 1 of {len(rows)} runs" in claim.statement for claim in run.claims)


@pytest.mark.parametrize(
    ("exponent", "last", "holds"),
    [
        (2.0, [400.0, 420.0], True),
        (2.0, [4e3, 5e3], False),  # slopes 2.6 and 2.7
        (1.5, [400.0, 420.0], False),  # slopes 1.60 and 1.62
        (2.0, [400.0, math.nan], False),  # did not terminate
    ],
)
def test_steps_that_grow_faster_than_the_theorem_says_fail(
    exponent: float, last: list[float], holds: bool, run: Run
) -> None:
    rows = [
        row(setting("PGD", rho=0.1), steps=[10.0, 10.0]),
        row(setting("PGD", rho=0.01), steps=last),
        row(setting("PGD", "Δ", rho=0.01), steps=[1e9, 1e9]),  # not of this sweep
    ]
    accuracy._claim_order(run, rows, "steps", "PGD: steps", exponent)
    assert run.claims[0].holds is holds
    assert f"on {4 - math.isnan(last[1])} of 4 runs" in run.claims[0].statement


@pytest.mark.parametrize(
    ("steps", "radius", "holds"),
    [(99.0, 1.0, True), (101.0, 1.0, False), (math.nan, 1.0, False), (99.0, 1.2, False)],
)
def test_more_steps_than_proven_or_constants_that_do_not_hold_fail(
    steps: float, radius: float, holds: bool, run: Run
) -> None:
    rows = [
        row(
            setting("PGD"),
            steps=[50.0, steps],
            proven_steps=[100.0, 100.0],
            largest_radius=[1.0, radius],
        )
    ]
    accuracy._claim_counts(run, rows, "steps", "PGD: steps")
    assert run.claims[0].holds is holds


def test_the_growth_with_the_value_gap_is_reported(run: Run) -> None:
    rows = [
        row(setting("PGD", "f(x₀)"), value_gap=[1.0, 2.0], steps=[10.0, 30.0]),
        row(setting("PGD", "f(x₀)"), value_gap=[4.0, 8.0], steps=[20.0, 60.0]),
    ]
    accuracy._report_gap(run, rows)
    assert run.claims[0].holds is None
    assert str(run.claims[0].measured).startswith("0.5 ")


def test_every_method_and_sweep_is_measured() -> None:
    assert set(accuracy.SWEEPS) == set(get_args(Sweep))
    assert all(outputs <= 32 for every in accuracy.SWEEPS.values() for *_, outputs, _ in every)
