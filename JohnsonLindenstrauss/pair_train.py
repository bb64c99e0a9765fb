"""Learning an embedding of all pairwise distances, from the random one to the worst pairs."""

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization import History, PerturbedGradientDescent, descend
from derandomization.checks import require_at_least, require_between
from derandomization.descent import Diverged, ProgressCallback
from JohnsonLindenstrauss.pairs import (
    BLOCK_SIZE,
    PairBlocks,
    balanced,
    pair_extremes,
    unique_points,
    worst_pairs,
)
from JohnsonLindenstrauss.softmax import PairDistortion

# Stages of constant β, each with steps of pace·√(k·rank)/β: curvature grows with β, and falls as the
# pairs spread over more directions of M. On pairs of the paper's points, digits and 1 000 Gaussian
# points the best constant rates were 10, 10 and 100 over β; a pace that falls where a step had to be
# halved and grows elsewhere finds each. Plain momentum PGD and Adam end within 1% of each other.
MOMENTUM = 0.98
LEARNING_RATE, GROWTH, SHRINKAGE = 0.2, 1.2, 0.85
MAX_ATTEMPTS = 12  # to halve the pace until a stage ends below where it began
OPENING = (10.0, 200)  # β and steps in which M leaves 0 and σ vanishes
ALL_PAIRS, ALL_PAIRS_STEPS = np.geomspace(10, 150, 20), 40
# From here on the pairs within 14/β of the worst hold all but 1e-6 of the softmax, of digits about
# 1%: a step takes 1 to 2 ms instead of 18. The softmax exceeds the maximum by log(pairs)/β, so β
# goes on to 4 000.
WORST_PAIRS, WORST_PAIRS_STEPS = np.geomspace(150, 4000, 40), 60
WARM_STAGES = 5  # of the stages over all pairs, where an embedding is at hand
PATIENCE, LEAST_GAIN = 10, 2e-3  # stop where so many rounds gained less than this part
SAMPLE = 2000  # points whose pairs are all descended on; of more points the worst pairs
LIMIT = 5_000_000  # numbers in the differences of a list of pairs, at least
PERTURBATION_RADIUS = 1e-2  # 1% of the length of every M(x − y) at the end, as for single points
CLOSEST = 1e-3  # squared distance over squared norm that float32 knows to three digits
FLATTEST = 0.05  # of the largest spread: a coordinate that hardly varies is not stretched further


@dataclass(frozen=True)
class Span:
    """Centred points in an orthonormal basis of their span, ``points ≈ mean + coordinates·basis``.

    Attributes:
        coordinates: ``[points, rank]``, longest direction first.
        basis: orthonormal rows, ``[rank, dimension]``.
    """

    coordinates: Float[Tensor, "points rank"]
    basis: Float[Tensor, "rank dimension"]


def span(points: Float[Tensor, "points dimension"]) -> Span:
    """Centre and rotate by an SVD; rank at most min(n − 1, d)."""
    left, values, right = torch.linalg.svd(points - points.mean(dim=0), full_matrices=False)
    smallest = values[0] * max(points.shape) * torch.finfo(points.dtype).eps
    rank = max(1, int((values > smallest).sum()))
    return Span(left[:, :rank] * values[:rank], right[:rank])


@dataclass(frozen=True)
class PairTraining:
    """A learned embedding and how it came about.

    Attributes:
        embedding: A, ``[components, dimension]``, its extremes balanced about 1.
        low, high: smallest and largest ‖A(x − y)‖²/‖x − y‖², over all pairs and in float64.
        copies: points that were left out because they equal an earlier one.
        value: f before each step; of the points and the pairs of that step.
        deviation: σ before each step.
        rounds: steps at which all pairs were looked at.
        distortion: the largest distortion at each of these, after balancing.
        seconds: wall time of the descent, without reading the points and the final check.
    """

    embedding: Float[Tensor, "components dimension"]
    low: float
    high: float
    copies: int
    value: Float[np.ndarray, " steps"]
    deviation: Float[np.ndarray, " steps"]
    rounds: np.ndarray
    distortion: Float[np.ndarray, " rounds"]
    seconds: float

    @property
    def max_distortion(self) -> float:
        """max |‖A(x − y)‖²/‖x − y‖² − 1| over all pairs."""
        return max(self.high - 1, 1 - self.low)


