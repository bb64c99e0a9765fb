"""Stopping and going on: what a run has finished and where it stands, in one file, always whole."""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from derandomization.checks import require_positive

EVERY = 30.0  # seconds
# Results are written as they come, but for writing to take no more than a part of the time: the
# file of 10 000 runs is written whole in a tenth of a second, and so every two.
WRITING_SHARE = 0.05
Content = dict[str, Any]


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop, and what was reached is in the file."""


class Checkpoints:
    """The results that a run has had so far, in the order in which it asks for them.

    A run that goes on is started like the first time, with the same seeds, and so asks for the
    same results in the same order: each ``slot`` it opens holds what was kept there, be it the end
    of a descent, its middle, or one call among many. What lies between is done again.

    Args:
        path: the file; its folder is made when it is first written.
        every: seconds between two writes of what is not finished.
        identity: what has to be the same for a run to go on from the file; numbers, strings,
            lists and mappings only.
        resume: go on from the file, if there is one.

    Raises:
        ValueError: ``every`` not above 0; to go on, a file that is none of ours or another run's.
    """

    def __init__(
        self,
        path: Path,
        *,
        every: float = EVERY,
        identity: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        self.path = path
        self._every = require_positive("checkpoint_every", every)
        self._identity = dict(identity or {})
        self._contents: dict[int, Content] = {}
        if resume and path.exists():
            self._contents = _read(path, self._identity)
        self.resumed = bool(self._contents)
        self._opened = 0
        self._written = time.monotonic()
        self._took = 0.0  # seconds of the last write
        self._stopping = False
        self._failed = False

    def slot(self) -> "Slot":
        """The next result's place."""
        self._opened += 1
        return Slot(self, self._contents, self._opened - 1)

    @contextlib.contextmanager
    def deferring_signals(self) -> Iterator[None]:
        """Within, Ctrl-C and SIGTERM wait for ``due``; a second one does not.

        Only where signals can be handled, in a process's main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._ask_to_stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True

    def due(self) -> bool:
        """Whether to keep now what is not finished: it is time, or a signal asked to stop."""
        return self._stopping or time.monotonic() - self._written >= self._every

    def write_if_due(self) -> None:
        """Write what was kept, if it is time; after a signal, in any case.

        Raises:
            Interrupted: after a signal.
        """
        if not self.due():
            return
        self.write()
        if self._stopping:
            raise Interrupted

    def write_soon(self) -> None:
        """Write what was kept, unless writing took more than ``WRITING_SHARE`` of the time."""
        if time.monotonic() - self._written >= self._took / WRITING_SHARE:
            self.write()

    def write(self) -> None:
        """Write what was kept, whole or not at all; where that fails, say so once and go on."""
        if not self._contents:
            return
        began = time.monotonic()
        record = {"identity": self._identity, "contents": self._contents}
        # One name, so that a process killed while it writes leaves no more than one such file.
        temporary = self.path.with_name(f".{self.path.name}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(record, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except (OSError, RuntimeError) as problem:  # torch's archive writer has errors of its own
            _discard(temporary)
            if not self._failed:
                reason = getattr(problem, "strerror", None) or "the disk is full or gone"
                print(f"warning: {self.path}: no checkpoint ({reason})", file=sys.stderr)
            self._failed = True
        self._written = time.monotonic()
        self._took = self._written - began

    def remove(self) -> None:
        """Delete the file: the run has ended."""
        _discard(self.path)
        _discard(self.path.with_name(f".{self.path.name}.part"))


class Slot:
    """Where one result is kept.

    Attributes:
        content: what is there, of this run or the one that it goes on from; None if nothing is.
    """

    def __init__(self, owner: Checkpoints, contents: dict[int, Content], number: int) -> None:
        self._owner, self._contents, self._number = owner, contents, number

    @property
    def content(self) -> Content | None:
        return self._contents.get(self._number)

    def keep(self, content: Content) -> None:
        """Replace what is here; ``Checkpoints.write`` writes it.

        Args:
            content: tensors and plain types only.
        """
        self._contents[self._number] = content

    def keep_if_due(self, make: Callable[[], Content]) -> None:
        """Keep and write what ``make`` returns if it is time; after a signal, stop.

        Raises:
            Interrupted: after a signal.
        """
        if self._owner.due():
            self.keep(make())
            self._owner.write_if_due()


def _read(path: Path, identity: Mapping[str, Any]) -> dict[int, Content]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a file that is none of ours looks like
            record = torch.load(path, map_location="cpu", weights_only=True)
        found, contents = dict(record["identity"]), dict(record["contents"])
    except OSError as problem:
        raise ValueError(f"resume: {path} can't be read ({problem.strerror})") from None
    except Exception:  # on broken files torch raises a dozen types
        raise ValueError(f"resume: {path} is no checkpoint; start without --resume") from None
    differing = sorted(
        name for name in {*found, *identity} if found.get(name) != identity.get(name)
    )
    if differing:
        name = differing[0]
        raise ValueError(
            f"resume: {path} was written with {name} {found.get(name)!r}, now it is "
            f"{identity.get(name)!r}; use what it was, or start without --resume"
        )
    return contents


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
