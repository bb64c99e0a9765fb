"""Descents raced to levels: who is there first, and how many times as long the others take."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer

from benchmarks.measure import Ratio, Seconds, in_turn, now, ratio
from benchmarks.report import Row
from derandomization import DerandomizationObjective, descend
from derandomization.laboratory.figures import Panel

Problem = tuple[DerandomizationObjective, Optimizer]


@dataclass(frozen=True)
class Racer:
    """A descent that can be run again and again, the same every time.

    Attributes:
        build: sets everything up anew, from the seed on; its seconds count.
        gauge: what is to fall, where the objective stands.
        max_steps: the most steps.
    """

    build: Callable[[], Problem]
    gauge: Callable[[DerandomizationObjective], float]
    max_steps: int


@dataclass(frozen=True)
class Result:
    """Of one racer.

    Attributes:
        steps: to each level; None where it was not reached.
        seconds: to each level, one a round.
        end: the gauge after the last step.
    """

    steps: Mapping[float, int | None]
    seconds: Mapping[float, Sequence[Seconds]]
    end: float

    def median(self, level: float) -> float | None:
        """CPU seconds to a level; None where it was not reached."""
        found = self.seconds[level]
        return float(np.median([each.cpu for each in found])) if found else None


def race(
    racers: Mapping[str, Racer],
    levels: Sequence[float],
    repeats: int,
    *,
    patience: float = math.inf,
) -> dict[str, Result]:
    """Steps to each level from a run that is watched, seconds from runs that are not.

    A descent repeats itself from its seed, so the second kind need not look at the gauge, which
    may cost as much as a step. One that takes more CPU seconds than ``patience`` runs once.
    """
    watched = {name: _watch(racer, levels) for name, racer in racers.items()}
    needed = {
        name: max((s for s in steps.values() if s), default=0)
        for name, (steps, _) in watched.items()
    }
    turns = in_turn(
        {name: _timed(racers[name], count) for name, count in needed.items() if count},
        repeats,
        patience=patience,
    )
    results = {}
    for name, (steps, end) in watched.items():
        clocks = turns[name].outcomes if name in turns else []
        seconds = {
            level: [clock[step] for clock in clocks] if step is not None else []
            for level, step in steps.items()
        }
        results[name] = Result(steps, seconds, end)
    return results


def _watch(racer: Racer, levels: Sequence[float]) -> tuple[dict[float, int | None], float]:
    """The first step at each level, and the end."""
    objective, optimizer = racer.build()
    history = descend(
        objective,
        optimizer,
        max_steps=racer.max_steps,
        observe=lambda: {"gauge": racer.gauge(objective)},
    )
    gauge = history.observations["gauge"]
    steps: dict[float, int | None] = {}
    for level in levels:
        reached = np.flatnonzero(gauge <= level)
        steps[level] = int(reached[0]) if len(reached) else None
    return steps, float(gauge[-1])


def _timed(racer: Racer, steps: int) -> Callable[[], list[Seconds]]:
    """Seconds from the very beginning to every step."""

    def run() -> list[Seconds]:
        started = now()
        objective, optimizer = racer.build()
        history = descend(
            objective,
            optimizer,
            max_steps=steps,
            observe=lambda: vars(now().since(started)),
        )
        seen = history.observations
        return [Seconds(*each) for each in zip(seen["wall"], seen["cpu"], strict=True)]

    return run


def rows(results: Mapping[str, Result], levels: Sequence[float], ours: str) -> list[Row]:
    """A row a racer and level: steps, seconds, and how many times ours."""
    found: list[Row] = []
    for name, result in results.items():
        for level in levels:
            steps = result.steps[level]
            row: dict[str, float | str | bool | None] = {
                "method": name,
                "level": level,
                "steps": steps,
                "CPU s": result.median(level),
                "end": result.end,
            }
            if steps is not None and results[ours].steps[level] is not None:
                row |= against(results, name, ours, level).row()
            found.append(row)
    return found


def against(results: Mapping[str, Result], name: str, ours: str, level: float) -> Ratio:
    """How many times as long as ours one takes to a level; NaN where either never gets there."""
    of, to = results[name].seconds[level], results[ours].seconds[level]
    return ratio(of, to) if of and to else Ratio([math.nan], [math.nan])


def levels_panel(
    results: Mapping[str, Result], levels: Sequence[float], x_label: str, title: str
) -> Panel:
    """CPU seconds to each level."""
    return Panel(
        series=series(results, levels),
        x=[f"{level:g}" for level in levels],
        x_label=x_label,
        y_label="CPU seconds, set-up included",
        title=title,
        repetition="rounds",
    )


def series(results: Mapping[str, Result], levels: Sequence[float]) -> dict[str, np.ndarray]:
    """CPU seconds by racer, a row a level, a column a round: what a panel shows."""
    rounds = max(len(s) for r in results.values() for s in r.seconds.values())
    return {
        name: np.array(
            [_padded([each.cpu for each in result.seconds[level]], rounds) for level in levels]
        )
        for name, result in results.items()
    }


def _padded(values: list[float], count: int) -> list[float]:
    return values + [math.nan] * (count - len(values))
