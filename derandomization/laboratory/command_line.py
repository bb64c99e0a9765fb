"""The command line: parsing options into a config, and turning bad input into one line."""

import contextlib
import inspect
import io
import pkgutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

import derandomization
from derandomization.laboratory.checkpoints import handling_signals
from derandomization.laboratory.output import reporting_stdout, say_on_stderr
from derandomization.laboratory.workers import WorkerDied, prepare_process

ConfigT = TypeVar("ConfigT")

STOPPED = 130  # the exit code that shells expect of a process stopped by a signal


def launch(
    experiment: Callable[[Any], None],
    config_type: type[Any],
    studies: Mapping[str, str] | None = None,
) -> None:
    """Parse the command line into a config and run the experiment or one of its studies.

    Bad input ends in one line and exit code 2, Ctrl-C and SIGTERM in one line and exit code 130. If
    stdout can't be written, all files are, and then one line and exit code 2 follow.
    ``studies`` names for each subcommand the ``module`` or ``module:object`` that it runs instead;
    this has a ``main`` and a ``Config`` and is imported only when asked for.
    """
    prepare_process()
    with reporting_stdout():
        _launch(experiment, config_type, studies or {})


def _launch(
    experiment: Callable[[Any], None], config_type: type[Any], studies: Mapping[str, str]
) -> None:
    try:
        with handling_signals(signal.default_int_handler, signal.SIGTERM):
            arguments = sys.argv[1:]
            if arguments == ["--version"]:
                print(derandomization.__version__)
            elif arguments and not arguments[0].startswith("-"):
                _run_study(arguments[0], arguments[1:], studies)
            else:
                experiment(_parse(config_type, arguments, studies))
    except KeyboardInterrupt:
        resumes = any(each.name == "resume" for each in fields(config_type))
        again = "the same command with --resume" if resumes else "the same command"
        say_on_stderr(f"\nstopped: {again} continues from what was saved")
        raise SystemExit(STOPPED) from None
    except (ValueError, FloatingPointError, WorkerDied) as problem:
        _fail(str(problem))
    except (MemoryError, RuntimeError) as problem:
        # torch has no exception of its own for a CPU that runs out of memory.
        if isinstance(problem, RuntimeError) and "memory" not in str(problem):
            raise
        _fail("these settings need more memory than this machine has: use smaller sizes")


def _run_study(name: str, arguments: list[str], studies: Mapping[str, str]) -> None:
    if name not in studies:
        raise ValueError(
            f"unrecognized argument {name!r}: options begin with --"
            + (f", studies are {', '.join(studies)}" if studies else "")
        )
    study = pkgutil.resolve_name(studies[name])
    study.main(_parse(study.Config, arguments, {}, name))


def _fail(sentence: str) -> NoReturn:
    say_on_stderr(f"error: {sentence}")
    raise SystemExit(2) from None


def _parse(
    config_type: type[ConfigT],
    arguments: list[str],
    studies: Mapping[str, str],
    study: str = "",
) -> ConfigT:
    report = io.StringIO()
    description = inspect.cleandoc(config_type.__doc__ or "")
    if studies:
        description += f"\n\nStudies, each with options of its own: {', '.join(studies)}."
    if not study:
        description += "\n\n--version prints the version of the library."
    try:
        with contextlib.redirect_stderr(report):
            return tyro.cli(
                config_type,
                prog=f"{_program()} {study}".strip(),
                description=description,
                args=arguments,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        sentence = _first_sentence(report.getvalue())
        raise ValueError(sentence.removeprefix(f"Error parsing {config_type.__name__}: ")) from None


def _program() -> str:
    """The command as it was called: a script, or a package after ``python -m``."""
    called = Path(sys.argv[0])
    return f"python -m {called.parent.name}" if called.name == "__main__.py" else called.name


def _first_sentence(report: str) -> str:
    """The message in tyro's report, which has a frame where stdout is UTF-8, else dashed lines."""
    parts: list[list[str]] = [[]]
    for line in report.splitlines():
        inner = line.strip("│ ")
        if inner.startswith("╭") or (inner and not inner.strip("─-")):
            parts.append([])
        elif inner and not inner.startswith("╰"):
            parts[-1].append(inner)
    return " ".join(parts[1])
