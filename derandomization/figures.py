"""One look for every figure, and saving it as PNG and PDF without a display."""

from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from derandomization.trace import NormTrace

# Okabe–Ito: told apart in colour blindness and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#666666",
)

# A log axis wants a number above zero, and beside 1 float64 knows none smaller.
SMALLEST_NORM = 1e-16


class _Canvas(FigureCanvasAgg):
    """Nothing is on a screen: an animation's frames are drawn by what writes them, not twice."""

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


def legend_below(figure: Figure, columns: int) -> None:
    """One legend under all panels, where it can hide nothing."""
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)


def label(axes: Axes, *, x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Name the axes, set the title to the left, and draw a legend of what has a label."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    if legend and axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8.5, framealpha=0.9, edgecolor="none")


def lay_out(figure: Figure) -> None:
    """Settle where everything stands, once: every later drawing then takes half the time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its path's suffix says; a PDF without its date, so that it repeats."""
    figure.savefig(path, dpi=160, metadata={"CreationDate": None} if path.suffix == ".pdf" else {})


def save_animation(animation: FuncAnimation, path: Path) -> None:
    """Write an animation as a GIF, eight frames a second."""
    animation.save(path, writer=PillowWriter(fps=8), dpi=70)
