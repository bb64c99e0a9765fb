"""The check finds everything that is missing or false."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reproduce
from reproduction.report import problems_in
from tests.reproduction.made_up import edit


def test_the_check_finds_nothing_wrong_in_a_whole_run(folder: Path) -> None:
    assert problems_in(folder) == []


def _not_holding(record: dict[str, Any]) -> None:
    record["claims"][0]["holds"] = False


def _numberless(record: dict[str, Any]) -> None:
    record["claims"][0]["measured"] = None


def _claimless(record: dict[str, Any]) -> None:
    del record["claims"][0]


def _edited(record: dict[str, Any]) -> None:
    record["claims"][0]["measured"] = 0.25


def _without_optimum(record: dict[str, Any]) -> None:
    del record["results"]["optimum"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_not_holding, "does not hold"),
        (_numberless, "has no number"),
        (_claimless, "no claim F4"),
        (_edited, "is not what the results.json files say"),
        (_without_optimum, "no number for 'optimum by enumeration'"),
        (lambda record: record["figures"].append("lost.png"), "lost.png: missing"),
        (lambda record: record.pop("claims"), "no claims"),
    ],
)
def test_the_check_finds_what_is_missing_or_false(
    folder: Path, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    edit(folder / "parts/MAXCUT/exact/seed-42/results.json", change)
    assert any(complaint in problem for problem in problems_in(folder))


@pytest.mark.parametrize(
    "name",
    [
        "parts/MAXCUT/exact/seed-42/figure4_cut_value.png",
        "parts/MAXCUT/exact/seed-42/results.json",
        "REPORT.md",
        "report.html",
    ],
)
def test_the_check_misses_every_file(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).unlink()
    with pytest.raises(SystemExit) as stop:
        reproduce.main(reproduce.Config(output_dir=folder, check=True))
    assert stop.value.code == 2
    assert any(name in line for line in capsys.readouterr().err.splitlines())
