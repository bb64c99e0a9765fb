"""Figures of the studies from arrays: every seed a dot, the median a line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from derandomization.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SMALLEST_NORM,
    label,
    new_figure,
)

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
MAX_NAMES = 4  # that stand side by side without turning
MAX_TICKS = 8  # positions that are each named below the axis
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("--", ":")


@dataclass(frozen=True)
class Panel:
    """What one panel shows.

    Attributes:
        series: by its label, one row of values (a value a seed) for each position on x.
        x: positions; names are spread evenly.
        x_label: of the axis below.
        y_label: of the axis to the left.
        title: above.
        log_x: whether x is logarithmic.
        log_y: whether y is; values below 1e-16 are drawn there.
        references: lines to compare with, by label, one y for each position on x.
        repetition: what there is one dot for, in the plural.
    """

    series: Mapping[str, Float[np.ndarray, "positions seeds"]]
    x: Sequence[float] | Sequence[str]
    x_label: str
    y_label: str
    title: str
    log_x: bool = False
    log_y: bool = True
    references: Mapping[str, Float[np.ndarray, " positions"]] | None = None
    repetition: str = "seeds"


def study_figure(*panels: Panel) -> Figure:
    """One panel beside the other, one legend below."""
    figure, axes = new_figure(len(panels), width=5.6, height=4.2)
    for panel, each in zip(panels, axes, strict=True):
        draw_panel(each, panel)
    entries = {text: handle for each in axes for handle, text in _entries(each)}
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=2 * len(panels),
        frameon=False,
        fontsize=8.5,
    )
    return figure


def _entries(axes: Axes) -> list[tuple[Artist, str]]:
    handles, texts = axes.get_legend_handles_labels()
    return list(zip(handles, texts, strict=True))


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Every seed a dot, the median a line, into existing axes."""
    named = [x for x in panel.x if isinstance(x, str)]
    positions = np.arange(len(named)) if named else np.array(panel.x, dtype=float)
    # Before anything is drawn: a panel of NaNs alone can't be made logarithmic afterwards.
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    for i, (name, values) in enumerate(panel.series.items()):
        shown = np.maximum(values, SMALLEST_NORM) if panel.log_y else values
        colour = COLOURS[i % len(COLOURS)]
        repeated = np.repeat(positions, shown.shape[1])
        axes.plot(repeated, shown.ravel(), ".", color=colour, alpha=0.35, markersize=4)
        axes.plot(
            positions,
            [_median(seeds) for seeds in shown],
            marker=MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=5,
            linestyle="none" if named else "-",
            label=name,
        )
    legend = f"one of {shown.shape[1]} {panel.repetition}; large symbols: medians"
    axes.plot([], [], ".", color=GREY, label=legend)
    for i, (name, values) in enumerate((panel.references or {}).items()):
        axes.plot(positions, values, color=GREY, linestyle=DASHES[i % len(DASHES)], label=name)
    if not named and len(positions) <= MAX_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(list(positions)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{x:g}" for x in positions])
    if named:
        crowded = len(named) > MAX_NAMES
        axes.set_xticks(
            positions, named, rotation=25 if crowded else 0, ha="right" if crowded else "center"
        )
    label(axes, x=panel.x_label, y=panel.y_label, title=panel.title, legend=False)


def _median(values: Float[np.ndarray, " seeds"]) -> float:
    """Over the seeds on which there was something to measure; NaN where there was none."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
