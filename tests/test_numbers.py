"""Every table and number of the READMEs agrees with the records in docs/."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables import MARKS as TABLE_MARKS
from benchmarks.tables import best_known, graphs_table, points_table
from reproduction.publish import MARKS, figures_in, readme_table
from reproduction.report import markdown, read_report

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GSET = ROOT.parent / "shared" / "gset"


EXACT = {"MAXCUT": "parts/MAXCUT/exact/seed-42/results.json"}
# Page, pattern of the text around a number, its record, its name there, and its format.
TRACED = [
    ("", r"hyperplane cuts (\S+) on average", EXACT["MAXCUT"], "goemans_williamson_mean", ".2f"),
    ("MAXCUT", r"rounding is\s(\S+) of 41", EXACT["MAXCUT"], "goemans_williamson_mean", ".2f"),
    ("JohnsonLindenstrauss", r"that serves: (\d+) on", "runs/auto.json", "num_components", "d"),
    ("JohnsonLindenstrauss", r"asks for ([\d ]+\d)\.", "runs/auto.json", "min_dim", ",d"),
    ("MAXCUT", r"a cut of (\d+) and a proven", "runs/torus.json", "cut_value", ".0f"),
    ("MAXCUT", r"and a proven ratio of (\S+),", "runs/torus.json", "proven_ratio", ".3f"),
    ("MAXCUT", r"Eight restarts find (\d+),", "runs/torus-restarts.json", "cut_value", ".0f"),
]


@pytest.mark.parametrize(("page", "words", "record", "name", "form"), TRACED)
def test_a_number_in_prose_is_its_records(
    page: str, words: str, record: str, name: str, form: str
) -> None:
    (written,) = re.findall(words, (ROOT / page / "README.md").read_text(encoding="utf-8"))
    data: dict[str, Any] = json.loads((DOCS / record).read_text(encoding="utf-8"))
    assert written == format(data["results"][name], form).replace(",", " ")


def between(path: Path, marks: tuple[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    return text.split(marks[0])[1].split(marks[1])[0].strip()


def test_the_published_report_is_what_its_records_say_and_every_claim_was_run() -> None:
    report = read_report(DOCS)
    assert not report.problems
    assert (DOCS / "REPORT.md").read_text(encoding="utf-8") == markdown(report)
    assert all(figure.is_file() for figure in figures_in(report))
    assert [finding.id for finding in report.findings if not finding.checks] == []


def test_the_readmes_results_are_the_reports() -> None:
    assert between(ROOT / "README.md", MARKS) == readme_table(read_report(DOCS))


def test_the_points_table_is_what_its_records_say() -> None:
    assert between(ROOT / "JohnsonLindenstrauss/README.md", TABLE_MARKS) == points_table()


@pytest.mark.skipif(not GSET.is_dir(), reason="the best known cuts are not there")
def test_the_graphs_table_is_what_its_records_say() -> None:
    table = graphs_table(best_known(GSET))
    assert between(ROOT / "MAXCUT/README.md", TABLE_MARKS) == table


def test_the_ratios_are_those_of_the_benchmarks() -> None:
    parts = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    measured = {
        each["statement"].split(" over ")[0]: each["measured"]
        for part in parts.values()
        for each in part["targets"]
    }
    relaxations = next(t for name, t in parts["maxcut"]["tables"].items() if "SDP" in name)
    solvers = {row["solver"]: row["ratio"] for row in relaxations if row["n"] == 500}
    expected = [
        (measured["figure 3: PGD, batches of 50 (published)"],),
        (
            measured["figures 4-5: score function, draw by draw"],
            measured["figures 4-5: score function, 100 draws at once"],
        ),
        (
            measured["figures 6-7: batches of 20 draws"],
            measured["figures 6-7: batches of 20 draws, in the points' span"],
        ),
        (solvers["cvxpy + SCS"], solvers["Burer–Monteiro, L-BFGS"]),
    ]
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    table = page.split("| exact descent compared with |")[1].split("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[-2].strip() for row in table] == [
        ", ".join(f"{ratio:.0f}" for ratio in ratios) for ratios in expected
    ]


def test_the_graphs_won_are_those_of_the_benchmarks() -> None:
    part = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))["gset"]
    won = [round(14 * target["measured"]) for target in part["targets"]]
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    whole = re.search(r"tabu search on (\d+) and simulated annealing on (\d+)\.", page)
    alone = re.search(r"beats\sthem on (\d+) and (\d+),", page)
    assert whole
    assert alone
    assert [int(number) for number in whole.groups() + alone.groups()] == won
    lost = [note.split(": ")[1] for note in part["notes"] if note.startswith("lost")]
    lost_to_annealing = re.search(r"loses to annealing on (\w+),", page)
    assert lost_to_annealing
    assert lost == ["none", lost_to_annealing.group(1), "none", "none"]
