"""Studies: many runs over settings and seeds, one table, claims, figures and results.json.

A ``Study`` declares settings, measurement, table, claims and figures; ``run_study`` executes it.
"""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from rich.table import Table

from derandomization.laboratory.checkpoints import Checkpoints
from derandomization.laboratory.configs import RunConfig, WorkersConfig
from derandomization.laboratory.intervals import Interval, confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import Between
from derandomization.laboratory.workers import parallel_calls, spawn_seeds

SettingT = TypeVar("SettingT")
SeedT = TypeVar("SeedT")
KeyT = TypeVar("KeyT")
Measurement = Mapping[str, float]


# Also for studies with another default: a field that is declared again needs its limits again.
NumSeeds = Annotated[int, Between(1, 10**5)]


@dataclass(frozen=True, kw_only=True)
class StudyConfig(RunConfig, WorkersConfig):
    """The fields every study shares."""

    output_dir: Path
    """Folder for results.json, table.csv and the figures; made if missing."""
    seeds: NumSeeds = 10
    """Independent repetitions of every setting, all derived from --seed."""


@dataclass(frozen=True)
class Row(Generic[SettingT]):
    """One setting of a study, its name in tables and figures, and what was measured there."""

    setting: SettingT
    name: str
    measured: Mapping[str, np.ndarray]  # one number per seed; NaN: there was nothing to measure

    def interval(self, quantity: str) -> Interval:
        """Mean over the seeds and its 95% interval."""
        return confidence_interval(self.measured[quantity])

    def median(self, quantity: str) -> float:
        """Median over the seeds: for norms that spread over decades."""
        return float(np.nanmedian(self.measured[quantity]))

    def recorded(self) -> dict[str, Any]:
        """The row as results.json stores it."""
        return {
            "name": self.name,
            "setting": self.setting,
            "measured": {
                name: {"interval": self.interval(name), "values": values}
                for name, values in self.measured.items()
            },
        }


@dataclass(frozen=True)
class Study(Generic[SettingT]):
    """What a study varies, measures at each setting and seed, shows, claims and draws."""

    name: str  # experiment and study, such as "NeuralNetworks/depth"
    settings: Mapping[str, SettingT]  # by the name of their row
    measure: Callable[[SettingT, int], Measurement]  # importable by its name
    columns: Mapping[str, str]  # heading in the printed table of each quantity shown there
    claim: Callable[[Run, list[Row[SettingT]]], None]
    figures: Callable[[list[Row[SettingT]]], Mapping[str, Figure]]  # by file name


def run_study(study: Study[Any], config: StudyConfig, *, inputs: Any = None) -> None:
    """Measure every setting at every seed, tabulate, claim, draw, and write the results.

    ``inputs`` is what was read from files, as for ``Run``.
    """
    run = Run(study.name, config, inputs=inputs)
    rows = measure_rows(run, config, study.measure, study.settings)
    tabulate(run, rows, study.columns)
    study.claim(run, rows)
    for name, figure in study.figures(rows).items():
        run.figure(name, figure)
    run.finish()


def measure_rows(
    run: Run,
    config: StudyConfig,
    function: Callable[[SettingT, int], Measurement],
    settings: Mapping[str, SettingT],
) -> list[Row[SettingT]]:
    """Call ``function(setting, seed)`` for all settings and seeds; store the numbers in the run."""
    seeds = spawn_seeds(config.seed, config.seeds)
    rows = sweep_rows(run, config, function, settings, seeds)
    record_rows(run, rows, seeds)
    return rows


def sweep_rows(
    run: Run,
    config: WorkersConfig,
    function: Callable[[SettingT, SeedT], Mapping[str, Any]],
    settings: Mapping[str, SettingT],
    seeds: Sequence[SeedT],
) -> list[Row[SettingT]]:
    """Call ``function(setting, seed)`` as ``sweep`` does, under the progress bar of the run."""
    with run.counter(len(settings) * len(seeds)) as advance:
        found = sweep(
            function,
            list(settings.values()),
            seeds,
            workers=config.workers,
            scheduler=config.scheduler,
            progress=advance,
            checkpoints=run.checkpoints,
        )
    pairs = zip(settings.items(), found, strict=True)
    return [Row(setting, name, measured) for (name, setting), measured in pairs]


