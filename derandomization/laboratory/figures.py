"""The common style of all figures, the panels of studies, and saving without a display."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from PIL import Image

from derandomization.laboratory.intervals import confidence_interval
from derandomization.laboratory.trace import NormTrace

# Okabe–Ito: distinguishable with colour blindness and in grey.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
RED, PURPLE, GREY, SKY = "#D55E00", "#CC79A7", "#666666", "#56B4E9"
RESOLUTION, LEAST_WIDTH = 160, 1_600  # of a saved figure: pixels per inch, pixels
# A log axis needs positive numbers; next to 1, float64 does not resolve smaller ones.
SMALLEST_NORM = 1e-16


class _Canvas(FigureCanvasAgg):
    """A canvas without a screen: an animation's frames are drawn by its writer only, not twice."""

    def draw_idle(self, *args: object, **kwargs: object) -> None:
        pass


def new_figure(
    columns: int = 1, *, width: float = 5.2, height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """A figure of ``columns`` panels side by side, each ``width`` by ``height`` inches."""
    figure = Figure(figsize=(columns * width, height), layout="constrained")
    _Canvas(figure)
    panels = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#E4E4E4", linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, panels


def draw_norm(axes: Axes, trace: NormTrace, name: str) -> None:
    """‖W‖_F by step on a log scale, its bounds, and a line at every perturbation."""
    steps = np.arange(len(trace.weight_norm))
    visible = np.maximum(trace.weight_norm, SMALLEST_NORM)
    axes.semilogy(steps, visible, color=BLUE, label=name)
    axes.semilogy(
        trace.bound_steps,
        np.maximum(trace.sharp_bound, SMALLEST_NORM),
        "o",
        color=ORANGE,
        fillstyle="none",
        label="sharp bound (Stein's identity)",
    )
    if trace.lemma_bound is not None:
        axes.semilogy(
            steps[-1], trace.lemma_bound, "v", color=RED, label="Lemma 3.1's bound at the end"
        )
    mark_perturbations(axes, trace.perturbation_steps)


def mark_perturbations(axes: Axes, steps: Int[np.ndarray, " perturbations"]) -> None:
    """A dotted line at every step at which noise was added."""
    for i, step in enumerate(steps):
        name = "perturbation, undone if f does not fall" if i == 0 else None
        axes.axvline(step, color=GREY, linestyle=":", linewidth=0.9, label=name)


def legend_below(figure: Figure, columns: int, **entries: Any) -> None:
    """One legend of all panels, or of some ``handles`` and ``labels``, below the panels."""
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5, **entries)


def label(axes: Axes, *, x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Name the axes, set the title on the left, and draw a legend of labelled artists."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8.5, framealpha=0.9, edgecolor="none")


def lay_out(figure: Figure) -> None:
    """Compute the layout once, so that each later drawing takes half the time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix; a PDF without its date, to be repeatable."""
    resolution = max(RESOLUTION, math.ceil(LEAST_WIDTH / figure.get_figwidth()))
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {}
    figure.savefig(path, dpi=resolution, metadata=metadata)


def save_animation(animation: FuncAnimation, path: Path) -> None:
    """Write an animation as a GIF, eight frames a second."""
    animation.save(path, writer=_Writer(fps=8), dpi=70)


class _Writer(PillowWriter):
    """Draws each frame once: ``savefig``, which matplotlib's own writer calls, draws it twice."""

    def grab_frame(self, **options: Any) -> None:
        self.fig.set_dpi(self.dpi)
        canvas = FigureCanvasAgg(self.fig)
        canvas.draw()
        frame = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        self._frames.append(frame)  # type: ignore[attr-defined]


COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY, "black", SKY)
MAX_NAMES = 4  # names that fit side by side without rotation
MAX_TICKS = 8  # positions that each get a tick
MARKERS = ("o", "s", "^", "D", "v", "P", "x", "*")
DASHES = ("--", ":")


