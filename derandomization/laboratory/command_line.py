"""The command line: parsing options into a config, and turning bad input into one line.

Importing this module imports no library. ``launch`` imports what it needs: tyro and rich to parse
the options and to print ``--help``, and torch only if something is computed.
"""

import contextlib
import dataclasses
import inspect
import io
import os
import pkgutil
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import derandomization
from derandomization.laboratory.configs import CHECKPOINT, BasicRunConfig, RunConfig
from derandomization.laboratory.output import reporting_stdout, say_on_stderr
from derandomization.laboratory.process import WorkerDied, handling_signals, prepare_process
from derandomization.laboratory.settings import check_given, option, suggestion

ConfigT = TypeVar("ConfigT")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# tyro's messages about values that an option does not accept.
WRONG_VALUES = {
    "an integer": (
        r"invalid literal for int.*: (?P<value>['\"].*['\"])",
        r"no type matching .*INT could be instantiated from \[(?P<value>.*?)\]\..*",
    ),
    "a number": (
        r"could not convert .* float: (?P<value>['\"].*['\"])",
        r"no type matching .*FLOAT could be instantiated from \[(?P<value>.*?)\]\..*",
    ),
}
WRONG_CHOICE = (
    r"invalid choice '(?P<value>.*)' for argument '(?P<option>.*)'\. "
    r"Expected one of \((?P<choices>.*)\)\."
)
STOPPED = 130  # the exit code that shells expect of a process stopped by a signal


def launch(
    experiment: Callable[[Any], None],
    config_type: type[Any],
    studies: Mapping[str, str] | None = None,
) -> None:
    """Parse the command line into a config and run the experiment or one of its studies.

    Bad input ends in one line and exit code 2, Ctrl-C and SIGTERM in one line and exit code 130. If
    stdout can't be written, all files are, and then one line and exit code 2 follow; if the reader
    of a pipe has closed it, nothing follows.
    ``studies`` names for each subcommand the ``module`` or ``module:object`` that it runs instead;
    this has a ``main`` and a ``Config`` and is imported only when asked for.
    """
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    with reporting_stdout():
        _launch(experiment, config_type, studies or {})


def _launch(
    experiment: Callable[[Any], None], config_type: type[Any], studies: Mapping[str, str]
) -> None:
    config = None
    try:
        with handling_signals(signal.default_int_handler, signal.SIGTERM):
            arguments = sys.argv[1:]
            if arguments == ["--version"]:
                print(derandomization.__version__)
                return
            if arguments and not arguments[0].startswith("-"):
                study = _study(arguments[0], studies)
                config = _parse(study.Config, arguments[1:], {}, arguments[0])
                experiment = study.main
            else:
                config = _parse(config_type, arguments, studies)
            with handling_signals(_stop_at_once, *SIGNALS):
                prepare_process()
            experiment(config)
    except KeyboardInterrupt:
        _ignore_signals()  # the run ends: another Ctrl-C must not interrupt that
        say_on_stderr(f"\nstopped: {_what_continues(config)}")
        raise SystemExit(STOPPED) from None
    except (ValueError, FloatingPointError, WorkerDied) as problem:
        _fail(str(problem))
    except (MemoryError, RuntimeError) as problem:
        # torch has no exception of its own for a CPU that runs out of memory.
        if isinstance(problem, RuntimeError) and "memory" not in str(problem):
            raise
        _fail("these settings need more memory than this machine has: use smaller sizes")


