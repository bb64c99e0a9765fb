"""A figure is drawn whatever was measured."""

import io

import numpy as np

from derandomization.laboratory.figures import Panel, study_figure


def test_a_logarithmic_panel_with_nothing_measured_is_drawn_all_the_same() -> None:
    nothing = {"steps": np.full((2, 3), np.nan), "seconds": np.full((2, 3), np.inf)}
    panel = Panel(series=nothing, x=[1.0, 10.0], x_label="x", y_label="y", title="t", log_x=True)
    file = io.BytesIO()
    study_figure(panel).savefig(file)
    assert len(file.getvalue()) > 1_000


def test_the_legend_says_what_there_is_a_dot_for() -> None:
    values = {"seconds": np.ones((2, 3))}
    panel = Panel(values, [1.0, 10.0], x_label="x", y_label="y", title="t", repetition="rounds")
    (legend,) = study_figure(panel).legends
    assert "one of 3 rounds; large symbols: medians" in [each.get_text() for each in legend.texts]
