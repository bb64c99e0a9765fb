"""Links, splits, methods and exponents of the study generalization, and the whole of it, small."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.run import Claim, Run
from derandomization.laboratory.study import Row
from NeuralNetworks.model import Teacher
from NeuralNetworks.studies import generalization
from NeuralNetworks.studies.generalization import (
    METHODS,
    PROBLEMS,
    RIDGES,
    THRESHOLD,
    Config,
    Fit,
    Setting,
    Split,
    crossing,
    exponent,
    kernel_ridge,
    main,
    samples_needed,
    sizes,
    train_student,
)

NAN = math.nan
GRID = torch.linspace(-10, 10, 4001, dtype=torch.float64)[:, None]
MASS = torch.exp(-(GRID[:, 0] ** 2) / 2) / math.sqrt(2 * math.pi) * (GRID[1] - GRID[0])
HERMITE = (lambda z: z**0, lambda z: z, lambda z: z**2 - 1, lambda z: z**3 - 3 * z)
QUICK = Setting("|z|", 4, width=10, noise=0.1, steps=60)


def split_of(samples: int = 60, dimension: int = 4, noise: float = 0.1) -> Split:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(samples + 500, dimension, generator=generator)
    link = PROBLEMS["|z|"].link
    signal = link(points @ Teacher(dimension).directions.T.float())
    labels = signal + noise * torch.randn(len(signal), generator=generator)
    return Split(points[:samples], labels[:samples], points[samples:], signal[samples:])


def claims_of(tmp_path: Path, needed: dict[str, list[list[float]]]) -> list[Claim]:
    run = Run("NeuralNetworks/generalization", Config(output_dir=tmp_path, quiet=True))
    rows = [
        Row(
            replace(QUICK, dimension=dimension),
            f"d = {dimension}",
            {method: np.array(values[i], dtype=float) for method, values in needed.items()},
        )
        for i, dimension in enumerate((10, 20, 40))
    ]
    generalization._claims(run, rows)
    return run.claims


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_link_has_unit_variance_and_its_information_exponent(name: str) -> None:
    values = PROBLEMS[name].link(GRID)
    assert float(MASS @ values.square()) == pytest.approx(1, rel=1e-4)
    coefficients = [abs(float(MASS @ (values * he(GRID[:, 0])))) for he in HERMITE]
    first = PROBLEMS[name].exponent
    assert max(coefficients[:first]) < 1e-5
    assert coefficients[first] > 0.5


def test_one_point_in_five_is_held_out_and_the_rest_is_fitted() -> None:
    split = split_of(samples=12)
    inputs, labels = split.fitted()
    assert len(inputs) == len(labels) == 9
    kept = [1, 2, 3, 4, 6, 7, 8, 9, 11]
    assert torch.equal(inputs, split.inputs[kept])
    inputs, labels = split.held_out()
    assert torch.equal(inputs, split.inputs[[0, 5, 10]])
    assert torch.equal(labels, split.labels[[0, 5, 10]])


def test_the_crossing_is_that_of_a_power_of_n() -> None:
    power = {n: 3.0 * n**-0.7 for n in (10, 20, 40, 80)}
    assert crossing(power) == pytest.approx((3 / THRESHOLD) ** (1 / 0.7))
    assert crossing({10: 0.5, 20: 0.3}) != crossing({10: 0.5, 20: 0.3})  # NaN: not learned
    assert crossing({}) != crossing({})
    assert crossing({10: 0.1, 20: 0.05}) == 10
    assert crossing({10: 0.9, 20: THRESHOLD, 40: 0.9, 80: 0.1}) == pytest.approx(20)


def test_the_sizes_double_up_to_the_most_allowed() -> None:
    assert sizes(replace(QUICK, dimension=200), "validated") == [400, 800, 1600, 3200]
    assert sizes(replace(QUICK, dimension=200), "kernel") == [400, 800, 1600]
    assert sizes(replace(QUICK, link="z³ − 3z", dimension=40), "unregularized")[0] == 320
    for name, problem in PROBLEMS.items():
        for dimension in problem.dimensions:
            assert len(sizes(replace(QUICK, link=name, dimension=dimension), "kernel")) > 1


@pytest.mark.parametrize("planted", [0.6, 1.0, 2.3])
def test_the_exponent_is_the_planted_one(planted: float) -> None:
    dimensions = (10, 30, 80, 200)
    rng = np.random.default_rng(0)
    noise = np.exp(0.1 * rng.standard_normal((4, 8)))
    needed = 5 * np.array(dimensions)[:, None] ** planted * noise
    mean, low, high = (
        float(each)
        for each in exponent(dimensions, needed).translate(str.maketrans(",[]", "   ")).split()
    )
    assert low < planted < high
    assert mean == pytest.approx(planted, abs=0.1)
    exact = exponent(dimensions, needed / noise)
    assert float(exact.split()[0]) == pytest.approx(planted)


def test_the_exponent_leaves_out_dimensions_at_which_a_seed_did_not_learn() -> None:
    needed = np.array([10.0, 20, 40, 1000])[:, None] * np.ones(3)
    needed[3, 1] = NAN
    assert exponent((1, 2, 4, 8), needed) == "1 over 3 of 4 d"
    needed[0] = NAN
    assert exponent((1, 2, 4, 8), needed) == "not fitted (all seeds learned at 2 of 4 d)"


def test_the_kernel_method_is_kernel_ridge_regression() -> None:
    split = split_of()
    inputs, labels = (each.double().numpy() for each in split.fitted())
    points = split.test_inputs.double().numpy()

    def kernel(left: np.ndarray) -> np.ndarray:
        return np.exp(-((left[:, None] - inputs) ** 2).sum(axis=2) / 8)

    errors = []
    for ridge in RIDGES:
        weights = np.linalg.solve(kernel(inputs) + ridge * np.eye(len(inputs)), labels)
        held_out, test = (
            float(np.mean((kernel(x.double().numpy()) @ weights - y.double().numpy()) ** 2))
            for x, y in (
                (split.inputs[::5], split.labels[::5]),
                (split.test_inputs, split.test_labels),
            )
        )
        errors.append((held_out, test))
    assert points.shape[1] == 4
    assert kernel_ridge(split)[:2] == pytest.approx(min(errors), rel=1e-5)


def test_a_student_learns_and_weight_decay_removes_what_is_irrelevant() -> None:
    split, teacher = split_of(samples=300), Teacher(4).float()
    weak, strong = (train_student(QUICK, value, split, teacher, 0) for value in (1e-7, 1e-2))
    short = train_student(replace(QUICK, steps=1), 1e-7, split, teacher, 0)
    assert max(weak.test, strong.test) < 0.3 < short.test
    assert strong.orthogonal < 0.5 * weak.orthogonal


def test_a_seed_repeats_and_every_method_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalization, "MOST_SAMPLES", {"student": 256, "kernel": 256})
    found, again = samples_needed(QUICK, 0), samples_needed(QUICK, 0)
    assert found == again
    assert all(8 <= found[method] < 256 for method in METHODS)
    assert found["regularization"] in generalization.REGULARIZATIONS
    assert 0 < found["orthogonal"] < 1


def test_lambda_is_chosen_on_the_points_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best λ has the worst test risk here: only validation may choose."""
    tried = []

    def fake(setting: Setting, value: float, *_: object) -> Fit:
        tried.append(value)
        return {1e-2: Fit(0.3, 0.1), 1e-3: Fit(0.1, 0.15), 1e-7: Fit(0.2, 0.01)}[value]

    monkeypatch.setattr(generalization, "train_student", fake)
    monkeypatch.setattr(generalization, "kernel_ridge", lambda split: Fit(0.1, 0.9))
    found = samples_needed(QUICK, 0)
    assert found["regularization"] == 1e-3
    assert found["validated"] == found["unregularized"] == 8
    assert math.isnan(found["kernel"])
    assert tried == list(generalization.REGULARIZATIONS)  # at one size only


