"""The smallest eigenvalue of a symmetric operator, with a bound on its error."""

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.sparse.linalg as spla
from jaxtyping import Float

# Up to this size a dense solve costs no more than Lanczos, and it misses no eigenvalue.
DENSE_SIZE = 128
# The basis of Lanczos is all orthogonalised again: it may take these bytes, but has some vectors.
BASIS_BYTES, FEWEST_VECTORS, MOST_VECTORS = 2**28, 20, 150
MAX_STEPS = 20_000
# The probability that the random start vector hides an eigenvalue below ``lower_end``.
FAILURE = 1e-3


class LanczosError(ValueError):
    """A product with the operator is not finite."""


@dataclass(frozen=True)
class Eigenvalue:
    """An approximate smallest eigenvalue, and how far it may be from the exact one.

    Attributes:
        value, vector: vᵀAv and the unit vector v.
        residual: λ_min lies within this of ``value``: for a dense solve certainly, for Lanczos with
            a probability of 99.9% over its random start.
    """

    value: float
    residual: float
    vector: Float[np.ndarray, " size"] = field(
        default_factory=lambda: np.empty(0), compare=False, repr=False
    )

    @property
    def lower_end(self) -> float:
        return self.value - self.residual


def smallest_eigenvalue(
    operator: spla.LinearOperator,
    *,
    tolerance: float,
    seed: int = 0,
    dense_size: int = DENSE_SIZE,
    rough: spla.LinearOperator | None = None,
) -> Eigenvalue:
    """λ_min of a symmetric operator: dense up to ``dense_size`` rows, else by Lanczos.

    Lanczos ends at a residual of ``tolerance`` in the operator's units, or at a larger one after
    ``MAX_STEPS`` steps. It costs one product per step, the dense solve one per row.
    ``rough`` is the same operator with cheaper, less accurate products. Lanczos takes it if its
    errors are small compared with ``tolerance``, and adds them to the residual.

    Raises:
        LanczosError: a product is not finite.
    """
    size = operator.shape[0]
    if size <= dense_size:
        return _measured(operator, *_by_dense_solve(operator))
    start = np.random.default_rng(seed).standard_normal(size)
    start /= np.linalg.norm(start)
    if rough is not None and 8 * _difference(operator, rough, start) <= tolerance:
        vector, scale, doubt = _by_lanczos(rough, tolerance / 2, start)
        doubt += 2 * _difference(operator, rough, vector)
        if doubt <= tolerance:
            return _measured(operator, vector, scale, doubt)
    return _measured(operator, *_by_lanczos(operator, tolerance, start))


def _difference(
    operator: spla.LinearOperator, rough: spla.LinearOperator, vector: Float[np.ndarray, " size"]
) -> float:
    """How far apart the products with a unit vector are; infinite if one is not finite."""
    difference = float(np.linalg.norm(operator @ vector - rough @ vector))
    return difference if np.isfinite(difference) else np.inf


def _measured(
    operator: spla.LinearOperator,
    vector: Float[np.ndarray, " size"],
    scale: float,
    doubt: float | None = None,
) -> Eigenvalue:
    """The eigenvalue of an approximate eigenvector, with rounding relative to a scale.

    ``doubt`` is how much lower λ_min may be; by default the residual of the vector.
    """
    image = operator @ vector
    value = float(vector @ image)
    residual = float(np.linalg.norm(image - value * vector)) if doubt is None else doubt
    rounding = len(vector) * float(np.finfo(float).eps) * scale
    return Eigenvalue(value, residual + rounding, vector)


def _by_dense_solve(operator: spla.LinearOperator) -> tuple[np.ndarray, float]:
    """The unit eigenvector, and the norm of the operator, to which rounding is relative."""
    dense = operator @ np.eye(operator.shape[0])
    dense = (dense + dense.T) / 2
    _, vectors = scipy.linalg.eigh(dense, subset_by_index=(0, 0))
    return vectors[:, 0] / np.linalg.norm(vectors[:, 0]), float(np.linalg.norm(dense))


