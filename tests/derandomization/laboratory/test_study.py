"""A study: seeds and workers in, rows, results.json and table.csv out."""

import csv
import importlib
import json
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from derandomization.laboratory.intervals import confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import (
    Row,
    StudyConfig,
    grouped,
    measure_rows,
    measured,
    spawn_seeds,
    sweep,
    tabulate,
)


@dataclass(frozen=True)
class Setting:
    scale: float
    widths: tuple[int, ...] = (3, 2)


def measure(setting: Setting, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    silent = math.nan if setting.scale < 0 else 1.0
    return {"norm": setting.scale * rng.random(), "bound": silent, "steps": 7}


SETTINGS = {"large, λ = 2": Setting(2.0), "negative": Setting(-1.0)}


def config(folder: Path, **options: object) -> StudyConfig:
    settings = {"device": "cpu", "quiet": True, "seeds": 3, "workers": 1, "seed": 5}
    return StudyConfig(output_dir=folder, **(settings | options))


@pytest.fixture
def study(tmp_path: Path) -> tuple[Run, list[Row[Setting]]]:
    run = Run("Example/study", config(tmp_path))
    return run, measure_rows(run, run.config, measure, SETTINGS)


def test_a_study_measures_every_setting_at_every_seed(
    study: tuple[Run, list[Row[Setting]]],
) -> None:
    _, rows = study
    assert [row.name for row in rows] == list(SETTINGS)
    assert [row.setting for row in rows] == list(SETTINGS.values())
    expected = sweep(measure, list(SETTINGS.values()), spawn_seeds(5, 3))
    for row, numbers in zip(rows, expected, strict=True):
        assert list(row.measured) == ["norm", "bound", "steps"]
        for name in numbers:
            np.testing.assert_array_equal(row.measured[name], numbers[name])


def test_rows_are_grouped_and_their_numbers_picked_in_order(
    study: tuple[Run, list[Row[Setting]]],
) -> None:
    _, rows = study
    groups = grouped([*rows, rows[0]], lambda setting: setting.scale)
    assert list(groups.items()) == [(2.0, [rows[0], rows[0]]), (-1.0, [rows[1]])]
    norms = measured(rows, "norm")
    assert norms.shape == (2, 3)
    assert norms.tolist() == [row.measured["norm"].tolist() for row in rows]


def test_all_numbers_are_in_results_json(study: tuple[Run, list[Row[Setting]]]) -> None:
    run, rows = study
    run.finish()
    record = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    assert record["experiment"] == "Example/study"
    assert (record["config"]["seeds"], record["config"]["workers"]) == (3, 1)
    results = record["results"]
    assert results["seeds"] == spawn_seeds(5, 3)
    assert [row["name"] for row in results["rows"]] == list(SETTINGS)
    assert results["rows"][0]["setting"] == {"scale": 2.0, "widths": [3, 2]}
    written = results["rows"][0]["measured"]["norm"]
    interval = confidence_interval(rows[0].measured["norm"])
    assert written["values"] == rows[0].measured["norm"].tolist()
    assert written["interval"] == vars(interval)
    silent = {"interval": {"mean": None, "low": None, "high": None}, "values": [None] * 3}
    assert results["rows"][1]["measured"]["bound"] == silent


def test_a_study_on_two_processes_counts_its_runs_and_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    functions: ModuleType = importlib.import_module("sweep_functions")
    monkeypatch.setenv("COLUMNS", "120")
    settings = {"first": ("a", 1.0), "second": ("b", 2.0)}
    found = []
    for workers in (1, 2):
        run = Run("Example", config(tmp_path, quiet=False, seeds=2, workers=workers))
        found.append(measure_rows(run, run.config, functions.numbers, settings))
        assert "run 4/4" in capsys.readouterr().out
    for alone, shared in zip(*found, strict=True):
        assert (alone.name, alone.setting) == (shared.name, shared.setting)
        for name in alone.measured:
            np.testing.assert_array_equal(alone.measured[name], shared.measured[name])


def test_the_table_shows_mean_and_interval_of_the_columns_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run = Run("Example/study", config(tmp_path, quiet=False))
    rows = [
        Row("s", "first", {"norm": np.array([1.0, 3.0]), "hidden": np.array([5.0, 5.0])}),
        Row("t", "second", {"norm": np.array([2.0, 2.0]), "hidden": np.array([6.0, 6.0])}),
    ]
    tabulate(run, rows, {"norm": "‖W⊥‖"})
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert lines[0].strip() == "Example/study"
    assert any("setting" in line and "‖W⊥‖" in line for line in lines)
    # t at 0.975 with 1 degree of freedom is 12.71, the standard error 1.
    assert any("first" in line and "2 [-10.7, 14.7]" in line for line in lines)
    assert any(line.split()[1:4:2] == ["second", "2"] for line in lines if "second" in line)
    assert "hidden" not in shown
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert written == [
        ["setting", "repetition", "norm", "hidden"],
        ["first", "0", "1.0", "5.0"],
        ["first", "1", "3.0", "5.0"],
        ["second", "0", "2.0", "6.0"],
        ["second", "1", "2.0", "6.0"],
    ]


def test_the_csv_holds_every_digit_and_any_name(study: tuple[Run, list[Row[Setting]]]) -> None:
    run, rows = study
    tabulate(run, rows, {})
    with (run.folder / "table.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    assert [line["setting"] for line in lines[:4]] == ["large, λ = 2"] * 3 + ["negative"]
    assert [line["repetition"] for line in lines] == ["0", "1", "2"] * 2
    assert [float(line["norm"]) for line in lines[:3]] == rows[0].measured["norm"].tolist()
    assert [line["bound"] for line in lines[3:]] == ["nan"] * 3


def test_a_row_has_an_interval_and_a_median_of_what_was_measured() -> None:
    row = Row(None, "row", {"norm": np.array([4.0, math.nan, 1.0, 2.5])})
    assert row.median("norm") == 2.5
    assert type(row.median("norm")) is float
    assert row.interval("norm") == confidence_interval([4.0, 1.0, 2.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(Row(None, "row", {"x": np.array([math.nan])}).median("x"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "seeds is 0: it must lie between 1 and 100000"),
        ({"workers": 0}, "workers is 0: it must be at least 1"),
        ({"workers": -2}, "workers is -2: it must be at least 1"),
        ({"seed": -1}, "seed is -1: it must lie between"),
    ],
)
def test_a_setting_out_of_range_is_named(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        config(tmp_path, **options)


def test_by_default_there_are_ten_seeds_and_a_worker_a_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for cores, workers in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        default = StudyConfig(output_dir=tmp_path)
        assert (default.seeds, default.workers) == (10, workers)
