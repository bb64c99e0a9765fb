"""Runs that never were: results.json files with the numbers a test wants."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reproduction.claims import CLAIMS, commands_for
from reproduction.page import html
from reproduction.parts import Part, plan, write_manifest
from reproduction.report import markdown, read_report

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
RESULTS: Mapping[str, dict[str, Any]] = {
    "NeuralNetworks": {"relative_orthogonal_norm": 0.25, "risk": 0.5, "steps": 7},
    "MAXCUT": {
        "optimum": 41,
        "expected_cut_start": 39.5,
        "goemans_williamson_mean": 39.25,
        "num_edges": 62,
        "cut_value_before_polish": 41,
        "sdp_value": 42.5,
        "relative_random_weights": 0.125,
    },
    "JohnsonLindenstrauss": {
        "random_mean": 0.5,
        "random_min": 0.25,
        "worst_of_20_mean": 1.0,
        "worst_of_20_min": 0.75,
        "max_distortion": 0.0625,
        "relative_random_weights": 0.03125,
    },
}


def pretend(part: Part, output_dir: Path, number: float = 0.875) -> None:
    """Leave a results.json as the part might, made up."""
    folder = output_dir / part.folder
    folder.mkdir(parents=True)
    figures = [f"{name}.png" for id in part.claims for name in CLAIMS[id].figures] or ["own.png"]
    for name in figures:
        (folder / name).write_bytes(PNG)
    record = {
        "config": {"output_dir": str(folder), "seed": 0},
        "environment": {"python": "3", "torch": "2"},
        "wall_seconds": 1.5,
        "results": RESULTS[part.experiment],
        "claims": [
            {"id": id, "statement": f"{id} | so", "paper": 0.5, "measured": number, "holds": True}
            for id in part.claims
        ],
        "figures": list(dict.fromkeys(figures)),
    }
    (folder / "results.json").write_text(json.dumps(record))


def write_report(output_dir: Path) -> None:
    report = read_report(output_dir)
    (output_dir / "REPORT.md").write_text(markdown(report))
    (output_dir / "report.html").write_text(html(report))


def whole_run(tmp_path: Path) -> Path:
    """A run of everything, two seeds each, with its report, in ``tmp_path``."""
    made = plan(commands_for((), full=True), seeds=2, quick=False)
    write_manifest(tmp_path, "python reproduce.py --full", made)
    for number, part in enumerate(made):
        pretend(part, tmp_path, 0.75 + 0.125 * (number % 2))
    write_report(tmp_path)
    return tmp_path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
