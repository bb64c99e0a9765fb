"""From the command line to a config, and from bad input to one line."""

import contextlib
import inspect
import io
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import torch
import tyro

from derandomization.laboratory.memory import keep_freed_memory
from derandomization.laboratory.workers import WorkerDied

ConfigT = TypeVar("ConfigT")

STOPPED = 130  # what shells expect of a process that a signal stopped


def launch(
    experiment: Callable[[ConfigT], None],
    config_type: type[ConfigT],
    studies: Mapping[str, str] | None = None,
) -> None:
    """Parse the command line into a config and run; bad input ends in one line and exit code 2.

    Ctrl-C and SIGTERM end in one line and exit code 130.

    A run computes on one thread: its numbers then do not depend on how many cores there are, and
    its products are too small to share. Measured on two cores, a second thread leaves figure 3's
    step at 2.5 ms, and makes it 28 ms where another process has one of the cores.

    Args:
        experiment: what runs.
        config_type: its settings.
        studies: for each subcommand the ``module`` or ``module:object`` that it runs instead; it
            has a ``main`` and a ``Config`` and is imported only when asked for.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    try:
        with _sigterm_as_ctrl_c():
            arguments = sys.argv[1:]
            if arguments and not arguments[0].startswith("-"):
                _run_study(arguments[0], arguments[1:], studies or {})
            else:
                experiment(_parse(config_type, arguments, studies or {}))
    except KeyboardInterrupt:
        again = "the same command with --resume" if _resumes(config_type) else "the same command"
        print(f"\nstopped: {again} goes on from what was kept", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    except (ValueError, FloatingPointError, WorkerDied) as problem:
        _fail(str(problem))
    except (MemoryError, RuntimeError) as problem:
        # torch has no exception of its own for a CPU that runs out of memory.
        if isinstance(problem, RuntimeError) and "memory" not in str(problem):
            raise
        _fail("these settings need more memory than this machine has: use smaller sizes")


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Within, SIGTERM raises ``KeyboardInterrupt`` as Ctrl-C does; in a main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _resumes(config_type: type[Any]) -> bool:
    return any(each.name == "resume" for each in fields(config_type))


def _run_study(name: str, arguments: list[str], studies: Mapping[str, str]) -> None:
    if name not in studies:
        raise ValueError(
            f"unrecognized argument {name!r}: options begin with --"
            + (f", studies are {', '.join(studies)}" if studies else "")
        )
    study = pkgutil.resolve_name(studies[name])
    study.main(_parse(study.Config, arguments, {}, name))


def _fail(sentence: str) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    raise SystemExit(2) from None


def _parse(
    config_type: type[ConfigT],
    arguments: list[str],
    studies: Mapping[str, str],
    study: str = "",
) -> ConfigT:
    complaint = io.StringIO()
    description = inspect.cleandoc(config_type.__doc__ or "")
    if studies:
        description += f"\n\nStudies, each with options of its own: {', '.join(studies)}."
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                config_type,
                prog=f"{Path(sys.argv[0]).name} {study}".strip(),
                description=description,
                args=arguments,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        sentence = _first_sentence(complaint.getvalue())
        raise ValueError(sentence.removeprefix(f"Error parsing {config_type.__name__}: ")) from None


def _first_sentence(report: str) -> str:
    """The message inside tyro's report: framed where stdout is UTF-8, ruled by dashes elsewhere."""
    parts: list[list[str]] = [[]]
    for line in report.splitlines():
        inner = line.strip("│ ")
        if inner.startswith("╭") or (inner and not inner.strip("─-")):
            parts.append([])
        elif inner and not inner.startswith("╰"):
            parts[-1].append(inner)
    return " ".join(parts[1])
