"""Figures 1 to 3 show the arrays they are given."""

import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Text

from derandomization.laboratory.trace import NormTrace
from NeuralNetworks import plot
from NeuralNetworks.toy import ToySweep


def curves(axes: Axes) -> dict[str, np.ndarray]:
    return {str(line.get_label()): np.array(line.get_xydata()) for line in axes.get_lines()}


def test_figure_1_shows_the_descents_the_closed_form_and_the_threshold() -> None:
    x, y = np.array([0.1, 0.6]), np.array([0.5, 0.0])
    ends = ToySweep(x, frozen_weights=y, trained_weights=y + 2, trained_biases=y + 3)
    figure = plot.frozen_bias_figure(ends, (x, y + 1), 0.4501)
    (axes,) = figure.axes
    drawn = curves(axes)
    assert drawn["PGD, better of two starts"].tolist() == [[0.1, 0.5], [0.6, 0.0]]
    assert drawn["closed form"].tolist() == [[0.1, 1.5], [0.6, 1.0]]
    assert drawn["λ* = 0.4501"][:, 0].tolist() == [0.4501, 0.4501]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "regularization λ",
        "global minimiser |w*|",
    )


def test_figure_2_shows_weights_and_biases() -> None:
    x = np.array([0.1, 0.6])
    ends = ToySweep(x, frozen_weights=x, trained_weights=np.zeros(2), trained_biases=np.ones(2))
    figure = plot.trained_bias_figure(ends, (x, x))
    drawn = curves(figure.axes[0])
    assert drawn["|w*|, trained bias"][:, 1].tolist() == [0, 0]
    assert drawn["b*, trained bias"][:, 1].tolist() == [1, 1]


@pytest.mark.parametrize("width", [3, plot.MAX_TRAJECTORIES + 50])
def test_figure_3_draws_each_row_from_start_to_end_up_to_a_limit(width: int) -> None:
    trajectories = np.random.default_rng(0).standard_normal((4, width, 2))
    figure = plot.collapse_figure(trajectories, np.array([0.6, 0.8]), ("w·u", "w·u⊥"))
    (axes,) = figure.axes
    shown = min(width, plot.MAX_TRAJECTORIES)
    paths = axes.collections[0].get_segments()
    assert len(paths) == shown
    assert np.array_equal(paths[2], trajectories[:, 2])
    drawn = curves(axes)
    assert np.array_equal(drawn["rows of W at the start"], trajectories[0, :shown])
    assert np.array_equal(drawn["rows of W at the end"], trajectories[-1, :shown])
    assert f"{shown} rows" in axes.get_title(loc="left")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("w·u", "w·u⊥")
    assert axes.get_xlim()[1] >= np.abs(trajectories).max()


def test_the_animation_shows_every_row_under_the_step_and_covers_it_by_the_legend() -> None:
    trajectories = np.random.default_rng(0).standard_normal((3, 4, 2))
    steps = np.array([0, 5, 1_000])
    animation = plot.collapse_animation(trajectories, steps, np.array([0.6, 0.8]), ("x", "y"))
    artists = animation.figure.findobj(Artist.get_animated)
    assert {type(artist).__name__ for artist in artists} == {"Line2D", "Text", "Legend"}
    (rows,) = (artist for artist in artists if isinstance(artist, Line2D))
    (title,) = (artist for artist in artists if isinstance(artist, Text))
    for frame, step in enumerate(steps):
        animation.draw(frame)
        assert np.array_equal(rows.get_xydata(), trajectories[frame])
        assert title.get_text() == f"step {step}"
        extent, whole = title.get_window_extent(), title.figure.bbox
        assert extent.y1 <= whole.y1 + 1
        assert rows.get_zorder() < rows.axes.get_legend().get_zorder()


def test_the_norm_figure_shows_the_whole_weights_above_the_irrelevant_ones() -> None:
    trace = NormTrace(
        weight_norm=np.array([1.0, 0.1, 0.01]),
        perturbation_steps=np.array([], dtype=np.int64),
        bound_steps=np.array([], dtype=np.int64),
        sharp_bound=np.array([]),
        lemma_bound=None,
    )
    (axes,) = plot.weight_norm_figure(trace, np.array([2.0, 1.5, 1.25])).axes
    drawn = curves(axes)
    assert axes.get_yscale() == "log"
    assert drawn["‖W‖"].tolist() == [[0, 2.0], [1, 1.5], [2, 1.25]]
    assert drawn["‖W⊥‖"].tolist() == [[0, 1.0], [1, 0.1], [2, 0.01]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "Frobenius norm")