def _by_lanczos(
    operator: spla.LinearOperator, tolerance: float, start: Float[np.ndarray, " size"]
) -> tuple[np.ndarray, float, float]:
    """The unit Ritz vector, an estimate of the operator's norm, and how much lower λ_min may be.

    Each vector is made orthogonal to the whole basis, twice: the projected matrix is then also
    right after a restart, which keeps half of the Ritz vectors (thick restart).

    A small residual r does not mean that no eigenvalue is lower: the Ritz vector y may be a mixture
    that has not yet separated. But y = p(A)q for the start vector q and a polynomial p whose zeros
    z are the other Ritz values and those that restarts have dropped, and p(θ) = 1/⟨q, y⟩ at the
    Ritz value θ. A unit eigenvector u of λ < θ has |⟨u, y⟩| = |p(λ)||⟨u, q⟩|, and |⟨u, y⟩|(θ − λ)
    is at most r. So d = θ − λ fulfils d·Π(1 + d/(z − θ)) ≤ r·|⟨q, y⟩|/|⟨u, q⟩|. For a random q,
    |⟨u, q⟩| is below c/√n with a probability below c. After a restart this holds to first order
    in r.

    References:
        Wu, Simon, *Thick-restart Lanczos method for large symmetric eigenvalue problems*, SIAM J.
        Matrix Anal. Appl. 22 (2000).
    """
    size = len(start)
    is_single = operator.dtype == np.float32
    dtype, rounding = (np.float32, 2.0**-23) if is_single else (np.float64, 2.0**-52)
    vectors = BASIS_BYTES // (size * (4 if is_single else 8))
    vectors = min(size, max(FEWEST_VECTORS, min(MOST_VECTORS, vectors)))
    basis = np.empty((vectors + 1, size), dtype)
    basis[0] = start
    projected = np.zeros((vectors, vectors))
    dropped: list[np.ndarray] = []
    count, check, scale = 0, 1, 0.0
    for step in range(1, MAX_STEPS + 1):
        known = basis[: count + 1]
        image = operator @ known[-1]
        inner = known @ image
        image = image - inner @ known
        again = known @ image
        image -= again @ known
        count += 1
        projected[:count, count - 1] = projected[count - 1, :count] = inner + again
        length = float(np.linalg.norm(image))
        if not np.isfinite(length):
            raise LanczosError(f"a product of the {size}×{size} operator is not finite")
        scale = max(scale, float(np.linalg.norm(inner + again)))
        # Less is rounding alone: the basis spans an invariant subspace.
        exhausted = length <= rounding * size**0.5 * scale
        if exhausted or step in (check, MAX_STEPS) or count == vectors:
            check = step + max(1, step // 20)
            values, rotation = np.linalg.eigh(projected[:count, :count])
            scale = max(scale, float(np.abs(values).max()))
            residual = 0.0 if exhausted else length * abs(float(rotation[-1, 0]))
            if residual <= tolerance or step == MAX_STEPS:
                vector = _ritz_vector(rotation, basis)
                zeros = np.concatenate([values[1:], *dropped]) - values[0]
                hidden = abs(float(vector @ start)) * size**0.5 / FAILURE
                least = rounding * size**0.5 * scale
                doubt = _deepest(residual, hidden, np.maximum(zeros, least))
                if doubt <= tolerance or step == MAX_STEPS:
                    break
        basis[count] = image / length
        if count == vectors:
            count = vectors // 2
            dropped.append(values[count:])
            basis[:count] = rotation[:, :count].T.astype(dtype) @ basis[:vectors]
            basis[count] = basis[vectors]
            projected[:] = 0
            np.fill_diagonal(projected[:count, :count], values[:count])
    return vector, scale, doubt


def _ritz_vector(
    rotation: Float[np.ndarray, "count count"], basis: Float[np.ndarray, "vectors size"]
) -> Float[np.ndarray, " size"]:
    """The unit vector of the smallest Ritz value, in float64."""
    vector = (rotation[:, 0].astype(basis.dtype) @ basis[: len(rotation)]).astype(np.float64)
    return vector / np.linalg.norm(vector)


def _deepest(residual: float, hidden: float, zeros: Float[np.ndarray, " zeros"]) -> float:
    """The largest d with d·Π(1 + d/z) ≤ residual·hidden, at least the residual."""
    low, high = 0.0, residual * hidden
    limit = math.log(high) if high else -math.inf
    for _ in range(60):
        middle = (low + high) / 2
        if middle and math.log(middle) + float(np.log1p(middle / zeros).sum()) <= limit:
            low = middle
        else:
            high = middle
    return max(residual, high)
