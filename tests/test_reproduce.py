"""reproduce.py runs each job once, and reports failures and bad input in one line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import reproduce
from reproduction import claims, jobs
from reproduction.claims import plan
from reproduction.jobs import Job, is_finished
from reproduction.report import problems_in
from tests.reproduction.made_up import write_results

ROOT = Path(__file__).parents[1]


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


def test_it_is_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "reproduce.py", "--only", "F9"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: only is 'F9': no such claim")