def train_pairs(
    points: Float[Tensor, "points dimension"],
    num_components: int,
    *,
    generator: torch.Generator,
    block_size: int = BLOCK_SIZE,
    start: Float[Tensor, "warm dimension"] | None = None,
    progress: ProgressCallback | None = None,
) -> PairTraining:
    """Minimise the largest distortion of all pairwise distances.

    Args:
        points: n in R^d, two of them different.
        num_components: k, from 1 to d.
        generator: of the perturbation and of the sample of points that large n begins with.
        block_size: rows of the n×n matrices held at a time.
        start: an embedding to go on from, instead of M = 0 and σ² = 1/k.
        progress: called with step, f and ‖W‖_F.

    Raises:
        ValueError: an argument out of its range, or points that are all equal.
    """
    require_between("num_components", num_components, 1, points.shape[1])
    require_at_least("the number of points", len(points), 2)
    distinct, copies = unique_points(points.double())
    require_at_least("the number of distinct points", len(distinct), 2)
    began = time.perf_counter()
    inside = span(distinct)
    descent = _Descent(generator, progress)
    if num_components >= inside.basis.shape[0]:
        mean = torch.eye(num_components, inside.basis.shape[0], dtype=distinct.dtype)
    else:
        mean = _learn(inside, num_components, descent, block_size, start)
    seconds = time.perf_counter() - began
    embedding = mean.to(inside.basis) @ inside.basis
    factor, _ = balanced(*pair_extremes(embedding, distinct, block_size))
    embedding *= factor
    low, high = pair_extremes(embedding, distinct, block_size)
    return PairTraining(embedding, low, high, copies, *descent.record(), seconds)


def _learn(
    inside: Span,
    num_components: int,
    descent: "_Descent",
    block_size: int,
    start: Tensor | None,
) -> Float[Tensor, "components rank"]:
    """All pairs of at most ``SAMPLE`` points first, then the worst of all pairs of all points."""
    coordinates = inside.coordinates / inside.coordinates.square().sum(dim=1).mean().sqrt()
    lengths = _lengths(coordinates)
    num_points = len(coordinates)
    chosen = torch.arange(num_points)
    if num_points > SAMPLE:
        chosen = torch.randperm(num_points, generator=descent.generator)[:SAMPLE]
    dtype = _dtype(coordinates)
    sampled = PairBlocks(coordinates[chosen], block_size, dtype)
    rescaled = (coordinates / lengths).to(dtype)
    objective = PairDistortion(rescaled[chosen], num_components, sampled, OPENING[0])
    if start is None:
        descent.run(objective, *OPENING, perturb=True)
    else:
        with torch.no_grad():
            objective.mean.copy_(start.to(lengths) @ inside.basis.T * lengths)
            objective.scale.zero_()
    for sharpness in ALL_PAIRS if start is None else ALL_PAIRS[-WARM_STAGES:]:
        descent.run(objective, sharpness, ALL_PAIRS_STEPS)
    blocks = sampled if len(chosen) == num_points else PairBlocks(coordinates, block_size, dtype)
    return _refine(objective, rescaled, blocks, descent).double() / lengths


