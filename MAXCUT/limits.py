"""When to stop: a time limit, a target, or a callback that asks for it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from derandomization.checks import nearest_float, require_positive
from derandomization.laboratory.checkpoints import Content, Slot

Stage = Literal["SDP", "descent", "search", "bound"]
StopReason = Literal["time_limit", "target", "callback"]
REPORT_SECONDS = 0.1  # the least time between two reports to the callback


@dataclass(frozen=True)
class CutProgress:
    """What a callback is told.

    Attributes:
        stage: what is running: the relaxation, the descent, the search of the restarts, or the
            rounds of triangle inequalities that tighten the bound.
        seconds: since the start.
        cut_value: the largest cut so far; 0, the empty cut, before the descent has ended.
        upper_bound: no cut is larger; infinite while it is not known.
    """

    stage: Stage
    seconds: float
    cut_value: float
    upper_bound: float


class Limits:
    """The limits of one computation, which starts now; without arguments there is none.

    Args:
        time_limit: seconds of wall time, > 0.
        target: stop as soon as a cut is worth at least this.
        callback: called at most ten times a second; stop if it returns True.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        target: float | None = None,
        callback: Callable[[CutProgress], bool | None] | None = None,
    ) -> None:
        self.time_limit = (
            math.inf if time_limit is None else require_positive("time_limit", time_limit)
        )
        self.target = math.inf if target is None else nearest_float("target", target)
        self.stopped_by: StopReason | None = None
        self.upper_bound = math.inf
        self.cut_value = 0.0
        self._callback = callback
        self._started = time.monotonic()
        self._reported = -math.inf

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def left(self) -> float:
        """Seconds until the time limit."""
        return self.time_limit - self.seconds

    def deadline(self, share: float) -> Callable[[], bool]:
        """Whether a part of the time limit is over, for other processes."""
        return partial(_is_over, time.time() + share * self.time_limit - self.seconds)

    def keep_in(self, slot: Slot) -> None:
        """Store what ended a stage, or restore it in a resumed run, for which time counts anew."""
        if slot.restored(self.load_state_dict) is None:
            slot.keep(self.state_dict())

    def state_dict(self) -> Content:
        """The best cut so far and what ended a stage."""
        return {"cut_value": self.cut_value, "stopped_by": self.stopped_by}

    def load_state_dict(self, state: Content) -> Content:
        """Restore what ``state_dict`` returned, and return it."""
        self.cut_value, self.stopped_by = float(state["cut_value"]), state["stopped_by"]
        return state

    def offer(self, cut_value: float | np.ndarray) -> None:
        """Record the value of a cut that was found."""
        self.cut_value = max(self.cut_value, float(cut_value))

    def reached(self, stage: Stage, share: float = 1.0) -> bool:
        """Whether to stop a stage; ``share`` is the part of the time limit that it may use.

        At most ten times a second the callback is asked.
        """
        if self.stopped_by in ("target", "callback"):
            return True
        if self.seconds >= share * self.time_limit:
            self.stopped_by = "time_limit"
        elif self.cut_value >= self.target:
            self.stopped_by = "target"
        elif self._callback and self.seconds - self._reported >= REPORT_SECONDS:
            self._reported = self.seconds
            progress = CutProgress(stage, self.seconds, self.cut_value, self.upper_bound)
            if self._callback(progress):
                self.stopped_by = "callback"
            return self.stopped_by == "callback"
        else:
            return False
        return True


def _is_over(deadline: float) -> bool:
    return time.time() >= deadline