@dataclass(frozen=True)
class Panel:
    """What one panel of a study's figure shows.

    Each series has a label and, for each position on x, one row of values: one per seed, NaN where
    nothing was measured. Positions that are names are spread evenly. References are lines to
    compare with.
    """

    series: Mapping[str, Float[np.ndarray, "positions seeds"]]
    x: Sequence[float] | Sequence[str]
    x_label: str
    y_label: str
    title: str
    log_x: bool = False
    log_y: bool = True
    lowest: float = SMALLEST_NORM  # on a logarithmic y, smaller values are drawn here
    references: Mapping[str, Float[np.ndarray, " positions"]] | None = None
    repetition: str = "seeds"  # what each dot stands for
    intervals: bool = False  # draw means with 95% intervals instead of dots and their medians

    @property
    def is_named(self) -> bool:
        """Whether the positions are names."""
        return isinstance(self.x[0], str)

    def positions(self) -> np.ndarray:
        return np.arange(len(self.x)) if self.is_named else np.array(self.x, dtype=float)


def study_figure(*panels: Panel, width: float = 5.6, height: float = 4.2) -> Figure:
    """A figure of panels side by side with one legend below; sizes of a panel in inches."""
    figure, axes = new_figure(len(panels), width=width, height=height)
    for panel, each in zip(panels, axes, strict=True):
        draw_panel(each, panel)
    entries: dict[str, Any] = {}  # what several panels show is named once
    for each in axes:
        handles, names = each.get_legend_handles_labels()
        entries |= zip(names, handles, strict=True)
    legend_below(figure, 2 * len(panels), handles=entries.values(), labels=entries.keys())
    return figure


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw every series of a panel into existing axes."""
    # Scales first: axes that hold only NaNs can't be made logarithmic afterwards.
    if panel.log_x:
        axes.set_xscale("log")
    if panel.log_y:
        axes.set_yscale("log")
    (_draw_intervals if panel.intervals else _draw_seeds)(axes, panel)
    for i, (name, values) in enumerate((panel.references or {}).items()):
        dashes = DASHES[i % len(DASHES)]
        axes.plot(panel.positions(), values, color=GREY, linestyle=dashes, label=name)
    _name_positions(axes, panel)
    label(axes, x=panel.x_label, y=panel.y_label, title=panel.title, legend=False)


def _draw_seeds(axes: Axes, panel: Panel) -> None:
    """One small dot per seed, and a line through the medians."""
    positions = panel.positions()
    for i, (name, values) in enumerate(panel.series.items()):
        shown = np.maximum(values, panel.lowest) if panel.log_y else values
        colour = COLOURS[i % len(COLOURS)]
        repeated = np.repeat(positions, shown.shape[1])
        axes.plot(repeated, shown.ravel(), ".", color=colour, alpha=0.35, markersize=4)
        axes.plot(
            positions,
            [_median(seeds) for seeds in shown],
            marker=MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=5,
            linestyle="none" if panel.is_named else "-",
            label=name,
        )
    if (count := shown.shape[1]) > 1:
        legend = f"one of {count} {panel.repetition}; large symbols: medians"
        axes.plot([], [], ".", color=GREY, label=legend)


def _draw_intervals(axes: Axes, panel: Panel) -> None:
    """The mean of every series with its interval as an error bar."""
    for i, (name, values) in enumerate(panel.series.items()):
        intervals = [confidence_interval(seeds) for seeds in values]
        mean, low, high = (
            np.maximum([getattr(each, part) for each in intervals], panel.lowest)
            for part in ("mean", "low", "high")
        )
        # Named positions are shifted so that series do not cover each other.
        aside = 0.08 * (i - (len(panel.series) - 1) / 2) if panel.is_named else 0.0
        axes.errorbar(
            panel.positions() + aside,
            mean,
            np.nan_to_num(np.array([mean - low, high - mean])),
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=4.5,
            linestyle="none" if panel.is_named else "-",
            linewidth=1.2,
            capsize=2,
            label=name,
        )


def _name_positions(axes: Axes, panel: Panel) -> None:
    """A tick with its number or name at every position, where there is space for it."""
    positions = panel.positions()
    if panel.is_named:
        crowded = len(positions) > MAX_NAMES
        axes.set_xticks(
            positions,
            [str(x) for x in panel.x],
            rotation=25 if crowded else 0,
            ha="right" if crowded else "center",
        )
    elif len(positions) <= MAX_TICKS or panel.intervals:
        axes.xaxis.set_major_locator(FixedLocator(list(positions)))
        axes.xaxis.set_minor_locator(NullLocator())
        turned = 45 if len(positions) > MAX_TICKS else 0
        axes.set_xticklabels([f"{x:g}" for x in positions], rotation=turned)


def _median(values: Float[np.ndarray, " seeds"]) -> float:
    """Median over the seeds, ignoring NaN; NaN if all are NaN."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
