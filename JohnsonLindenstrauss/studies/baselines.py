"""How many components does each embedding need, for all distances between the paper's points?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from matplotlib.figure import Figure
from sklearn.random_projection import johnson_lindenstrauss_min_dim

from derandomization.checks import require_at_least
from derandomization.laboratory.figures import PAGE_WIDTH, Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from JohnsonLindenstrauss.baselines import (
    gaussian_matrix,
    principal_components,
    rademacher_matrix,
    random_pair_distortions,
)
from JohnsonLindenstrauss.lower_bound import distortion_lower_bound
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.numax import MAX_POINTS, numax
from JohnsonLindenstrauss.pairs import exact_ratio_range
from JohnsonLindenstrauss.studies import Setting
from JohnsonLindenstrauss.train import train_pairs

COMPONENTS = (5, 10, 15, 20, 30, 40, 50, 60, 80)
# Random matrices need more rows than there are points: only they are measured at these k.
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
    "lower_bound": "lower bound for every map",
}
TABLE_COLUMNS = COLUMNS | {"pca_held_out": "PCA rescaled, new points"}


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The largest pairwise distortion of every embedding against k, and the k each needs for ε.

    Compared with a lower bound for every map and, where k is chosen for ε, with NuMax.

    The points are the paper's, uniform in the cube and normalised. As many new points, to which
    nothing was fitted, show how much the fitted embeddings distort points they have not seen.
    """

    output_dir: Path = Path("results/JohnsonLindenstrauss/baselines")
    num_points: Annotated[int, AtLeast(3)] = 100
    """Number n of points to embed, and of new points."""
    dimension: int = 500
    """Dimension d of the points."""
    steps: PositiveInt = 900
    """Maximum number of descent steps of each learned embedding, a quarter of the usual."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("dimension", self.dimension, max(COMPONENTS))


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    settings = {
        f"k = {k}": Setting(config.num_points, k, config.dimension, config.steps)
        for k in COMPONENTS + MANY_COMPONENTS
    }
    name = "JohnsonLindenstrauss/baselines"
    run_study(Study(name, settings, measure_embeddings, TABLE_COLUMNS, _claim, _figures), config)


def measure_embeddings(setting: Setting, seed: int) -> dict[str, float]:
    """The largest pairwise distortion of each embedding; NaN where k is too large for it."""
    generator = torch.Generator().manual_seed(seed)
    points = cube_points(setting.num_points, setting.dimension, generator)
    new = cube_points(setting.num_points, setting.dimension, generator)
    k = setting.num_components
    random_only = k > max(COMPONENTS)
    draws = FEW_DRAWS if random_only else DRAWS
    gaussian = random_pair_distortions(points, k, gaussian_matrix, generator, num_draws=draws)
    sparse = random_pair_distortions(points, k, rademacher_matrix, generator, num_draws=FEW_DRAWS)
    found = dict.fromkeys([*TABLE_COLUMNS, "seconds"], math.nan) | {
        "gaussian_mean": float(gaussian.mean()),
        "rademacher": float(sparse.mean()),
    }
    if random_only:
        return found
    training = train_pairs(points, k, generator=generator, max_steps=setting.steps)
    components = principal_components(points, k)
    pca = exact_ratio_range(components, points)
    return found | {
        "gaussian_best": float(gaussian.min()),
        "learned": training.max_distortion,
        "learned_held_out": exact_ratio_range(training.embedding, new).distortion,
        "pca": pca.distortion,
        "pca_rescaled": pca.balanced_distortion,
        "lower_bound": distortion_lower_bound(points, k, max_steps=setting.steps),
        "pca_held_out": exact_ratio_range(pca.balancing_factor * components, new).distortion,
        "seconds": training.seconds,
    }


def _claim(run: Run, rows: list[Row[Setting]]) -> None:
    """Record the k needed for each ε, and compare the learned embedding with the others."""
    num_points = rows[0].setting.num_points
    run.results["needed_components"] = {}
    for epsilon in ACCURACIES:
        needed = {name: _needed_components(rows, name, epsilon) for name in COLUMNS}
        bound = int(johnson_lindenstrauss_min_dim(num_points, eps=epsilon))
        relaxed = _nuclear_norm_rank(rows[0].setting, epsilon)
        others = {"numax": relaxed, "min_dim": bound}
        run.results["needed_components"][f"{epsilon:g}"] = needed | others
        words = ", ".join(f"{text} {needed[name] or '–'}" for name, text in COLUMNS.items())
        words += f", NuMax (seed 0) {relaxed or '–'}, scikit-learn {bound}"
        run.say(f"k for ε = {epsilon:g}: {words}")
    fitted = [row for row in rows if row.setting.num_components <= max(COMPONENTS)]
    learned = measured(fitted, "learned")
    for name in ("gaussian_best", "pca_rescaled"):
        other = measured(fitted, name)
        below = int((learned < other).sum())
        run.claim(
            "F6",
            f"all pairs: learned below {COLUMNS[name]} on {below} of {learned.size} runs",
            baseline="ratio < 1",
            measured=f"≤ {(learned / other).max():.3g}",
            holds=below == learned.size,
        )
    statement = "learned on new points over a Gaussian's mean, smallest to largest k"
    ratios = ", ".join(
        f"{row.interval('learned_held_out').mean / row.interval('gaussian_mean').mean:.2f}"
        for row in fitted
    )
    run.claim("F6", statement, measured=ratios)


def _nuclear_norm_rank(setting: Setting, epsilon: float) -> int | None:
    """The rank that NuMax needs for ε on the points of seed 0; None if it did not converge."""
    if setting.num_points > MAX_POINTS:
        return None
    generator = torch.Generator().manual_seed(0)
    solution = numax(cube_points(setting.num_points, setting.dimension, generator), epsilon)
    return solution.rank if solution.converged else None


def _needed_components(rows: Sequence[Row[Setting]], name: str, epsilon: float) -> int | None:
    """The smallest measured k from which all have a mean distortion of at most ε; or None."""
    means = {row.setting.num_components: row.interval(name).mean for row in rows}
    failed = max((k for k, mean in means.items() if mean > epsilon), default=0)
    return min((k for k, mean in means.items() if k > failed and mean <= epsilon), default=None)


def _figures(rows: list[Row[Setting]]) -> Mapping[str, Figure]:
    panel = Panel(
        series={text: measured(rows, name) for name, text in COLUMNS.items()},
        x=[float(row.setting.num_components) for row in rows],
        x_label="components k",
        y_label="largest distortion of all pairs",
        title="What each embedding does to the paper's points",
        log_x=True,
        lowest=1e-3,
        intervals=True,
    )
    return {"baselines": study_figure(panel, width=PAGE_WIDTH, height=4.6)}