def _refine(
    objective: PairDistortion, coordinates: Tensor, blocks: PairBlocks, descent: "_Descent"
) -> Float[Tensor, "components rank"]:
    """Round by round on the pairs that are worst just then; the best mean of all rounds."""
    bests: list[float] = []
    limit = max(blocks.num_pairs // 2, LIMIT) // objective.num_components
    best, best_mean = math.inf, objective.mean.detach().clone()
    objective.coordinates = coordinates
    for sharpness in WORST_PAIRS:
        pairs = worst_pairs(objective.images(), blocks, max(14 / sharpness, 0.03), limit)
        _, distortion = balanced(pairs.low, pairs.high)
        descent.saw(distortion)
        if distortion < best:
            best, best_mean = distortion, objective.mean.detach().clone()
        elif distortion > 1.05 * best:
            with torch.no_grad():
                objective.mean.copy_(best_mean)
            descent.slower()
            continue
        bests.append(best)
        if len(bests) > PATIENCE and best > (1 - LEAST_GAIN) * bests[-1 - PATIENCE]:
            break
        crowded = len(pairs.inverse) == limit and blocks.num_points <= SAMPLE
        objective.pairs = blocks if crowded else pairs
        descent.run(objective, sharpness, WORST_PAIRS_STEPS)
    pairs = worst_pairs(objective.images(), blocks, 0.0, 1)
    _, distortion = balanced(pairs.low, pairs.high)
    descent.saw(distortion)
    return objective.mean.detach() if distortion < best else best_mean


def _lengths(coordinates: Tensor) -> Float[Tensor, " rank"]:
    """What each coordinate is divided by: its spread, so that all are learned at one pace."""
    spread = coordinates.square().mean(dim=0).sqrt()
    lengths = spread.clamp(min=FLATTEST * float(spread.max()))
    return lengths * (coordinates / lengths).square().sum(dim=1).mean().sqrt()


def _dtype(coordinates: Tensor) -> torch.dtype:
    """float32 where it tells the closest pair apart to three digits, else float64."""
    closest = min(1 / float(inverse.max()) for _, inverse in PairBlocks(coordinates[:SAMPLE]))
    longest = float(coordinates.square().sum(dim=1).max())
    return torch.float32 if closest > CLOSEST * longest else torch.float64


class _Descent:
    """Perturbed gradient descents one after the other, and what they recorded."""

    def __init__(self, generator: torch.Generator, progress: ProgressCallback | None) -> None:
        self.generator = generator
        self._progress = progress
        self._pace = 1.0
        self._steps = 0
        self._values: list[np.ndarray] = []
        self._deviations: list[np.ndarray] = []
        self._rounds: list[tuple[int, float]] = []

    def run(
        self, objective: PairDistortion, sharpness: float, steps: int, *, perturb: bool = False
    ) -> None:
        """Descend at one sharpness; where that ended higher than it began, again at half the pace."""
        objective.sharpness = float(sharpness)
        before = copy.deepcopy(objective.state_dict())
        for _ in range(MAX_ATTEMPTS):
            optimizer = self._optimizer(objective, steps, perturb)
            rate = optimizer.param_groups[0]["lr"]
            try:
                history = descend(objective, optimizer, max_steps=steps, progress=self._report)
            except Diverged as stop:
                history = stop.history
            self._keep(history, objective)
            if history.value[-1] <= history.value[0]:
                self._pace *= GROWTH if optimizer.param_groups[0]["lr"] == rate else SHRINKAGE
                return
            objective.load_state_dict(before)
            self._pace /= 2

    def _optimizer(
        self, objective: PairDistortion, steps: int, perturb: bool
    ) -> PerturbedGradientDescent:
        size, k = objective.mean.numel(), objective.num_components
        rate = self._pace * LEARNING_RATE * math.sqrt(size) / objective.sharpness
        groups: list[dict[str, Any]] = [
            {"params": [objective.mean]},
            {"params": [objective.scale], "lr": 0.1 * rate * size / (k + 3)},
        ]
        return PerturbedGradientDescent(
            groups,
            lr=rate,
            momentum=MOMENTUM,
            nesterov=True,
            restart=True,
            gradient_threshold=math.inf if perturb else 0.0,
            perturbation_radius=PERTURBATION_RADIUS,
            perturbation_interval=steps + 1,
            decrease_threshold=-math.inf,
            generator=self.generator,
        )

    def _keep(self, history: History, objective: PairDistortion) -> None:
        self._steps += history.num_steps
        self._values.append(history.value[:-1])
        self._deviations.append(history.weight_norm[:-1] / objective.mean.numel() ** 0.5)

    def _report(self, step: int, value: float, norm: float) -> None:
        if self._progress:
            self._progress(self._steps + step, value, norm)

    def saw(self, distortion: float) -> None:
        self._rounds.append((self._steps, distortion))

    def slower(self) -> None:
        self._pace /= 2

    def record(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        rounds = np.array([step for step, _ in self._rounds], dtype=np.int64)
        distortion = np.array([found for _, found in self._rounds])
        none = [np.zeros(0)]
        return (
            np.concatenate(self._values or none),
            np.concatenate(self._deviations or none),
            rounds,
            distortion,
        )
