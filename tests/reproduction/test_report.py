"""The report and the page: every claim, every number, nothing from outside."""

from pathlib import Path

from reproduction.check import problems_in
from reproduction.claims import CLAIMS, EXPERIMENTS
from reproduction.parts import plan, write_manifest
from tests.reproduction.made_up import pretend, write_report


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
    assert "data:image/png;base64," in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert page.count("<section") == page.count("</section>") == len(CLAIMS)


def test_claims_without_a_part_were_not_run(tmp_path: Path) -> None:
    made = plan([EXPERIMENTS[0]], seeds=1, quick=True)
    write_manifest(tmp_path, "python reproduce.py --quick", made)
    for part in made:
        pretend(part, tmp_path)
    write_report(tmp_path)
    text = (tmp_path / "REPORT.md").read_text()
    assert "| not run (needs --full) |" in text
    assert "| F4 | The deterministic cut reaches the optimum, 41 | – | – | not run |" in text
    assert problems_in(tmp_path) == []
