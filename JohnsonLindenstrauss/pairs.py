"""Pairs of points in blocks: their distances, the ratios an embedding gives them, the worst pairs.

A pair's ratio is ‖A(x − y)‖²/‖x − y‖², and its distortion is |ratio − 1|.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from derandomization.checks import require_at_least
from JohnsonLindenstrauss.settings import BLOCK_SIZE

Points = Float[Tensor, "points dimension"]
Embedding = Float[Tensor, "components dimension"]

MOST_COLUMNS = 2_048  # of a block: 1 MiB of float32 stays in the cache
# Half of n² inverse distances in float32 are kept up to n = 23 000; else each pass recomputes them.
KEPT_BYTES = 2**30
# Squares of lengths from 2^-100 to 2^100 are far from both ends of float64.
LARGEST_EXPONENT = 100
NEARBY = 1e-6  # squared distance over squared norm below which ‖x‖² + ‖y‖² − 2x·y has lost digits
# The same for a descent, which needs fewer digits: above them ratios are off by at most 1e-3
# in float32 and 1e-5 in float64.
CLOSEST_IN_FLOAT32 = 1e-3
CLOSEST_IN_FLOAT64 = 1e-10
UNRESOLVED = 1e-26  # the share below which even the difference of two rotated points is rounding
NUMBERS_AT_ONCE = 2**22  # in the differences of near pairs: 32 MiB
COPY_TOLERANCE = 4 * torch.finfo(torch.float64).eps  # coordinates of copies differ by so little
COPY_DISTANCE = 1e-6  # of the spread: where an offset hides all else, differences of 1 ulp are data
# With a largest coordinate of 1 this is a distance of 1e-140, whose inverse square is in range.
CLOSEST_SQUARE = 1e-280

ALL_EQUAL = "all points are equal: there is no distance to keep"


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
    copies: int  # points left out because they equal an earlier one within 4 units of rounding
    exponent: int  # 0 unless squares would leave float64


def distinct_points(points: Points, name: str) -> DistinctPoints:
    """The points without copies, in float64, scaled if their squares would overflow.

    A copy differs from an earlier point in no coordinate by more than 4 units of float64's
    rounding, relative to that coordinate, and by at most 1e-6 of the points' spread. Two points of
    which one was rounded to float32 are no copies.

    Raises ``ValueError``, which calls them ``name``, if all are equal, two are too close, or they
    are no finite matrix.
    """
    if points.ndim != 2 or 0 in points.shape:
        raise ValueError(f"{name}: a matrix with rows and columns is needed, not {points.shape}")
    if not points.isfinite().all():
        raise ValueError(f"{name}: all entries must be finite numbers")
    scaled, exponent = rescaled(points.double())
    _, owner = torch.unique(scaled, dim=0, return_inverse=True)
    first = torch.full((int(owner.max()) + 1,), len(scaled))
    first.scatter_reduce_(0, owner.cpu(), torch.arange(len(scaled)), "amin")
    distinct = scaled[first.sort().values.to(scaled.device)]
    distinct = distinct[~_rounded_copies(distinct)]
    if len(distinct) < 2:
        raise ValueError(f"{name}: {ALL_EQUAL}")
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


def _rounded_copies(points: Points) -> Bool[Tensor, " points"]:
    """Whether each of these different points is within ``COPY_TOLERANCE`` of an earlier one."""
    # Copies have nearly equal projections on any direction, so only neighbours there are compared.
    generator = torch.Generator().manual_seed(0)
    direction = torch.rand(points.shape[1], generator=generator, dtype=torch.float64) + 0.5
    direction = direction.to(points.device)
    rounding = (points.shape[1] + 4) * torch.finfo(torch.float64).eps
    tolerance = rounding * (points.abs() @ direction)
    projections, order = (points @ direction).sort()
    tolerance = tolerance[order]
    copies = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    spread = (points - points.mean(dim=0)).square().sum(dim=1).mean()
    for lag in range(1, len(points)):
        gaps = projections[lag:] - projections[:-lag]
        if not (gaps <= 2 * tolerance.max()).any():
            break
        close = (gaps <= tolerance[lag:] + tolerance[:-lag]).nonzero()[:, 0]
        for part in close.split(max(1, NUMBERS_AT_ONCE // points.shape[1])):
            i, j = order[part], order[part + lag]
            x, y = points[i], points[j]
            equal = (x - y).abs() <= COPY_TOLERANCE * torch.maximum(x.abs(), y.abs())
            near = (x - y).square().sum(dim=1) <= COPY_DISTANCE**2 * spread
            equal_rows = equal.all(dim=1) & near
            copies[torch.maximum(i, j)[equal_rows]] = True
    return copies


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
    squares = squares_by_product(rows, columns)
    for i, j in near_parts(_near(squares, _squared_norms(rows)), rows.shape[1]):
        squares[i, j] = (rows[i] - columns[j]).square().sum(dim=1)
    return squares


def squares_by_product(rows: Any, columns: Any) -> Float[Tensor, "rows columns"]:
    """‖x‖² + ‖y‖² − 2x·y of tensors or sparse matrices."""
    norms = _squared_norms(columns)[None, :]
    if scipy.sparse.issparse(rows):
        squares = norms - 2 * torch.from_numpy((rows @ columns.T).toarray())
    else:
        squares = torch.addmm(norms, rows, columns.T, alpha=-2)
    return squares.add_(_squared_norms(rows)[:, None])


def _rows(points: Any, indices: Int[Tensor, " rows"]) -> Any:
    """These rows of a tensor or a sparse matrix."""
    return points[indices.numpy()] if scipy.sparse.issparse(points) else points[indices]


def _squared_norms(points: Any) -> Float[Tensor, " points"]:
    if scipy.sparse.issparse(points):
        return torch.from_numpy(np.asarray(points.multiply(points).sum(axis=1)).ravel())
    return points.square().sum(dim=1)


def _product(points: Any, embedding: Embedding) -> Float[Tensor, "points components"]:
    """Ax for each row x of a tensor or a sparse matrix."""
    if scipy.sparse.issparse(points):
        return torch.from_numpy(np.asarray(points @ embedding.numpy().T))
    return points @ embedding.T


def _near(squares: Tensor, row_norms: Tensor) -> Int[Tensor, "pairs 2"]:
    """Row and column of the distances that the expanded square has lost digits of."""
    return _at_most(squares, NEARBY * row_norms)


def _at_most(matrix: Tensor, limits: Float[Tensor, " rows"]) -> Int[Tensor, "entries 2"]:
    """Row and column of the entries at most the limit of their row; quick where there are none."""
    rows = (matrix.amin(dim=1) <= limits).nonzero()[:, 0]
    entries = (matrix[rows] <= limits[rows, None]).nonzero()
    entries[:, 0] = rows[entries[:, 0]]
    return entries


def _tiles(num_points: int, block_size: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of blocks that cover all pairs i < j; square ones lie on the diagonal."""
    for start in range(0, num_points, block_size):
        stop = min(start + block_size, num_points)
        for column in range(start, num_points, max(block_size, MOST_COLUMNS)):
            last = min(column + max(block_size, MOST_COLUMNS), num_points)
            yield slice(start, stop), slice(column, last)


