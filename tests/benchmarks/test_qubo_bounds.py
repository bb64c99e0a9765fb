"""The part qubo_bounds on a folder with one small problem, and its families."""

from pathlib import Path

import pytest

from benchmarks.qubo_bounds import FAMILIES, INSTANCES, families, family, measure
from benchmarks.report import Effort


def test_a_small_problem_is_minimised(tmp_path: Path) -> None:
    (tmp_path / "gka1a.qubo").write_text("2 3\n1 1 -1\n2 2 -1\n1 2 1.5\n")
    (tmp_path / "best_known.csv").write_text("instance,kind,best_known\ngka1a,qubo,-1\n")
    report = measure(Effort(repeats=1, biqmac=tmp_path))
    (row,) = report.tables[INSTANCES]
    assert (row["energy"], row["lower bound"], row["gap %"]) == (-1, -1, 0)
    assert report.tables[FAMILIES][0]["family"] == "gka a"
    assert all(target.met for target in report.targets)


def test_an_energy_above_the_best_known_one_misses_the_target(tmp_path: Path) -> None:
    (tmp_path / "be1.qubo").write_text("1 1\n1 1 -1\n")
    (tmp_path / "best_known.csv").write_text("instance,kind,best_known\nbe1,qubo,-2\n")
    reached, valid, _ = measure(Effort(repeats=1, biqmac=tmp_path)).targets
    assert (reached.met, valid.met) == (False, False)


def test_without_a_folder_it_says_so() -> None:
    with pytest.raises(ValueError, match="biqmac is not given"):
        measure(Effort(repeats=1))


@pytest.mark.parametrize(
    ("instance", "expected"), [("be120.3.1", "be"), ("gka10b", "gka b"), ("bqp50-2", "bqp")]
)
def test_the_family_is_the_start_of_the_name(instance: str, expected: str) -> None:
    assert family(instance) == expected


def test_families_have_the_smallest_and_the_largest_number() -> None:
    row = {"instance": "be1", "variables": 3, "gap %": 1.0, "gap % of the range": 0.5, "s": 2.0}
    (found,) = families([row, row | {"gap %": 4.0, "s": 1.0}])
    assert (found["instances"], found["least gap %"], found["largest gap %"]) == (2, 1.0, 4.0)
    assert (found["least s"], found["largest s"]) == (1.0, 2.0)
