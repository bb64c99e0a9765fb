"""How many points the directions need: n at which the error falls to 0.2, against the dimension."""

import math
from collections.abc import Callable

import numpy as np

from benchmarks.cache import Cache
from benchmarks.directions import OURS, Cell, outcome
from benchmarks.report import Effort, Report, Row
from derandomization.laboratory.figures import Panel

LINK = "z₁/(½ + (z₂ + 1.5)²)"  # two directions; SIR finds both
NAMES = (OURS, "rMAVE", "OPG", "SIR", "xRFM")
DIMENSIONS = (10, 20, 40, 80)
POINTS = (3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # n/d, tried in this order until one is enough
WANTED = 0.2  # median sine of the largest principal angle
SEEDS = 5


def points_needed(error: Callable[[int], float], sizes: tuple[int, ...]) -> float:
    """The n at which the error falls to WANTED; NaN where it is larger at every size.

    Interpolates between the first size that is enough and the one before it, both n and the error
    on logarithmic scales. The smallest size is returned where it is enough.
    """
    last_points, last_error = 0, math.inf
    for points in sizes:
        found = error(points)
        if found <= WANTED:
            if math.isinf(last_error):
                return float(points)
            share = math.log(last_error / WANTED) / math.log(last_error / found)
            return float(last_points * (points / last_points) ** share)
        last_points, last_error = points, found
    return math.nan


def measure(effort: Effort) -> Report:
    """The table of n by dimension and method, its figure, and the exponents of the growth."""
    cache = Cache(effort.cache)
    dimensions, seeds = ((4, 5), 1) if effort.quick else (DIMENSIONS, SEEDS)
    needed: dict[str, list[float]] = {name: [] for name in NAMES}
    for dimension in dimensions:
        for name in NAMES:

            def error(points: int, name: str = name, dimension: int = dimension) -> float:
                cell = Cell(LINK, "gaussian", dimension, points)
                return float(np.median([outcome(cache, name, cell, s).sine for s in range(seeds)]))

            sizes = tuple(ratio * dimension for ratio in POINTS)
            needed[name].append(points_needed(error, sizes))
    rows: list[Row] = [
        {"d": dimension} | {name: needed[name][i] for name in NAMES}
        for i, dimension in enumerate(dimensions)
    ]
    exponents = {name: growth(dimensions, each) for name, each in needed.items()}
    return Report(
        tables={
            f"points n for a median sine of {WANTED} ({seeds} seeds)": rows,
            "n grows as d^α; the fitted α": [dict(exponents)],
        },
        panels=[
            Panel(
                series={name: np.array(each)[:, None] for name, each in needed.items()},
                x=dimensions,
                x_label="dimension d",
                y_label=f"points n for an error of {WANTED}",
                title="Points that the directions need",
                log_x=True,
                references={"n = 10 d": 10.0 * np.array(dimensions)},
                repetition="interpolated",
            )
        ],
        notes=[
            f"Labels {LINK}, Gaussian inputs, noise 20%. "
            f"No number: more than {POINTS[-1]} d points."
        ],
    )


def growth(dimensions: tuple[int, ...], needed: list[float]) -> float:
    """The exponent α of n ∝ d^α by least squares; NaN with fewer than two numbers."""
    known = [(math.log(d), math.log(n)) for d, n in zip(dimensions, needed, strict=True) if n > 0]
    if len(known) < 2:
        return math.nan
    d, n = np.array(known).T
    return float(np.polyfit(d, n, 1)[0])
