"""A results folder made small enough to be kept with the code: the report and all it rests on."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from reproduction.check import REPORT
from reproduction.parts import MANIFEST, PARTS
from reproduction.report import Report, markdown, read_report, results_table

WIDTH, COLOURS = 1000, 64  # of a published figure: some 30 kB
MARKS = ("<!-- results: as docs/REPORT.md has them -->", "<!-- end of results -->")


def publish(results: Path, docs: Path) -> Report:
    """Copy the report of a run, its results.json files and the figures that it shows.

    Args:
        results: where ``reproduce.py`` wrote.
        docs: where to; an earlier report's files are replaced.

    Raises:
        ValueError: no run ended in ``results``.
    """
    report = read_report(results)
    if (docs / PARTS).exists():
        shutil.rmtree(docs / PARTS)
    for record in report.records:
        target = docs / record.part.folder
        target.mkdir(parents=True)
        text = json.dumps(without_machine(record.data), indent=1, ensure_ascii=False)
        (target / "results.json").write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(results / MANIFEST, docs / MANIFEST)
    for figure in sorted(figures_in(report)):
        target = docs / figure.relative_to(results)
        with Image.open(figure) as image:
            height = round(image.height * WIDTH / image.width)
            small = image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            small.quantize(COLOURS).save(target, optimize=True)
    published = read_report(docs)
    (docs / REPORT).write_text(markdown(published), encoding="utf-8")
    return published


def figures_in(report: Report) -> set[Path]:
    """The figures that a report shows."""
    return {figure for finding in report.findings if (figure := finding.figure())}


def readme_table(report: Report) -> str:
    """The report's table for a file beside the folder it is in."""
    folder = report.output_dir.name
    table = "\n".join(results_table(report))
    table = table.replace("](<", f"](<{folder}/").replace("](#", f"]({folder}/{REPORT}#")
    made = f"Made by `{report.command}`: {report.verdicts}. {report.circumstances}."
    return f"{table}\n\n{made}"


def without_machine(record: Mapping[str, Any]) -> dict[str, Any]:
    """A results.json without the folder it was in and the machine's name for itself."""
    config = {name: value for name, value in record["config"].items() if name != "output_dir"}
    environment = {n: value for n, value in record["environment"].items() if n != "platform"}
    return {**record, "config": config, "environment": environment}


def put_between(path: Path, marks: tuple[str, str], text: str) -> None:
    """Replace what stands between two marks in a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(marks[0])
    after = rest.partition(marks[1])[2]
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}", encoding="utf-8")


def main(results: Path, readme: Path) -> None:
    """Publish beside the README, and put the table into it."""
    report = publish(results, readme.parent / "docs")
    put_between(readme, MARKS, readme_table(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "README.md")