def _stop_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process while it imports torch, in which an exception may be lost or be fatal."""
    say_on_stderr("\nstopped: it had not begun")
    os._exit(STOPPED)


def _ignore_signals() -> None:
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _what_continues(config: Any) -> str:
    """What the same command does after an interruption."""
    if config is None:
        return "it had not begun"
    if not isinstance(config, BasicRunConfig):
        return "the same command continues from what was saved"
    if not isinstance(config, RunConfig):
        return "this command keeps nothing, so the same command starts again"
    if (config.output_dir / CHECKPOINT).is_file():
        return "the same command with --resume continues from what was saved"
    return "nothing was saved yet"


def _study(name: str, studies: Mapping[str, str]) -> Any:
    """The module that a subcommand runs."""
    if name not in studies:
        listed = f", studies are {', '.join(studies)}" if studies else ""
        meant = suggestion(name, studies) or f"options begin with --{listed}"
        raise ValueError(f"unrecognized argument {name!r}: {meant}")
    with handling_signals(_stop_at_once, *SIGNALS):
        return pkgutil.resolve_name(studies[name])


def _fail(sentence: str) -> NoReturn:
    say_on_stderr(f"error: {sentence}")
    raise SystemExit(2) from None


def _parse(
    config_type: type[ConfigT],
    arguments: list[str],
    studies: Mapping[str, str],
    study: str = "",
) -> ConfigT:
    program = f"{_program()} {study}".strip()
    if {"-h", "--help"} & set(arguments):
        from derandomization.laboratory.help import print_help

        print_help(config_type, program, _description(config_type, studies, study))
        raise SystemExit(0)
    check_given(config_type, _given(config_type, arguments))
    import tyro

    report = io.StringIO()
    try:
        with contextlib.redirect_stderr(report):
            return tyro.cli(config_type, prog=program, args=arguments)
    except SystemExit as stop:
        if not stop.code:
            raise
        sentence = _first_sentence(report.getvalue())
        misplaced = [name for name in studies if name in arguments]
        if misplaced and sentence.startswith("Unrecognized"):
            sentence = (
                f"unrecognized argument {misplaced[0]!r}: a study is named before all options"
            )
        sentence = sentence.removeprefix(f"Error parsing {config_type.__name__}: ")
        raise ValueError(_in_plain_words(sentence)) from None


def _description(config_type: type, studies: Mapping[str, str], study: str) -> str:
    description = inspect.cleandoc(config_type.__doc__ or "")
    own = [name for name, module in studies.items() if ".studies." not in module]
    if own:
        description += f"\n\nCommands for data of yours, each with its --help: {', '.join(own)}."
    if others := [name for name in studies if name not in own]:
        description += f"\n\nStudies, each with its --help: {', '.join(others)}."
    if not study:
        description += "\n\n--version prints the version of the library."
    return description


def _given(config_type: Any, arguments: list[str]) -> list[str]:
    """The fields that the arguments set, without those that ``--no-…`` sets to False."""
    fields = {option(each.name): each.name for each in dataclasses.fields(config_type)}
    negated = {option(f"no_{name}") for name in fields.values()}
    switches = {option(each.name) for each in dataclasses.fields(config_type) if each.type is bool}
    given = []
    for argument in arguments:
        word, value = argument.split("=")[0].replace("_", "-"), "=" in argument
        if value and word in switches | negated:
            raise ValueError(f"{word} takes no value: write {word} alone")
        if word in fields:
            given.append(fields[word])
        elif word.startswith("--") and word not in negated and not word.startswith("--tyro-"):
            meant = suggestion(word, fields) or "--help lists the options"
            raise ValueError(f"unrecognized option {word}: {meant}")
    return given


def _in_plain_words(sentence: str) -> str:
    """tyro's message about a value, as the option, its value and what is allowed."""
    for kind, patterns in WRONG_VALUES.items():
        for pattern in patterns:
            if found := re.fullmatch(rf"Error parsing (?P<option>\S+): {pattern}", sentence):
                return f"{found['option']} is {found['value']}: it must be {kind}"
    if found := re.fullmatch(WRONG_CHOICE, sentence):
        choices = [choice.strip("' ") for choice in found["choices"].rstrip(",").split(",")]
        allowed = f"it must be one of {', '.join(sorted(set(choices) - {'None'}))}"
        return f"{found['option']} is {found['value']!r}: {allowed}"
    return sentence


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
