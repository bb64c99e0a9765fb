"""Inputs in units in which a network, or another method, treats all directions alike."""

import numpy as np
from jaxtyping import Float

SMALLEST_DEVIATION = 1e-12  # of a column, as a share of its largest entry: below it is rounding
SMALLEST_VARIANCE = 1e-10  # of a direction, as a share of the largest: below it is rounding


def whitening(
    inputs: Float[np.ndarray, "points features"],
) -> tuple[Float[np.ndarray, " features"], Float[np.ndarray, "features r"]]:
    """The mean m, and S such that ``(inputs − m) @ S`` is in standard deviations of the features.

    With more than twice as many rows as features, the r coordinates are also uncorrelated with
    variance 1; with fewer the sample covariance says little about the small eigenvalues. Features
    that are constant up to rounding are left out, and then directions without variance;
    ``ValueError`` if nothing is left.
    """
    count, features = inputs.shape
    mean = inputs.mean(axis=0)
    centred = inputs - mean
    deviations = centred.std(axis=0)
    varying = np.flatnonzero(deviations > SMALLEST_DEVIATION * np.abs(inputs).max(axis=0))
    if len(varying) == 0:
        raise ValueError("X has the same row everywhere: at least one feature must vary")
    scaling = np.zeros((features, len(varying)))
    scaling[varying, np.arange(len(varying))] = 1 / deviations[varying]
    _, spreads, axes = np.linalg.svd(centred @ scaling / count**0.5, full_matrices=False)
    kept = spreads**2 > SMALLEST_VARIANCE * spreads[0] ** 2
    every = int(kept.sum()) == len(varying)
    if count <= 2 * features:
        return mean, scaling if every else scaling @ axes[kept].T
    # The symmetric root, where all directions are kept, turns the features as little as possible.
    root = axes[kept].T / spreads[kept]
    return mean, scaling @ (root @ axes if every else root)
