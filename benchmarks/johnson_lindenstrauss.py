"""Figures 6 and 7, and all pairs of points: distortion against seconds, k and other embeddings."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from torch import Tensor

from benchmarks.measure import Turns, in_turn, now, ratio
from benchmarks.race import Problem, Racer, against, levels_panel, race, rows
from benchmarks.report import Effort, Report, Row
from derandomization import DerandomizationObjective
from derandomization.expectations import standard_normal
from derandomization.laboratory.figures import Panel
from JohnsonLindenstrauss.model import (
    BATCH_SIZE,
    ExpectedDistortion,
    SampledDistortion,
    UnitVectorEmbedding,
    cube_points,
    max_distortion,
)
from JohnsonLindenstrauss.pairs import exact_ratio_range
from JohnsonLindenstrauss.train import SETTINGS, train_pairs

POINTS, DIMENSION, COMPONENTS = 100, 500, 30  # figure 6's
LEVELS = (0.1, 0.02)  # largest distortion of M; the published run ends at 0.017
EXACT, PLAIN = "exact moments", "batches of 20 draws"
SPAN = "batches of 20 draws, in the points' span"
MARGIN = 50.0  # batches over exact, at least
PAIR_COMPONENTS = (10, 20, 30, 50)
PAIR_STEPS = 900  # a quarter of the usual: what the study takes


def measure(effort: Effort) -> Report:
    """The race of figure 6, then all pairs."""
    report = Report()
    _race(report, effort)
    _pairs(report, effort)
    return report


class DrawnWhole(UnitVectorEmbedding):
    """The published loss as one would write it: 20 matrices A = M + σZ, differentiated through.

    The same law as ``SampledDistortion``, which draws Zu in the points' span instead and follows
    the worst draw alone. A step costs O(20·nkd).
    """

    def __init__(self, points: Tensor, num_components: int, generator: torch.Generator) -> None:
        super().__init__(points, num_components)
        self.generator = generator

    def expected_value(self) -> Float[Tensor, ""]:
        shape = (BATCH_SIZE, *self.mean.shape)
        noise = standard_normal(*shape, generator=self.generator, like=self.mean)
        drawn = self.mean + self.variance().sqrt() * noise
        return ((drawn @ self.points.T).square().sum(dim=1) - 1).abs().max()


def _race(report: Report, effort: Effort) -> None:
    def problem(kind: str) -> Problem:
        generator = torch.Generator().manual_seed(0)
        points = cube_points(POINTS, DIMENSION, generator)
        kinds: dict[str, Callable[[], UnitVectorEmbedding]] = {
            EXACT: lambda: ExpectedDistortion(points, COMPONENTS),
            PLAIN: lambda: DrawnWhole(points, COMPONENTS, generator),
            SPAN: lambda: SampledDistortion(points, COMPONENTS, generator),
        }
        objective = kinds[kind]()
        settings = SETTINGS["exact" if kind == EXACT else "sampled"]
        return objective, settings.optimizer(objective, generator)

    def gauge(objective: DerandomizationObjective) -> float:
        assert isinstance(objective, UnitVectorEmbedding)
        return max_distortion(objective.mean, objective.points)

    limits = {EXACT: 500, PLAIN: 5_000, SPAN: 5_000}
    racers = {
        kind: Racer(partial(problem, kind), gauge, 30 if effort.quick else limit)
        for kind, limit in limits.items()
    }
    results = race(racers, LEVELS, effort.repeats, patience=10.0)
    report.tables["largest distortion of figure 6's points"] = rows(results, LEVELS, EXACT)
    for kind in (PLAIN, SPAN):
        report.at_least(
            f"figures 6-7: {kind} over exact, to {LEVELS[-1]:g}",
            MARGIN,
            against(results, kind, EXACT, LEVELS[-1]),
        )
    x_label = "largest distortion reached"
    report.panels.append(levels_panel(results, LEVELS, x_label, "Figures 6 and 7"))


def _pairs(report: Report, effort: Effort) -> None:
    """Every embedding of figure 6's points once a round and k; Gaussian draws as long as ours."""
    points = cube_points(POINTS, DIMENSION, torch.Generator().manual_seed(0))
    ks = (10,) if effort.quick else PAIR_COMPONENTS
    found: list[Row] = []
    learned, best = [], []
    for k in ks:
        turns = in_turn(_embeddings(points, k, effort.quick), effort.repeats)
        ours = turns["learned"]
        turns["best Gaussian in as many seconds"] = in_turn(
            {"": partial(_gaussian_until, points, k, ours.cpu)}, effort.repeats
        )[""]
        for name, done in turns.items():
            found.append(
                {
                    "k": k,
                    "embedding": name,
                    "largest distortion": float(np.median(done.outcomes)),
                    "CPU s": done.cpu,
                    **ratio(done.seconds, ours.seconds).row(),
                }
            )
        learned.append(ours)
        best.append(turns["best Gaussian in as many seconds"])
    report.tables["all pairs of figure 6's points; ratios are to the learned embedding"] = found
    report.panels.append(_pairs_panel(ks, learned, best))


def _pairs_panel(ks: Sequence[int], learned: list[Turns], best: list[Turns]) -> Panel:
    return Panel(
        series={
            "learned": np.array([turns.outcomes for turns in learned]),
            "best Gaussian in as many seconds": np.array([turns.outcomes for turns in best]),
        },
        x=ks,
        x_label="components k",
        y_label="largest distortion of all pairs",
        title="Equal seconds",
        log_x=True,
        repetition="rounds",
    )


def _embeddings(points: Tensor, k: int, quick: bool) -> dict[str, Callable[[], float]]:
    """Ways to embed, each giving its largest distortion over all pairs."""
    data = points.numpy()
    steps = 50 if quick else PAIR_STEPS

    def learned() -> float:
        generator = torch.Generator().manual_seed(0)
        return train_pairs(points, k, generator=generator, max_steps=steps).max_distortion

    def fitted(kind: Callable[..., object], rescaled: bool = False, **options: object) -> float:
        transformer = kind(k, random_state=0, **options).fit(data)  # type: ignore[attr-defined]
        rows = transformer.components_
        matrix = torch.from_numpy(rows.toarray() if hasattr(rows, "toarray") else rows)
        ratios = exact_ratio_range(matrix, points)
        return ratios.balanced_distortion if rescaled else ratios.distortion

    return {
        "learned": learned,
        "GaussianRandomProjection": partial(fitted, GaussianRandomProjection),
        "SparseRandomProjection": partial(fitted, SparseRandomProjection),
        "PCA": partial(fitted, PCA),
        "PCA, rescaled": partial(fitted, PCA, rescaled=True),
    }


def _gaussian_until(points: Tensor, k: int, seconds: float) -> float:
    """The best of scikit-learn's Gaussian matrices that can be tried in so many CPU seconds."""
    started, best, seed = now(), np.inf, 0
    data = points.numpy()
    while now().since(started).cpu < seconds:
        matrix = GaussianRandomProjection(k, random_state=seed).fit(data).components_
        best = min(best, exact_ratio_range(torch.from_numpy(matrix), points).distortion)
        seed += 1
    return float(best)
