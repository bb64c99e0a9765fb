"""launch: from the command line to a config, and from bad input to one line."""

import importlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

import derandomization
from derandomization.checks import require_positive
from derandomization.laboratory.command_line import STOPPED, launch
from derandomization.laboratory.configs import CHECKPOINT, RunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import NotWith, OnlyWith


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """An experiment for the tests."""

    output_dir: Path = Path("results/Example")
    """Where it all goes."""
    rate: float = 0.5
    """How fast, above 0."""
    estimator: Literal["exact", "sampled"] = "exact"
    """How to estimate."""
    fast: Annotated[bool, OnlyWith("rate")] = False
    slow: Annotated[bool, NotWith("fast", "fun")] = False

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


def test_the_version_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called_with(monkeypatch, "--version") == []
    assert capsys.readouterr().out == f"{derandomization.__version__}\n"


@pytest.mark.parametrize(
    ("called", "named"),
    [("MAXCUT/main.py", "main.py"), ("lib/MAXCUT/__main__.py", "python -m MAXCUT")],
)
def test_help_names_the_command_as_it_was_called(
    called: str, named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [called, "--help"])
    with pytest.raises(SystemExit):
        launch(print, Config)
    assert capsys.readouterr().out.startswith(f"usage: {named} [")


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro frames its report in either
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--rate", "-1"], "rate is -1.0: it must be a finite number above 0"),
        (["--seed", "-1"], f"seed is -1: it must lie between 0 and {2**63 - 1}"),
        (["--rate", "fast"], "--rate is 'fast': it must be a number"),
        (["--seed", "1.5"], "--seed is '1.5': it must be an integer"),
        (["--seed", "it's"], '--seed is "it\'s": it must be an integer'),
        (["--quiet=yes"], "--quiet takes no value: write --quiet alone"),
        (["--no-quiet=0"], "--no-quiet takes no value: write --no-quiet alone"),
        (["--rate"], "Missing value for argument '--rate'. Expected 1 values."),
        (
            ["--estimator", "guess"],
            "--estimator is 'guess': it must be one of exact, sampled",
        ),
        (["--colour", "red"], "unrecognized option --colour: --help lists the options"),
        (["--ratte=1"], "unrecognized option --ratte: did you mean --rate?"),
        (["red"], "unrecognized argument 'red': options begin with --"),
        (["--seed", "1", "red"], "Unrecognized options: red"),
        (["--fast"], "--fast needs --rate"),
        (
            ["--fast", "--no-quiet", "--rate", "2", "--slow"],
            "--slow can't be used with --fast: fun",
        ),
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
    own, shared = text.index("\noptions:\n"), text.index("\nthe run and its files:\n")
    assert own < text.index("--rate FLOAT") < shared < text.index("--seed INT")
    assert "--estimator {exact,sampled}\n      How to estimate. (default: exact)\n" in text


def test_the_options_of_the_given_are_those_that_are_not_negated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (config,) = called_with(monkeypatch, "--no-fast", "--slow")
    assert (config.fast, config.slow) == (False, True)


STUDY = """
from dataclasses import dataclass
from pathlib import Path

import derandomization
from derandomization.checks import require_positive
from derandomization.laboratory.configs import RunConfig

calls = []


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    \"\"\"Does the depth matter?\"\"\"

    output_dir: Path = Path("results/depth")
    \"\"\"Where the table goes.\"\"\"
    layers: int = 3
    \"\"\"How deep.\"\"\"

    def __post_init__(self):
        super().__post_init__()
        require_positive("layers", self.layers)


def main(config):
    if config.layers == 99:
        raise ValueError("layers is 99: it must be less")
    calls.append(config)
"""
STUDIES = {"depth": "study_of_depth", "never-asked-for": "no_such.studies.module"}


@pytest.fixture
def studied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Config]]:
    """Launch with studies; gives what the experiment itself was called with."""
    (tmp_path / "study_of_depth.py").write_text(STUDY, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "study_of_depth", raising=False)

    def run(*arguments: str) -> list[Config]:
        monkeypatch.setattr(sys, "argv", ["some/main.py", *arguments])
        configs: list[Config] = []
        launch(configs.append, Config, STUDIES)
        return configs

    return run


def test_a_study_runs_with_options_of_its_own_and_the_experiment_does_not(
    studied: Callable[..., list[Config]],
) -> None:
    assert studied("depth", "--layers", "7", "--seed", "2") == []
    module = importlib.import_module("study_of_depth")
    assert module.calls == [module.Config(layers=7, seed=2)]
    assert studied("depth") == []
    assert module.calls[1] == module.Config()


