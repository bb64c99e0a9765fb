"""Figures 4 and 5 from arrays."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from derandomization.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    draw_norm,
    label,
    legend_below,
    new_figure,
)
from derandomization.trace import NormTrace

LEVEL_COLOURS = (GREEN, PURPLE, ORANGE, RED, GREY, "#56B4E9")


def cut_value_figure(
    cut_values: Float[np.ndarray, " records"],
    expected_cuts: Float[np.ndarray, " records"],
    levels: Mapping[str, float],
) -> Figure:
    """Figure 4: the value of sign(μ), and the expected cut it descends on, by step.

    Args:
        cut_values: Σ w over the edges that sign(μ) cuts, before each step.
        expected_cuts: E[cut] of the smoothed sign, before each step.
        levels: values to compare with, by name; drawn as horizontal lines.
    """
    figure, (axes,) = new_figure(width=7.2, height=4.2)
    for (name, value), colour in zip(levels.items(), LEVEL_COLOURS, strict=False):
        axes.axhline(
            value, color=colour, linestyle="--", linewidth=1.1, label=f"{name} {value:.4g}"
        )
    axes.plot(expected_cuts, color=BLUE, alpha=0.45, label="expected cut of the smoothed sign")
    axes.plot(cut_values, color=BLUE, linewidth=2, label="cut of sign(μ)")
    shown = [*levels.values(), *expected_cuts, *cut_values[1:]]
    margin = 0.05 * (max(shown) - min(shown))
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
    title = "The random cut becomes one deterministic cut"
    label(axes, x="step", y="weight cut", title=title, legend=False)
    axes.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def deviation_figure(largest_deviation: Float[np.ndarray, " records"], trace: NormTrace) -> Figure:
    """Figure 5: the largest σ_i = ‖v_i‖ by step, and ‖V‖_F with its bounds.

    Args:
        largest_deviation: max_i ‖v_i‖ before each step.
        trace: of ‖V‖_F.
    """
    figure, (axes,) = new_figure(width=6.2, height=4.0)
    axes.semilogy(largest_deviation, color=GREEN, label="largest σ")
    draw_norm(axes, trace, "‖V‖")
    label(axes, x="step", y="deviation", title="The randomness vanishes", legend=False)
    legend_below(figure, columns=2)
    return figure
