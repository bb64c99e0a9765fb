"""Figures of the studies from arrays: means over seeds with their 95% intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from derandomization.laboratory.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    label,
    legend_below,
    new_figure,
)
from derandomization.laboratory.intervals import Interval

COLOURS = (BLUE, RED, ORANGE, PURPLE, GREEN, GREY, "black")
MARKERS = ("o", "D", "s", "v", "^", "P", "x")


@dataclass(frozen=True)
class Lines:
    """What the figure shows.

    Attributes:
        series: by its label, one interval for each position on x; NaN where nothing was measured.
        x: positions on a log axis, or names spread evenly.
        x_label, y_label, title: as they say.
        lowest: values below are drawn here.
    """

    series: Mapping[str, Sequence[Interval]]
    x: Sequence[float] | Sequence[str]
    x_label: str
    y_label: str
    title: str
    lowest: float


def lines_figure(lines: Lines) -> Figure:
    """Each series a line with error bars, on a log scale, the legend below."""
    figure, (axes,) = new_figure(width=8, height=5.2)
    named = isinstance(lines.x[0], str)
    positions = np.arange(len(lines.x)) if named else np.array(lines.x, dtype=float)
    axes.set_yscale("log")
    if not named:
        axes.set_xscale("log")
    for i, (name, intervals) in enumerate(lines.series.items()):
        mean, low, high = (
            np.maximum([getattr(each, part) for each in intervals], lines.lowest)
            for part in ("mean", "low", "high")
        )
        # Side by side where positions are names: several lie on top of each other.
        aside = 0.08 * (i - (len(lines.series) - 1) / 2) if named else 0.0
        reach = np.nan_to_num(np.array([mean - low, high - mean]))
        axes.errorbar(
            positions + aside,
            mean,
            reach,
            color=COLOURS[i],
            marker=MARKERS[i],
            markersize=4.5,
            linestyle="none" if named else "-",
            linewidth=1.2,
            capsize=2,
            label=name,
        )
    axes.xaxis.set_major_locator(FixedLocator(list(positions)))
    axes.xaxis.set_minor_locator(NullLocator())
    texts = [x if isinstance(x, str) else f"{x:g}" for x in lines.x]
    axes.set_xticklabels(texts, fontsize=8, rotation=0 if named else 45)
    label(axes, x=lines.x_label, y=lines.y_label, title=lines.title, legend=False)
    legend_below(figure, columns=3)
    return figure
