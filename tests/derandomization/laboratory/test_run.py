"""Run and RunConfig: what they refuse, and what they leave on disk."""

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.table import Table

from derandomization import DerandomizationObjective, descend
from derandomization.certificate import Certificate
from derandomization.descent import Diverged
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.figures import label, new_figure
from derandomization.laboratory.folder_lock import LOCK
from derandomization.laboratory.identity import LIBRARIES
from derandomization.laboratory.run import Run, report_end

ENVIRONMENT = {"python", *LIBRARIES, "device", "instructions", "threads", "platform", "git_commit"}
RECORD = {
    "experiment",
    "version",
    "config",
    "environment",
    "wall_seconds",
    "results",
    "claims",
    "figures",
    "figure_descriptions",
}


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    size: int = 3
    rate: float | None = None


def quiet_run(folder: Path, **options: object) -> Run:
    return Run("Example", Config(output_dir=folder, device="cpu", quiet=True, **options))


def finished(run: Run) -> dict:
    run.finish()
    return json.loads((run.folder / "results.json").read_text(encoding="utf-8"))


def test_results_json_has_the_documented_fields(tmp_path: Path) -> None:
    run = quiet_run(tmp_path / "deep" / "folder", size=5)
    run.results |= {"cut_value": 41, "ratio": 0.5, "certificate": {"rho": 1e-9, "bound": None}}
    run.claim("F4", "cut ≥ 41", paper=41, measured=41.0, holds=True)
    run.claim("NG", "open", measured="see figure", holds=None)
    record = finished(run)
    assert set(record) == RECORD
    assert set(record["environment"]) == ENVIRONMENT
    assert record["experiment"] == "Example"
    assert record["config"] == {
        "seed": 0,
        "output_dir": str(tmp_path / "deep" / "folder"),
        "device": "cpu",
        "figures": True,
        "vector_figures": False,
        "quiet": True,
        "resume": False,
        "checkpoint_every": 30.0,
        "size": 5,
        "rate": None,
    }
    assert record["results"] == run.results
    assert record["claims"] == [
        {
            "id": "F4",
            "statement": "cut ≥ 41",
            "reference": 41,
            "reference_kind": "paper",
            "measured": 41.0,
            "holds": True,
        },
        {
            "id": "NG",
            "statement": "open",
            "reference": None,
            "reference_kind": None,
            "measured": "see figure",
            "holds": None,
        },
    ]
    assert record["environment"]["device"] == "cpu"
    assert record["environment"]["torch"] == torch.__version__
    assert 0 < record["wall_seconds"] < 60


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    run = quiet_run(tmp_path)
    run.results |= {"a": math.nan, "b": {"c": [math.inf, 1.0, -math.inf]}, "d": (2, math.nan)}
    run.claim("X", "nothing", paper=math.inf, measured=math.nan, holds=False)
    record = finished(run)
    assert record["results"] == {"a": None, "b": {"c": [None, 1.0, None]}, "d": [2, None]}
    assert (record["claims"][0]["reference"], record["claims"][0]["measured"]) == (None, None)


@pytest.mark.parametrize("vectors", [(), (".pdf", ".svg")])
def test_figures_are_saved_as_png_and_as_vectors_where_asked_and_arrays_as_npz(
    tmp_path: Path, vectors: tuple[str, ...]
) -> None:
    run = quiet_run(tmp_path, vector_figures=bool(vectors))
    figure, (axes,) = new_figure()
    axes.plot([0, 1], [1, 2])
    label(axes, x="x", y="y", title="A line")
    run.figure("figure4_cut_value", figure)
    run.arrays |= {"value": np.array([1.0, 0.5]), "steps": np.arange(3)}
    record = finished(run)
    assert record["figures"] == ["figure4_cut_value.png"]
    assert record["figure_descriptions"] == {"figure4_cut_value.png": "A line; y against x"}
    images = {f"figure4_cut_value{suffix}" for suffix in (".png", *vectors)}
    assert {path.name for path in tmp_path.iterdir()} == images | {"history.npz", "results.json"}
    with np.load(tmp_path / "history.npz") as stored:
        assert set(stored) == {"value", "steps"}
        assert stored["value"].tolist() == [1.0, 0.5]
        assert stored["steps"].dtype == run.arrays["steps"].dtype


