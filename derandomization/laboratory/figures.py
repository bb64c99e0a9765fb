"""The common style of all figures, the panels of studies, and saving without a display.

A figure is as wide as it is printed, and no text in it is smaller than 8 points.
"""

import itertools
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import rc_context
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
# Inches: what one panel and what several panels take of a page, whose text is 5.5 to 7 wide.
TEXT_WIDTH, PAGE_WIDTH = 5.5, 7.0
MAX_COLUMNS = 2  # panels side by side
SMALL, NORMAL, LARGE = 8.0, 9.0, 9.5  # points: ticks and legends, labels of axes, titles
CHARACTER = 0.5  # width of an average character over the size of its font
HANDLE = 40.0  # points that a legend needs beside the text of an entry
RESOLUTION = 300  # of a saved figure, in pixels per inch
GIF_RESOLUTION, FRAME_MILLISECONDS = 70, 125  # pixels per inch; eight frames a second
VECTOR_SUFFIXES = (".pdf", ".svg")  # of further files of a figure, where they are asked for
# More steps than a figure can show: noisy traces are drawn as a median between extremes.
TRACE_BINS = 150
NOISY = 0.3  # of the steps of a noisy trace, this part or more turn back
# A log axis needs positive numbers; next to 1, float64 does not resolve smaller ones.
SMALLEST_NORM = 1e-16


