"""Which embedding keeps the distances and the neighbours of points that it was not fitted to?"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.figure import Figure
from sklearn.random_projection import SparseRandomProjection
from torch import Tensor

from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from JohnsonLindenstrauss.baselines import (
    add_random_complement,
    gaussian_matrix,
    principal_components,
)
from JohnsonLindenstrauss.pairs import Embedding, Points, squared_distances
from JohnsonLindenstrauss.studies.point_sets import Halves, draw_halves
from JohnsonLindenstrauss.train import PairTraining, train_mean_square, train_pairs

# Fitted points (and as many new ones), and components k.
SIZES = {
    "figure 6": (100, 30),
    "text": (100, 20),
    "large patches": (100, 10),
    "digits": (150, 8),
    "breast cancer": (150, 5),
    "wine": (89, 4),
    "iris": (74, 2),
    "diabetes": (200, 4),
    "small patches": (150, 8),
    "decaying": (200, 6),
}
# The learned ones by objective, with the random complement and with a complement of zero.
EMBEDDINGS = {
    "largest_random": "largest + random",
    "largest_zero": "largest",
    "mean_random": "mean square + random",
    "mean_zero": "mean square",
    "gaussian": "Gaussian",
    "sparse": "sparse",
    "pca_rescaled": "PCA rescaled",
    "pca": "PCA",
}
QUANTITIES = ("rms", "largest", "recall")  # root mean square and largest distortion, recall@10
DRAWS = 10  # random matrices, of which the means are shown
COLUMNS = {f"{name}_rms": text for name, text in EMBEDDINGS.items()}
WIDE = ("figure 6", "text", "large patches")  # fewer points than dimensions
NEIGHBOURS = 10
NEARLY_GAUSSIAN = 1.05  # a root mean square distortion at most this many times a Gaussian's
ROUNDING = 1e-9  # of the ratios of fitted pairs


@dataclass(frozen=True)
class Setting:
    """Where the points come from, how many are fitted, k, and the most steps."""

    source: str
    num_points: int
    num_components: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Distortion of pairs of new points, and neighbours kept, of learned, random and PCA matrices.

    Half of each set of points is fitted, the other half is new. Shows with which complement and
    which objective a learned embedding should be used.
    """

    output_dir: Path = Path("results/JohnsonLindenstrauss/new-points")
    steps: PositiveInt = 900
    """Maximum number of descent steps of each learned embedding, a quarter of the usual."""


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    settings = {name: Setting(name, n, k, config.steps) for name, (n, k) in SIZES.items()}
    name = "JohnsonLindenstrauss/new-points"
    run_study(Study(name, settings, measure_new_points, COLUMNS, _claim, _figures), config)


def measure_new_points(setting: Setting, seed: int) -> dict[str, float]:
    """Of each embedding: root mean square and largest distortion of new pairs, neighbours kept.

    ``complement_change`` is the most that the random complement changes the ratio of a fitted pair,
    NaN where the fitted points span the whole space and there is no complement.
    """
    generator = torch.Generator().manual_seed(seed)
    halves = draw_halves(setting.source, setting.num_points, seed)
    embeddings = _embeddings(halves.fitted, setting, generator)
    found = {
        f"{name}_{quantity}": float(np.mean(values))
        for name, draws in embeddings.items()
        for quantity, values in zip(
            QUANTITIES, zip(*(_qualities(each, halves) for each in draws), strict=True), strict=True
        )
    }
    changes = []
    for name in ("largest", "mean"):
        (random,), (zero,) = embeddings[f"{name}_random"], embeddings[f"{name}_zero"]
        change = pair_ratios(random, halves.fitted) - pair_ratios(zero, halves.fitted)
        changes.append(math.nan if torch.equal(random, zero) else float(change.abs().max()))
    return found | {"complement_change": max(changes)}


def _qualities(embedding: Embedding, halves: Halves) -> tuple[float, float, float]:
    """The ``QUANTITIES`` of an embedding."""
    distortion = pair_ratios(embedding, halves.new) - 1
    rms, largest = float(distortion.square().mean().sqrt()), float(distortion.abs().max())
    return rms, largest, neighbours_kept(embedding, halves)


def _with_complement(training: PairTraining, generator: torch.Generator) -> Embedding:
    """The embedding and a Gaussian matrix outside the span of the fitted points."""
    basis = training.basis
    return add_random_complement(training.embedding, lambda g: g @ basis.T @ basis, generator)


def _embeddings(
    points: Points, setting: Setting, generator: torch.Generator
) -> dict[str, list[Embedding]]:
    """Each embedding of ``EMBEDDINGS``, fitted to the points if it is; random ones ``DRAWS`` times.

    PCA is rescaled by the factor with the least root mean square distortion of the fitted pairs.
    """
    k, dimension = setting.num_components, points.shape[1]
    largest = train_pairs(points, k, generator=generator, max_steps=setting.steps)
    mean = train_mean_square(points, k, generator=generator)
    components = principal_components(points, k)
    ratios = pair_ratios(components, points)
    factor = float((ratios.mean() / ratios.square().mean()).sqrt())
    state = np.random.RandomState(int(torch.randint(2**31 - 1, (), generator=generator)))
    sparse = [
        SparseRandomProjection(k, random_state=state).fit(points.numpy()).components_.toarray()
        for _ in range(DRAWS)
    ]
    return {
        "largest_random": [_with_complement(largest, generator)],
        "largest_zero": [largest.embedding],
        "mean_random": [_with_complement(mean, generator)],
        "mean_zero": [mean.embedding],
        "gaussian": [gaussian_matrix(k, dimension, generator) for _ in range(DRAWS)],
        "sparse": [torch.from_numpy(matrix) for matrix in sparse],
        "pca_rescaled": [factor * components],
        "pca": [components],
    }


