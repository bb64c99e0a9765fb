"""The command: parts in order, what is known kept, bad options in one line."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.run import Config, merge

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "run.py"), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def test_a_quick_run_writes_table_json_and_figure(tmp_path: Path) -> None:
    done = command("--quick", "--only", "core", "--output-dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "PGD's step" in done.stdout
    record = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["core"]
    assert record["settings"] == {"repeats": 1, "quick": True}
    assert record["wall_seconds"] > 0
    for target in record["targets"]:
        assert target["met"] == (target["measured"] <= target["wanted"])
    assert (tmp_path / "core.png").stat().st_size > 0


def test_other_parts_keep_what_is_known_of_them(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    merge(path, "maxcut", {"wall_seconds": 1.0})
    merge(path, "core", {"wall_seconds": float("nan")})
    merge(path, "core", {"wall_seconds": 2.0})
    assert list(json.loads(path.read_text(encoding="utf-8")).items()) == [
        ("core", {"wall_seconds": 2.0}),
        ("maxcut", {"wall_seconds": 1.0}),
    ]


def test_a_part_there_is_not_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "warp"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "benchmarks" / "run.py"), run_name="__main__")
    assert stop.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: only names 'warp'")
    assert len(errors.splitlines()) == 1


def test_the_gset_runs_where_its_folder_is(tmp_path: Path) -> None:
    assert "gset" not in Config().parts()
    with pytest.raises(ValueError, match=r"holds no best_known\.csv"):
        Config(gset=tmp_path)
    (tmp_path / "best_known.csv").write_text("instance,best_known\n", encoding="utf-8")
    assert Config(gset=tmp_path).parts()[-1] == "gset"


def test_a_quick_run_does_not_overwrite_the_published_one() -> None:
    assert Config(quick=True).folder() != Config().folder() == Path("benchmarks")
