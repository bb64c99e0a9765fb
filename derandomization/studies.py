"""A study: many runs over settings and seeds, one table, one results.json."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from rich.table import Table

from derandomization.checks import require_between
from derandomization.intervals import Interval, confidence_interval
from derandomization.runs import Run, RunConfig
from derandomization.sweep import Measurement, spawn_seeds, sweep
from derandomization.workers import WorkersConfig

SettingT = TypeVar("SettingT")


@dataclass(frozen=True, kw_only=True)
class StudyConfig(RunConfig, WorkersConfig):
    """The fields every study shares."""

    seeds: int = 10
    """Independent repetitions of every setting, all derived from --seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_between("seeds", self.seeds, 1, 10**5)
        self.check_workers()


@dataclass(frozen=True)
class Row(Generic[SettingT]):
    """One setting of a study and what was measured there.

    Attributes:
        setting: the setting.
        name: how tables and figures call it.
        measured: by name, one number a seed; NaN where there was nothing to measure.
    """

    setting: SettingT
    name: str
    measured: Mapping[str, np.ndarray]

    def interval(self, quantity: str) -> Interval:
        """Mean over the seeds and its 95% interval."""
        return confidence_interval(self.measured[quantity])

    def median(self, quantity: str) -> float:
        """Median over the seeds: for norms that spread over decades."""
        return float(np.nanmedian(self.measured[quantity]))

    def recorded(self) -> dict[str, Any]:
        """All of it, as results.json has it."""
        return {
            "name": self.name,
            "setting": self.setting,
            "measured": {
                name: {"interval": self.interval(name), "values": values}
                for name, values in self.measured.items()
            },
        }


def run_study(
    run: Run,
    config: StudyConfig,
    function: Callable[[SettingT, int], Measurement],
    settings: Mapping[str, SettingT],
) -> list[Row[SettingT]]:
    """Measure every setting at every seed, and keep all numbers in the run's results.

    Args:
        run: where the numbers go.
        config: seeds, and who works.
        function: ``(setting, seed) -> numbers by name``; importable by its name.
        settings: the settings by name.
    """
    seeds = spawn_seeds(config.seed, config.seeds)
    with run.counter(len(settings) * len(seeds)) as advance:
        found = sweep(
            function,
            list(settings.values()),
            seeds,
            crew=config.crew,
            progress=advance,
            checkpoints=run.checkpoints,
        )
    pairs = zip(settings.items(), found, strict=True)
    rows = [Row(setting, name, measured) for (name, setting), measured in pairs]
    record_rows(run, rows, seeds)
    return rows


def record_rows(run: Run, rows: Sequence[Row[Any]], seeds: Sequence[int]) -> None:
    """Keep all numbers of a study in its results."""
    run.results["seeds"] = list(seeds)
    run.results["rows"] = [row.recorded() for row in rows]


def tabulate(run: Run, rows: Sequence[Row[Any]], columns: Mapping[str, str]) -> None:
    """Print mean and interval of some quantities, a row a setting, and write them to table.csv.

    Args:
        run: prints and writes.
        rows: of the study.
        columns: heading of each quantity shown.
    """
    table = Table(title=run.experiment, title_justify="left")
    table.add_column("setting")
    for heading in columns.values():
        table.add_column(heading)
    for row in rows:
        table.add_row(row.name, *(str(row.interval(quantity)) for quantity in columns))
    run.show(table)
    run.write("table.csv", lambda path: _write_csv(path, rows))


def claim_lemma(
    run: Run,
    rows: Sequence[Row[Any]],
    norm: str,
    weights: str,
    *,
    theorem: str = "L3.1",
    lipschitz: str = "K proven",
) -> None:
    """Claim ‖W‖_F within the lemma's bound and its sharp form wherever they speak.

    Args:
        run: makes the claims.
        rows: of the study; measured are ``weight_bound`` and ``sharp_weight_bound``, NaN where
            they are silent.
        norm: the quantity that holds ‖W‖_F.
        weights: how the experiment writes it.
        theorem: id of the theorem whose bound this is.
        lipschitz: where its K is from.
    """
    norms = np.concatenate([row.measured[norm] for row in rows])
    names = [row.name for row in rows for _ in row.measured[norm]]
    for id, quantity, bound_name, why in (
        (theorem, "weight_bound", f"the bound at ρ ({lipschitz})", ", where ρ ≥ 4λ²/K"),
        ("L3.1", "sharp_weight_bound", "the lemma's sharp form", ", where λ_min(∂²f/∂b²) ≤ −2λ"),
    ):
        bounds = np.concatenate([row.measured[quantity] for row in rows])
        speaks = ~np.isnan(bounds)
        broken = speaks & ~(norms <= bounds)
        where = sorted({name for name, bad in zip(names, broken, strict=True) if bad})
        run.claim(
            id,
            f"{weights} within {bound_name} where it speaks: {speaks.sum() - broken.sum()} of "
            f"{speaks.sum()} runs, silent on {(~speaks).sum()}{why if not speaks.all() else ''}"
            + (f"; not at {', '.join(where)}" if where else ""),
            paper="norm ≤ bound",
            measured=f"norm/bound ≤ {(norms / bounds)[speaks].max():.3g}" if speaks.any() else None,
            holds=not broken.any() if speaks.any() else None,
        )


def _write_csv(path: Path, rows: Sequence[Row[Any]]) -> None:
    """A line for every setting and seed: what spreadsheets and data frames read."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["setting", "repetition", *rows[0].measured])
        for row in rows:
            for repetition, numbers in enumerate(zip(*row.measured.values(), strict=True)):
                writer.writerow([row.name, repetition, *numbers])
