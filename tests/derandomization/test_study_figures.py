"""A figure is drawn whatever was measured."""

import io

import numpy as np

from derandomization.study_figures import Panel, study_figure


def test_a_logarithmic_panel_with_nothing_measured_is_drawn_all_the_same() -> None:
    nothing = {"steps": np.full((2, 3), np.nan), "seconds": np.full((2, 3), np.inf)}
    panel = Panel(series=nothing, x=[1.0, 10.0], x_label="x", y_label="y", title="t", log_x=True)
    file = io.BytesIO()
    study_figure(panel).savefig(file)
    assert len(file.getvalue()) > 1_000
