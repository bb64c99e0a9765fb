"""A results folder made small enough to be kept with the code: the report and all it rests on."""

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

from reproduction.check import REPORT
from reproduction.parts import MANIFEST, PARTS
from reproduction.report import Report, markdown, read_report, results_table

WIDTH, COLOURS = 1000, 64  # of a published figure: some 30 kB
BEGIN, END = "<!-- results: as docs/REPORT.md has them -->", "<!-- end of results -->"


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
        config = record.data["config"] | {"output_dir": str(record.part.folder)}
        environment = {n: v for n, v in record.data["environment"].items() if n != "platform"}
        kept = record.data | {"config": config, "environment": environment}
        text = json.dumps(kept, indent=1, ensure_ascii=False)
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
    """The report's table for a file beside the folder it is in, between its two marks."""
    folder = report.output_dir.name
    table = "\n".join(results_table(report))
    table = table.replace("](<", f"](<{folder}/").replace("](#", f"]({folder}/{REPORT}#")
    made = f"Made by `{report.command}`: {report.verdicts}. {report.circumstances}."
    return f"{BEGIN}\n{table}\n\n{made}\n{END}"


def main(results: Path, readme: Path) -> None:
    """Publish beside the README, and put the table into it."""
    report = publish(results, readme.parent / "docs")
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    readme.write_text(before + readme_table(report) + after, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "README.md")