def pair_ratios(embedding: Embedding, points: Points) -> Float[Tensor, " pairs"]:
    """‖A(x − y)‖²/‖x − y‖² of all pairs of distinct points."""
    points = points - points.mean(dim=0)
    images = points @ embedding.T
    i, j = torch.triu_indices(len(points), len(points), 1)
    return squared_distances(images, images)[i, j] / squared_distances(points, points)[i, j]


def neighbours_kept(embedding: Embedding, halves: Halves) -> float:
    """Recall@10: how many of a new point's 10 nearest fitted points are so among the images."""
    before = _nearest(halves.new, halves.fitted)
    after = _nearest(halves.new @ embedding.T, halves.fitted @ embedding.T)
    return float((before[:, :, None] == after[:, None, :]).any(dim=2).double().mean())


def _nearest(
    points: Points, others: Float[Tensor, "others dimension"]
) -> Int[Tensor, "points neighbours"]:
    """Of each point, the indices of the nearest others."""
    return squared_distances(points, others).topk(NEIGHBOURS, largest=False).indices


def _claim(run: Run, rows: list[Row[Setting]]) -> None:
    wide = [row for row in rows if row.name in WIDE]
    tall = [row for row in rows if row.name not in WIDE]
    if wide:
        _claim_complement(run, wide)
    # More points than dimensions: which objective is better?
    for other in ("pca_rescaled_rms", "largest_zero_rms", "gaussian_rms"):
        _claim_below(run, "mean_zero_rms", other, tall)
    for name in ("largest_random", "mean_random"):
        ratios = _ratios(rows, f"{name}_largest", "gaussian_largest")
        statement = f"largest distortion of new pairs over a Gaussian's: {EMBEDDINGS[name]}"
        run.claim("NEW", statement, measured=_listed(ratios))


def _claim_complement(run: Run, wide: Sequence[Row[Setting]]) -> None:
    """What the random complement changes, where there are fewer points than dimensions."""
    for name, ratio in _ratios(wide, "largest_random_rms", "gaussian_rms").items():
        run.claim(
            "NEW",
            f"{name}: largest + random, root mean square distortion over a Gaussian's",
            baseline=f"≤ {NEARLY_GAUSSIAN}",
            measured=ratio,
            holds=ratio <= NEARLY_GAUSSIAN,
        )
    change = float(measured(wide, "complement_change").max())
    run.claim(
        "NEW",
        "the random complement changes the ratio of no fitted pair but for rounding",
        bound=ROUNDING,
        measured=change,
        holds=change <= ROUNDING,
    )
    for name in ("largest", "mean"):
        _claim_below(run, f"{name}_random_rms", f"{name}_zero_rms", wide)
        _claim_below(run, f"{name}_random_recall", f"{name}_zero_recall", wide)


def _claim_below(run: Run, low: str, high: str, rows: Iterable[Row[Setting]]) -> None:
    """Claim that one quantity's mean over the seeds is below another's on every set of points."""
    ratios = _ratios(rows, low, high)
    failed = [name for name, ratio in ratios.items() if not ratio < 1]
    quantity = "recall@10" if low.endswith("recall") else "root mean square distortion"
    low_text, high_text = (EMBEDDINGS[name.rsplit("_", 1)[0]] for name in (low, high))
    run.claim(
        "NEW",
        f"{quantity}: {low_text} below {high_text} on {len(ratios) - len(failed)} of "
        f"{len(ratios)} sets of points" + (f"; not on {', '.join(failed)}" if failed else ""),
        baseline="ratio < 1",
        measured=_listed(ratios),
        holds=not failed,
    )


def _ratios(rows: Iterable[Row[Setting]], above: str, below: str) -> dict[str, float]:
    """The mean of one quantity over the mean of another, by the name of the row."""
    return {row.name: row.interval(above).mean / row.interval(below).mean for row in rows}


def _listed(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())


def _figures(rows: list[Row[Setting]]) -> Mapping[str, Figure]:
    shown = {name: text for name, text in EMBEDDINGS.items() if name != "pca"}
    panels = [
        Panel(
            series={text: measured(rows, f"{name}_{quantity}") for name, text in shown.items()},
            x=[row.name for row in rows],
            x_label="points",
            y_label=label,
            title=title,
            log_y=False,
            intervals=True,
        )
        for quantity, label, title in (
            ("rms", "root mean square distortion", "Distances between new points"),
            ("recall", "recall@10", "Nearest fitted points of new points"),
        )
    ]
    return {"new_points": study_figure(*panels, height=4.2)}
