"""Pairs of points in blocks: their distances, what an embedding makes of them, the worst."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from derandomization.checks import require_at_least

BLOCK_SIZE = 256  # rows of the n×n matrices at a time: with 2 000 points a block stays in the cache
# Half of n² inverse distances in float32 are kept up to n = 23 000; beyond, each pass redoes them.
KEPT_BYTES = 2**30
# Squares of lengths from 2^-100 to 2^100 are far from both ends of float64.
LARGEST_EXPONENT = 100
NEARBY = 1e-6  # squared distance over squared norm below which ‖x‖² + ‖y‖² − 2x·y has lost digits


def rescaled(
    points: Float[Tensor, "points dimension"],
) -> tuple[Float[Tensor, "points dimension"], int]:
    """The points over 2^e, if squares of theirs would leave float64, and e; else they, and 0."""
    exponent = int(torch.frexp(points.abs().max()).exponent)
    if abs(exponent) <= LARGEST_EXPONENT:
        return points, 0
    half = exponent // 2  # since 2^e itself may be out of range
    return points * 2.0**-half * 2.0 ** (half - exponent), exponent


def unique_points(
    points: Float[Tensor, "points dimension"],
) -> tuple[Float[Tensor, "unique dimension"], int]:
    """The points without their exact copies, in their order, and how many copies there were."""
    _, owner = torch.unique(points, dim=0, return_inverse=True)
    first = torch.full((int(owner.max()) + 1,), len(points))
    first.scatter_reduce_(0, owner.cpu(), torch.arange(len(points)), "amin")
    kept = first.sort().values.to(points.device)
    return points[kept], len(points) - len(kept)


def squared_distances(
    rows: Float[Tensor, "rows dimension"], columns: Float[Tensor, "columns dimension"]
) -> Float[Tensor, "rows columns"]:
    """‖x − y‖² from one product; where that cancels, from the differences themselves."""
    by_row, by_column = rows.square().sum(dim=1), columns.square().sum(dim=1)
    found = torch.addmm(by_column[None, :], rows, columns.T, alpha=-2).add_(by_row[:, None])
    near = (found <= NEARBY * by_row[:, None]).nonzero()
    for part in near.split(2**16):
        i, j = part.T
        found[i, j] = (rows[i] - columns[j]).square().sum(dim=1)
    return found


class PairBlocks:
    """1/‖x_i − x_j‖² for i < j, a block of rows at a time.

    Args:
        coordinates: of n ≥ 2 distinct points, in float64.
        block_size: rows of a block; a block holds at most ``block_size``·n numbers.
        dtype: of what is given out.
    """

    def __init__(
        self,
        coordinates: Float[Tensor, "points rank"],
        block_size: int = BLOCK_SIZE,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.block_size = require_at_least("block_size", block_size, 1)
        self.num_points = require_at_least("the number of distinct points", len(coordinates), 2)
        self._coordinates = coordinates
        self._dtype = dtype
        size = self.num_pairs * torch.finfo(dtype).bits // 8
        self._kept: list[Tensor] | None = None
        if size <= KEPT_BYTES:
            self._kept = [self._inverse(start) for start in self._starts()]

    @property
    def num_pairs(self) -> int:
        """n(n − 1)/2."""
        return self.num_points * (self.num_points - 1) // 2

    def __iter__(self) -> Iterator[tuple[int, Float[Tensor, "rows columns"]]]:
        """The first row i of each block and its 1/‖x_i − x_j‖², j from i on; 0 where j ≤ i."""
        for number, start in enumerate(self._starts()):
            yield start, self._inverse(start) if self._kept is None else self._kept[number]

    def _starts(self) -> range:
        return range(0, self.num_points, self.block_size)

    def _inverse(self, start: int) -> Float[Tensor, "rows columns"]:
        rows = self._coordinates[start : start + self.block_size]
        inverse = squared_distances(rows, self._coordinates[start:]).reciprocal_()
        inverse[:, : len(rows)].triu_(1)
        return inverse.to(self._dtype)

    def ratios(
        self, images: Float[Tensor, "points components"]
    ) -> Iterator[tuple[int, Float[Tensor, "rows columns"], Float[Tensor, "rows columns"]]]:
        """With each block its ‖y_i − y_j‖²/‖x_i − x_j‖²; 0 where j ≤ i."""
        norms = images.square().sum(dim=1)
        for start, inverse in self:
            stop = start + len(inverse)
            ratios = torch.addmm(
                norms[None, start:], images[start:stop], images[start:].T, alpha=-2
            )
            yield start, inverse, ratios.add_(norms[start:stop, None]).mul_(inverse)


@dataclass(frozen=True)
class WorstPairs:
    """Pairs whose ratio is nearly extreme, and the extremes over all pairs.

    Attributes:
        first, second: their points i < j.
        inverse: 1/‖x_i − x_j‖².
        low, high: smallest and largest ‖y_i − y_j‖²/‖x_i − x_j‖² of all pairs.
    """

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    inverse: Float[Tensor, " pairs"]
    low: float
    high: float


@torch.no_grad()
def worst_pairs(
    images: Float[Tensor, "points components"], blocks: PairBlocks, margin: float, limit: int
) -> WorstPairs:
    """Pairs whose distortion is within ``margin`` of the largest: at most the ``limit`` worst."""
    low, high, worst = math.inf, 0.0, 0.0
    found: list[tuple[Tensor, ...]] = []
    for start, inverse, ratios in blocks.ratios(images):
        rows = len(inverse)
        high = max(high, float(ratios.max()))
        ratios[:, :rows] += torch.ones_like(ratios[:, :rows]).tril_()  # pairs counted elsewhere: 1
        low = min(low, float(ratios.min()))
        distortion = ratios.sub_(1).abs_()
        worst = max(worst, 1 - low, high - 1)
        i, j = (distortion > worst - margin).nonzero().T
        found.append((i + start, j + start, inverse[i, j], distortion[i, j]))
    first, second, inverses, distortions = (torch.cat(each) for each in zip(*found, strict=True))
    kept = (distortions > worst - margin).nonzero()[:, 0]
    if len(kept) > limit:
        kept = kept[distortions[kept].topk(limit).indices]
    return WorstPairs(first[kept], second[kept], inverses[kept], low, high)


@torch.no_grad()
def ratio_range(
    images: Float[Tensor, "points components"], blocks: PairBlocks
) -> tuple[float, float]:
    """Smallest and largest ‖y_i − y_j‖²/‖x_i − x_j‖² over all pairs."""
    found = worst_pairs(images, blocks, margin=0.0, limit=1)
    return found.low, found.high


@torch.no_grad()
def pair_extremes(
    embedding: Float[Tensor, "components dimension"],
    points: Float[Tensor, "points dimension"],
    block_size: int = BLOCK_SIZE,
) -> tuple[float, float]:
    """Smallest and largest ‖A(x − y)‖²/‖x − y‖² over all pairs of distinct points, in float64.

    O(n²(k + d)) time, O(block_size·n) memory. A pair of equal points has no ratio and is left out.

    Raises:
        ValueError: fewer than two points, or no two that differ.
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
    return low, high


def max_pair_distortion(
    embedding: Float[Tensor, "components dimension"],
    points: Float[Tensor, "points dimension"],
    block_size: int = BLOCK_SIZE,
) -> float:
    """max |‖A(x − y)‖²/‖x − y‖² − 1| over all pairs of distinct points, in float64."""
    low, high = pair_extremes(embedding, points, block_size)
    return max(high - 1, 1 - low)


def balanced(low: float, high: float) -> tuple[float, float]:
    """The factor on A that balances the extremes about 1, and the distortion it leaves.

    Squared lengths scale by c², so c² = 2/(low + high) makes low and high lie equally far from 1.
    The zero matrix can't be scaled: its distortion is 1.
    """
    if high <= 0:
        return 1.0, 1.0
    return math.sqrt(2 / (low + high)), (high - low) / (high + low)
