"""reproduce.py runs each job once, and reports failures and bad input in one line."""

import json
import re
import runpy
import shutil
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import reproduce
from derandomization.laboratory.checkpoints import CannotResume
from derandomization.laboratory.folder_lock import FolderLock
from reproduction import claims, jobs
from reproduction.claims import plan
from reproduction.jobs import MAINS, Job, is_finished, run_job
from reproduction.report import problems_in
from tests.reproduction.made_up import write_results


def test_the_first_seed_is_the_default_and_alone_draws_the_papers_graph() -> None:
    made = plan(("F4",), full=False, seeds=3, quick=False)
    assert [job.options["estimator"] for job in made] == ["exact"] * 3 + ["sampled"] * 3
    assert [("F4" in job.claims) for job in made] == [job.options["seed"] == 42 for job in made]
    assert [job.has_default_seed for job in made] == [job.options["seed"] == 42 for job in made]
    assert made[0].command == "python MAXCUT/main.py --estimator exact --seed 42"
    assert len({job.folder for job in made}) == len(made)


def test_finished_jobs_are_reused_until_code_or_settings_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(claims.EXPERIMENT_COMMANDS, ("MAXCUT", "sampled"))
    config = reproduce.Config(output_dir=tmp_path, quick=True, only="F5", workers=1)
    reproduce.main(config)
    assert problems_in(tmp_path) == []
    path = tmp_path / "parts/MAXCUT/exact/seed-42/results.json"
    written = path.read_bytes()
    reproduce.main(config)
    assert path.read_bytes() == written

    (job,) = plan(("F5",), full=False, seeds=1, quick=True)
    assert is_finished(job, tmp_path)
    never_run, _ = plan(("F6",), full=False, seeds=1, quick=True)
    assert not is_finished(never_run, tmp_path)
    other = replace(job, options={**job.options, "steps": 3})
    assert not is_finished(other, tmp_path)
    monkeypatch.setattr(jobs, "code_version", lambda experiment: "another")
    assert not is_finished(job, tmp_path)


def test_an_interrupted_job_resumes_unless_its_checkpoint_is_of_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan(("F5",), full=False, seeds=1, quick=True)[0]
    seen: list[bool] = []

    def entry(refuses: bool) -> SimpleNamespace:
        def main(config: Any) -> None:
            seen.append(config.resume)
            if config.resume and refuses:
                raise CannotResume("resume: checkpoint.pt was written with other code")

        return SimpleNamespace(main=main, Config=MAINS["MAXCUT"].Config)

    for refuses, expected in ((False, [True]), (True, [True, False])):
        seen.clear()
        monkeypatch.setattr(Job, "entry", lambda job, refuses=refuses: entry(refuses))
        assert run_job(job, tmp_path) == ""
        assert seen == expected


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    lock: list[FolderLock] = []
    thread = threading.Thread(target=lambda: lock.append(FolderLock(tmp_path)) or ended.wait())
    ended = threading.Event()
    thread.start()
    try:
        while not lock:
            time.sleep(0.01)
        with pytest.raises(ValueError, match="another run"):
            reproduce.main(reproduce.Config(output_dir=tmp_path, quick=True, only="F5"))
    finally:
        ended.set()
        thread.join()


def test_a_job_that_fails_is_one_line_and_the_rest_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(job: Job, output_dir: Path) -> str:
        if job.options["estimator"] == "exact":
            return f"{job.command}: broken"
        write_results(job, output_dir)
        return ""

    monkeypatch.setattr(reproduce, "run_job", fail)
    with pytest.raises(ValueError, match="broken"):
        reproduce.main(reproduce.Config(output_dir=tmp_path, quick=True, only="F6", workers=1))
    assert "**Missing:**" in (tmp_path / "REPORT.md").read_text()
    assert any("results.json: missing" in problem for problem in problems_in(tmp_path))


@pytest.fixture
def made_up_jobs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make up the results of every job instead of running it; the list names those that ran."""
    ran: list[str] = []

    def run(job: Job, output_dir: Path) -> str:
        shutil.rmtree(output_dir / job.folder, ignore_errors=True)
        write_results(job, output_dir)
        stamp = json.dumps(jobs._stamp(job, output_dir))
        (output_dir / job.folder / jobs.STAMP).write_text(stamp)
        ran.append(job.experiment)
        return ""

    monkeypatch.setattr(reproduce, "run_job", run)
    return ran


def only(folder: Path, id: str) -> None:
    reproduce.main(reproduce.Config(output_dir=folder, quick=True, only=id, workers=1))


def test_only_adds_to_the_report_that_is_there(
    tmp_path: Path, made_up_jobs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    only(tmp_path, "F4")
    capsys.readouterr()
    only(tmp_path, "F6")
    printed = capsys.readouterr().out
    assert "F6" in printed
    assert "F4" not in printed
    first, second = (f"python reproduce.py --quick --only {id}" for id in ("F4", "F6"))
    text = (tmp_path / "REPORT.md").read_text()
    assert f"Made by `{first}` and `{second}`:" in text
    for id, run in (("F4", first), ("F6", second)):
        assert f"| [{id}](#" in text
        experiment = "MAXCUT" if id == "F4" else "JohnsonLindenstrauss"
        assert re.search(rf"\| `python {experiment}/main.py [^|]*\| 1.5 \| `{run}` \|", text)
    assert problems_in(tmp_path) == []
    assert made_up_jobs == ["MAXCUT"] * 2 + ["JohnsonLindenstrauss"] * 2
    only(tmp_path, "F4")
    assert len(made_up_jobs) == 4  # all were there
    assert (tmp_path / "REPORT.md").read_text() == text


def test_parts_that_other_code_made_are_named_until_they_run_again(
    tmp_path: Path, made_up_jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(tmp_path, "F4")
    monkeypatch.setattr(jobs, "code_version", lambda experiment: "another")
    only(tmp_path, "F6")
    stale = [problem for problem in problems_in(tmp_path) if "made by other code" in problem]
    assert len(stale) == 2
    assert all("MAXCUT" in problem for problem in stale)
    (line,) = re.findall(r"\*\*Made by other code\*\*.*", (tmp_path / "REPORT.md").read_text())
    assert line.count("MAXCUT/main.py") == 2
    assert "JohnsonLindenstrauss" not in line
    only(tmp_path, "F4")
    assert problems_in(tmp_path) == []
    assert "other code" not in (tmp_path / "REPORT.md").read_text()


def test_a_run_of_everything_replaces_the_report(tmp_path: Path, made_up_jobs: list[str]) -> None:
    only(tmp_path, "BIAS")
    reproduce.main(reproduce.Config(output_dir=tmp_path, quick=True, workers=1))
    text = (tmp_path / "REPORT.md").read_text()
    assert "Made by `python reproduce.py --quick`:" in text
    assert "[BIAS](#" not in text


@pytest.mark.parametrize(
    "options",
    [
        ["--only", "F4,F9"],
        ["--only", ","],
        ["--seeds", "0"],
        ["--quick", "--full"],
        ["--check", "--output-dir", "/nowhere"],
    ],
)
def test_bad_input_is_one_line(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *options])
    with pytest.raises(SystemExit) as stop:
        reproduce.launch(reproduce.main, reproduce.Config)
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_it_is_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--only", "F9"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(reproduce.__file__, run_name="__main__")
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: only is 'F9': no such claim")
