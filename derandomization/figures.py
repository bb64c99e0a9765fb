"""One look for every figure, and saving it as PNG and PDF without a display."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe–Ito: told apart in colour blindness and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#666666",
)


def new_figure(
    columns: int = 1, *, width: float = 5.2, height: float = 3.6
) -> tuple[Figure, list[Axes]]:
    """A figure of ``columns`` panels side by side, each ``width`` by ``height`` inches."""
    figure = Figure(figsize=(columns * width, height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#E4E4E4", linewidth=0.7)
        axes.set_axisbelow(True)
    return figure, panels


def label(axes: Axes, *, x: str, y: str, title: str = "") -> None:
    """Name the axes, set the title to the left, and draw the legend if anything has a label."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, loc="left", fontsize=11)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5)


def save(figure: Figure, folder: Path, name: str) -> str:
    """Write ``name.png`` and ``name.pdf`` into ``folder``; returns the PNG's file name."""
    figure.savefig(folder / f"{name}.png", dpi=160)
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    return f"{name}.png"