def test_a_write_that_fails_leaves_the_old_file_whole_and_no_other(tmp_path: Path) -> None:
    run = quiet_run(tmp_path)
    run.write("partition.csv", lambda path: path.write_text("old"))

    def fail_halfway(path: Path) -> None:
        path.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.write("partition.csv", fail_halfway)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "partition.csv"]
    assert (tmp_path / "partition.csv").read_text() == "old"


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_stands_under_the_temporary_name_is_replaced(tmp_path: Path, kind: str) -> None:
    run = Run("here", Config(output_dir=tmp_path, quiet=True))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("kept")
    planted = tmp_path / ".part.partition.csv"
    planted.symlink_to(elsewhere) if kind == "link" else os.mkfifo(planted)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK  # a pipe is an error instead of a wait

    def write(path: Path) -> None:
        with open(os.open(path, flags), "w") as file:
            file.write("new")

    run.write("partition.csv", write)
    assert elsewhere.read_text() == "kept"
    assert (tmp_path / "partition.csv").read_text() == "new"
    assert not (tmp_path / "partition.csv").is_symlink()


def test_the_temporary_file_lies_in_the_same_folder_and_keeps_the_suffix(tmp_path: Path) -> None:
    seen = []
    run = quiet_run(tmp_path)
    run.write("embedding.npy", lambda path: (seen.append(path), np.save(path, np.eye(2))))
    assert (seen[0].parent, seen[0].suffix) == (tmp_path, ".npy")
    assert np.array_equal(np.load(tmp_path / "embedding.npy"), np.eye(2))


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, below: str) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ValueError, match=rf"output_dir is {blocked / below}: it can't be written"):
        quiet_run(blocked / below)


def test_a_claim_has_one_reference_and_says_of_which_kind(tmp_path: Path) -> None:
    run = quiet_run(tmp_path)
    run.claim("T5.2", "ratio", bound=0.878, measured=1.0, holds=True)
    run.claim("F6", "distortion", baseline=0.0, measured=1.0, holds=False)
    run.claim("NG", "open", measured=1.0)
    found = [(claim.reference, claim.reference_kind) for claim in run.claims]
    assert found == [(0.878, "bound"), (0.0, "baseline"), (None, None)]
    with pytest.raises(ValueError, match="one reference: paper and bound are given"):
        run.claim("X", "two", paper=1, bound=2, measured=1)


