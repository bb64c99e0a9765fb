"""The part triangle_bounds on a folder with one small graph, and its families."""

from pathlib import Path

import pytest

from benchmarks.report import Effort
from benchmarks.run import Config
from benchmarks.triangle_bounds import FAMILIES, INSTANCES, family, measure


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    edges = "\n".join(f"{i + 1} {(i + 1) % 7 + 1} {w}" for i, w in enumerate([3] * 7))
    (tmp_path / "g05_7.mc").write_text(f"7 7\n{edges}\n", encoding="utf-8")
    known = "instance,kind,best_known\ng05_7,maxcut,18\n"
    (tmp_path / "best_known.csv").write_text(known, encoding="utf-8")
    return tmp_path


def test_an_odd_cycle_is_proven_by_triangles(folder: Path) -> None:
    report = measure(Effort(repeats=1, biqmac=folder))
    (row,) = report.tables[INSTANCES]
    assert (row["cut"], row["triangle bound"]) == (18, 18)
    assert (row["SDP gap %"], row["triangle gap %"]) == (0, 0)  # all cuts are multiples of 6
    (family_row,) = report.tables[FAMILIES]
    assert (family_row["family"], family_row["triangles prove"]) == ("g05", 1)
    assert all(target.met for target in report.targets)


def test_without_a_folder_it_says_so() -> None:
    with pytest.raises(ValueError, match="biqmac is not given"):
        measure(Effort(repeats=1))


def test_it_runs_where_its_folder_is(folder: Path) -> None:
    assert "triangle_bounds" not in Config().parts()
    assert "triangle_bounds" in Config(biqmac=folder).parts()


@pytest.mark.parametrize(
    ("instance", "expected"),
    [
        ("g05_60.0", "g05"),
        ("pm1s_80.1", "pm1s"),
        ("pw09_100.2", "pw09"),
        ("t2g10_7777", "t2g"),
        ("ising2.5-100_7777", "ising2.5"),
    ],
)
def test_the_family_is_the_start_of_the_name(instance: str, expected: str) -> None:
    assert family(instance) == expected
