"""Learning an embedding of all pairwise distances, from the random one to the worst pairs.

A step costs O(n²k) over all pairs and O(pairs·k + nkr) over the worst ones, r the points' rank.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization.checks import require_between
from derandomization.descent import StepCallback
from derandomization.laboratory.checkpoints import Checkpoints
from JohnsonLindenstrauss.distinct import distinct_points
from JohnsonLindenstrauss.pairs import (
    BLOCK_SIZE,
    PairBlocks,
    balanced,
    pair_extremes,
    ratio_range,
    worst_pairs,
)
from JohnsonLindenstrauss.softmax import PairDistortion
from JohnsonLindenstrauss.stages import StagedDescent

OPENING = (10.0, 200)  # β and steps in which M leaves 0 and σ vanishes
ALL_PAIRS, ALL_PAIRS_STEPS = np.geomspace(10, 150, 20), 40
# From here on the pairs within 14/β of the worst hold all but 1e-6 of the softmax, of digits about
# 1%: a step takes 1 to 2 ms instead of 18. The softmax exceeds the maximum by log(pairs)/β, so β
# goes on to 4 000.
WORST_PAIRS, WORST_PAIRS_STEPS = np.geomspace(150, 4000, 40), 60
WARM_STAGES = 5  # of the stages over all pairs, where an embedding is at hand
PATIENCE, LEAST_GAIN = 10, 2e-3  # stop where so many rounds gained less than this part
# Points whose pairs are all descended on; beyond, a sample of so many, then the worst pairs of all.
# On 5 000 Gaussian points in 1 000 dimensions, k = 50, 850 steps: all pairs 0.377 in 111 s of one
# core; a sample of 2 000 alone 0.88 over all pairs, which is what fitting block by block sees, and
# 0.538 in 39 s with the worst pairs of all after it. So no partial_fit, and no smaller samples.
SAMPLE = 5_000
LIMIT = 5_000_000  # numbers in the differences of a list of pairs, at least
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
        rounds: steps at which all pairs were looked at; of the sample of points, while on that.
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
    target: float = 0.0,
    max_steps: int | None = None,
    device: torch.device | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> PairTraining:
    """Minimise the largest distortion of all pairwise distances.

    Args:
        points: n in R^d, two of them different.
        num_components: k, from 1 to d.
        generator: of the perturbation and of the sample of points that large n begins with.
        block_size: rows of the n×n matrices held at a time.
        start: an embedding to go on from, instead of M = 0 and σ² = 1/k.
        target: a largest distortion that is small enough to stop at.
        max_steps: the most steps; fewer than the usual 3 400 shorten every stage alike.
        device: where to compute; where the points are if None.
        progress: called with step, f and ‖W‖_F.
        checkpoints: where to keep the descents, and to go on from.

    Raises:
        ValueError: an argument out of its range, or points that are all equal.
    """
    require_between("num_components", num_components, 1, points.shape[1])
    found = distinct_points(points, "points")
    distinct = found.points.to(device)
    began, inside = time.perf_counter(), span(distinct)
    descent = StagedDescent(generator, progress, max_steps, checkpoints)
    if num_components >= inside.basis.shape[0]:
        mean = torch.eye(num_components, inside.basis.shape[0], dtype=distinct.dtype)
    else:
        mean = _learn(inside, num_components, descent, block_size, start, target)
    seconds = time.perf_counter() - began
    embedding = mean.to(inside.basis) @ inside.basis
    embedding *= balanced(*pair_extremes(embedding, distinct, block_size))[0]
    low, high = pair_extremes(embedding, distinct, block_size)
    embedding = embedding.to(points.device)
    return PairTraining(embedding, low, high, found.copies, *descent.record(), seconds)


def _learn(
    inside: Span,
    num_components: int,
    descent: StagedDescent,
    block_size: int,
    start: Tensor | None,
    target: float,
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
        descent.saw(balanced(*ratio_range(objective.images(), sampled))[1])
    blocks = sampled if len(chosen) == num_points else PairBlocks(coordinates, block_size, dtype)
    return _refine(objective, rescaled, blocks, descent, target).double() / lengths


def _refine(
    objective: PairDistortion,
    coordinates: Tensor,
    blocks: PairBlocks,
    descent: StagedDescent,
    target: float,
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
        enough = best <= 0.999 * target  # in float32; the final check is not
        if enough or (len(bests) > PATIENCE and best > (1 - LEAST_GAIN) * bests[-1 - PATIENCE]):
            break
        crowded = len(pairs.inverse) == limit and blocks.num_points <= SAMPLE
        objective.pairs = blocks if crowded else pairs
        descent.run(objective, sharpness, WORST_PAIRS_STEPS)
    _, distortion = balanced(*ratio_range(objective.images(), blocks))
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
