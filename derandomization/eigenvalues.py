"""The smallest eigenvalue of a symmetric operator, with the error it was found to."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg as spla

# Up to this size n products and a dense solve cost no more than Lanczos, and miss nothing.
DENSE_SIZE = 128
LANCZOS_VECTORS = 40  # twice ARPACK's default: fewer restarts where eigenvalues cluster at zero


@dataclass(frozen=True)
class Eigenvalue:
    """An approximate eigenvalue; an exact one lies within ``residual`` of ``value``."""

    value: float
    residual: float

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
    """λ_min of a symmetric operator: dense when small, else Lanczos from a seeded start.

    Lanczos runs on σI − A with σ above A's spectral radius, where ARPACK's relative tolerance
    becomes an absolute one: λ_min itself may be zero. Cost: one product a Lanczos step.

    Args:
        operator: symmetric, anything that multiplies a numpy vector.
        tolerance: residual asked of Lanczos, in the operator's units.
        seed: of the start vector.
        dense_size: up to this size the answer is certain; above it Lanczos finds λ_min with
            probability one over its start, and its residual tells how closely.

    Raises:
        ValueError: Lanczos did not converge; says how far it came.
    """
    size = operator.shape[0]
    if size <= dense_size:
        dense = operator @ np.eye(size)
        dense = (dense + dense.T) / 2
        rounding = size * float(np.finfo(float).eps * np.linalg.norm(dense))
        return Eigenvalue(float(np.linalg.eigvalsh(dense)[0]), rounding)
    rng = np.random.default_rng(seed)
    start = rng.standard_normal(size)
    if not np.any(operator @ start):
        return Eigenvalue(0.0, 0.0)  # the zero operator, on which ARPACK can't start
    try:
        # ARPACK draws a new vector where it meets an invariant subspace: from ``rng``, to repeat.
        largest = spla.eigsh(
            operator, k=1, which="LM", v0=start, tol=1e-2, return_eigenvectors=False, rng=rng
        )
        shift = 1.1 * float(np.abs(largest[0]))
        flipped = spla.LinearOperator(
            operator.shape, matvec=lambda v: shift * v - operator @ v, dtype=np.float64
        )
        _, vectors = spla.eigsh(
            flipped,
            k=1,
            which="LA",
            v0=start,
            tol=tolerance / shift,
            ncv=LANCZOS_VECTORS,
            rng=rng,
        )
    except spla.ArpackNoConvergence as failure:
        raise ValueError(
            f"Lanczos found no smallest eigenvalue of a {size}×{size} operator to "
            f"{tolerance:g}: {failure}"
        ) from failure
    vector = vectors[:, 0] / np.linalg.norm(vectors[:, 0])
    image = operator @ vector
    value = float(vector @ image)
    rounding = size * float(np.finfo(float).eps) * shift
    return Eigenvalue(value, float(np.linalg.norm(image - value * vector)) + rounding)
