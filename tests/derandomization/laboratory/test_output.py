"""What is printed: as it is written in paths and names, and never at the cost of the results."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from rich.table import Table

from derandomization.laboratory import output
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.output import reporting_stdout
from derandomization.laboratory.run import Run

# Loads the module alone, since importing the package takes seconds.
COMMAND = """
import runpy
from pathlib import Path
with runpy.run_path(OUTPUT)["reporting_stdout"]():
    print("begins" + "." * 10_000)
    print("ends")
    Path("results.json").touch()
""".replace("OUTPUT", repr(output.__file__))


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    output_dir: Path = Path("out")


@pytest.mark.parametrize("name", ["a[b]", "a[/b]", "[red]", "a[bold", ":cat:", "[link=x]y[/link]"])
def test_names_are_printed_as_they_are(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run("Example", Config(output_dir=tmp_path / name))
    table = Table("name", title=name)
    table.add_row(name)
    run.claim("F4", f"statement of {name}", measured=name, holds=True)
    run.show(table)
    with run.stage(name[:0] + "stage"):
        pass
    run.finish()
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith(f"{tmp_path / name}: results.json, history.npz and")
    assert printed.count(name) >= 4
    assert (tmp_path / name / "results.json").exists()


def test_bytes_of_a_path_that_are_no_text_cost_no_results(tmp_path: Path) -> None:
    run = Run("Example", Config(output_dir=tmp_path / "a\udcff", quiet=True))
    run.finish()
    assert b'a\\udcff"' in (tmp_path / "a\udcff" / "results.json").read_bytes()


@pytest.mark.parametrize("folder", ["x" * 256, "a/" + "x" * 256 + "/b", "y" * 5000])
def test_a_name_that_is_too_long_is_one_line(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^output_dir is .*: it can't be written \(File name too"):
        Run("Example", Config(output_dir=tmp_path / folder))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that this process may not enter."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.seteuid(65534)
    else:
        folder.chmod(0)
    yield folder
    if os.getuid() == 0:
        os.seteuid(0)
    folder.chmod(0o700)


def test_a_parent_that_may_not_be_entered_is_one_line(closed_folder: Path) -> None:
    with pytest.raises(ValueError, match=r": it can't be written \(Permission denied\)$"):
        Run("Example", Config(output_dir=closed_folder / "a" / "b"))


def run_command(folder: Path, redirection: str) -> tuple[int, str]:
    """The exit code and stderr of the command with its stdout redirected."""
    (folder / "main.py").write_text(COMMAND, encoding="utf-8")
    command = f"'{sys.executable}' main.py {redirection}"
    done = subprocess.run(command, cwd=folder, shell=True, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("redirection", "reason"),
    [("> /dev/full", "No space left on device"), (">&-", "it is closed")],
)
def test_a_stdout_that_cannot_be_written_is_one_line_and_loses_nothing(
    redirection: str, reason: str, tmp_path: Path
) -> None:
    code, errors = run_command(tmp_path, redirection)
    assert errors == f"error: stdout can't be written ({reason}); all files are\n"
    assert code == 2
    assert (tmp_path / "results.json").exists()


def test_a_reader_of_stdout_that_ends_early_loses_nothing(tmp_path: Path) -> None:
    _, errors = run_command(tmp_path, "| true")
    assert errors == ""
    assert (tmp_path / "results.json").exists()


def test_a_closed_pipe_ends_with_the_code_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for code in (None, 0, 130):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w", encoding="utf-8", buffering=1) as stream:
            assert exit_code(code, monkeypatch, stream) == code
        assert capsys.readouterr().err == ""


def test_ctrl_c_during_the_imports_is_one_line(tmp_path: Path) -> None:
    script = f"import runpy; runpy.run_path({output.__file__!r})['stop_in_one_line'](); "
    for raised, line in (("KeyboardInterrupt", "stopped before it began"), ("KeyError", "")):
        done = subprocess.run(
            [sys.executable, "-c", f"{script}raise {raised}"], capture_output=True, text=True
        )
        assert done.returncode != 0
        assert (done.stderr.strip() == line) == bool(line)
        assert ("Traceback" in done.stderr) != bool(line)


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Ascii(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="ascii")


def exit_code(code: int | None, monkeypatch: pytest.MonkeyPatch, stdout: IO[str]) -> object:
    """The exit code of a command that prints two lines into ``stdout`` and ends with a code."""
    monkeypatch.setattr(sys, "stdout", stdout)
    try:
        with reporting_stdout():
            print("x")
            print("y")
            if code is not None:
                raise SystemExit(code)
    except SystemExit as stop:
        return stop.code
    return None


def test_the_exit_code_of_the_command_comes_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(130, monkeypatch, Full()) == 130
    assert capsys.readouterr().err == ""
    for code in (None, 0):  # 0 ends --help
        assert exit_code(code, monkeypatch, Full()) == 2
        assert "error: stdout can't be written (No space left" in capsys.readouterr().err


def test_characters_that_stdout_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Ascii()
    monkeypatch.setattr(sys, "stdout", stream)
    with reporting_stdout():
        print("x ≤ 1")
        assert sys.stdout.encoding == "ascii"
        assert not sys.stdout.isatty()
    stream.seek(0)
    assert stream.read() == "x \\u2264 1\n"
    assert sys.stdout is stream


@pytest.mark.parametrize("error", [None, KeyError])
def test_a_run_into_a_full_stdout_writes_its_results(
    error: type[Exception] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def experiment(config: Config) -> None:
        run = Run("Example", config)
        run.say("begins")
        run.claim("F4", "x ≥ 1", paper=1, measured=1.0, holds=True)
        run.finish()
        if error:
            raise error

    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "argv", ["main.py", "--output-dir", str(tmp_path / "out")])
    with pytest.raises(error or SystemExit):
        launch(experiment, Config)
    assert capsys.readouterr().err.count("\n") == (0 if error else 1)
    assert (tmp_path / "out" / "results.json").exists()
