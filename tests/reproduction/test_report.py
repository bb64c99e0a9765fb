"""The report and its page contain every claim and every number, and nothing from outside."""

import re
from pathlib import Path

from reproduction.claims import CLAIMS, plan
from reproduction.jobs import write_manifest
from reproduction.report import html, markdown, problems_in, read_report, write_report
from tests.reproduction.made_up import edit, write_results


def test_the_report_has_every_claim_with_its_numbers(folder: Path) -> None:
    text = (folder / "REPORT.md").read_text()
    for id, claim in CLAIMS.items():
        assert f"| [{id}](#" in text
        assert claim.statement in text
    assert "0.8125 [0.01836, 1.607]" in text  # of 0.75 and 0.875
    assert "| 0.878·OPT | 20.5 |" in text  # the made-up ratio 0.5 of 41
    assert "| worst of 20, mean | 1 |" in text
    assert "F4 \\| so" in text
    assert f"{len(CLAIMS)} hold" in text


def test_the_page_is_one_file_with_its_figures_inside(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    sources = re.findall(r'<img src="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert page.count("<h3") == len(CLAIMS)


def test_every_link_of_the_page_leads_to_an_anchor_in_it(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    anchors = re.findall(r' id="([^"]*)"', page)
    targets = re.findall(r'href="([^"]*)"', page)
    assert len(anchors) == len(set(anchors))
    assert {target.removeprefix("#") for target in targets} <= set(anchors)
    assert {re.sub(r"\W", "", id).lower() for id in CLAIMS} <= set(anchors)
    assert page.count(">figure</a>") == len(CLAIMS)


def test_markup_in_results_is_shown_as_text(folder: Path) -> None:
    statement = "<script>x</script> *a* _b_ `c` [d](http://e) &lt; |f| \\g ![h](i.png)"
    edit(
        folder / "parts/MAXCUT/exact/seed-42/results.json",
        lambda record: record["claims"][0].update(statement=statement, measured=statement),
    )
    text = markdown(read_report(folder))
    page = html(text, folder)
    shown = statement.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert page.count(f">{shown}</td>") == 3  # measured in the table, and both in the section


def test_claims_without_a_job_were_not_run(tmp_path: Path) -> None:
    jobs = plan(("F1",), full=False, seeds=1, quick=True)
    write_manifest(tmp_path, "python reproduce.py --quick", jobs)
    for job in jobs:
        write_results(job, tmp_path)
    write_report(read_report(tmp_path))
    text = (tmp_path / "REPORT.md").read_text()
    assert "| not run (needs --full) |" in text
    assert "| F4 | The deterministic cut reaches the optimum, 41 | – | – | not run |" in text
    assert problems_in(tmp_path) == []
