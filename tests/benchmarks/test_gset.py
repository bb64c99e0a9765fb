"""The G-set's part on a folder with one small graph, won, drawn or lost as the numbers are."""

from dataclasses import replace
from pathlib import Path

import pytest

import MAXCUT.optimizer
from benchmarks.gset import OURS, _judge, measure
from benchmarks.report import Effort, Report
from benchmarks.tables import best_known


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "C5.txt").write_text("5 5\n1 2 1\n2 3 1\n3 4 1\n4 5 1\n5 1 1\n", encoding="utf-8")
    (tmp_path / "best_known.csv").write_text("instance,best_known\nC5,4\n", encoding="utf-8")
    return tmp_path


def test_best_known_cuts_are_read(folder: Path) -> None:
    assert best_known(folder) == {"C5": 4.0}


def test_a_five_cycle_is_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A short descent and short searches of one seed: the others get as many seconds as ours.
    short = replace(MAXCUT.optimizer.EXACT, max_steps=100)
    monkeypatch.setattr(MAXCUT.optimizer, "EXACT", short)
    monkeypatch.setattr("benchmarks.gset.RESTARTS", 0)
    monkeypatch.setattr(
        "benchmarks.gset.OURS", {name: (cut, [42]) for name, (cut, _) in OURS.items()}
    )
    monkeypatch.setattr("MAXCUT.search.NUM_STEPS", 40)
    monkeypatch.setattr("MAXCUT.search.NUM_LAST_STEPS", 40)
    report = measure(Effort(repeats=1, gset=folder))
    for ours in OURS:
        (row,) = report.tables[f"cuts of the G-set, {ours}, equal CPU seconds"]
        assert (row["graph"], row[ours], row["tabu search"]) == ("C5", "4", "4")
        assert f"drawn, {ours} against tabu search: C5" in report.notes
    assert [each.measured for each in report.targets] == [0.0] * 2 * len(OURS)


def test_without_a_folder_it_says_so() -> None:
    with pytest.raises(ValueError, match="gset is not given"):
        measure(Effort(repeats=1))


def test_graphs_are_judged_one_by_one() -> None:
    report = Report()
    ratios = {"ours": [1.0, 0.9, 0.9], "tabu": [0.9, 0.9, 1.0]}
    _judge(report, ["A", "B", "C"], ("ours", "tabu"), ratios)
    assert report.targets[0].measured == pytest.approx(1 / 3)
    assert report.notes == ["drawn, ours against tabu: B", "lost, ours against tabu: C"]
