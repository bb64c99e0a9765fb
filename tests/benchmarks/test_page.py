"""The published page is what its record says, and names first where others are better."""

import json
from typing import Any

import pytest

from benchmarks import page
from benchmarks.run import PARTS


def made_up(**changes: Any) -> dict[str, Any]:
    met = {"statement": "kept", "sense": "≤", "wanted": 2, "measured": 1.23456, "spread": [1, 2.5]}
    return {
        "targets": [met | {"met": True}],
        "tables": {"short": [{"n": 123456.0, "proven": True, "s": None}]},
        "notes": [],
        "settings": {"repeats": 3, "quick": False},
        "environment": {"python": "3.11", "platform": "kernel", "git_commit": "0123456789abcdef"},
    } | changes


def sections(records: dict[str, Any]) -> list[str]:
    return page.page(records).split("\n## ")[1:]


def test_the_published_page_is_what_the_record_says() -> None:
    records = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    assert page.PAGE.read_text(encoding="utf-8") == page.page(records)


def test_every_part_has_a_heading() -> None:
    assert tuple(page.PARTS) == PARTS
    headings = [heading for heading, _ in page.PARTS.values()]
    assert len(set(headings)) == len(headings)


def test_what_is_lost_comes_first() -> None:
    missed = {"statement": "won", "sense": "≥", "wanted": 0.5, "measured": None, "spread": None}
    notes = ["lost, ours against theirs: G9", "lost, ours against another: none"]
    first, core, gset = sections(
        {"core": made_up(), "gset": made_up(targets=[missed | {"met": False}], notes=notes)}
    )
    assert first.startswith("Where other tools do as well or better")
    assert "| Cuts of the G-set | won | ≥ 0.5 | – |" in first
    assert "- Cuts of the G-set: lost, ours against theirs: G9" in first
    assert "none" not in first
    assert "kept" not in first
    assert "| kept | ≤ 2 | 1.235 | 1 to 2.5 | yes |" in core
    assert all(f"- {note}" in gset for note in notes)


def test_a_method_that_needs_less_time_for_the_same_comes_first() -> None:
    rows = [
        {"method": "ours", "level": 0.1, "ratio": 1.0},
        {"method": "theirs", "level": 0.1, "ratio": 0.48371},
        {"method": "theirs", "level": 0.01, "ratio": None},
    ]
    other = [{"embedding": "theirs, which is worse", "ratio": 0.1}]
    first, _ = sections({"core": made_up(tables={"a race": rows, "distortions": other})})
    assert [line for line in first.splitlines() if "ratio" in line] == [
        "- Optimizer and eigenvalue, a race: method theirs, level 0.1: ratio 0.4837"
    ]


def test_where_nothing_is_lost_it_says_so() -> None:
    first, _ = sections({"core": made_up()})
    assert "Every target is met" in first


@pytest.mark.parametrize(
    ("note", "expected"),
    [
        ("wine: another reduction scores higher at k = 1, 2", True),
        ("digits: another reduction scores higher at k = –", False),
        ("drawn, one search against tabu search: G1", True),
        ("1 s, tabu search is better on: none", False),
        ("annealing is faster on: G1", True),
        ("s: CPU seconds", False),
    ],
)
def test_losing_notes(note: str, expected: bool) -> None:
    assert page.is_losing(note) is expected


def test_numbers_are_readable_and_long_tables_are_counted() -> None:
    long = [{"n": number} for number in range(41)]
    _, core = sections({"core": made_up(tables={"short": [{"n": 123456.0}], "long": long})})
    assert "| 123456 |" in core
    assert "**long:** 41 rows in [benchmarks/results.json](../benchmarks/results.json)." in core
    assert core.rstrip().endswith("Python 3.11, commit 0123456789ab, rounds: 3.")
    assert "kernel" not in core
