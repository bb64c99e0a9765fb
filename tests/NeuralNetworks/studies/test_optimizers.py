"""Seven optimizers from one start: when a level counts as reached, and what is said of them."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch.optim import SGD, Adam

from derandomization import GaussHermite, HessianDescent, PerturbedGradientDescent
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies import optimizers
from NeuralNetworks.studies.optimizers import (
    Config,
    Method,
    Setting,
    count_steps_to_collapse,
    kept_from,
)

WIDTH, REGULARIZATION = 20, 1e-2
PLAIN: tuple[Method, ...] = ("PGD", "Hessian descent", "gradient descent")


def descent(method: Method, seed: int, steps: int = 120) -> Measurement:
    return count_steps_to_collapse(Setting(method, WIDTH, REGULARIZATION, steps), seed)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run("Example", Config(output_dir=tmp_path, quiet=True))


@pytest.mark.parametrize(
    ("met", "first"),
    [
        ([False, False, True, True], 2),
        ([True, False, True], 2),  # a dip does not count
        ([True, True], 0),
        ([False, True, False], math.nan),
        ([False], math.nan),
    ],
)
def test_a_level_is_kept_from_the_record_after_the_last_above_it(
    met: Sequence[bool], first: float
) -> None:
    assert kept_from(np.array(met)) == pytest.approx(first, nan_ok=True)


def test_the_levels_of_a_descent_are_reached_in_turn_and_never_where_it_is_too_short() -> None:
    enough, again = descent("PGD", 0), descent("PGD", 0)
    steps = [enough[f"steps_to_{level:g}"] for level in optimizers.LEVELS]
    seconds = [enough[f"cpu_seconds_to_{level:g}"] for level in optimizers.LEVELS]
    assert 0 < steps[0] < steps[1] < steps[2] < 120
    assert 0 < seconds[0] < seconds[1] < seconds[2] < 60
    assert enough["relative_orthogonal_norm"] <= 1e-6
    assert {k: v for k, v in enough.items() if "seconds" not in k} == {
        k: v for k, v in again.items() if "seconds" not in k
    }
    short = descent("PGD", 0, int(steps[1]))
    assert [short[f"steps_to_{level:g}"] for level in optimizers.LEVELS[:2]] == steps[:2]
    assert math.isnan(short["steps_to_1e-06"])
    assert math.isnan(short["cpu_seconds_to_1e-06"])
    assert 1e-6 < short["smallest_relative_norm"] <= short["relative_orthogonal_norm"] <= 1e-4
    assert math.isnan(descent("PGD", 0, 1)["steps_to_0.01"])


def test_before_it_perturbs_pgd_is_gradient_descent_and_so_is_hessian_descent() -> None:
    by_method = {method: descent(method, 0) for method in (*PLAIN, "PGD, momentum")}
    for method, measured in by_method.items():
        assert measured["relative_orthogonal_norm"] <= 1e-6
        assert measured["escapes"] == 0, method
    steps = {
        m: [found[f"steps_to_{x:g}"] for x in optimizers.LEVELS] for m, found in by_method.items()
    }
    assert steps["PGD"] == steps["Hessian descent"] == steps["gradient descent"]
    assert steps["PGD, momentum"] != steps["PGD"]


def test_noise_before_the_last_level_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizers, "GRADIENT_THRESHOLD", 1.0)  # perturb at once
    monkeypatch.setattr(optimizers, "PERTURBATION_INTERVAL", 10)
    measured = descent("PGD", 1, 50)
    assert math.isnan(measured["steps_to_1e-06"])
    assert measured["escapes"] == 5  # at 0, 11, 22, 33 and 44


def test_the_steps_are_one_over_the_largest_curvature() -> None:
    generator = torch.Generator().manual_seed(0)
    student = Student(2, WIDTH, generator)
    objective = PopulationRisk(student, Population(Teacher(2), GaussHermite((24, 4))), 1e-3)
    weight, bias = student.weight.detach(), student.bias.detach()

    def value(flat: torch.Tensor) -> torch.Tensor:
        parts = flat.split([weight.numel(), bias.numel()])
        moved = {"student.weight": parts[0].view_as(weight), "student.bias": parts[1]}
        return torch.func.functional_call(objective, moved, ())

    dense = torch.autograd.functional.hessian(value, torch.cat([weight.flatten(), bias]))
    curvature = float(torch.linalg.eigvalsh(dense)[-1])
    made = {m: optimizers._optimizer(m, objective, generator) for m in get_args(Method)}
    rates = {m: o.param_groups[0]["lr"] * curvature for m, o in made.items() if "lr" in o.defaults}
    # Power iteration approaches the curvature from below.
    for method in ("PGD", "PGD, momentum", "gradient descent", "SGD, step 1/L"):
        assert 1 - 1e-9 <= rates[method] <= 1.1
    assert rates["SGD, step 1/(10L)"] == pytest.approx(rates["SGD, step 1/L"] / 10)
    hessian = made["Hessian descent"]
    assert isinstance(hessian, HessianDescent)
    assert 1 - 1e-9 <= curvature / hessian.smoothness <= 1.1
    assert hessian.hessian_lipschitz > 0
    kinds = [type(optimizer) for optimizer in made.values()]
    assert kinds == [PerturbedGradientDescent] * 2 + [HessianDescent] + [SGD] * 3 + [Adam]
    momenta = [
        made[m].param_groups[0]["momentum"] for m in ("PGD", "PGD, momentum", "SGD, step 1/L")
    ]
    assert momenta == [0, 0.9, 0]


def test_the_study_compares_all_seven(tmp_path: Path) -> None:
    config = Config(
        output_dir=tmp_path, quiet=True, seeds=2, workers=1, width=WIDTH, steps=100,
        regularization=REGULARIZATION,
    )  # fmt: skip
    optimizers.main(config)
    record = json.loads((tmp_path / "results.json").read_text())
    rows = {row["name"]: row["measured"] for row in record["results"]["rows"]}
    assert list(rows) == list(get_args(Method))
    claims = record["claims"]
    assert [claim["holds"] for claim in claims] == [True] * 3 + [None] * 5
    assert [claim["id"] for claim in claims] == ["OPT"] * 4 + ["SGD"] * 2 + ["OPT"] * 2
    for claim, row in zip(claims[:-1], rows.values(), strict=True):
        assert claim["measured"] == max(row["relative_orthogonal_norm"]["values"])
    # Batches of 50 leave noise that no constant step forgets.
    ends = {name: row["relative_orthogonal_norm"]["values"] for name, row in rows.items()}
    assert min(ends["SGD, step 1/L"]) > 1e-4 > max(ends["gradient descent"])
    (figure,) = record["figures"]
    assert (tmp_path / figure).stat().st_size > 10_000


def test_a_level_that_is_left_again_is_not_reached(run: Run) -> None:
    measured = {
        "steps_to_1e-06": np.array([50.0, math.nan, math.nan]),
        "smallest_relative_norm": np.array([1e-9, 1e-7, 1e-5]),
        "relative_orthogonal_norm": np.array([1e-9, 3e-4, 1e-5]),
    }
    for method in ("PGD", "Adam"):
        optimizers._claim_collapse_for_good(
            run, Row(Setting(method, 10, 0.1, 60), method, measured)
        )
    promised, open_question = run.claims
    assert promised.holds is False
    assert open_question.holds is None
    assert "within 60 steps on 1 of 3 seeds, for a while on 1; largest" in promised.statement
    assert promised.measured == 3e-4
