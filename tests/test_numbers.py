"""Every table and number of the READMEs agrees with the records in docs/."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables import (
    BOUND_MARKS,
    LINK_MARKS,
    QUBO_MARKS,
    REDUCTION_MARKS,
    SAMPLE_MARKS,
    TRIANGLE_MARKS,
    best_known,
    bounds_table,
    graphs_table,
    links_table,
    points_table,
    qubo_table,
    reductions_table,
    samples_table,
    triangles_table,
)
from benchmarks.tables import MARKS as TABLE_MARKS
from JohnsonLindenstrauss.studies.new_points import WIDE
from reproduction.publish import MARKS, figures_in, readme_table
from reproduction.report import markdown, read_report

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GSET = ROOT.parent / "shared" / "gset"


STUDY = DOCS / "parts/JohnsonLindenstrauss/new-points/results.json"
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


# Text around numbers on new points in JohnsonLindenstrauss/README.md, and for each number the set
# of points and the quantity.
NEW_POINTS = [
    (
        r"the distortion is (\S+) on figure 6's points, against (\S+) of a Gaussian matrix",
        [("figure 6", "largest_zero_rms"), ("figure 6", "gaussian_rms")],
    ),
    (r"distortion of new pairs to (\S+)\. To", [("figure 6", "largest_random_rms")]),
    (
        r"it keeps (\d+)%, with `objective=\"mean_square\"` (\d+)%; PCA keeps (\d+)%, the random "
        r"complement (\d+)% and a Gaussian matrix (\d+)%",
        [
            ("text", f"{name}_recall")
            for name in ("largest_zero", "mean_zero", "pca_rescaled", "largest_random", "gaussian")
        ],
    ),
    (
        r"seven sets: (\S+) on digits at k = 8, where PCA rescaled has (\S+)\. Use",
        [("digits", "largest_zero_rms"), ("digits", "pca_rescaled_rms")],
    ),
    (
        r"it has (\S+) on digits and (\S+) against (\S+) on image patches",
        [
            ("digits", "mean_zero_rms"),
            ("small patches", "mean_zero_rms"),
            ("small patches", "pca_rescaled_rms"),
        ],
    ),
]


@pytest.mark.parametrize(("words", "numbers"), NEW_POINTS)
def test_a_number_on_new_points_is_the_studys(words: str, numbers: list[tuple[str, str]]) -> None:
    page = (ROOT / "JohnsonLindenstrauss/README.md").read_text(encoding="utf-8")
    written = re.search(words, " ".join(page.split()))
    assert written
    found = [new_points(*number) for number in numbers]
    forms = [
        f"{value:.0%}".rstrip("%") if name.endswith("recall") else f"{value:.2f}"
        for value, (_, name) in zip(found, numbers, strict=True)
    ]
    assert list(written.groups()) == forms


def test_what_is_said_of_the_mean_square_on_new_points_is_the_studys() -> None:
    rows = json.loads(STUDY.read_text(encoding="utf-8"))["results"]["rows"]
    tall = [row["name"] for row in rows if row["name"] not in WIDE]
    page = (ROOT / "JohnsonLindenstrauss/README.md").read_text(encoding="utf-8")
    recall, distortion = (
        [
            new_points(name, f"mean_zero_{q}") / new_points(name, f"pca_rescaled_{q}")
            for name in tall
        ]
        for q in ("recall", "rms")
    )
    assert f"between {1 - min(recall):.0%} fewer and {max(recall) - 1:.0%} more" in page
    assert f"by {1 - max(distortion):.0%} to {1 - min(distortion):.0%}." in page
    assert all(0.9 < new_points(name, "mean_zero_largest") < 1 for name in tall)  # "near 1"
    worse = [
        new_points(name, "largest_zero_rms") > new_points(name, "pca_rescaled_rms") for name in tall
    ]
    assert (len(tall), sum(worse)) == (7, 6)
    assert page.count("six of the seven sets") == 1
    assert page.count("all seven") == 2


def new_points(points: str, quantity: str) -> float:
    """The mean over the seeds of what the study new-points measured on a set of points."""
    rows = json.loads(STUDY.read_text(encoding="utf-8"))["results"]["rows"]
    (row,) = [row for row in rows if row["name"] == points]
    return float(row["measured"][quantity]["interval"]["mean"])


def record(part: str) -> dict[str, Any]:
    """What benchmarks/results.json has of a part."""
    path = ROOT / "benchmarks" / "results.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))[part]
    return found


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


def test_the_bounds_table_is_what_its_records_say() -> None:
    assert between(ROOT / "JohnsonLindenstrauss/README.md", BOUND_MARKS) == bounds_table()


@pytest.mark.parametrize(
    ("marks", "table"),
    [
        (LINK_MARKS, links_table),
        (SAMPLE_MARKS, samples_table),
        (REDUCTION_MARKS, reductions_table),
    ],
)
def test_tables_of_directions_are_those_of_the_benchmarks(
    marks: tuple[str, str], table: Callable[[], str]
) -> None:
    assert between(ROOT / "NeuralNetworks/README.md", marks) == table()


def test_the_words_about_directions_are_what_the_benchmark_measured() -> None:
    words = " ".join((ROOT / "NeuralNetworks/README.md").read_text(encoding="utf-8").split())
    measured = [target["measured"] for target in record("directions")["targets"]]
    first, _, first_of_all, first_largest, first_found = measured[:5]
    second, _, second_of_all, second_largest, second_found = measured[5:]
    assert f"the error is {first:.2f} (first size) and {second:.2f} (second) times" in words
    assert f"these numbers are {first_of_all:.2f} and {second_of_all:.2f}," in words
    assert f"at most {max(first_largest, second_largest):.2f} times its error" in words
    assert f"k is found in {120 * (first_found + second_found):.0f} of the 240 runs" in words


def test_quadratic_problems_are_those_of_the_benchmark() -> None:
    assert between(ROOT / "MAXCUT/README.md", QUBO_MARKS) == qubo_table()
    words = " ".join((ROOT / "MAXCUT/README.md").read_text(encoding="utf-8").split())
    reached, valid, longest = record("qubo_bounds")["targets"]
    assert reached["met"]
    assert valid["met"]
    assert f"all {reached['wanted']:.0f} instances reach the best known value" in words
    assert f"in at most {longest['measured']:.1f} seconds of processor time each" in words


def test_triangle_bounds_are_those_of_the_benchmark() -> None:
    assert between(ROOT / "MAXCUT/README.md", TRIANGLE_MARKS) == triangles_table()
    rows = record("triangle_bounds")["tables"]["every family"]
    proven = [sum(row[who] for row in rows) for who in ("SDP proves", "triangles prove")]
    total = sum(row["instances"] for row in rows)
    words = (ROOT / "MAXCUT/README.md").read_text(encoding="utf-8")
    assert proven[0] == 0
    assert f"prove {proven[1]} of the {total} cuts optimal" in words


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
    table = page.split("| compared with the exact descent |")[1].split("\n\n")[0].splitlines()[2:]
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
    assert "All other results are equal" in page
    assert "is never worse" in page
    assert lost == 4 * ["none"]
