"""The report and its page contain every claim and every number, and nothing from outside."""

import re
from pathlib import Path
from typing import Any

import pytest

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
    questions = sum(claim.is_open for claim in CLAIMS.values())
    assert questions == 5
    assert f"{len(CLAIMS) - questions} hold, {questions} open" in text


def row(folder: Path, id: str) -> list[str]:
    """The cells of a claim's row from the reference on."""
    lines = markdown(read_report(folder)).splitlines()
    (line,) = [line for line in lines if line.startswith(f"| [{id}](#")]
    return [cell.strip() for cell in line.strip("|").split(" | ")][2:]


def measure(folder: Path, part: str, number: float, reference: float = 0.5) -> None:
    def change(record: dict[str, Any]) -> None:
        claim = next(each for each in record["claims"] if each["id"] == "F4")
        claim.update(measured=number, reference=reference)

    edit(folder / f"parts/MAXCUT/{part}/seed-42/results.json", change)


def test_a_row_has_the_exact_and_the_sampled_number_with_the_command_that_prints_both(
    folder: Path,
) -> None:
    measure(folder, "exact", 0.25)
    measure(folder, "sampled", 0.125)
    reference, exact, sampled, verdict, _, command, seconds = row(folder, "F4")
    assert (reference, exact, sampled, verdict) == ("0.5 (paper)", "0.25", "0.125", "holds")
    assert command == "`python reproduce.py --only F4 --seeds 1`"
    assert seconds == "3.0"  # both commands take 1.5
    measure(folder, "sampled", 0.125, reference=0.75)
    assert row(folder, "F4")[0] == "0.5 (paper), sampled: 0.75 (paper)"


def test_a_study_has_one_number_and_its_own_command(folder: Path) -> None:
    _, exact, sampled, *_, command, seconds = row(folder, "BIAS")
    assert exact in ("0.75", "0.875")
    assert sampled == "–"
    assert (command, seconds) == ("`python NeuralNetworks/main.py biases`", "1.5")


@pytest.mark.parametrize("id", ["L3.1", "F3", "F4", "T5.2", "F6"])
def test_a_rows_command_runs_what_its_numbers_are_means_of(folder: Path, id: str) -> None:
    (finding,) = [each for each in read_report(folder).findings if each.id == id]
    words = finding.command.split()
    assert words[:4] == ["python", "reproduce.py", "--only", id]
    run = plan((id,), full=False, seeds=int(words[5]), quick=False)
    shown = [check for name in ("exact", "sampled") if (check := finding.estimate(name))]
    assert len(shown) == 2
    records = [record for check in shown for record in check.records]
    of_experiment = [job for job in run if job.experiment == records[0].job.experiment]
    assert {record.job.folder for record in records} == {job.folder for job in of_experiment}


def test_the_page_is_one_file_with_its_figures_inside(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    sources = re.findall(r'<img src="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert page.count("<h3") == len(CLAIMS)


def test_the_page_has_landmarks_captions_scopes_and_alternative_texts(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert page.count("<main>") == page.count('<nav aria-label="Sections">') == 1
    assert page.count("<h2") == page.split("</nav>")[0].count('<a href="#')
    captions = re.findall(r"<table>\n<caption class=\"unseen\">([^<]+)</caption>", page)
    assert len(captions) == page.count("<table>")
    assert captions[0] == "Results, one row for each claim"
    assert "Checks of F4" in captions
    assert captions[-1] == "Commands"
    assert page.count("<th ") == page.count('scope="col"') > 0
    alternatives = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(alternatives) == page.count("<img ")
    assert all(alternatives)


def test_alternative_texts_say_what_is_seen_if_the_run_did(folder: Path) -> None:
    def describe(record: dict[str, Any]) -> None:
        record["figure_descriptions"] = {
            "figure4_cut_value.png": "Cut [0, 41] against step; *shown*: sign(μ)] <b>"
        }

    edit(folder / "parts/MAXCUT/exact/seed-42/results.json", describe)
    page = html(markdown(read_report(folder)), folder)
    assert 'alt="F4: Cut [0, 41] against step; *shown*: sign(μ)] &lt;b&gt;"' in page


@pytest.mark.parametrize(
    ("cell", "marked"),
    [
        ("2.25e-12 [1.067e-13, 4.7]", ["2.25e-12", "[1.067e-13, 4.7]"]),
        ("−3 (paper), sampled: 10.3%", ["−3", "10.3%"]),
        ("16 of 20", ["16", "20"]),
        ("T5.2 and x2, v1.0.3b", []),
        ("–", []),
    ],
)
def test_numbers_in_cells_are_not_split(cell: str, marked: list[str], tmp_path: Path) -> None:
    page = html(f"| a |\n| --- |\n| {cell} |\n", tmp_path)
    assert re.findall(r'<span class="number">([^<]*)</span>', page) == marked
    (shown,) = re.findall(r"<td[^>]*>(.*)</td>", page)
    assert re.sub("<[^>]*>", "", shown) == cell


def test_every_link_of_the_page_leads_to_an_anchor_in_it(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    anchors = re.findall(r' id="([^"]*)"', page)
    targets = re.findall(r'href="([^"]*)"', page)
    assert len(anchors) == len(set(anchors))
    assert {target.removeprefix("#") for target in targets} <= set(anchors)
    assert {re.sub(r"\W", "", id).lower() for id in CLAIMS} <= set(anchors)
    assert page.count(">figure</a>") == len(CLAIMS)


def test_markup_in_results_is_shown_as_text(folder: Path) -> None:
    statement = (
        "<script>x</script> *a* _b_ `c` [d](http://e) &lt; |f| \\g ![h](i.png) $x$ www.j k@l"
    )
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
    assert "| F4 | The deterministic cut reaches the optimum, 41 | – | – | – | not run |" in text
    assert problems_in(tmp_path) == []
