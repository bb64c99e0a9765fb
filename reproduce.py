"""Reproduce the paper: run its experiments, and write a report that says what holds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from derandomization.laboratory.command_line import launch
from derandomization.laboratory.settings import Between, check_fields
from derandomization.laboratory.workers import WorkersConfig, parallel_calls
from reproduction.check import PAGE, REPORT, problems_in
from reproduction.claims import commands_for, parse_ids
from reproduction.page import html
from reproduction.parts import Part, is_finished, plan, run_part, write_manifest
from reproduction.report import Report, markdown, not_run, read_report


@dataclass(frozen=True, kw_only=True)
class Config(WorkersConfig):
    """Run the three experiments at the paper's settings and report, claim by claim, what holds.

    Every experiment is run exactly and with the paper's sampling, over several seeds. What a
    stopped run has finished is not run again.
    """

    output_dir: Path = Path("results")
    """Folder for REPORT.md, report.html and the parts; made if missing."""
    seeds: Annotated[int, Between(1, 10**5)] = 10
    """Repetitions of every experiment; the first has its default seed."""
    quick: bool = False
    """One seed, in the studies too: about a minute without them."""
    full: bool = False
    """With every study of the three experiments: takes far longer."""
    only: str = ""
    """Run what these claims need alone, such as F4,T5.2."""
    check: bool = False
    """Run nothing: re-read the folder and fail where something is missing or does not hold."""

    def __post_init__(self) -> None:
        check_fields(self)
        parse_ids(self.only)
        if self.quick and self.full:
            raise ValueError("quick and full exclude each other")


def main(config: Config) -> None:
    """Run what is asked for and is not there yet, then write the report."""
    if config.check:
        _check(config.output_dir)
        return
    commands = commands_for(parse_ids(config.only), full=config.full)
    parts = plan(commands, seeds=1 if config.quick else config.seeds, quick=config.quick)
    try:
        write_manifest(config.output_dir, _command(config), parts)
        failures = _run_all(parts, config)
        report = read_report(config.output_dir)
        (config.output_dir / REPORT).write_text(markdown(report), encoding="utf-8")
        (config.output_dir / PAGE).write_text(html(report), encoding="utf-8")
    except OSError as problem:
        raise ValueError(
            f"output_dir is {config.output_dir}: it can't be written ({problem.strerror})"
        ) from None
    _show(report)
    if failures:
        raise ValueError("; ".join(failures))


def _command(config: Config) -> str:
    """What to type for the same run, wherever its results go and on however many cores."""
    words = ["python", "reproduce.py"]
    words += [f"--{name}" for name in ("quick", "full") if getattr(config, name)]
    if config.only:
        words += ["--only", ",".join(parse_ids(config.only))]
    if not config.quick:
        words += ["--seeds", str(config.seeds)]
    return " ".join(words)


def _run_all(parts: Sequence[Part], config: Config) -> list[str]:
    """Run the parts that are not finished, the longest first; what went wrong comes back."""
    waiting = [part for part in parts if not is_finished(part, config.output_dir)]
    waiting.sort(key=lambda part: -part.seconds)
    failures = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=sum(part.seconds for part in parts))
        done = len(parts) - len(waiting)
        bar.update(task, completed=sum(part.seconds for part in parts if part not in waiting))
        bar.update(task, description=f"part {done}/{len(parts)}")
        calls = [(part, config.output_dir) for part in waiting]
        found = parallel_calls(run_part, calls, workers=config.workers, scheduler=config.scheduler)
        for index, failure in found:
            done += 1
            bar.update(task, description=f"part {done}/{len(parts)}")
            bar.advance(task, waiting[index].seconds)
            if failure:
                failures.append(failure)
    return failures


def _show(report: Report) -> None:
    table = Table(title=report.command, title_justify="left")
    for heading in ("claim", "statement", "paper", "here", "verdict"):
        table.add_column(heading)
    left_out: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.checks:
            check = finding.headline
            row = (finding.id, finding.statement, check.paper, check.measured, finding.word)
            table.add_row(*map(escape, row))
        else:
            left_out.setdefault(not_run(finding), []).append(finding.id)
    console = Console()
    console.print(table)
    for reason, ids in left_out.items():
        console.print(f"{reason}: {', '.join(ids)}", highlight=False)
    console.print(f"{report.verdicts}; {report.output_dir}: {REPORT}, {PAGE}", highlight=False)


def _check(output_dir: Path) -> None:
    problems = problems_in(output_dir)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(2)
    print(f"{output_dir}: every figure, claim and number is there and holds")


if __name__ == "__main__":
    launch(main, Config)
