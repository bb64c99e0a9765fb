"""The smallest eigenvalue of a symmetric operator, with a bound on its error."""

from dataclasses import dataclass, field

import numpy as np
import scipy.linalg
import scipy.sparse.linalg as spla
from jaxtyping import Float

# Up to this size a dense solve costs no more than Lanczos, and it misses no eigenvalue.
DENSE_SIZE = 128
# Twice ARPACK's default: fewer restarts where eigenvalues cluster at 0. Fewer, down to its default,
# where so many would take more than 128 MiB.
LANCZOS_VECTORS, FEWEST_VECTORS, MAX_NUMBERS = 40, 20, 2**24


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
) -> Eigenvalue:
    """λ_min of a symmetric operator: dense up to ``dense_size`` rows, else by Lanczos.

    The dense answer is certain. Lanczos ends at a residual of ``tolerance`` in the operator's
    units, or raises ``LanczosError``. It may miss an eigenvalue whose eigenvector is almost
    orthogonal to the seeded start vector: the smaller the tolerance, the less likely.
    Cost: one product per Lanczos step, or one per row when dense; one more for the residual.
    """
    size = operator.shape[0]
    if size <= dense_size:
        vector, scale = _by_dense_solve(operator)
    else:
        vector, scale = _by_lanczos(operator, tolerance, seed)
    image = operator @ vector
    value = float(vector @ image)
    rounding = size * float(np.finfo(float).eps) * scale
    return Eigenvalue(value, float(np.linalg.norm(image - value * vector)) + rounding, vector)


def _by_dense_solve(operator: spla.LinearOperator) -> tuple[np.ndarray, float]:
    """The unit eigenvector, and the norm of the operator, to which rounding is relative."""
    dense = operator @ np.eye(operator.shape[0])
    dense = (dense + dense.T) / 2
    _, vectors = scipy.linalg.eigh(dense, subset_by_index=(0, 0))
    return vectors[:, 0] / np.linalg.norm(vectors[:, 0]), float(np.linalg.norm(dense))


def _by_lanczos(
    operator: spla.LinearOperator, tolerance: float, seed: int
) -> tuple[np.ndarray, float]:
    """The same by Lanczos on σI − A, with σ above A's spectral radius.

    This turns ARPACK's relative tolerance into an absolute one: λ_min itself may be zero.
    """
    size = operator.shape[0]
    rng = np.random.default_rng(seed)
    start = rng.standard_normal(size)
    start /= np.linalg.norm(start)
    if not np.any(operator @ start):  # the zero operator, on which ARPACK can't start
        return start, 0.0
    try:
        # ARPACK draws new vectors at an invariant subspace: from ``rng``, so that runs repeat.
        largest = spla.eigsh(
            operator, k=1, which="LM", v0=start, tol=1e-2, return_eigenvectors=False, rng=rng
        )
        shift = 1.1 * float(np.abs(largest[0]))
        flipped = spla.LinearOperator(
            operator.shape, matvec=lambda v: shift * v - operator @ v, dtype=np.float64
        )
        count = max(FEWEST_VECTORS, min(LANCZOS_VECTORS, MAX_NUMBERS // size))
        _, vectors = spla.eigsh(
            flipped, k=1, which="LA", v0=start, tol=tolerance / shift, ncv=count, rng=rng
        )
    except spla.ArpackNoConvergence as failure:
        raise LanczosError(
            f"Lanczos found no smallest eigenvalue of a {size}×{size} operator to "
            f"{tolerance:g}: {failure}"
        ) from failure
    return vectors[:, 0] / np.linalg.norm(vectors[:, 0]), shift
