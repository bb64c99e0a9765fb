"""Pairs of points in blocks: their distances, the ratios an embedding gives them, the worst pairs.

A pair's ratio is ‖A(x − y)‖²/‖x − y‖², and its distortion is |ratio − 1|.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from derandomization.checks import require_at_least

Points = Float[Tensor, "points dimension"]
Embedding = Float[Tensor, "components dimension"]

BLOCK_SIZE = 256  # rows of the n×n matrices at a time: with 2 000 points a block fits the cache
# Half of n² inverse distances in float32 are kept up to n = 23 000; else each pass recomputes them.
KEPT_BYTES = 2**30
# Squares of lengths from 2^-100 to 2^100 are far from both ends of float64.
LARGEST_EXPONENT = 100
NEARBY = 1e-6  # squared distance over squared norm below which ‖x‖² + ‖y‖² − 2x·y has lost digits
# With a largest coordinate of 1 this is a distance of 1e-140, whose inverse square is in range.
CLOSEST_SQUARE = 1e-280


class RatioRange(NamedTuple):
    """The smallest and the largest ratio of all pairs."""

    low: float
    high: float

    @property
    def distortion(self) -> float:
        """The largest |ratio − 1|."""
        return max(self.high - 1, 1 - self.low)

    @property
    def balancing_factor(self) -> float:
        """The factor on A after which both extremes are equally far from 1; 1 if A is zero."""
        return math.sqrt(2 / (self.low + self.high)) if self.high > 0 else 1.0

    @property
    def balanced_distortion(self) -> float:
        """The largest |ratio − 1| of A times the balancing factor."""
        return (self.high - self.low) / (self.high + self.low) if self.high > 0 else 1.0


class DistinctPoints(NamedTuple):
    """Points for all of whose pairs ratios of squared distances can be computed."""

    points: Points  # divided by 2^exponent
    copies: int  # points left out because they equal an earlier one
    exponent: int  # 0 unless squares would leave float64


def distinct_points(points: Points, name: str) -> DistinctPoints:
    """The points without exact copies, in float64, scaled if their squares would overflow.

    Raises ``ValueError``, which calls them ``name``, if all are equal or two are too close.
    """
    scaled, exponent = rescaled(points.double())
    _, owner = torch.unique(scaled, dim=0, return_inverse=True)
    first = torch.full((int(owner.max()) + 1,), len(scaled))
    first.scatter_reduce_(0, owner.cpu(), torch.arange(len(scaled)), "amin")
    distinct = scaled[first.sort().values.to(scaled.device)]
    if len(distinct) < 2:
        raise ValueError(f"{name}: all points are equal: there is no distance to keep")
    if not _are_apart(distinct):
        reason = "two points are too close together, beside the largest coordinate, for float64"
        raise ValueError(f"{name}: {reason}")
    return DistinctPoints(distinct, len(points) - len(distinct), exponent)


def rescaled(points: Points) -> tuple[Points, int]:
    """The points over 2^e and e, if their squares would leave float64; else the points and 0."""
    exponent = int(torch.frexp(points.abs().max()).exponent)
    if abs(exponent) <= LARGEST_EXPONENT:
        return points, 0
    half = exponent // 2  # since 2^e itself may be out of range
    return points * 2.0**-half * 2.0 ** (half - exponent), exponent


def _are_apart(points: Tensor) -> bool:
    """Whether no two of these distinct points are closer than ``CLOSEST_SQUARE`` allows."""
    closest = CLOSEST_SQUARE * max(1.0, float(points.abs().max())) ** 2
    # Distinct points differ in a coordinate by at least the smallest gap between its values. So
    # sorting each coordinate is enough, unless one coordinate alone has such small gaps.
    gaps = points.sort(dim=0).values.diff(dim=0)
    if not ((gaps > 0) & (gaps.square() < closest)).any():
        return True
    for start in range(0, len(points), BLOCK_SIZE):
        near = squared_distances(points[start : start + BLOCK_SIZE], points[start:]) < closest
        if near.triu(1).any():
            return False
    return True


def squared_distances(rows: Tensor, columns: Tensor) -> Float[Tensor, "rows columns"]:
    """‖x − y‖² by one matrix product; where that cancels, from the differences themselves."""
    row_norms, column_norms = rows.square().sum(dim=1), columns.square().sum(dim=1)
    squares = torch.addmm(column_norms[None, :], rows, columns.T, alpha=-2)
    squares.add_(row_norms[:, None])
    near = (squares <= NEARBY * row_norms[:, None]).nonzero()
    for part in near.split(2**16):
        i, j = part.T
        squares[i, j] = (rows[i] - columns[j]).square().sum(dim=1)
    return squares


class Span(NamedTuple):
    """Centred points in an orthonormal basis, directions of decreasing spread, of their span."""

    coordinates: Float[Tensor, "points rank"]
    basis: Float[Tensor, "rank dimension"]


def span(points: Points) -> Span:
    """Centre the points and rotate them by an SVD; the rank is at most min(n − 1, d)."""
    left, values, right = torch.linalg.svd(points - points.mean(dim=0), full_matrices=False)
    smallest = values[0] * max(points.shape) * torch.finfo(points.dtype).eps
    rank = max(1, int((values > smallest).sum()))
    return Span(left[:, :rank] * values[:rank], right[:rank])


class PairBlocks:
    """1/‖x_i − x_j‖² for i < j, of distinct points in float64, in blocks of ``block_size`` rows."""

    def __init__(
        self, coordinates: Points, block_size: int = BLOCK_SIZE, dtype: torch.dtype = torch.float64
    ) -> None:
        self.block_size = require_at_least("block_size", block_size, 1)
        self.num_points = require_at_least("the number of distinct points", len(coordinates), 2)
        self._coordinates = coordinates
        self._dtype = dtype
        size = self.num_pairs * torch.finfo(dtype).bits // 8
        self._starts = range(0, self.num_points, block_size)
        self._kept: list[Tensor] | None = None
        if size <= KEPT_BYTES:
            self._kept = [self._inverse(start) for start in self._starts]

    @property
    def num_pairs(self) -> int:
        """n(n − 1)/2."""
        return self.num_points * (self.num_points - 1) // 2

    def __iter__(self) -> Iterator[tuple[int, Float[Tensor, "rows columns"]]]:
        """The first row i of each block and its 1/‖x_i − x_j‖², j from i on; 0 where j ≤ i."""
        for number, start in enumerate(self._starts):
            yield start, self._inverse(start) if self._kept is None else self._kept[number]

    def _inverse(self, start: int) -> Float[Tensor, "rows columns"]:
        rows = self._coordinates[start : start + self.block_size]
        inverse = squared_distances(rows, self._coordinates[start:]).reciprocal_()
        inverse[:, : len(rows)].triu_(1)
        return inverse.to(self._dtype)

    def ratios(
        self, images: Float[Tensor, "points components"]
    ) -> Iterator[tuple[int, Float[Tensor, "rows columns"], Float[Tensor, "rows columns"]]]:
        """Each block with its ratios ‖y_i − y_j‖²/‖x_i − x_j‖² of the images y; 0 where j ≤ i."""
        norms = images.square().sum(dim=1)
        for start, inverse in self:
            rows = slice(start, start + len(inverse))
            ratios = torch.addmm(norms[None, start:], images[rows], images[start:].T, alpha=-2)
            yield start, inverse, ratios.add_(norms[rows, None]).mul_(inverse)


class WorstPairs(NamedTuple):
    """The pairs i < j of points with nearly the largest distortion."""

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    inverse: Float[Tensor, " pairs"]  # 1/‖x_i − x_j‖²
    ratios: RatioRange  # over all pairs, listed or not


@torch.no_grad()
def worst_pairs(
    images: Float[Tensor, "points components"], blocks: PairBlocks, margin: float, limit: int
) -> WorstPairs:
    """Pairs whose distortion is within ``margin`` of the largest: at most the ``limit`` worst."""
    low, high, worst = math.inf, 0.0, 0.0
    listed: list[tuple[Tensor, ...]] = []
    for start, inverse, ratios in blocks.ratios(images):
        rows = len(inverse)
        high = max(high, float(ratios.max()))
        ratios[:, :rows] += torch.ones_like(ratios[:, :rows]).tril_()  # 1 where no pair is
        low = min(low, float(ratios.min()))
        distortion = ratios.sub_(1).abs_()
        worst = max(worst, 1 - low, high - 1)
        i, j = (distortion > worst - margin).nonzero().T
        listed.append((i + start, j + start, inverse[i, j], distortion[i, j]))
    first, second, inverses, distortions = (torch.cat(each) for each in zip(*listed, strict=True))
    kept = (distortions > worst - margin).nonzero()[:, 0]
    if len(kept) > limit:
        kept = kept[distortions[kept].topk(limit).indices]
    return WorstPairs(first[kept], second[kept], inverses[kept], RatioRange(low, high))


def ratio_range(images: Float[Tensor, "points components"], blocks: PairBlocks) -> RatioRange:
    """The range of ‖y_i − y_j‖²/‖x_i − x_j‖² over all pairs, in the blocks' precision."""
    return worst_pairs(images, blocks, margin=0.0, limit=1).ratios


@torch.no_grad()
def exact_ratio_range(
    embedding: Embedding, points: Points, block_size: int = BLOCK_SIZE
) -> RatioRange:
    """The range of ‖A(x − y)‖²/‖x − y‖² over all pairs of distinct points, in float64.

    Raises ``ValueError`` if there are none.
    """
    require_at_least("the number of points", len(points), 2)
    require_at_least("block_size", block_size, 1)
    points, _ = rescaled(points.double())
    points = points - points.mean(dim=0)
    images = points @ embedding.double().T
    low, high = math.inf, -math.inf
    for start in range(0, len(points), block_size):
        rows = slice(start, start + block_size)
        distances = squared_distances(points[rows], points[start:])
        ratios = squared_distances(images[rows], images[start:])[distances > 0]
        ratios /= distances[distances > 0]
        if len(ratios):
            low, high = min(low, float(ratios.min())), max(high, float(ratios.max()))
    if low > high:
        raise ValueError("all points are equal: there is no distance to keep")
    return RatioRange(low, high)