def measured(rows: Iterable[Row[Any]], quantity: str) -> Float[np.ndarray, "rows seeds"]:
    """One quantity of several rows: one line per row, one column per seed."""
    return np.array([row.measured[quantity] for row in rows])


def grouped(
    rows: Iterable[Row[SettingT]], key: Callable[[SettingT], KeyT]
) -> dict[KeyT, list[Row[SettingT]]]:
    """Rows by a key of their setting, in the order of the rows."""
    groups: dict[KeyT, list[Row[SettingT]]] = {}
    for row in rows:
        groups.setdefault(key(row.setting), []).append(row)
    return groups


def record_rows(run: Run, rows: Sequence[Row[Any]], seeds: Sequence[int]) -> None:
    """Store all numbers of a study in its results."""
    run.results["seeds"] = list(seeds)
    run.results["rows"] = [row.recorded() for row in rows]


def tabulate(run: Run, rows: Sequence[Row[Any]], columns: Mapping[str, str]) -> None:
    """Print mean and interval of the quantities in ``columns``, with headings; write table.csv."""
    table = Table("setting", *columns.values(), title=run.experiment, title_justify="left")
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
    """Claim that ‖W‖_F is within the lemma's bound and its sharp form wherever these exist.

    These are the bounds for Gaussian x, which fail where Stein's identity does. The rows measured
    ``gaussian_bound`` and ``gaussian_sharp_bound``, NaN where there is none, and
    ‖W‖_F as the quantity ``norm``; ``weights``, ``theorem`` and
    ``lipschitz`` are used in the text of the claims.
    """
    norms = np.concatenate([row.measured[norm] for row in rows])
    names = [row.name for row in rows for _ in row.measured[norm]]
    for id, quantity, bound_name, none_where in (
        (theorem, "gaussian_bound", f"the lemma's bound at ρ ({lipschitz})", "ρ ≥ 4λ²/K"),
        ("L3.1", "gaussian_sharp_bound", "the sharp bound", "λ_min(∂²f/∂b²) ≤ −2λ"),
    ):
        bounds = np.concatenate([row.measured[quantity] for row in rows])
        exists = ~np.isnan(bounds)
        broken = exists & ~(norms <= bounds)
        where = sorted({name for name, bad in zip(names, broken, strict=True) if bad})
        run.claim(
            id,
            f"{weights} within {bound_name} on {exists.sum() - broken.sum()} of "
            f"{exists.sum()} runs"
            + (
                ""
                if exists.all()
                else f"; no bound on {(~exists).sum()} of {exists.size} runs, where {none_where}"
            )
            + (f"; not at {', '.join(where)}" if where else ""),
            bound="norm/bound ≤ 1",
            measured=f"≤ {(norms / bounds)[exists].max():.3g}" if exists.any() else None,
            holds=not broken.any() if exists.any() else None,
        )


def _write_csv(path: Path, rows: Sequence[Row[Any]]) -> None:
    """One line per setting and seed, for spreadsheets and data frames."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["setting", "repetition", *rows[0].measured])
        for row in rows:
            for repetition, numbers in enumerate(zip(*row.measured.values(), strict=True)):
                writer.writerow([row.name, repetition, *numbers])


def sweep(
    function: Callable[[SettingT, SeedT], Mapping[str, Any]],
    settings: Sequence[SettingT],
    seeds: Sequence[SeedT],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Callable[[], Any] | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, np.ndarray]]:
    """Call ``function(setting, seed)`` for every pair; the workers do not change the numbers.

    Returns what was measured for each setting, by name, with one entry per seed; arrays, which are
    what a batch of seeds measures, are joined. ``progress`` is called after each call. The other
    arguments and the errors are those of ``parallel_calls``.
    """
    pairs = [(setting, seed) for setting in settings for seed in seeds]
    found: list[Mapping[str, Any]] = [{}] * len(pairs)
    calls = parallel_calls(
        function, pairs, workers=workers, scheduler=scheduler, checkpoints=checkpoints
    )
    for index, measurement in calls:
        found[index] = measurement
        if progress:
            progress()
    rows = [found[start : start + len(seeds)] for start in range(0, len(pairs), len(seeds))]
    return [
        {name: np.concatenate([np.atleast_1d(each[name]) for each in row]) for name in row[0]}
        for row in rows
    ]
