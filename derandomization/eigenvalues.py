"""The smallest eigenvalue of a symmetric operator, with a bound on its error."""

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.sparse.linalg as spla
from jaxtyping import Float

# Up to this size a dense solve costs no more than Lanczos, and it misses no eigenvalue.
DENSE_SIZE = 128
# The basis of Lanczos is all orthogonalised again: it may take these bytes, but has some vectors.
BASIS_BYTES, FEWEST_VECTORS, MOST_VECTORS = 2**28, 20, 400
FEWEST_STEPS = 20  # an eigenvector almost orthogonal to the start would be missed by fewer
MAX_STEPS = 20_000


class LanczosError(ValueError):
    """Lanczos did not converge to the tolerance asked for."""


@dataclass(frozen=True)
class Eigenvalue:
    """An approximate eigenvalue; an exact one lies within ``residual`` of ``value``.

    Attributes:
        value, vector: vᵀAv and the unit vector v.
        residual: ‖Av − value·v‖ plus a bound on its rounding error.
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

    The dense answer is certain. Lanczos ends at a residual of ``tolerance`` in the operator's
    units, or raises ``LanczosError``. It may miss an eigenvalue whose eigenvector is almost
    orthogonal to the seeded start vector: the smaller the tolerance, the less likely.
    Cost: one product per Lanczos step, or one per row when dense; one more for the residual.
    ``rough`` is the same operator with cheaper, less accurate products: Lanczos then uses them
    first, and goes on with the accurate ones only where the residual is above ``tolerance``.
    """
    size = operator.shape[0]
    if size <= dense_size:
        return _measured(operator, *_by_dense_solve(operator))
    start = np.random.default_rng(seed).standard_normal(size)
    if rough is not None:
        start, scale, _ = _by_lanczos(rough, tolerance, start)
        found = _measured(operator, start, scale)
        if found.residual <= tolerance:
            return found
    vector, scale, residual = _by_lanczos(operator, tolerance, start)
    if residual > tolerance:
        raise LanczosError(
            f"Lanczos found no smallest eigenvalue of a {size}×{size} operator to "
            f"{tolerance:g}: its residual is {residual:.2g} after {MAX_STEPS} steps"
        )
    return _measured(operator, vector, scale)


def _measured(
    operator: spla.LinearOperator, vector: Float[np.ndarray, " size"], scale: float
) -> Eigenvalue:
    """The eigenvalue of an approximate unit eigenvector, with rounding relative to a scale."""
    image = operator @ vector
    value = float(vector @ image)
    rounding = len(vector) * float(np.finfo(float).eps) * scale
    return Eigenvalue(value, float(np.linalg.norm(image - value * vector)) + rounding, vector)


def _by_dense_solve(operator: spla.LinearOperator) -> tuple[np.ndarray, float]:
    """The unit eigenvector, and the norm of the operator, to which rounding is relative."""
    dense = operator @ np.eye(operator.shape[0])
    dense = (dense + dense.T) / 2
    _, vectors = scipy.linalg.eigh(dense, subset_by_index=(0, 0))
    return vectors[:, 0] / np.linalg.norm(vectors[:, 0]), float(np.linalg.norm(dense))


def _by_lanczos(
    operator: spla.LinearOperator, tolerance: float, start: Float[np.ndarray, " size"]
) -> tuple[np.ndarray, float, float]:
    """The unit eigenvector, an estimate of the operator's norm, and one of the residual.

    Each vector is made orthogonal to the whole basis, twice: the projected matrix is then also
    right after a restart, which keeps half of the Ritz vectors (thick restart). All is computed in
    the operator's dtype.

    References:
        Wu, Simon, *Thick-restart Lanczos method for large symmetric eigenvalue problems*, SIAM J.
        Matrix Anal. Appl. 22 (2000).
    """
    size, dtype = operator.shape[0], operator.dtype
    vectors = BASIS_BYTES // (size * dtype.itemsize)
    vectors = min(size, max(FEWEST_VECTORS, min(MOST_VECTORS, vectors)))
    basis = np.empty((vectors + 1, size), dtype)
    basis[0] = start / np.linalg.norm(start)
    projected = np.zeros((vectors, vectors))
    count, check, scale = 0, FEWEST_STEPS, 0.0
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
        exhausted = length <= np.finfo(dtype).eps * scale
        if exhausted or step in (check, MAX_STEPS) or count == vectors:
            check = step + max(1, step // 20)
            values, rotation = np.linalg.eigh(projected[:count, :count])
            scale = max(scale, float(np.abs(values).max()))
            residual = 0.0 if exhausted else length * abs(float(rotation[-1, 0]))
            if residual <= tolerance or step == MAX_STEPS:
                break
        basis[count] = image / length
        if count == vectors:
            count = vectors // 2
            basis[:count] = rotation[:, :count].T.astype(dtype) @ basis[:vectors]
            basis[count] = basis[vectors]
            projected[:] = 0
            np.fill_diagonal(projected[:count, :count], values[:count])
    vector = (rotation[:, 0].astype(dtype) @ basis[: len(rotation)]).astype(np.float64)
    return vector / np.linalg.norm(vector), scale, residual
