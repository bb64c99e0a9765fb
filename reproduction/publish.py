"""Publish a run: copy its report, and the files that the report needs, into ``docs/``."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from reproduction.jobs import JOBS_FOLDER, MANIFEST
from reproduction.report import REPORT, Report, markdown, read_report, results_table

MARKS = ("<!-- results: as docs/REPORT.md has them -->", "<!-- end of results -->")


def publish(results: Path, docs: Path) -> None:
    """Replace the results.json files and figures in ``docs`` by those that a run's report shows."""
    report = read_report(results)
    if (docs / JOBS_FOLDER).exists():
        shutil.rmtree(docs / JOBS_FOLDER)
    for record in report.records:
        write_record(docs / record.job.folder / "results.json", record.data)
    shutil.copyfile(results / MANIFEST, docs / MANIFEST)
    for figure in sorted(figures_in(report)):
        with Image.open(figure) as image:  # without its alpha channel it is smaller
            image.convert("RGB").save(docs / figure.relative_to(results), optimize=True)


def figures_in(report: Report) -> set[Path]:
    """The figures that a report shows."""
    return {figure for finding in report.findings if (figure := finding.figure())}


def readme_table(report: Report) -> str:
    """The report's table of results, with links for a file in the parent folder."""
    folder = report.output_dir.name
    table = "\n".join(results_table(report))
    table = table.replace("](<", f"](<{folder}/").replace("](#", f"]({folder}/{REPORT}#")
    return f"{table}\n\nMade by {report.made_by}: {report.verdicts}. {report.environment}."


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a results.json without its output folder and the name of the machine."""
    kept = dict(record)
    for part, name in (("config", "output_dir"), ("environment", "platform")):
        if part in record:
            kept[part] = {key: value for key, value in record[part].items() if key != name}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def put_between(path: Path, marks: tuple[str, str], text: str) -> None:
    """Replace the text between two marks in a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(marks[0])
    after = rest.partition(marks[1])[2]
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}", encoding="utf-8")


def main(results: Path, readme: Path) -> None:
    """Publish in ``docs``, unless ``results`` is that; write REPORT.md and the README's table."""
    docs = readme.parent / "docs"
    if results.resolve() != docs.resolve():
        publish(results, docs)
    report = read_report(docs)
    (docs / REPORT).write_text(markdown(report), encoding="utf-8")
    put_between(readme, MARKS, readme_table(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parents[1] / "README.md")
