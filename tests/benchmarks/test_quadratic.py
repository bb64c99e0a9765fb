"""The Biq Mac library: energies are those of the definition, and outcomes are kept."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import directions
from benchmarks.cache import Cache
from benchmarks.quadratic import METHODS, SEEDS, Problem, measure, outcome, read_problem
from benchmarks.report import Effort

QUBO = "3 4\n1 1 -3\n2 2 -2\n1 2 2\n2 3 -1\n"  # the minimum is −4, at x = (0, 1, 1)
GRAPH = "3 3\n1 2 1\n2 3 1\n1 3 -1\n"  # the largest cut is 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.qubo").write_text(QUBO)
    (tmp_path / "b.mc").write_text(GRAPH)
    (tmp_path / "best_known.csv").write_text(
        "instance,kind,best_known\na,qubo,-4\nb,maxcut,2\n", encoding="utf-8"
    )
    return tmp_path


def problems(folder: Path) -> list[Problem]:
    return [read_problem(folder, "a", "qubo", -4), read_problem(folder, "b", "maxcut", 2)]


def test_both_forms_have_the_same_energies(folder: Path) -> None:
    for problem in problems(folder):
        low = -1 if problem.model.spin else 0
        for bits in np.ndindex(2, 2, 2):
            values = np.where(np.array(bits) == 1, 1, low)
            energy = problem.model.energy(values)
            assert problem.dimod.energy(dict(enumerate(values.tolist()))) == energy
            assert energy >= problem.best_known


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum_of_a_small_problem(method: str, folder: Path) -> None:
    for problem in problems(folder):
        assert METHODS[method](problem, 0.05, 0) == problem.best_known


def test_outcomes_are_kept(folder: Path) -> None:
    path = folder / "cache.jsonl"
    (problem, _) = problems(folder)
    first = outcome(Cache(path), "tabu search", problem, 0.02, 0)
    assert outcome(Cache(path), "tabu search", problem, 0.02, 0) == first
    assert len(path.read_text().splitlines()) == 1
    # Parts of the benchmarks may share the file.
    kept = directions.Outcome(0.5, 1, 1.0)
    assert Cache(path).outcome(directions.Outcome, ["a"], lambda: kept) == kept
    assert outcome(Cache(path), "tabu search", problem, 0.02, 0) == first


def test_the_report_says_where_others_are_better(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.quadratic.SECONDS", (0.02,))
    monkeypatch.setattr("benchmarks.quadratic.SEEDS", 1)
    report = measure(Effort(1, biqmac=folder))
    assert [target.met for target in report.targets] == [True] * 4
    means = dict.fromkeys(METHODS, 0.0)
    assert report.tables["mean gap by family, 0.02 s"] == [
        {"family": "a", "problems": 1} | means,
        {"family": "b", "problems": 1} | means,
    ]
    assert report.notes == [
        "0.02 s, simulated annealing is better on: none",
        "0.02 s, tabu search is better on: none",
    ]
    assert SEEDS == 5
    with pytest.raises(ValueError, match="biqmac is not given"):
        measure(Effort(1))