def test_a_quiet_run_prints_nothing_and_has_no_progress(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = quiet_run(tmp_path)
    with run.descent("figure", 10) as report:
        assert report is None
    with run.counter(3) as advance:
        advance()
    run.show(Table("a table"))
    run.say("a line")
    run.claim("X", "statement", paper=1, measured=1, holds=True)
    run.finish()
    assert capsys.readouterr() == ("", "")


def test_a_norm_above_its_bounds_refutes_them_and_without_a_bound_the_claim_is_open(
    tmp_path: Path,
) -> None:
    run = Run("Test", RunConfig(output_dir=tmp_path, quiet=True))
    certificate = Certificate(
        gradient_norm=0.1,
        min_curvature=0.0,
        min_curvature_residual=0.0,
        hessian_lipschitz=1.0,
        hessian_lipschitz_is_estimate=False,
        rho=0.1,
        weight_bound=0.5,
        weight_gradient_norm=0.1,
        stein_defect=0.02,
        bias_curvature=-0.3,
        sharp_weight_bound=None,
        gaussian_bound=0.45,
        gaussian_sharp_bound=None,
        weight_norm=0.6,
    )
    run.claim_bounds(certificate, "‖W‖", theorem="T4.1")
    assert [(claim.id, claim.holds) for claim in run.claims] == [("T4.1", False), ("L3.1", None)]
    assert all("‖δ‖ = 0.02" in claim.statement for claim in run.claims)
    assert run.claims[0].reference == 0.45  # the bound for Gaussian x
    run.claim_bounds(certificate, "‖W‖", gaussian=False)
    assert run.claims[2].reference == 0.5  # includes the defect


def test_a_run_prints_each_claim_beside_what_the_paper_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run = Run("Example", Config(output_dir=tmp_path, device="cpu"))
    run.claim("F1", "threshold", paper=0.45, measured=0.450123, holds=True)
    run.claim("F9", "broken", paper=1, measured=2, holds=False)
    run.claim("NG", "unsettled", measured="as seen", holds=None)
    with run.descent("descent", 10) as report:
        report(3, 0.125, 2.5)
    run.finish()
    lines = capsys.readouterr().out.splitlines()
    rows = {words[1]: words for line in lines if (words := line.split()) and len(words) > 3}
    cells = [cell for cell in rows["F1"] if cell != "│"]
    assert cells == ["F1", "threshold", "0.45", "(paper)", "0.4501", "yes"]
    assert rows["F9"][-2] == "no"
    assert rows["NG"][-2] == "open"
    assert any("step 4/4" in line and "f 0.125" in line and "2.5" in line for line in lines)


def test_the_last_line_of_a_descent_has_the_numbers_of_the_end(
    tmp_path: Path,
    cubic_objective: Callable[..., DerandomizationObjective],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    objective = cubic_objective(0.3, -1.0, 0.1, 1.0)
    run = Run("Example", Config(output_dir=tmp_path, device="cpu"))
    with run.descent("figure", 100) as progress:
        optimizer = torch.optim.SGD(objective.parameters(), lr=0.1)
        history = descend(objective, optimizer, max_steps=3, on_step=progress)
        report_end(progress, history)
    (line,) = capsys.readouterr().out.strip().splitlines()
    assert "step 3/3" in line
    assert f"f {history.value[-1]:.6g}  ‖W‖ {history.weight_norm[-1]:.3g} " in line
    assert f"{history.weight_norm[-1]:.3g}" != f"{history.weight_norm[-2]:.3g}"


def test_a_descent_that_diverges_leaves_what_it_measured_and_goes_on(
    tmp_path: Path, cubic_objective: Callable[..., DerandomizationObjective]
) -> None:
    objective = cubic_objective(0.3, -1.0, 0.1, 1.0)
    run = quiet_run(tmp_path)
    run.arrays["before"] = np.arange(2)
    run.results["kept"] = 5
    run.claim("F1", "made before", paper=1, measured=1, holds=True)
    with pytest.raises(Diverged, match="lower the learning rate") as error:  # noqa: SIM117
        with run.descent("figure", 100) as progress:
            descend(
                objective,
                torch.optim.SGD(objective.parameters(), lr=1.0),
                max_steps=100,
                observe=lambda: {"corner": 0.5},
                on_step=progress,
            )
    history = error.value.history
    record = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert record["results"] == {
        "kept": 5,
        "diverged_at_step": history.num_steps,
        "error": str(error.value),
    }
    assert f"at step {history.num_steps}:" in str(error.value)
    assert [claim["id"] for claim in record["claims"]] == ["F1"]
    with np.load(tmp_path / "history.npz") as stored:
        assert set(stored) == {"before", *history.arrays()}
        for name, array in history.arrays().items():
            np.testing.assert_array_equal(stored[name], array)
        assert not np.isfinite(stored["value"][-1])


@pytest.mark.parametrize("problem", [ValueError("other"), KeyboardInterrupt()])
def test_any_other_end_of_a_descent_writes_nothing(problem: BaseException, tmp_path: Path) -> None:
    run = quiet_run(tmp_path / "out")
    with pytest.raises(type(problem)), run.descent("figure", 10):
        raise problem
    assert [path.name for path in (tmp_path / "out").iterdir()] == [LOCK]


def test_a_bar_counts_the_runs_of_a_study_up_to_their_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run = Run("Example", Config(output_dir=tmp_path, device="cpu"))
    with run.counter(7) as advance:
        for _ in range(5):
            advance()
    assert "run 5/7" in capsys.readouterr().out


def test_a_table_is_shown_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run("Example", Config(output_dir=tmp_path, device="cpu"))
    table = Table("setting", "risk")
    table.add_row("λ = 1", "0.5 [0.4, 0.6]")
    run.show(table)
    assert "λ = 1" in capsys.readouterr().out


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"seed is {seed}: it must lie between 0 and"):
        RunConfig(output_dir=Path("x"), seed=seed)


def test_device_is_the_gpu_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert RunConfig(output_dir=Path("x")).torch_device() == torch.device("cpu")
    with pytest.raises(ValueError, match="device is cuda: torch finds no GPU here"):
        RunConfig(output_dir=Path("x"), device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert RunConfig(output_dir=Path("x")).torch_device() == torch.device("cuda")
    assert RunConfig(output_dir=Path("x"), device="cuda").torch_device() == torch.device("cuda")
    assert RunConfig(output_dir=Path("x"), device="cpu").torch_device() == torch.device("cpu")


def test_a_folder_that_vanishes_costs_the_files_but_not_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("Example", Config(output_dir=tmp_path / "gone", device="cpu"))
    run.claim("F4", "cut ≥ 41", paper=41, measured=41.0, holds=True)
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "gone").write_text("in the way")
    with pytest.raises(ValueError, match=r"output_dir is .*gone.*: it can't be written"):
        run.finish()
    assert "cut ≥ 41" in capsys.readouterr().out


def test_a_run_that_finds_a_checkpoint_says_so_and_one_that_finds_none_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def begin(**options: object) -> Run:
        return Run("Example", Config(output_dir=tmp_path, device="cpu", **options))

    begin(resume=True)
    assert "there is no" in " ".join(capsys.readouterr().out.split())
    stopped = begin().checkpoints
    stopped.slot("number").keep({"a": 1})
    stopped.write()
    capsys.readouterr()
    begin()
    assert "--resume continues from it" in " ".join(capsys.readouterr().out.split())
    begin(resume=True, quiet=True, checkpoint_every=5.0)  # these change no number
    with pytest.raises(ValueError, match="was written with --size 3, now it is 4"):
        begin(resume=True, size=4)
    run = begin(resume=True)
    run.finish()
    assert not (tmp_path / "checkpoint.pt").exists()
