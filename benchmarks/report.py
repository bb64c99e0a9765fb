"""What a benchmark hands over: tables, targets met or not, and panels to draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from benchmarks.measure import Ratio
from derandomization.laboratory.figures import Panel

Row = Mapping[str, float | str | bool | None]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        repeats: rounds of every comparison.
        quick: sizes that only show that it works.
        gset: folder with the G-set's graphs and best_known.csv; without it they are left out.
        biqmac: folder with the Biq Mac library's graphs and best_known.csv; the same.
        cache: file that keeps the outcomes of directions, samples and quadratic from one run to the
            next.
    """

    repeats: int
    quick: bool = False
    gset: Path | None = None
    biqmac: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class Target:
    """Something that was to be reached, and what was.

    Attributes:
        statement: what was measured.
        sense: whether ``measured`` is to be at least or at most ``wanted``.
        spread: lowest and highest of the rounds, where there were rounds.
    """

    statement: str
    sense: Literal["≥", "≤"]
    wanted: float
    measured: float
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """False too where nothing was measured."""
        if self.sense == "≥":
            return self.measured >= self.wanted
        return self.measured <= self.wanted


@dataclass
class Report:
    """Of one benchmark.

    Attributes:
        tables: rows by title.
        targets: in order.
        panels: of its figure.
        notes: sentences that the numbers need.
    """

    tables: dict[str, list[Row]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_least(self, statement: str, wanted: float, measured: Ratio) -> None:
        """A target for a ratio: its median is compared."""
        spread = (min(measured.cpu), max(measured.cpu))
        self.targets.append(Target(statement, "≥", wanted, measured.median, spread))

    def at_most(self, statement: str, wanted: float, measured: Ratio) -> None:
        """The same the other way round."""
        spread = (min(measured.cpu), max(measured.cpu))
        self.targets.append(Target(statement, "≤", wanted, measured.median, spread))

    def linear(self, what: str, exponent: float) -> None:
        """A target for the growth of a step."""
        self.targets.append(Target(f"a step grows as ({what})^α, the fitted α", "≤", 1.1, exponent))


def growth_panel(
    sizes: Sequence[float],
    values: Float[np.ndarray, "sizes rounds"],
    *,
    x_label: str,
    title: str,
    y_label: str = "CPU seconds",
) -> Panel:
    """A step's seconds or memory against size, with a line in proportion through the last least."""
    x = np.array(sizes, dtype=float)
    return Panel(
        series={"one step": values},
        x=sizes,
        x_label=x_label,
        y_label=y_label,
        title=title,
        log_x=True,
        references={"in proportion": values[-1].min() * x / x[-1]},
        repetition="rounds",
    )