def test_a_student_that_never_learns_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generalization, "train_student", lambda *_: Fit(0.5, 0.5))
    monkeypatch.setattr(generalization, "kernel_ridge", lambda split: Fit(0.1, 0.1))
    found = samples_needed(QUICK, 0)
    assert found["kernel"] == 8
    assert all(math.isnan(value) for name, value in found.items() if name != "kernel")


def test_claims_compare_medians_and_tell_what_was_not_reached(tmp_path: Path) -> None:
    first, second = claims_of(
        tmp_path,
        {
            "validated": [[40, 50, 60], [80, 100, 120], [160, 200, 240]],
            "unregularized": [[80, 80, NAN], [200, NAN, 300], [NAN, 500, NAN]],
            "kernel": [[100, 200, 300], [NAN, NAN, 900], [NAN, NAN, NAN]],
        },
    )
    assert (first.id, first.holds, first.reference_kind) == ("GEN", None, "baseline")
    assert (first.measured, first.reference) == ("50, 100, 200", "200, > 1280, > 1280")
    assert "|z| (information exponent 2), d = 10, 20, 40: " in first.statement
    assert "kernel not fitted (all seeds learned at 1 of 3 d)" in first.statement
    assert (second.measured, second.reference) == ("80, 300, > 2560", first.measured)
    assert second.holds is None


def test_the_study_writes_every_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        generalization,
        "PROBLEMS",
        {"sin z": PROBLEMS["sin z"]._replace(dimensions=(3, 6))},
    )
    monkeypatch.setattr(generalization, "MOST_SAMPLES", {"student": 24, "kernel": 12})
    main(Config(output_dir=tmp_path, quiet=True, seeds=2, workers=1, width=5, steps=5))
    record = json.loads((tmp_path / "results.json").read_text())
    assert record["experiment"] == "NeuralNetworks/generalization"
    names = [row["name"] for row in record["results"]["rows"]]
    assert names == ["sin z, d = 3", "sin z, d = 6"]
    assert [(claim["id"], claim["holds"]) for claim in record["claims"]] == [("GEN", None)] * 2
    assert (tmp_path / "table.csv").read_text().count("\n") == 1 + 2 * len(names)
    assert record["figures"] == ["generalization.png"]
    assert (tmp_path / "generalization.png").stat().st_size > 10_000


@pytest.mark.parametrize("bad", [{"width": 0}, {"noise": -0.1}, {"steps": 0}])
def test_settings_out_of_range_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Config(**bad)