def near_parts(pairs: Int[Tensor, "pairs 2"], dimension: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of so many pairs at a time that their differences fit in the memory."""
    for part in pairs.split(max(1, NUMBERS_AT_ONCE // dimension)):
        if len(part):
            yield part[:, 0], part[:, 1]


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


class PairBlock(NamedTuple):
    """The pairs i < j of some rows i and columns j, which on the diagonal start at one point."""

    start: int  # the first row
    column: int  # the first column
    inverse: Float[Tensor, "rows columns"]  # 1/‖x_i − x_j‖²; 0 where j ≤ i, or unresolved
    # Row and column of the pairs that are too near for products: only in float64 there are any.
    near: Int[Tensor, "pairs 2"]


class PairBlocks:
    """1/‖x_i − x_j‖² for i < j, of distinct points in float64, in blocks of ``block_size`` rows.

    A descent in float32 needs points as far apart as ``working_precision`` asks for; blocks too
    many to be kept are then computed in float32 at each pass. In float64 near pairs are computed
    from differences, of the points and of their images.
    """

    def __init__(
        self, coordinates: Points, block_size: int = BLOCK_SIZE, dtype: torch.dtype = torch.float64
    ) -> None:
        self.block_size = require_at_least("block_size", block_size, 1)
        self.num_points = require_at_least("the number of distinct points", len(coordinates), 2)
        self._dtype = dtype
        size = self.num_pairs * torch.finfo(dtype).bits // 8
        keeps = size <= KEPT_BYTES
        self._coordinates = coordinates if keeps else coordinates.to(dtype)
        self._kept = list(self._blocks()) if keeps else None

    @property
    def num_pairs(self) -> int:
        """n(n − 1)/2."""
        return self.num_points * (self.num_points - 1) // 2

    def __iter__(self) -> Iterator[PairBlock]:
        yield from self._blocks() if self._kept is None else self._kept

    def _blocks(self) -> Iterator[PairBlock]:
        for rows, columns in _tiles(self.num_points, self.block_size):
            yield self._block(rows, columns)

    def _block(self, rows: slice, columns: slice) -> PairBlock:
        points = self._coordinates[rows]
        squares = squared_distances(points, self._coordinates[columns])
        near = torch.zeros(0, 2, dtype=torch.int64, device=points.device)
        if rows.start == columns.start:  # the lower triangle and the diagonal are no pairs
            square = squares[:, : len(points)]
            square += torch.full_like(square, math.inf).tril_()
        inverse = squares.clamp_(min=torch.finfo(squares.dtype).tiny).reciprocal_()
        if self._dtype == torch.float64:
            norms = points.square().sum(dim=1)
            near = _at_most(-inverse, -1 / (CLOSEST_IN_FLOAT64 * norms))
            i, j = near.T
            resolved = inverse[i, j] * (UNRESOLVED * norms[i]) < 1
            inverse[i, j] = torch.where(resolved, inverse[i, j], 0.0)
        return PairBlock(rows.start, columns.start, inverse.to(self._dtype), near)

    def excesses(
        self, images: Float[Tensor, "points components"], offset: float = -1.0
    ) -> Iterator[tuple[PairBlock, Float[Tensor, "rows columns"]]]:
        """Each block with ‖y_i − y_j‖²/‖x_i − x_j‖² + ``offset`` of the images y.

        The ratio counts as 0 in entries that are no pairs i < j, and as 1 for pairs whose distance
        is rounding, so that they move nothing.
        """
        norms, ones = images.square().sum(dim=1, keepdim=True), images.new_ones(len(images), 1)
        # The product of a row of each is ‖y_i‖² + ‖y_j‖² − 2y_i·y_j.
        left, right = torch.cat([-2 * images, norms, ones], 1), torch.cat([images, ones, norms], 1)
        base = images.new_tensor(offset)
        for block in self:
            start, column, inverse, near = block
            rows = slice(start, start + inverse.shape[0])
            columns = slice(column, column + inverse.shape[1])
            squares = left[rows] @ right[columns].T
            excesses = torch.addcmul(base, squares, inverse, out=squares)
            for i, j in near_parts(near, images.shape[1]):
                squares = (images[start + i] - images[column + j]).square().sum(dim=1)
                ratios = torch.where(inverse[i, j] > 0, squares * inverse[i, j], 1.0)
                excesses[i, j] = ratios + offset
            yield block, excesses


def working_precision(coordinates: Points, block_size: int = BLOCK_SIZE) -> torch.dtype:
    """float32 where it resolves the closest pair to three digits, else float64."""
    single = coordinates.float()
    closest = CLOSEST_IN_FLOAT32 * float(single.square().sum(dim=1).max())
    for rows, columns in _tiles(len(single), block_size):
        squares = squares_by_product(single[rows], single[columns])
        if rows.start == columns.start:
            square = squares[:, : len(squares)]
            square += torch.full_like(square, math.inf).tril_()
        if not float(squares.min()) > closest:  # nan if the squares leave float32
            return torch.float64
    return torch.float32


@dataclass(frozen=True)
class WorstPairs:
    """The pairs i < j of points with nearly the largest distortion."""

    first: Int[Tensor, " pairs"]
    second: Int[Tensor, " pairs"]
    inverse: Float[Tensor, " pairs"]  # 1/‖x_i − x_j‖²
    ratios: RatioRange  # over all pairs, listed or not
    num_points: int  # of all points, of which the pairs may miss some

    @cached_property
    def incidence(self) -> Float[Tensor, "points pairs"]:
        """1 where a point is the first of a pair, −1 where it is the second; sparse, by rows.

        A product with it adds up rows of pairs six times as fast as ``Tensor.index_add_``.
        """
        count = len(self.first)
        columns = torch.arange(count, device=self.first.device).repeat(2)
        entries = torch.stack([torch.cat([self.first, self.second]), columns])
        signs = self.inverse.new_ones(2 * count)
        signs[count:] = -1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its sparse tensors unfinished
            shape = (self.num_points, count)
            return torch.sparse_coo_tensor(entries, signs, shape).to_sparse_csr()

    def joined(self, others: "WorstPairs") -> "WorstPairs":
        """These pairs and those of the others that are not among them."""
        codes = self.first * self.num_points + self.second
        new = torch.isin(others.first * self.num_points + others.second, codes, invert=True)
        return WorstPairs(
            torch.cat([self.first, others.first[new]]),
            torch.cat([self.second, others.second[new]]),
            torch.cat([self.inverse, others.inverse[new]]),
            self.ratios,
            self.num_points,
        )


@torch.no_grad()
def worst_pairs(
    images: Float[Tensor, "points components"], blocks: PairBlocks, limit: int
) -> WorstPairs:
    """The ``limit`` pairs with the largest distortion; fewer if others have a distortion of 0."""
    low, high, least = math.inf, 0.0, torch.finfo(torch.float32).tiny
    listed: list[tuple[Tensor, ...]] = []
    count = 0
    for (start, column, inverse, _), excesses in blocks.excesses(images):
        lowest, highest = _extremes(excesses, start == column)
        low, high = min(low, lowest), max(high, highest)
        distortion = excesses.abs_()
        i, j = (distortion >= least).nonzero().T
        listed.append((distortion[i, j], i + start, j + column, inverse[i, j]))
        count += len(i)
        if count > 2 * limit:  # so that few pairs are held, and few of the next blocks listed
            listed = [_worst_listed(listed, limit)]
            count, least = limit, float(listed[0][0][-1])
    _, first, second, inverses = _worst_listed(listed, limit)
    return WorstPairs(first, second, inverses, RatioRange(low, high), blocks.num_points)


def _extremes(excesses: Tensor, on_diagonal: bool) -> tuple[float, float]:
    """The smallest ratio, or 1 if that is less, and the largest; sets entries of no pair to 0."""
    highest = float(excesses.amax())  # where no pair is, they are still -1
    if on_diagonal:
        excesses[:, : len(excesses)].triu_(1)
    return 1 + float(excesses.amin()), 1 + highest


def _worst_listed(listed: list[tuple[Tensor, ...]], limit: int) -> tuple[Tensor, ...]:
    """Of tensors by pair, distortions first, those of the ``limit`` worst pairs, the worst first.

    All, and as they were, if there are no more.
    """
    distortions, *others = (torch.cat(each) for each in zip(*listed, strict=True))
    if len(distortions) <= limit:
        return distortions, *others
    kept = distortions.topk(limit).indices
    return (distortions[kept], *(each[kept] for each in others))


@torch.no_grad()
def ratio_range(images: Float[Tensor, "points components"], blocks: PairBlocks) -> RatioRange:
    """The range of ‖y_i − y_j‖²/‖x_i − x_j‖² over all pairs, in the blocks' precision."""
    low, high = math.inf, 0.0
    for (start, column, _, _), excesses in blocks.excesses(images):
        lowest, highest = _extremes(excesses, start == column)
        low, high = min(low, lowest), max(high, highest)
    return RatioRange(low, high)


@torch.no_grad()
def exact_ratio_range(
    embedding: Embedding, points: Points | Any, block_size: int = BLOCK_SIZE
) -> RatioRange:
    """The range of ‖A(x − y)‖²/‖x − y‖² over all pairs of different points, in float64.

    Where x and y are near, both are computed from x − y: rounding moves a ratio by about 1e-10 of
    the largest one at most. ``points`` are a tensor or a scipy sparse matrix in float64, in range.

    Raises ``ValueError`` if all points are equal.
    """
    require_at_least("the number of points", points.shape[0], 2)
    require_at_least("block_size", block_size, 1)
    embedding = embedding.double()
    centred = points
    if not scipy.sparse.issparse(points):
        points, _ = rescaled(points.double())
        centred = points - points.mean(dim=0)
    images = _product(centred, embedding)
    low, high = math.inf, -math.inf
    for rows, columns in _tiles(points.shape[0], block_size):
        distances = squares_by_product(centred[rows], centred[columns])
        images_apart = squares_by_product(images[rows], images[columns])
        near = _near(distances, _squared_norms(centred[rows]))
        for i, j in near_parts(near, points.shape[1]):
            differences = _rows(points, rows.start + i) - _rows(points, columns.start + j)
            distances[i, j] = _squared_norms(differences)
            images_apart[i, j] = _product(differences, embedding).square().sum(dim=1)
        ratios = images_apart.div_(distances)
        if float(distances.min()) <= 0:  # rows that are equal, such as one and itself
            ratios = ratios[distances > 0]
        if ratios.numel():
            low, high = min(low, float(ratios.min())), max(high, float(ratios.max()))
    if low > high:
        raise ValueError(ALL_EQUAL)
    return RatioRange(low, high)
