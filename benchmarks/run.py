"""Measure everything, or some of it: ``python benchmarks/run.py --only maxcut``."""

import sys
from pathlib import Path

# The benchmarks are part of a checkout and not of what is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, which take seconds

import importlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import now
from benchmarks.report import Effort, Report, Row, Target
from derandomization.checks import require_at_least
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.figures import save, study_figure
from derandomization.laboratory.identity import environment
from derandomization.laboratory.plain import plain
from derandomization.laboratory.process import prepare_process
from derandomization.laboratory.run import readable
from derandomization.laboratory.settings import NotWith

PARTS = (
    "core",
    "growth",
    "startup",
    "neural_networks",
    "directions",
    "samples",
    "reduction",
    "johnson_lindenstrauss",
    "maxcut",
    "gset",
    "triangle_bounds",
    "qubo_bounds",
    "quadratic",
)
# The option that each of them needs.
FOLDERS = {
    "gset": "gset",
    "triangle_bounds": "biqmac",
    "qubo_bounds": "biqmac",
    "quadratic": "biqmac",
}
PUBLISHED, TRIAL = Path("benchmarks"), Path("results/benchmarks")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Measure this library beside what one would use instead, in turn, and report ratios.

    Prints tables and writes results.json and a figure a part; parts that are not run keep what
    results.json says of them.
    """

    only: str = ""
    """Parts to run, such as core,maxcut; all of them if empty."""
    repeats: Annotated[int, NotWith("quick", "it makes one round")] = 3
    """Rounds of every comparison."""
    quick: bool = False
    """One round at sizes that only show that it works."""
    output_dir: Path | None = None
    """Folder for results.json and the figures; benchmarks if None, results/benchmarks if quick."""
    gset: Path | None = None
    """Folder with graphs of the G-set (G1.txt, …) and best_known.csv, for the part gset."""
    biqmac: Path | None = None
    """Folder with problems of the Biq Mac library (g05_60.0.mc, …) and best_known.csv, for the
    parts triangle_bounds, qubo_bounds and quadratic."""
    cache: Path | None = None
    """File that keeps the outcomes of the parts directions, samples and quadratic: a run that was
    stopped goes on, and what code of the first two has changed is measured again."""

    def __post_init__(self) -> None:
        require_at_least("repeats", self.repeats, 1)
        for name in self.parts():
            if name not in PARTS:
                raise ValueError(f"only names {name!r}: the parts are {', '.join(PARTS)}")
        for name, folder in (("gset", self.gset), ("biqmac", self.biqmac)):
            if folder is not None and not (folder / "best_known.csv").is_file():
                raise ValueError(f"{name} is {folder}: it holds no best_known.csv")

    def parts(self) -> Sequence[str]:
        """The parts to run, in order; those on a folder of graphs only where it is given."""
        if self.only:
            return [name.strip() for name in self.only.split(",")]
        missing = [name for name, option in FOLDERS.items() if getattr(self, option) is None]
        return [name for name in PARTS if name not in missing]

    def folder(self) -> Path:
        """Where results go: a quick run does not overwrite what was measured in earnest."""
        return self.output_dir or (TRIAL if self.quick else PUBLISHED)


def main(config: Config) -> None:
    """Run the parts, each written as soon as it is there."""
    repeats = 1 if config.quick else config.repeats
    effort = Effort(
        repeats, config.quick, gset=config.gset, biqmac=config.biqmac, cache=config.cache
    )
    folder, console = config.folder(), Console()
    prepare_process()
    folder.mkdir(parents=True, exist_ok=True)
    for name in config.parts():
        console.print(f"[bold]{name}[/]")
        # Before: who commits while this runs shall not change what it says it measured.
        circumstances = environment(torch.device("cpu")) | {"cores": os.cpu_count()}
        started = now()
        report: Report = importlib.import_module(f"benchmarks.{name}").measure(effort)
        seconds = now().since(started)
        show(console, report)
        if report.panels:
            save(study_figure(*report.panels), folder / f"{name}.png")
        record = {
            "targets": [asdict(each) | {"met": each.met} for each in report.targets],
            "tables": report.tables,
            "notes": report.notes,
            "settings": {"repeats": effort.repeats, "quick": effort.quick},
            "environment": circumstances,
            "wall_seconds": seconds.wall,
            "cpu_seconds": seconds.cpu,
        }
        merge(folder / "results.json", name, record)
    console.print(f"{folder}: results.json and figures")


def merge(path: Path, name: str, record: dict[str, Any]) -> None:
    """Put one part's record among those of the others, whole or not at all."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[name] = plain(record)
    ordered = {part: known[part] for part in PARTS if part in known}
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    text = json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def show(console: Console, report: Report) -> None:
    """The tables, then the targets."""
    for title, rows in report.tables.items():
        console.print(_table(title, rows))
    for note in report.notes:
        console.print(note, highlight=False)
    if report.targets:
        console.print(_table("targets", [_row(each) for each in report.targets]))


def _row(target: Target) -> Row:
    spread = "–" if target.spread is None else " to ".join(readable(x) for x in target.spread)
    return {
        "target": target.statement,
        "wanted": f"{target.sense} {target.wanted:g}",
        "measured": target.measured,
        "spread": spread,
        "met": "yes" if target.met else "no",
    }


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: float | str | bool | None) -> str:
    return str(value) if isinstance(value, bool) else readable(value)


if __name__ == "__main__":
    launch(main, Config)
