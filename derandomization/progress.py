"""Progress bars: of one descent, with f and ‖W‖, and of many runs."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from derandomization.descent import ProgressCallback

REFRESH_SECONDS = 0.1


@contextlib.contextmanager
def follow_descent(
    console: Console, description: str, max_steps: int
) -> Iterator[ProgressCallback | None]:
    """A bar over the steps of a descent; gives the callback for ``descend``, None when quiet."""
    if console.quiet:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}"),
        TextColumn("f {task.fields[value]:.6g}  ‖W‖ {task.fields[norm]:.3g}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=max_steps, value=math.nan, norm=math.nan)
        refreshed = 0.0
        latest: dict[str, Any] = {}

        def report(step: int, value: float, weight_norm: float) -> None:
            nonlocal refreshed
            latest.update(completed=step + 1, value=value, norm=weight_norm)
            if (now := time.perf_counter()) - refreshed > REFRESH_SECONDS:
                refreshed = now
                bar.update(task, **latest)

        yield report
        bar.update(task, **latest, total=latest.get("completed"))


@contextlib.contextmanager
def count_runs(console: Console, total: int) -> Iterator[Callable[[], Any]]:
    """A bar over ``total`` runs; gives what to call when one is done."""
    columns = (TextColumn("run {task.completed}/{task.total}"), BarColumn())
    clocks = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clocks, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