def new_figure(
    panels: int = 1, *, width: float | None = None, height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, at most two side by side; its width and a panel's height in inches."""
    columns = min(panels, MAX_COLUMNS)
    rows = -(-panels // columns)
    width = width or (TEXT_WIDTH if panels == 1 else PAGE_WIDTH)
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(rows, columns, squeeze=False).flat if panels > 1 else [figure]
    found = [part.add_subplot() for part in itertools.islice(parts, panels)]
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#E4E4E4", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(which="both", labelsize=SMALL)
    return figure, found


def draw_trace(axes: Axes, values: Float[np.ndarray, " records"], **style: Any) -> None:
    """A curve by step; a noisy one as the median of neighbouring steps, between their extremes."""
    steps = np.arange(len(values))
    turns = np.sign(np.diff(values))
    noisy = len(values) > 4 * TRACE_BINS and np.mean(turns[1:] * turns[:-1] < 0) > NOISY
    if noisy:
        parts = np.array_split(values, TRACE_BINS)
        steps = np.array([part.mean() for part in np.array_split(steps, TRACE_BINS)])
        low, values, high = (
            np.array([function(part) for part in parts]) for function in (np.min, np.median, np.max)
        )
        band = {"color": style.get("color", BLUE), "alpha": 0.25, "linewidth": 0}
        name, count = style["label"], len(parts[0])
        axes.fill_between(steps, low, high, label=f"{name}: extremes of {count} steps", **band)
        style["label"] = f"{name}: median of {count} steps"
    axes.plot(steps, values, **style)
    axes.set_xmargin(0.02)


def draw_norm(axes: Axes, trace: NormTrace, name: str) -> None:
    """‖W‖_F by step on a log scale, its bounds, and a line at every perturbation."""
    axes.set_yscale("log")
    draw_trace(axes, np.maximum(trace.weight_norm, SMALLEST_NORM), color=BLUE, label=name)
    axes.plot(
        trace.bound_steps,
        np.maximum(trace.sharp_bound, SMALLEST_NORM),
        "o",
        color=ORANGE,
        fillstyle="none",
        label="sharp bound (Stein's identity)",
    )
    if trace.lemma_bound is not None:
        last = len(trace.weight_norm) - 1
        text = "Lemma 3.1's bound at the end"
        axes.plot(last, trace.lemma_bound, "v", color=RED, label=text)
    mark_perturbations(axes, trace.perturbation_steps)


def mark_perturbations(axes: Axes, steps: Int[np.ndarray, " perturbations"]) -> None:
    """A dotted line at every step at which noise was added."""
    for i, step in enumerate(steps):
        name = "perturbation, undone if f does not fall" if i == 0 else None
        axes.axvline(step, color=GREY, linestyle=":", linewidth=0.9, label=name)


def legend_below(figure: Figure, *, panels: Sequence[Axes] = ()) -> None:
    """A legend below the figure of what all its panels show, or one below each of ``panels``.

    It has as many columns as the longest text leaves space for. The legend of all takes the place
    beside a last panel that is alone in its row.
    """
    spare = figure.subfigs[len(figure.axes) :]
    everywhere = (spare[0] if spare else figure, figure.axes)
    groups = [(each.figure, [each]) for each in panels] or [everywhere]
    for place, shown in groups:
        entries: dict[str, Any] = {}  # what several panels show is named once
        for axes in shown:
            handles, names = axes.get_legend_handles_labels()
            entries |= zip(names, handles, strict=True)
        longest = max(map(len, entries), default=1) * CHARACTER * SMALL + HANDLE
        place.legend(
            entries.values(),
            entries.keys(),
            loc="center" if place in spare else "outside lower center",
            ncols=max(1, min(len(entries), int(72 * _width(place) / longest))),
            frameon=False,
            fontsize=SMALL,
        )


def _width(figure: Any) -> float:
    """The width of a figure, or of a panel's part of it, in inches."""
    return float(figure.bbox.width / figure.dpi)


def label(axes: Axes, *, x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Name the axes, set the title on the left, and draw a legend of labelled artists."""
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    width = int(72 * _width(axes.figure) / (CHARACTER * LARGE)) - 12  # characters, less the margins
    axes.set_title(textwrap.fill(title, width), loc="left", fontsize=LARGE)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=SMALL, framealpha=0.9, edgecolor="none")


def description(figure: Figure) -> str:
    """What is seen: for each panel its title, its axes and the names of what it shows."""
    parts = []
    for axes in figure.axes:
        title, x, y = (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel())
        names = ", ".join(axes.get_legend_handles_labels()[1])
        axis = f"{y} against {x}" if x and y else x or y
        sentence = "; ".join(each for each in (title, axis, names and f"shown: {names}") if each)
        parts += [" ".join(sentence.split())] if sentence else []
    return re.sub(r"\$\^\{(.*?)\}\$", r"^\1", ". ".join(parts))  # as before ``typeset``


def typeset(text: str) -> str:
    """The text with its exponents, written as in ``d^−2``, raised."""
    return re.sub(r"\^([−-]?[\w.]+)", r"$^{\1}$", text)


def lay_out(figure: Figure) -> None:
    """Compute the layout once, so that each later drawing takes half the time."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    # ``"none"`` would leave an engine, because of which ``savefig`` draws each figure twice.
    figure.set_layout_engine(None)


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix, with the same bytes each time."""
    options: dict[str, dict[str, Any]] = {
        ".pdf": {"metadata": {"CreationDate": None}},
        ".svg": {"metadata": {"Date": None}},
        # A tenth larger than by default, in half the time.
        ".png": {"pil_kwargs": {"compress_level": 2}},
    }
    with rc_context({"svg.hashsalt": "figure"}):
        figure.savefig(path, dpi=RESOLUTION, **options.get(path.suffix, {}))


@dataclass(frozen=True)
class Animation:
    """A figure and its frames: ``draw`` sets the ``animated`` artists of a frame to its state."""

    figure: Figure
    draw: Callable[[int], object]
    frames: Sequence[int]


def save_animation(animation: Animation, path: Path) -> None:
    """Write an animation as a GIF. Artists that are not ``animated`` are drawn once."""
    figure = animation.figure
    figure.set_dpi(GIF_RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    animated = figure.findobj(lambda artist: artist.get_animated())
    images = []
    for frame in animation.frames:
        animation.draw(frame)
        canvas.restore_region(background)
        for artist in sorted(animated, key=lambda artist: artist.get_zorder()):
            artist.draw(canvas.get_renderer())
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        # A palette in half the time, and a file of half the size, of Pillow's own.
        palette = image.quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        images.append(palette)
    first, *others = images
    first.save(path, save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)


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


def study_figure(*panels: Panel, width: float | None = None, height: float | None = None) -> Figure:
    """A figure of panels with their legends below; its width and a panel's height in inches.

    Panels that show the same series have one legend together.
    """
    crowded = any(panel.is_named and len(panel.x) > MAX_NAMES for panel in panels)
    figure, axes = new_figure(len(panels), width=width, height=height or 3.4 + crowded)
    for panel, each in zip(panels, axes, strict=True):
        draw_panel(each, panel)
    names = [each.get_legend_handles_labels()[1] for each in axes]
    shared = all(each == names[0] for each in names)
    legend_below(figure, panels=() if shared else axes)
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
        axes.plot(panel.positions(), values, color=GREY, linestyle=dashes, label=typeset(name))
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
        turned = 25 if len(positions) <= MAX_TICKS else 60
        axes.set_xticks(
            positions,
            [str(x) for x in panel.x],
            rotation=turned if crowded else 0,
            ha="right" if crowded else "center",
        )
    elif len(positions) <= MAX_TICKS or panel.intervals:
        axes.xaxis.set_major_locator(FixedLocator(list(positions)))
        axes.xaxis.set_minor_locator(NullLocator())
        turned = 45 if len(positions) > MAX_TICKS else 0
        axes.set_xticklabels([f"{x:.4g}" for x in positions], rotation=turned)


def _median(values: Float[np.ndarray, " seeds"]) -> float:
    """Median over the seeds, ignoring NaN; NaN if all are NaN."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")
