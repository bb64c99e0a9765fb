"""Things measured in turn, several times: their ratios with the spread, and peak memory apart."""

import gc
import math
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from derandomization.laboratory.process import prepare_process

STATUS = Path("/proc/self/status")
RESET_PEAK = Path("/proc/self/clear_refs")  # writing 5 forgets the peak so far (proc(5))


@dataclass(frozen=True)
class Seconds:
    """Of this process: what went by, and what it computed."""

    wall: float
    cpu: float

    def since(self, start: "Seconds") -> "Seconds":
        return Seconds(self.wall - start.wall, self.cpu - start.cpu)


def now() -> Seconds:
    """The two clocks."""
    return Seconds(time.perf_counter(), time.process_time())


@dataclass
class Turns:
    """What one contender took and returned, round by round."""

    seconds: list[Seconds] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Median CPU seconds of a round."""
        return float(np.median([each.cpu for each in self.seconds]))

    @property
    def wall(self) -> float:
        """Median wall seconds of a round."""
        return float(np.median([each.wall for each in self.seconds]))


def in_turn(
    contenders: Mapping[str, Callable[[], Any]],
    repeats: int,
    *,
    clock: Callable[[], Seconds] = now,
    patience: float = math.inf,
) -> dict[str, Turns]:
    """Run every contender once a round, forwards and backwards by turns.

    What else the machine does then falls on all alike, and on their ratio hardly at all.

    Args:
        contenders: by name, what to run.
        repeats: rounds.
        clock: tells the time.
        patience: a contender that took more CPU seconds than this has no further turn.
    """
    turns = {name: Turns() for name in contenders}
    for number in range(repeats):
        names = list(contenders)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            done = turns[name]
            if done.seconds and done.seconds[-1].cpu > patience:
                continue
            gc.collect()
            started = clock()
            outcome = contenders[name]()
            done.seconds.append(clock().since(started))
            done.outcomes.append(outcome)
    return turns


@dataclass(frozen=True)
class Ratio:
    """How many times as long one contender takes as another: one number a round.

    Attributes:
        cpu: of CPU seconds.
        wall: of wall seconds.
    """

    cpu: Sequence[float]
    wall: Sequence[float]

    @property
    def median(self) -> float:
        """Of CPU seconds, which other programs disturb least."""
        return float(np.median(self.cpu))

    def row(self) -> dict[str, float]:
        """Median and spread, as the tables and results.json have them."""
        return {
            "ratio": self.median,
            "lowest": min(self.cpu),
            "highest": max(self.cpu),
            "wall ratio": float(np.median(self.wall)),
        }


def ratio(of: Sequence[Seconds], to: Sequence[Seconds]) -> Ratio:
    """Round by round; rounds that only one of them had are left out."""
    pairs = list(zip(of, to, strict=False))
    return Ratio([a.cpu / b.cpu for a, b in pairs], [a.wall / b.wall for a, b in pairs])


def fitted_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """α of the seconds ≈ c·size^α that lies closest in log scale."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)


def fastest_step(step: Callable[[], Any], *, repeats: int, at_least: float) -> float:
    """CPU seconds of a call: the fastest of several blocks, each of ``at_least`` seconds or so.

    The fastest, since what other programs take of a machine only adds to it.
    """
    step()  # what is allocated once is allocated here
    started = now()
    step()
    once = max(now().since(started).cpu, 1e-6)
    calls = max(1, math.ceil(at_least / once))
    blocks = []
    for _ in range(repeats):
        started = now()
        for _ in range(calls):
            step()
        blocks.append(now().since(started).cpu / calls)
    return min(blocks)


@dataclass(frozen=True)
class Footprint:
    """Resident memory of a fresh process in bytes; NaN where the system has no /proc.

    Attributes:
        before: when all is imported and nothing computed.
        peak: while it computed.
    """

    before: float
    peak: float

    def row(self) -> dict[str, float]:
        """In megabytes."""
        return {"peak MB": self.peak / 1e6, "of which imports MB": self.before / 1e6}


def footprint(function: Callable[..., Any], *arguments: Any) -> Footprint:
    """Run a module's function in a process of its own and see how much memory that took."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_watched, function, arguments).result()


def _watched(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Footprint:
    prepare_process()
    # Not getrusage: a child's maximum there begins at its parent's.
    before = _resident("VmRSS")
    if RESET_PEAK.exists():
        RESET_PEAK.write_text("5")
    function(*arguments)
    return Footprint(before, _resident("VmHWM"))


def _resident(name: str) -> float:
    if not STATUS.exists():
        return math.nan
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return 1024.0 * int(lines[name].split()[0])
