"""One figure a benchmark, from its panels."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from derandomization.laboratory.figures import Panel, study_figure


def benchmark_figure(panels: Sequence[Panel]) -> Figure:
    """The panels side by side."""
    return study_figure(*panels)
