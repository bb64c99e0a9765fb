"""Reproduce the paper: run its experiments, and write a report that says which claims hold."""

from derandomization.laboratory.output import stop_in_one_line

if __name__ == "__main__":
    stop_in_one_line()  # before the imports below, which take seconds

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import WorkersConfig
from derandomization.laboratory.folder_lock import FolderLock, unwritable
from derandomization.laboratory.output import say_on_stderr
from derandomization.laboratory.settings import Between, NotWith, check_fields
from derandomization.laboratory.workers import parallel_calls
from reproduction import EXPERIMENTS
from reproduction.claims import SEEDS, parse_ids, plan
from reproduction.jobs import Job, is_finished, run_job, write_manifest
from reproduction.report import (
    NUMBERS,
    PAGE,
    REPORT,
    Report,
    not_run,
    problems_in,
    read_report,
    write_report,
)

NOTHING_TO_RUN = NotWith("check", "it reads what earlier runs wrote")


@dataclass(frozen=True, kw_only=True)
class Config(WorkersConfig):
    """Run the experiments at the paper's settings, and report for each claim whether it holds.

    Every experiment runs exactly and with the paper's sampling, with several seeds. After an
    interruption, the same command runs only what is not finished.
    """

    output_dir: Path = Path("results")
    """Folder for REPORT.md, report.html and the results of every run; made if missing."""
    seeds: Annotated[
        int, Between(1, 10**5), NOTHING_TO_RUN, NotWith("quick", "it runs one seed")
    ] = SEEDS
    """Repetitions of every experiment; the first has its default seed."""
    quick: Annotated[bool, NOTHING_TO_RUN] = False
    """Run with one seed, studies too; takes about a minute without studies."""
    full: Annotated[bool, NOTHING_TO_RUN, NotWith("quick", "that is for a run of a minute")] = False
    """Run every study of the experiments too; takes far longer."""
    only: Annotated[str, NOTHING_TO_RUN] = ""
    """Run only what these claims need, such as F4,T5.2; add it to the report that is there."""
    check: bool = False
    """Run nothing: read the folder again, and fail if anything is missing or does not hold."""

    def __post_init__(self) -> None:
        check_fields(self)
        parse_ids(self.only)
        if self.quick and self.full:
            raise ValueError("quick and full exclude each other")


def main(config: Config) -> None:
    """Run the jobs that are not finished yet, then write the report."""
    if config.check:
        problems = problems_in(config.output_dir)
        if problems:
            say_on_stderr("\n".join(problems))
            raise SystemExit(2)
        findings = read_report(config.output_dir).findings
        missing = [finding.id for finding in findings if not finding.checks]
        print(
            f"{config.output_dir}: every figure, claim and number of the run is there and holds"
            + (f"; not run: {', '.join(missing)}" if missing else "")
        )
        return
    seeds = 1 if config.quick else config.seeds
    ids = parse_ids(config.only)
    jobs = plan(ids, full=config.full, seeds=seeds, quick=config.quick)
    lock = FolderLock(config.output_dir)
    try:
        write_manifest(config.output_dir, _command(config), jobs, add=bool(ids))
        failures = _run_all(jobs, config)
        report = read_report(config.output_dir)
        write_report(report)
    except OSError as problem:
        raise unwritable(config.output_dir, problem) from None
    finally:
        lock.release()
    _show(report, ids)
    if failures:
        raise ValueError("; ".join(failures))


def _command(config: Config) -> str:
    """The command line of the same run, without its folder and its workers."""
    words = ["python", "reproduce.py"]
    words += [f"--{name}" for name in ("quick", "full") if getattr(config, name)]
    if config.only:
        words += ["--only", ",".join(parse_ids(config.only))]
    if not config.quick and config.seeds != SEEDS:
        words += ["--seeds", str(config.seeds)]
    return " ".join(words)


def _run_all(jobs: Sequence[Job], config: Config) -> list[str]:
    """Run the jobs that are not finished, the longest first; return the errors."""
    waiting = [job for job in jobs if not is_finished(job, config.output_dir)]
    waiting.sort(key=lambda job: -job.seconds)
    done = len(jobs) - len(waiting)
    failures = []
    columns = (TextColumn("run {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn()) as bar:
        task = bar.add_task(f"{done}/{len(jobs)}", total=sum(job.seconds for job in jobs))
        bar.update(task, completed=sum(job.seconds for job in jobs if job not in waiting))
        calls = [(job, config.output_dir) for job in waiting]
        found = parallel_calls(
            run_job,
            calls,
            workers=config.workers,
            scheduler=config.scheduler,
            code=EXPERIMENTS,
        )
        for count, (index, failure) in enumerate(found, start=done + 1):
            bar.update(task, description=f"{count}/{len(jobs)}", advance=waiting[index].seconds)
            if failure:
                failures.append(failure)
    return failures


def _show(report: Report, ids: Sequence[str]) -> None:
    """Print the rows of some claims, or all rows if there are no ids."""
    table = Table("claim", "statement", *NUMBERS, "verdict")
    omitted: dict[str, list[str]] = {}
    for finding in report.findings:
        if ids and finding.id not in ids:
            continue
        if finding.checks:
            table.add_row(finding.id, finding.statement, *finding.numbers, finding.verdict)
        else:
            omitted.setdefault(not_run(finding), []).append(finding.id)
    # Paths and statements may contain what rich takes for markup or emoji.
    console = Console(markup=False, emoji=False, highlight=False)
    console.print(table)
    for reason, ids in omitted.items():
        console.print(f"{reason}: {', '.join(ids)}", soft_wrap=True)
    console.print(f"{report.verdicts}; {report.output_dir}: {REPORT}, {PAGE}", soft_wrap=True)


if __name__ == "__main__":
    launch(main, Config)
