"""The rows of a data matrix as points to embed; sparse ones are not made dense where n < d."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from JohnsonLindenstrauss.pairs import (
    ALL_EQUAL,
    COPY_TOLERANCE,
    Embedding,
    Points,
    distinct_points,
    rescaled,
    squares_by_product,
)

Matrix = Any  # an array or a scipy sparse matrix; these have no common type
# Squared distance over the largest squared norm that the Gram matrix resolves to eight digits.
CLOSEST_IN_GRAM_MATRIX = 1e-8
PAIRS_AT_ONCE = 10_000


class DistinctRows(NamedTuple):
    """The rows of a matrix without copies, in float64, scaled if their squares would overflow."""

    rows: Points | Matrix  # a tensor, or a CSR matrix
    copies: int  # rows left out because they equal an earlier one


class EmbeddingSpace(NamedTuple):
    """Points with the distances of some rows, and how to embed the rows as these points are."""

    points: Points
    error: float  # the largest distortions of the rows and of the points differ by at most this
    lift: Callable[[Embedding], Embedding]  # from an embedding of the points to one of the rows
    lower: Callable[[Embedding], Embedding]  # its transpose

    def part_in_span(
        self, basis: Float[Tensor, "rank coordinates"], embedding: Embedding
    ) -> Embedding:
        """GVVᵀ for an embedding G of the rows: V's columns are the lifted rows of ``basis``."""
        return self.lift(self.lower(embedding) @ basis.T @ basis)


def distinct_rows(matrix: Matrix, name: str) -> DistinctRows:
    """The different rows of a finite matrix, dense or sparse.

    They stay sparse if there are fewer rows than columns, unless two rows are so close that their
    distance is lost in the Gram matrix. Raises ``ValueError``, which calls them ``name``, if all
    are equal or two are too close for float64.
    """
    if scipy.sparse.issparse(matrix) and matrix.shape[0] < matrix.shape[1]:
        rows = scipy.sparse.csr_array(matrix, dtype=np.float64, copy=True)
        if rows.nnz:
            rows.data = rescaled(torch.from_numpy(rows.data[None]))[0][0].numpy()
        found = _without_copies(rows, name)
        if found is not None:
            return found
    dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
    # A copy, since torch accepts neither negative strides nor read-only arrays.
    points = torch.from_numpy(np.array(dense, dtype=np.float64, order="C"))
    distinct = distinct_points(points, name)
    return DistinctRows(distinct.points, distinct.copies)


def _without_copies(rows: Matrix, name: str) -> DistinctRows | None:
    """The sparse rows without copies; None if the Gram matrix can't resolve all distances."""
    norms = rows.multiply(rows).sum(axis=1)
    squares = squares_by_product(rows, rows)
    close = (squares <= CLOSEST_IN_GRAM_MATRIX * norms.max()).triu_(1).nonzero()
    copies = np.zeros(rows.shape[0], dtype=bool)
    for part in close.split(PAIRS_AT_ONCE):
        if len(part):
            i, j = part.T.numpy()
            equal = _are_copies(rows[i], rows[j])
            if not equal.all():
                return None
            copies[j] = True
    if copies.sum() > len(copies) - 2:
        raise ValueError(f"{name}: {ALL_EQUAL}")
    return DistinctRows(rows[~copies], int(copies.sum()))


def _are_copies(first: Matrix, second: Matrix) -> Bool[np.ndarray, " pairs"]:
    """Whether the rows of the two sparse matrices agree within ``COPY_TOLERANCE``, row by row."""
    allowed = COPY_TOLERANCE * abs(first).maximum(abs(second))
    return np.asarray((abs(first - second) > allowed).sum(axis=1) == 0).ravel()


def embedding_space(rows: Points | Matrix) -> EmbeddingSpace:
    """Points to fit an embedding to: dense rows themselves, of sparse ones the coordinates.

    With the centred Gram matrix XXᵀ = UΛUᵀ of n sparse rows X, the coordinates are UΛ^½ in the
    orthonormal basis Λ^{-½}UᵀX of their span, which is never formed: it is as large as the dense
    matrix.
    """
    if isinstance(rows, Tensor):
        return EmbeddingSpace(rows, 0.0, lambda embedding: embedding, lambda embedding: embedding)
    gram = torch.from_numpy((rows @ rows.T).toarray())
    squares = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    means = gram.mean(dim=0)
    gram += means.mean() - means[None, :] - means[:, None]
    values, vectors = torch.linalg.eigh(gram)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    values, vectors = values[kept].flip(0), vectors[:, kept].flip(1)

    def lift(embedding: Embedding) -> Tensor:
        weights = (embedding / values.sqrt()) @ vectors.T
        weights -= weights.mean(dim=1, keepdim=True)  # the mean of the rows times their sum
        return torch.from_numpy(np.ascontiguousarray((rows.T @ weights.numpy().T).T))

    def lower(embedding: Embedding) -> Tensor:
        images = torch.from_numpy(np.ascontiguousarray((rows @ embedding.numpy().T).T))
        images -= images.mean(dim=1, keepdim=True)
        return images @ vectors / values.sqrt()

    points = vectors * values.sqrt()
    error = _distortion_error(squares, points, int(np.diff(rows.indptr).max()))
    return EmbeddingSpace(points, error, lift, lower)


def _distortion_error(squares: Float[Tensor, "rows rows"], points: Points, entries: int) -> float:
    """How much a largest distortion of the points may differ from that of the rows.

    With η the largest relative difference of their squared distances, it is at most 2η/(1 − η) for
    a distortion of at most 1. ``squares``, from a Gram matrix of rows with so many ``entries``, has
    itself the rounding of as many products.
    """
    i, j = torch.triu_indices(len(points), len(points), 1)
    between = squares_by_product(points, points)[i, j]
    norms = points.square().sum(dim=1)
    rounding = (entries + len(points) + 4) * torch.finfo(points.dtype).eps
    differences = (between - squares[i, j]).abs() + rounding * 2 * (norms[i] + norms[j])
    share = float((differences / squares[i, j]).max())
    return 2 * share / (1 - share) if share < 1 else 1.0