def test_options_alone_run_the_experiment_and_import_no_study(
    studied: Callable[..., list[Config]],
) -> None:
    assert studied("--rate", "0.25") == [Config(rate=0.25)]
    assert studied() == [Config()]
    assert "study_of_depth" not in sys.modules


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["colours", "--layers", "7"],
            "unrecognized argument 'colours': options begin with --, studies are depth, "
            "never-asked-for",
        ),
        (["depth", "--layers", "0"], "layers is 0: it must be a finite number above 0"),
        (["depth", "--layers", "99"], "layers is 99: it must be less"),
        (["depht", "--layers", "7"], "unrecognized argument 'depht': did you mean depth?"),
        (["depth", "--rate", "1"], "unrecognized option --rate: --help lists the options"),
        (
            ["--rate", "1", "depth"],
            "unrecognized argument 'depth': a study is named before all options",
        ),
    ],
)
def test_a_study_that_is_none_or_is_called_wrongly_is_one_line(
    arguments: list[str],
    line: str,
    studied: Callable[..., list[Config]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        studied(*arguments)
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", f"error: {line}\n")


def test_without_studies_a_bare_word_is_no_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        called_with(monkeypatch, "depth")
    assert stop.value.code == 2
    expected = "error: unrecognized argument 'depth': options begin with --\n"
    assert capsys.readouterr() == ("", expected)


def test_help_lists_the_studies_and_each_has_help_of_its_own(
    studied: Callable[..., list[Config]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    texts = []
    for arguments in (["--help"], ["depth", "--help"]):
        with pytest.raises(SystemExit) as stop:
            studied(*arguments)
        assert stop.value.code == 0
        texts.append(capsys.readouterr().out)
    experiment, study = texts
    assert "usage: main.py [" in experiment
    assert "An experiment for the tests" in experiment
    assert "Commands for data of yours, each with its --help: depth." in experiment
    assert "Studies, each with its --help: never-asked-for." in experiment
    assert "--layers" not in experiment
    assert "usage: main.py depth [" in study
    for words in ("Does the depth matter?", "--layers", "How deep.", "--seed"):
        assert words in study
    assert "Studies" not in study
    assert "--rate" not in study


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: Config) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["main.py"])
    with pytest.raises(SystemExit) as stop:
        launch(fail, Config)
    assert stop.value.code == 2
    assert "need more memory than this machine has" in capsys.readouterr().err


def line_of_a_stopped_launch(
    experiment: Callable[[Any], None], config_type: type, capsys: pytest.CaptureFixture[str]
) -> str:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    try:
        with pytest.raises(SystemExit) as stop:
            launch(experiment, config_type)
        # A second Ctrl-C must not interrupt the end of the process.
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * 2
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert stop.value.code == STOPPED
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_says_whether_anything_was_saved(
    saved: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(config: RunConfig) -> None:
        if saved:
            (config.output_dir / CHECKPOINT).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["main.py", "--output-dir", str(tmp_path)])
    assert line_of_a_stopped_launch(interrupted, RunConfig, capsys) == (
        "stopped: the same command with --resume continues from what was saved"
        if saved
        else "stopped: nothing was saved yet"
    )


def test_ctrl_c_while_options_are_parsed_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataclass(frozen=True)
    class Interrupted:
        def __post_init__(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["main.py"])
    line = line_of_a_stopped_launch(print, Interrupted, capsys)
    assert line == "stopped: it had not begun"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
@pytest.mark.parametrize("study", [[], ["guarantee"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_torch_is_imported_is_one_line(
    number: signal.Signals, study: list[str], tmp_path: Path
) -> None:
    folder = Path(derandomization.__file__).parents[1]
    command = [sys.executable, "MAXCUT/main.py", *study, "--output-dir", str(tmp_path / "out")]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while process.poll() is None and "libtorch" not in maps.read_text():
            time.sleep(0.001)
        process.send_signal(number)
        printed, errors = process.communicate(timeout=100)
    assert (process.returncode, printed, errors) == (STOPPED, "", "\nstopped: it had not begun\n")
    assert list(tmp_path.iterdir()) == []


def test_any_other_runtime_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Config) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(sys, "argv", ["main.py"])
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        launch(fail, Config)
