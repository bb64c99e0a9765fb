"""Every table and number of the READMEs is what the records in docs/ say."""

from pathlib import Path

import pytest

from reproduction.publish import MARKS, figures_in, readme_table
from reproduction.report import markdown, read_report
from reproduction.tables import MARKS as TABLE_MARKS
from reproduction.tables import best_known, graphs_table, points_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GSET = ROOT.parent / "shared" / "gset"


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
    table = graphs_table(best_known(GSET / "best_known.csv"))
    assert between(ROOT / "MAXCUT/README.md", TABLE_MARKS) == table
