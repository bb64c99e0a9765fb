"""Points that have distances: in range, different from each other, and told apart by float64."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from JohnsonLindenstrauss.pairs import BLOCK_SIZE, rescaled, squared_distances, unique_points

# Beside a largest coordinate of 1 this is a distance of 1e-140, and its inverse is in range.
CLOSEST_SQUARE = 1e-280


@dataclass(frozen=True)
class DistinctPoints:
    """Points for all of whose pairs ratios of squared distances can be computed.

    Attributes:
        points: in float64, each once, in their order.
        copies: how many were left out because they equal an earlier one.
        exponent: they are the given ones over 2^exponent, on which no ratio depends; 0 unless
            squares would leave float64.
    """

    points: Float[Tensor, "points dimension"]
    copies: int
    exponent: int


def distinct_points(points: Float[Tensor, "points dimension"], name: str) -> DistinctPoints:
    """The points fit for all pairs.

    Args:
        points: finite numbers.
        name: what a message calls them.

    Raises:
        ValueError: no two that differ, or two too close together to be told apart beside the rest.
    """
    scaled, exponent = rescaled(points.double())
    distinct, copies = unique_points(scaled)
    if len(distinct) < 2:
        raise ValueError(f"{name}: all points are equal: there is no distance to keep")
    if not _apart(distinct):
        reason = "two points are too close together, beside the largest coordinate, for float64"
        raise ValueError(f"{name}: {reason}")
    return DistinctPoints(distinct, copies, exponent)


def _apart(points: Tensor) -> bool:
    """Whether no two distinct points are closer than ``CLOSEST_SQUARE`` allows."""
    closest = CLOSEST_SQUARE * max(1.0, float(points.abs().max())) ** 2
    # Distinct points differ in a coordinate, by no less than its values do: a sort is enough,
    # but for data in which a coordinate alone is that fine.
    gaps = points.sort(dim=0).values.diff(dim=0)
    if not ((gaps > 0) & (gaps.square() < closest)).any():
        return True
    for start in range(0, len(points), BLOCK_SIZE):
        rows = points[start : start + BLOCK_SIZE]
        near = squared_distances(rows, points[start:]) < closest
        if near.triu(1).any():
            return False
    return True
