"""Checkpoints: the finished results of a run and its current state, in one file written whole.

The file is ``torch.save`` of {"identity": …, "contents": {slot: content}}: plain types and tensors.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer

from derandomization.checks import require_positive
from derandomization.descent import Descent, History, StepCallback
from derandomization.objective import DerandomizationObjective

CHECKPOINT_SECONDS = 30.0
# Results are written as they arrive, but writing takes at most this share of the time: the file of
# 10 000 runs takes a tenth of a second, and is written every two seconds.
WRITING_SHARE = 0.05
Content = dict[str, Any]


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop, and its state is in the file."""


class Checkpoints:
    """The results of a run so far, in the order in which the run asks for them.

    A resumed run starts from the beginning with the same seeds, and so asks for the same results
    in the same order. Each ``slot`` it opens holds what was stored there: a finished descent, the
    middle of one, or the result of one call among many. What lies between is computed again.

    An unfinished state is written ``every`` so many seconds. A run resumes only from a file with
    the same ``identity`` (numbers, strings, lists and mappings); ``ValueError`` if the file has
    another or is no checkpoint.
    """

    def __init__(
        self,
        path: Path,
        *,
        every: float = CHECKPOINT_SECONDS,
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
        """The place of the next result."""
        self._opened += 1
        return Slot(self, self._contents, self._opened - 1)

    def deferring_signals(self) -> contextlib.AbstractContextManager[None]:
        """Within, Ctrl-C and SIGTERM only make ``due`` true; a second one interrupts at once."""
        return handling_signals(self._ask_to_stop, signal.SIGINT, signal.SIGTERM)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            raise KeyboardInterrupt
        self._stopping = True

    def due(self) -> bool:
        """Whether to store an unfinished state now: enough time has passed, or a signal came."""
        return self._stopping or time.monotonic() - self._written >= self._every

    def write_if_due(self) -> None:
        """Write the file if it is due; raise ``Interrupted`` after a signal."""
        if not self.due():
            return
        self.write()
        if self._stopping:
            raise Interrupted

    def write_soon(self) -> None:
        """Write the file, unless writing would take more than ``WRITING_SHARE`` of the time."""
        if time.monotonic() - self._written >= self._took / WRITING_SHARE:
            self.write()

    def write(self) -> None:
        """Write the file whole or not at all; a failure is printed once and stops nothing."""
        if not self._contents:
            return
        began = time.monotonic()
        record = {"identity": self._identity, "contents": self._contents}
        # A fixed name: a process killed while it writes leaves at most one such file.
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
    """The place of one result."""

    def __init__(self, owner: Checkpoints, contents: dict[int, Content], number: int) -> None:
        self._owner, self._contents, self._number = owner, contents, number

    @property
    def content(self) -> Content | None:
        """What is stored here, by this run or the one it resumes; None if nothing is."""
        return self._contents.get(self._number)

    def keep(self, content: Content) -> None:
        """Replace the stored content; only tensors and plain types are allowed."""
        self._contents[self._number] = content

    def keep_if_due(self, make: Callable[[], Content]) -> None:
        """If it is due, store and write what ``make`` returns; after a signal, also stop."""
        if self._owner.due():
            self.keep(make())
            self._owner.write_if_due()


def resumable_descend(
    objective: DerandomizationObjective,
    optimizer: Optimizer,
    *,
    max_steps: int,
    observe: Callable[[], Mapping[str, float]] | None = None,
    snapshot_steps: Collection[int] = (),
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
    verify: bool = True,
) -> History:
    """``descend``, storing its state in checkpoints and resuming from them to the last bit.

    ``progress`` is called as ``on_step``. After a signal the checkpoint is written and
    ``Interrupted`` raised; the other arguments and errors are those of ``descend``.
    """
    descent = Descent(objective, optimizer, observe)
    if checkpoints is None:
        return descent.run(
            max_steps, snapshot_steps=snapshot_steps, on_step=progress, verify=verify
        )
    slot = checkpoints.slot()
    if slot.content:
        descent.load_state_dict(slot.content)
        if descent.ended:
            return descent.run(max_steps)

    def on_step(step: int, value: float, weight_norm: float) -> None:
        if progress:
            progress(step, value, weight_norm)
        slot.keep_if_due(descent.state_dict)

    with checkpoints.deferring_signals():
        try:
            history = descent.run(
                max_steps, snapshot_steps=snapshot_steps, on_step=on_step, verify=verify
            )
        finally:
            if descent.ended:
                slot.keep(descent.state_dict())
        checkpoints.write_if_due()
    return history


@contextlib.contextmanager
def handling_signals(
    handler: Callable[[int, FrameType | None], Any], *numbers: int
) -> Iterator[None]:
    """Within, ``handler`` handles these signals; only the main thread can, others do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _read(path: Path, identity: Mapping[str, Any]) -> dict[int, Content]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about files that are not its own
            record = torch.load(path, map_location="cpu", weights_only=True)
        found, contents = dict(record["identity"]), dict(record["contents"])
    except OSError as problem:
        raise ValueError(f"resume: {path} can't be read ({problem.strerror})") from None
    except Exception:  # on broken files torch raises a dozen types
        raise ValueError(f"resume: {path} is no checkpoint; start without --resume") from None
    for name in sorted({*found, *identity}):
        if found.get(name) != identity.get(name):
            raise ValueError(
                f"resume: {path} was written with {name} {found.get(name)!r}, now it is "
                f"{identity.get(name)!r}; use what it was, or start without --resume"
            )
    return contents


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
