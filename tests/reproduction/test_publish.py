"""Published files say what the run said, are small, and name no folder of the machine."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduction.publish import MARKS, figures_in, main, readme_table
from reproduction.report import markdown, read_report
from tests.reproduction.made_up import edit

# A thousand colours, none of them transparent.
COLOURS = np.full((25, 40, 4), 255, dtype=np.uint8)
COLOURS[:, :, 0], COLOURS[:, :, 1] = np.arange(25)[:, None], np.arange(40)


@pytest.fixture
def published(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    readme = tmp_path_factory.mktemp("project") / "README.md"
    readme.write_text(f"before\n{MARKS[0]}\nSTALE\n{MARKS[1]}\nafter\n", encoding="utf-8")
    for figure in figures_in(read_report(folder)):
        Image.fromarray(COLOURS).save(figure)
    main(folder, readme)
    return readme.parent / "docs"


def test_the_published_report_is_that_of_the_published_files(folder: Path, published: Path) -> None:
    report = read_report(published)
    assert not report.problems
    text = (published / "REPORT.md").read_text(encoding="utf-8")
    assert text == markdown(report)
    assert text == markdown(read_report(folder))
    assert str(folder) not in "".join(p.read_text() for p in published.rglob("*.json"))


def test_it_has_the_figures_that_are_shown_and_no_others(folder: Path, published: Path) -> None:
    shown = {figure.relative_to(published) for figure in figures_in(read_report(published))}
    assert shown == {path.relative_to(published) for path in published.rglob("*.png")}
    for name in shown:
        with Image.open(published / name) as image:
            assert np.array_equal(np.asarray(image), COLOURS[:, :, :3])
    assert not list(published.rglob("*.html"))


def test_publishing_again_leaves_nothing_of_the_earlier_run(folder: Path, published: Path) -> None:
    (published / "parts" / "stale.json").touch()
    (published / "own.txt").touch()
    edit(
        folder / "parts/MAXCUT/exact/seed-42/results.json",
        lambda record: record["claims"][0].update(measured=0.25),
    )
    main(folder, published.parent / "README.md")
    assert not (published / "parts" / "stale.json").exists()
    assert (published / "own.txt").exists()
    kept = json.loads((published / "parts/MAXCUT/exact/seed-42/results.json").read_text())
    assert kept["claims"][0]["measured"] == 0.25


def test_the_readme_has_the_table_with_links_that_lead_there(published: Path) -> None:
    text = (published.parent / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"before\n{MARKS[0]}\n| id |")
    assert text.endswith(f"{MARKS[1]}\nafter\n")
    assert "STALE" not in text
    assert readme_table(read_report(published)) in text
    assert "(docs/REPORT.md#f4)" in text
    assert "(<docs/parts/MAXCUT/exact/seed-42/figure4_cut_value.png>)" in text


def test_the_pages_are_rewritten_from_published_files(published: Path) -> None:
    readme = published.parent / "README.md"
    pages = {path: path.read_text(encoding="utf-8") for path in (readme, published / "REPORT.md")}
    (published / "REPORT.md").unlink()
    main(published, readme)
    assert {path: path.read_text(encoding="utf-8") for path in pages} == pages
