"""The roof: what it runs, what it says of it, and what its check finds."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import reproduce
from reproduction import claims, parts
from reproduction.check import problems_in
from reproduction.claims import CLAIMS, EXPERIMENTS, STUDIES, commands_for, parse_ids
from reproduction.evidence import summary, verdict
from reproduction.page import html
from reproduction.parts import Part, is_finished, plan, write_manifest
from reproduction.report import markdown, read_report

ROOT = Path(__file__).parents[1]
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A made-up run of everything, two seeds each, with its report."""
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


def test_every_claim_and_every_study_has_a_command() -> None:
    commands = [*EXPERIMENTS, *STUDIES]
    assert {id for each in commands for id in each.claims} == set(CLAIMS)
    for experiment in ("NeuralNetworks", "MAXCUT", "JohnsonLindenstrauss"):
        studies = {each.study for each in STUDIES if each.experiment == experiment}
        assert studies == set(parts.importlib.import_module(f"{experiment}.main").STUDIES)


def test_only_runs_what_the_claims_need() -> None:
    names = {
        (each.experiment, each.study) for each in commands_for(parse_ids("F4, BIAS"), full=False)
    }
    assert names == {("MAXCUT", ""), ("NeuralNetworks", "biases")}
    assert [each.study for each in commands_for(("T5.2",), full=True)] == [
        "",
        "guarantee",
        "baselines",
    ]


def test_the_first_seed_is_the_default_and_alone_draws_the_papers_graph() -> None:
    made = plan([each for each in EXPERIMENTS if each.experiment == "MAXCUT"], seeds=3, quick=False)
    assert [part.options["estimator"] for part in made] == ["exact"] * 3 + ["sampled"] * 3
    assert [("F4" in part.claims) for part in made] == [part.options["seed"] == 42 for part in made]
    assert made[0].command == "python MAXCUT/main.py --estimator exact --seed 42"
    assert len({part.folder for part in made}) == len(made)


def test_a_number_over_seeds_has_an_interval() -> None:
    assert summary([1.0, 2.0, 3.0]) == "2 [-0.4841, 4.484]"
    assert summary([1e-9, 1e-7, 1e-5]).startswith("1e-07 [")  # by the logarithms: none below 0
    assert "-" not in summary([1e-9, 1e-7, 1e-5]).replace("e-", "")
    assert summary([41, 41]) == "41"
    assert summary([None, None]) == "–"
    assert summary(["a", "a"]) == "a"
    assert summary(["a", "b"]) == "a (first of 2 seeds)"


def test_one_failure_is_a_failure_and_silence_is_open() -> None:
    assert verdict([True, None, True]) is True
    assert verdict([True, False, None]) is False
    assert verdict([None, None]) is None


def test_the_report_has_every_claim_with_its_numbers(folder: Path) -> None:
    text = (folder / "REPORT.md").read_text()
    for id, claim in CLAIMS.items():
        assert f"| [{id}](#" in text
        assert claim.statement in text
    assert "0.8125 [0.01836, 1.607]" in text  # of 0.75 and 0.875
    assert "| 0.878·OPT | 20.5 |" in text  # the made-up ratio 0.5 of 41
    assert "| worst of 20, mean | 1 |" in text
    assert "F4 \\| so" in text
    assert f"{len(CLAIMS)} hold" in text


def test_the_page_is_one_file_with_its_figures_inside(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "http" not in page
    assert page.count("<section") == page.count("</section>") == len(CLAIMS)


def test_a_claim_that_fails_once_fails_and_is_the_one_that_is_shown(folder: Path) -> None:
    edit(folder / "parts/MAXCUT/sampled/seed-42/results.json", _not_holding)
    (finding,) = [each for each in read_report(folder).findings if each.id == "F4"]
    assert finding.word == "does not hold"
    assert finding.headline.source == "MAXCUT, sampled"
    assert finding.headline.count == "0 of 1"


def test_claims_without_a_part_were_not_run(tmp_path: Path) -> None:
    made = plan([EXPERIMENTS[0]], seeds=1, quick=True)
    write_manifest(tmp_path, "python reproduce.py --quick", made)
    for part in made:
        pretend(part, tmp_path)
    write_report(tmp_path)
    text = (tmp_path / "REPORT.md").read_text()
    assert "| not run (needs --full) |" in text
    assert "| F4 | The deterministic cut reaches the optimum, 41 | – | – | not run |" in text
    assert problems_in(tmp_path) == []


def test_the_check_finds_nothing_wrong_in_a_whole_run(folder: Path) -> None:
    assert problems_in(folder) == []


def _not_holding(record: dict[str, Any]) -> None:
    record["claims"][0]["holds"] = False


def _numberless(record: dict[str, Any]) -> None:
    record["claims"][0]["measured"] = None


def _claimless(record: dict[str, Any]) -> None:
    del record["claims"][0]


def _edited(record: dict[str, Any]) -> None:
    record["claims"][0]["measured"] = 0.25


def _without_optimum(record: dict[str, Any]) -> None:
    del record["results"]["optimum"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_not_holding, "does not hold"),
        (_numberless, "has no number"),
        (_claimless, "no claim F4"),
        (_edited, "is not what the results.json files say"),
        (_without_optimum, "no number for 'optimum by enumeration'"),
        (lambda record: record["figures"].append("lost.png"), "lost.png: missing"),
        (lambda record: record.pop("claims"), "no claims"),
    ],
)
def test_the_check_finds_what_is_missing_or_false(
    folder: Path, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    edit(folder / "parts/MAXCUT/exact/seed-42/results.json", change)
    assert any(complaint in problem for problem in problems_in(folder))


@pytest.mark.parametrize(
    "name",
    [
        "parts/MAXCUT/exact/seed-42/figure4_cut_value.png",
        "parts/MAXCUT/exact/seed-42/results.json",
        "REPORT.md",
        "report.html",
    ],
)
def test_the_check_misses_every_file(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).unlink()
    with pytest.raises(SystemExit) as stop:
        reproduce.main(reproduce.Config(output_dir=folder, check=True))
    assert stop.value.code == 2
    assert any(name in line for line in capsys.readouterr().err.splitlines())


def test_finished_parts_are_reused_until_code_or_settings_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ESTIMATORS", ("exact",))
    config = reproduce.Config(output_dir=tmp_path, quick=True, only="F5", workers=1)
    reproduce.main(config)
    assert problems_in(tmp_path) == []
    path = tmp_path / "parts/MAXCUT/exact/seed-42/results.json"
    written = path.read_bytes()
    reproduce.main(config)
    assert path.read_bytes() == written

    (part,) = plan(commands_for(("F5",), full=False), seeds=1, quick=True)
    assert is_finished(part, tmp_path)
    (before,) = plan(commands_for(("F6",), full=False), seeds=1, quick=True)
    assert not is_finished(before, tmp_path)
    other = replace(part, options={**part.options, "steps": 3})
    assert not is_finished(other, tmp_path)
    monkeypatch.setattr(parts, "code_version", lambda experiment: "another")
    assert not is_finished(part, tmp_path)


def test_a_part_that_fails_is_one_line_and_the_rest_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(part: Part, output_dir: Path) -> str:
        if part.options["estimator"] == "exact":
            return f"{part.command}: broken"
        pretend(part, output_dir)
        return ""

    monkeypatch.setattr(reproduce, "run_part", fail)
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
    assert claims.ESTIMATORS == ("exact", "sampled")
