"""How many components does each embedding need? All pairwise distances of the paper's points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derandomization.checks import require_at_least
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, StudyConfig, measure_rows, tabulate
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pair_baselines import (
    gaussian_matrix,
    principal_components,
    rademacher_matrix,
    random_distortions,
)
from JohnsonLindenstrauss.pair_train import train_pairs
from JohnsonLindenstrauss.pairs import balanced, max_pair_distortion, pair_extremes
from JohnsonLindenstrauss.studies.plot import Lines, lines_figure

COMPONENTS = (5, 10, 15, 20, 30, 40, 50, 60, 80)
# Random matrices need more rows than there are points: of these only they are asked.
MANY_COMPONENTS = (200, 500, 1000, 2000, 4000)
DRAWS, FEW_DRAWS = 1_000, 20
ACCURACIES = (0.5, 0.2, 0.1)
COLUMNS = {
    "learned": "learned",
    "learned_held_out": "learned, new points",
    "gaussian_mean": "Gaussian, mean",
    "gaussian_best": "Gaussian, best of 1000",
    "rademacher": "sparse Rademacher, mean",
    "pca": "PCA",
    "pca_rescaled": "PCA, rescaled",
}


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The largest pairwise distortion of every embedding against k, and the k each needs for ε.

    The points are the paper's, uniform in the cube and normalised; as many more of them, which
    nothing was fitted on, say what a fitted embedding is worth on new points.
    """

    output_dir: Path = Path("results/JohnsonLindenstrauss/baselines")
    """Folder for results.json, table.csv and the figure; made if missing."""
    num_points: int = 100
    """Points n to embed, and as many held out."""
    dimension: int = 500
    """Dimension d of the points."""
    steps: int = 900
    """Most descent steps of each learned embedding, a quarter of the usual."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("num_points", self.num_points, 3)
        require_at_least("dimension", self.dimension, max(COMPONENTS))
        require_at_least("steps", self.steps, 1)


@dataclass(frozen=True)
class Setting:
    """Sizes of a problem and the steps to solve it in."""

    num_points: int
    dimension: int
    num_components: int
    steps: int


def min_dim(num_points: int, epsilon: float) -> int:
    """4 log n/(ε²/2 − ε³/3), rounded down: scikit-learn's ``johnson_lindenstrauss_min_dim``.

    References:
        Dasgupta, Gupta, *An elementary proof of the Johnson–Lindenstrauss lemma*, 2003.
    """
    return int(4 * math.log(num_points) / (epsilon**2 / 2 - epsilon**3 / 3))


def measure(setting: Setting, seed: int) -> Measurement:
    """The largest pairwise distortion of each embedding; NaN where k is not for it."""
    generator = torch.Generator().manual_seed(seed)
    points = cube_points(setting.num_points, setting.dimension, generator)
    new = cube_points(setting.num_points, setting.dimension, generator)
    k = setting.num_components
    few = k > max(COMPONENTS)
    draws = FEW_DRAWS if few else DRAWS
    gaussian = random_distortions(points, k, gaussian_matrix, generator, num_draws=draws)
    sparse = random_distortions(points, k, rademacher_matrix, generator, num_draws=FEW_DRAWS)
    found = dict.fromkeys(COLUMNS, math.nan) | {
        "gaussian_mean": float(gaussian.mean()),
        "gaussian_best": math.nan if few else float(gaussian.min()),
        "rademacher": float(sparse.mean()),
        "pca_held_out": math.nan,
        "seconds": math.nan,
    }
    return found if few else {**found, **_fitted(points, new, setting, generator)}


def _fitted(
    points: Tensor, new: Tensor, setting: Setting, generator: torch.Generator
) -> Measurement:
    """Embeddings that look at the points, on these and on new ones."""
    k = setting.num_components
    training = train_pairs(points, k, generator=generator, max_steps=setting.steps)
    components = principal_components(points, k)
    low, high = pair_extremes(components, points)
    factor, rescaled = balanced(low, high)
    return {
        "learned": training.max_distortion,
        "learned_held_out": max_pair_distortion(training.embedding, new),
        "pca": max(high - 1, 1 - low),
        "pca_rescaled": rescaled,
        "pca_held_out": max_pair_distortion(factor * components, new),
        "seconds": training.seconds,
    }


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("JohnsonLindenstrauss/baselines", config)
    settings = {
        f"k = {k}": Setting(config.num_points, config.dimension, k, config.steps)
        for k in COMPONENTS + MANY_COMPONENTS
    }
    rows = measure_rows(run, config, measure, settings)
    tabulate(run, rows, COLUMNS | {"pca_held_out": "PCA rescaled, new points"})
    needed = {
        f"{epsilon:g}": {name: _needed(rows, name, epsilon) for name in COLUMNS}
        | {"min_dim": min_dim(config.num_points, epsilon)}
        for epsilon in ACCURACIES
    }
    run.results["needed_components"] = needed
    for epsilon, by_name in needed.items():
        words = [f"{text} {by_name[name] or '–'}" for name, text in COLUMNS.items()]
        run.say(f"k for ε = {epsilon}: {', '.join(words)}, scikit-learn {by_name['min_dim']}")
    _claim(run, rows)
    run.figure("baselines", _figure(rows))
    run.finish()


def _needed(rows: Sequence[Row[Setting]], name: str, epsilon: float) -> int | None:
    """The smallest k measured from which the mean distortion is at most ε; None if none is."""
    enough = None
    for row in reversed(rows):
        mean = row.interval(name).mean
        if mean > epsilon:
            break
        if mean <= epsilon:
            enough = row.setting.num_components
    return enough


def _claim(run: Run, rows: Sequence[Row[Setting]]) -> None:
    fitted = [row for row in rows if row.setting.num_components <= max(COMPONENTS)]
    for other in ("gaussian_best", "pca_rescaled"):
        pairs = [
            (float(a), float(b))
            for row in fitted
            for a, b in zip(row.measured["learned"], row.measured[other], strict=True)
        ]
        below = sum(a < b for a, b in pairs)
        run.claim(
            "F6",
            f"all pairs: learned below {COLUMNS[other]} on {below} of {len(pairs)} runs",
            paper="below",
            measured=f"ratio ≤ {max(a / b for a, b in pairs):.3g}",
            holds=below == len(pairs),
        )
    ratios = [row.interval("learned_held_out").mean for row in fitted]
    means = [row.interval("gaussian_mean").mean for row in fitted]
    run.claim(
        "GEN",
        "learned on new points over a Gaussian's mean, smallest to largest k",
        paper=None,
        measured=", ".join(f"{a / b:.2f}" for a, b in zip(ratios, means, strict=True)),
        holds=None,
    )


def _figure(rows: Sequence[Row[Setting]]) -> Figure:
    return lines_figure(
        Lines(
            series={text: [row.interval(name) for row in rows] for name, text in COLUMNS.items()},
            x=[float(row.setting.num_components) for row in rows],
            x_label="components k",
            y_label="largest distortion of all pairs",
            title="What each embedding does to the paper's points",
            lowest=1e-3,
        )
    )
