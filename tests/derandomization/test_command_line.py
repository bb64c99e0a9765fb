"""launch: from the command line to a config, and from bad input to one line."""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from derandomization.checks import require_positive
from derandomization.command_line import launch
from derandomization.runs import Run, RunConfig


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """An experiment for the tests."""

    output_dir: Path = Path("results/Example")
    """Where it all goes."""
    rate: float = 0.5
    """How fast, above 0."""
    estimator: Literal["exact", "sampled"] = "exact"
    """How to estimate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("rate", self.rate)


def called_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Config]:
    monkeypatch.setattr(sys, "argv", ["main.py", *arguments])
    configs: list[Config] = []
    launch(configs.append, Config)
    return configs


def test_arguments_become_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = called_with(
        monkeypatch, "--rate", "0.25", "--estimator", "sampled", "--output-dir", "a/b", "--quiet"
    )
    assert config == Config(rate=0.25, estimator="sampled", output_dir=Path("a/b"), quiet=True)


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro frames its report in either
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--rate", "-1"], "rate is -1.0: it must be a finite number above 0"),
        (["--seed", "-1"], f"seed is -1: it must lie between 0 and {2**63 - 1}"),
        (["--rate", "fast"], "Error parsing --rate: could not convert string to float: 'fast'"),
        (["--rate"], "Missing value for argument '--rate'. Expected 1 values."),
        (
            ["--estimator", "guess"],
            "invalid choice 'guess' for argument '--estimator'. "
            "Expected one of ('exact', 'sampled').",
        ),
        (["--colour", "red"], "Unrecognized options: --colour, red"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    arguments: list[str],
    line: str,
    encoding: str,
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as stop:
        called_with(monkeypatch, *arguments)
    assert stop.value.code == 2
    assert output.tell() == 0
    assert capsys.readouterr().err == f"error: {line}\n"


@pytest.mark.parametrize("problem", [ValueError("n is 0"), FloatingPointError("became inf")])
def test_a_problem_of_the_experiment_ends_the_same_way(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: Config) -> None:
        raise problem

    monkeypatch.setattr(sys, "argv", ["main.py"])
    with pytest.raises(SystemExit) as stop:
        launch(fail, Config)
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f"error: {problem}\n")


def test_an_error_in_the_code_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Config) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["main.py"])
    with pytest.raises(ZeroDivisionError):
        launch(fail, Config)


def test_bad_input_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["main.py", "--rate", "0", "--output-dir", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        launch(lambda config: Run("Example", config).finish(), Config)
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_field_and_exits_with_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stop:
        called_with(monkeypatch, "--help")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for words in ("An experiment for the tests", "Where it all goes", "How fast, above 0"):
        assert words in text
    for flag in ("--seed", "--output-dir", "--device", "--quiet", "--rate", "--estimator"):
        assert flag in text
