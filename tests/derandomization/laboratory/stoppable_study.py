"""A study to stop and to go on with: random walks of several lengths and seeds."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, Study, StudyConfig, run_study


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """How far random walks end from their start."""

    output_dir: Path = Path("results/Stoppable/study")
    """Where it all goes."""


def main(config: Config) -> None:
    study = Study(
        name="Stoppable/study",
        settings={f"{steps} steps": steps for steps in (10, 100, 1000)},
        measure=walk,
        columns={"distance": "distance"},
        claim=_claim,
        figures=lambda rows: {},
    )
    run_study(study, config)


def walk(steps: int, seed: int) -> dict[str, float]:
    time.sleep(0.01)
    steps_made = np.random.default_rng(seed).choice([-1.0, 1.0], steps)
    return {"distance": abs(float(steps_made.sum())) / math.sqrt(steps)}


def _claim(run: Run, rows: list[Row[int]]) -> None:
    run.claim("WALK", "the distance", measured=rows[-1].interval("distance").mean, holds=None)
