"""Weighted edges as files and callers list them: weights by name, and edges listed twice."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from derandomization.files.arrays import SparseMatrix
from derandomization.files.content import parse_number

# Numbers under these names tell edges apart; they are no weights.
_IDENTIFIERS = ("id", "key", "source", "target")
LONGEST_NAME = 60


class EdgeList(NamedTuple):
    """Weighted edges as a file lists them; parallel edges and self-loops are allowed."""

    labels: tuple[Hashable, ...]  # the name of each vertex
    ends: Int[np.ndarray, "edges 2"]  # the positions of each edge's two ends among the labels
    weights: Float[np.ndarray, " edges"]


class AdjacencyMatrix(NamedTuple):
    """A sparse matrix that a file holds; it is not yet known to be a graph's."""

    matrix: SparseMatrix
    labels: tuple[Hashable, ...]


DEFAULT_WEIGHT = "weight"


@dataclass
class WeightAttribute:
    """The weights that edges have under a name; an edge without that name has weight 1."""

    name: str
    num_edges: int = 0
    num_missing: int = 0
    other: Hashable = None  # another numeric attribute of an edge that lacks the name

    def of(self, attributes: Mapping) -> object:
        """The weight among an edge's attributes, as it is stored there; 1.0 if there is none."""
        self.num_edges += 1
        if self.name in attributes:
            return attributes[self.name]
        self.num_missing += 1
        if self.other is None:
            self.other = next(filter(None, map(_numeric_name, attributes.items())), None)
        return 1.0

    def warning(self) -> str | None:
        """What to tell the caller about the edges that lack the name; None if that is nothing.

        Raises ``ValueError`` if no edge has a name that is not the default: the caller chose it.
        """
        if 0 < self.num_missing < self.num_edges:
            lacking = f"{self.num_missing} of {self.num_edges} edges have no {self.name!r}"
            return f"{lacking}: each of them has weight 1"
        if not self.num_missing:
            return None
        choice = ""
        if self.other is not None:
            other = str(self.other)[:LONGEST_NAME]
            choice = (
                f"; choose the numbers under {other!r} by weight={other!r} (--weight {other!r})"
            )
        if self.name != DEFAULT_WEIGHT:
            raise ValueError(f"no edge has a weight {self.name!r}{choice}")
        reason = f"no edge has a weight {self.name!r}, so every edge has weight 1"
        return reason + choice if choice else None


def _numeric_name(attribute: tuple[Hashable, object]) -> Hashable:
    name, value = attribute
    numeric = isinstance(value, Real) and not isinstance(value, bool)
    return name if numeric and str(name).lower() not in _IDENTIFIERS else None


def weight_number(value: object) -> float:
    """The weight as a float; NaN if it is no number. A text must be one by ``parse_number``."""
    if isinstance(value, str | bytes):
        return parse_number(value.strip())
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def edge_weight(value: object, u: Hashable, v: Hashable) -> float:
    """The weight as a float; an error names the edge, its ends u and v."""
    weight = weight_number(value)
    if not math.isfinite(weight):
        raise ValueError(
            f"the weight of the edge {u!r} – {v!r} is {value!r}: it must be a finite number"
        )
    return weight


def opposite_edges(*, directed: bool) -> str:
    """What to tell the caller if ``one_direction`` finds that every edge is listed twice."""
    kept = "the two weights are summed" if directed else "each counts once"
    return f"every edge is listed in both directions, with equal weights: {kept}"


def one_direction(
    ends: Int[np.ndarray, "edges 2"], weights: Float[np.ndarray, " edges"]
) -> Bool[np.ndarray, " edges"] | None:
    """Which edges to keep of a list that names every edge twice, once in each direction.

    None unless both directions of every edge are there, each once, with equal weights.
    """
    forward, backward = ends[:, 0] < ends[:, 1], ends[:, 0] > ends[:, 1]
    if not forward.any() or forward.sum() != backward.sum():
        return None
    there, back = _ordered(ends, weights, forward), _ordered(ends[:, ::-1], weights, backward)
    repeated = (there[0][1:] == there[0][:-1]).all(axis=1).any()
    if repeated or not all(map(np.array_equal, there, back)):
        return None
    return ~backward


def _ordered(ends: np.ndarray, weights: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, ...]:
    """The kept edges in an order that depends only on their ends."""
    ends, weights = ends[kept], weights[kept]
    order = np.lexsort(ends.T)
    return ends[order], weights[order]
