"""Whether a results folder still shows what it says: figures, claims, numbers and the report."""

from pathlib import Path

from reproduction.evidence import Record
from reproduction.page import html
from reproduction.report import Report, markdown, read_report

REPORT, PAGE = "REPORT.md", "report.html"


def problems_in(output_dir: Path) -> list[str]:
    """A line for everything that is missing, does not hold, or differs from its results.json.

    Raises:
        ValueError: no run ended in this folder.
    """
    report = read_report(output_dir)
    problems = list(report.problems)
    for record in report.records:
        problems += _missing(record)
    return problems + _stale(report)


def _missing(record: Record) -> list[str]:
    path = record.folder / "results.json"
    made = {claim["id"] for claim in record.data["claims"]}
    problems = [f"{path}: no claim {id}" for id in record.part.claims if id not in made]
    for claim in record.data["claims"]:
        name = f"{claim['id']} ({claim['statement']})"
        if claim["holds"] is False:
            problems.append(f"{path}: {name} does not hold: {claim['measured']}")
        if claim["holds"] is not None and claim["measured"] is None:
            problems.append(f"{path}: {name} has no number")
    if not record.data["figures"]:
        problems.append(f"{path}: no figures")
    for figure in record.data["figures"]:
        file = record.folder / figure
        if not file.is_file() or not file.stat().st_size:
            problems.append(f"{file}: missing or empty")
    return problems


def _stale(report: Report) -> list[str]:
    problems = []
    for name, text in ((REPORT, markdown(report)), (PAGE, html(report))):
        path = report.output_dir / name
        try:
            written = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            problems.append(f"{path}: missing or broken")
            continue
        if written != text:
            problems.append(f"{path}: is not what the results.json files say")
    return problems
