"""Checkpoints: the finished results of a run and its current state, in one file written whole.

The file is a line with a digest of all that follows, then ``torch.save`` of
{"identity": …, "contents": {slot: content}}: plain types and tensors. The digest is compared before
anything is restored, so that a damaged file is refused and not resumed from.
"""

import contextlib
import hashlib
import io
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch.optim import Optimizer

from derandomization.checks import require_positive
from derandomization.descent import Descent, History, StepCallback
from derandomization.laboratory.configs import CHECKPOINT_SECONDS
from derandomization.laboratory.output import say_on_stderr
from derandomization.laboratory.process import handling_signals
from derandomization.objective import DerandomizationObjective

# Results are written as they arrive, but writing takes at most this share of the time: the file of
# 10 000 runs takes a tenth of a second, and is written every two seconds.
WRITING_SHARE = 0.05
HEADER, DIGEST_BYTES = b"derandomization checkpoint, BLAKE2b ", 32
Content = dict[str, Any]
RestoredT = TypeVar("RestoredT")


class CannotResume(ValueError):  # noqa: N818 - it says what happened
    """The file is no whole checkpoint of this run; the message is one line that names it."""


@runtime_checkable
class Observer(Protocol):
    """What a descent measures before every step, with what it remembers of earlier steps."""

    def __call__(self) -> Mapping[str, float]: ...

    def state_dict(self) -> Content:
        """What it remembers: plain types and tensors only."""

    def load_state_dict(self, state: Content) -> None:
        """Restore what ``state_dict`` returned."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop, and its state is in the file."""


class Checkpoints:
    """The results of a run so far, in the order in which the run asks for them.

    A resumed run starts from the beginning with the same seeds, and so asks for the same results
    in the same order. Each ``slot`` it opens holds what was stored there: a finished descent, the
    middle of one, or the result of one call among many. What lies between is computed again.

    An unfinished state is written ``every`` so many seconds. A run resumes only from a whole file
    with the same ``identity`` (numbers, strings, lists and mappings), else ``CannotResume``, a
    ``ValueError``, is raised.
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

    def slot(self, kind: str) -> "Slot":
        """The place of the next result, which is of this kind."""
        self._opened += 1
        return Slot(self, self._contents, self._opened - 1, kind)

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
        stream = io.BytesIO()
        torch.save({"identity": self._identity, "contents": self._contents}, stream)
        content = stream.getbuffer()
        # A fixed name: a process killed while it writes leaves at most one such file.
        temporary = self.path.with_name(f".{self.path.name}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # If a link stands there, its target must not be written to.
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:
                file.write(HEADER + _digest(content) + b"\n")
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as problem:
            _discard(temporary)
            first, self._failed = not self._failed, True
            if first:
                say_on_stderr(f"warning: {self.path}: no checkpoint ({problem.strerror})")
        self._written = time.monotonic()
        self._took = self._written - began

    def remove(self) -> None:
        """Delete the file: the run has ended."""
        _discard(self.path)
        _discard(self.path.with_name(f".{self.path.name}.part"))


class Slot:
    """The place of one result."""

    def __init__(
        self, owner: Checkpoints, contents: dict[int, Content], number: int, kind: str
    ) -> None:
        self._owner, self._contents, self._number = owner, contents, number
        self._kind = kind

    def restored(self, restore: Callable[[Content], RestoredT]) -> RestoredT | None:
        """What ``restore`` makes of the stored content; None if nothing is stored.

        ``CannotResume`` if the content is of another kind, or not what ``restore`` expects.
        """
        if self._number not in self._contents:
            return None
        try:
            stored = self._contents[self._number]
            if stored["kind"] != self._kind:
                raise ValueError
            return restore(stored["content"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError):
            raise CannotResume(
                f"resume: {self._owner.path} does not hold what this run stores there; "
                "start without --resume"
            ) from None

    def keep(self, content: Content) -> None:
        """Replace the stored content; only tensors and plain types are allowed."""
        self._contents[self._number] = {"kind": self._kind, "content": content}

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
    observe: Observer | Callable[[], Mapping[str, float]] | None = None,
    snapshot_steps: Collection[int] = (),
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
    verify: bool = True,
) -> History:
    """``descend``, storing its state in checkpoints and resuming from them to the last bit.

    ``progress`` is called as ``on_step``. An ``observe`` that remembers earlier steps is an
    ``Observer``, whose memory is stored too. After a signal the checkpoint is written and
    ``Interrupted`` raised; the other arguments and errors are those of ``descend``.
    """
    descent = Descent(objective, optimizer, observe)
    if checkpoints is None:
        return descent.run(
            max_steps, snapshot_steps=snapshot_steps, on_step=progress, verify=verify
        )
    slot = checkpoints.slot("descent")
    observer = observe if isinstance(observe, Observer) else None

    def state() -> Content:
        return {**descent.state_dict(), "observer": observer.state_dict() if observer else {}}

    def restore(content: Content) -> None:
        descent.load_state_dict(content)
        if observer:
            observer.load_state_dict(content["observer"])

    slot.restored(restore)
    if descent.ended:
        return descent.run(max_steps)

    def on_step(step: int, value: float, weight_norm: float) -> None:
        if progress:
            progress(step, value, weight_norm)
        slot.keep_if_due(state)

    with checkpoints.deferring_signals():
        try:
            history = descent.run(
                max_steps, snapshot_steps=snapshot_steps, on_step=on_step, verify=verify
            )
        finally:
            if descent.ended:
                slot.keep(state())
        checkpoints.write_if_due()
    return history


def _read(path: Path, identity: Mapping[str, Any]) -> dict[int, Content]:
    """The contents of a checkpoint of the run with this identity."""
    damaged = CannotResume(
        f"resume: {path} is no checkpoint, or a damaged one; start without --resume"
    )
    if not path.is_file():
        raise damaged
    try:
        with path.open("rb") as file:
            header = file.readline(len(HEADER) + 2 * DIGEST_BYTES + 1)
            content = file.read() if header.startswith(HEADER) else b""
    except OSError as problem:
        raise CannotResume(f"resume: {path} can't be read ({problem.strerror})") from None
    if header != HEADER + _digest(content) + b"\n":
        raise damaged
    try:
        record = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        found = dict(record["identity"])
        contents = {int(number): dict(each) for number, each in record["contents"].items()}
    except Exception:  # torch raises a dozen types
        raise damaged from None
    for name in sorted({*found, *identity}, key=str):
        if repr(found.get(name)) != repr(identity.get(name)):  # 1 is not True
            raise CannotResume(
                f"resume: {path} was written with {name} {found.get(name)!r}, now it is "
                f"{identity.get(name)!r}; use what it was, or start without --resume"
            )
    return contents


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest().encode()


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
