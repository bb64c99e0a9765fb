"""Made-up runs: results.json files with the numbers that a test needs."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reproduction.claims import CLAIMS, plan
from reproduction.jobs import Job, write_manifest
from reproduction.report import read_report, write_report

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
)
RESULTS: Mapping[str, dict[str, Any]] = {
    "NeuralNetworks": {"relative_orthogonal_norm": 0.25, "risk": 0.5, "steps": 7},
    "MAXCUT": {
        "optimum": 41,
        "goemans_williamson_mean": 39.5,
        "hyperplanes_mean": 39.25,
        "num_edges": 62,
        "derandomized_cut_value": 41,
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


def write_results(job: Job, output_dir: Path, number: float = 0.875) -> None:
    """Write a made-up results.json and figures, as the job might."""
    folder = output_dir / job.folder
    folder.mkdir(parents=True)
    figures = [f"{name}.png" for id in job.claims for name in CLAIMS[id].figures] or ["own.png"]
    for name in figures:
        (folder / name).write_bytes(PNG)
    record = {
        "config": {"output_dir": str(folder), "seed": 0},
        "environment": {"python": "3", "torch": "2"},
        "wall_seconds": 1.5,
        "results": RESULTS.get(job.experiment, {}),
        "claims": [
            {
                "id": id,
                "statement": f"{id} | so",
                "reference": 0.5,
                "reference_kind": "paper",
                "measured": number,
                "holds": True,
            }
            for id in job.claims
        ],
        "figures": list(dict.fromkeys(figures)),
    }
    (folder / "results.json").write_text(json.dumps(record))


def whole_run(tmp_path: Path) -> Path:
    """Make up a run of all jobs, two seeds each, with its report, in ``tmp_path``."""
    jobs = plan(full=True, seeds=2, quick=False)
    write_manifest(tmp_path, "python reproduce.py --full", jobs)
    for number, job in enumerate(jobs):
        write_results(job, tmp_path, 0.75 + 0.125 * (number % 2))
    write_report(read_report(tmp_path))
    return tmp_path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
