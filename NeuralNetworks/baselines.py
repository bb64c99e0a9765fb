"""Methods that find the directions on which labels depend, to compare with: SIR, OPG, rMAVE."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float

from derandomization.checks import require_between
from NeuralNetworks.whitening import whitening

Directions = Float[np.ndarray, "k d"]
SLICES = 10  # of sliced inverse regression
LOCAL_POINTS = 600  # points at which local fits are made; of more than these, a random subset
SCALES = (0.35, 0.5, 1.0)  # of the first bandwidth: the one of least held-out error is kept
SLOWEST = 0.9  # factor of the bandwidth from one iteration to the next, at most
MAX_ITERATIONS = 50
CONVERGED = 1e-3  # change of the projection, largest singular value
RIDGE = 1e-6  # of a least squares fit, relative to the mean diagonal of its matrix


class Whitened(NamedTuple):
    """Points whitened or scaled (see ``whitening``), and the matrix S that did it."""

    inputs: Float[np.ndarray, "points r"]
    scaling: Float[np.ndarray, "d r"]

    @classmethod
    def of(cls, inputs: Float[np.ndarray, "points d"]) -> "Whitened":
        mean, scaling = whitening(inputs)
        return cls((inputs - mean) @ scaling, scaling)

    def given(self, directions: Directions) -> Directions:
        """Orthonormal rows with the span that these directions have for the inputs as given."""
        return np.linalg.qr(self.scaling @ directions.T).Q.T


def sliced_inverse_regression(
    inputs: Float[np.ndarray, "points d"],
    labels: Float[np.ndarray, " points"],
    directions: int,
) -> Directions:
    """Orthonormal rows: the directions in which the inputs' mean varies most between slices.

    Sorts the points by their label and cuts them into 10 slices (Li, 1991). It finds nothing where
    the labels are even in the direction.
    """
    require_between("directions", directions, 1, inputs.shape[1])
    whitened = Whitened.of(inputs)
    slices = np.array_split(whitened.inputs[np.argsort(labels)], min(SLICES, len(labels)))
    means = np.array([np.sqrt(len(each)) * each.mean(axis=0) for each in slices])
    return whitened.given(top_eigenvectors(means.T @ means, directions))


def outer_product_of_gradients(
    inputs: Float[np.ndarray, "points d"],
    labels: Float[np.ndarray, " points"],
    directions: int,
    generator: np.random.Generator,
) -> Directions:
    """Orthonormal rows: the top eigenvectors of the outer product of local gradients (OPG).

    The gradients are those of local linear fits in all d coordinates (Xia, Tong, Li and Zhu, 2002).
    Arguments, choice of the bandwidth and errors are those of ``minimum_average_variance``.
    """
    return _best_of_scales(inputs, labels, directions, generator, _outer_products)


def minimum_average_variance(
    inputs: Float[np.ndarray, "points d"],
    labels: Float[np.ndarray, " points"],
    directions: int,
    generator: np.random.Generator,
) -> Directions:
    """Orthonormal rows on which the labels depend, by local linear fits (rMAVE).

    Starts at the outer product of the gradients of local linear fits in all d coordinates (OPG)
    and then alternates between local fits in the k coordinates found so far, with smaller and
    smaller bandwidths, and the directions that lower the sum of their squared errors (Xia, Tong,
    Li and Zhu, 2002). Three first bandwidths are tried; the result with the least leave-one-out
    error is returned.

    Args:
        inputs: points, one per row.
        labels: one number per point.
        directions: k.
        generator: chooses the points of the local fits if there are more than 600.

    Raises ``ValueError`` where all labels are equal.
    """
    return _best_of_scales(inputs, labels, directions, generator, _refined)


def _best_of_scales(
    inputs: np.ndarray,
    labels: np.ndarray,
    directions: int,
    generator: np.random.Generator,
    method: "Callable[[_Data, float, int], Directions]",
) -> Directions:
    """What the method finds with the first bandwidth whose leave-one-out error is least."""
    require_between("directions", directions, 1, inputs.shape[1])
    if np.ptp(labels) == 0:
        raise ValueError(f"labels are all {labels[0]}: they must not all be equal")
    whitened = Whitened.of(inputs)
    data = _Data.standardised(whitened.inputs, labels, generator)
    found = [method(data, scale * _first_bandwidth(data), directions) for scale in SCALES]
    errors = [_leave_one_out_error(data, each) for each in found]
    return whitened.given(found[int(np.argmin(errors))])


class _Data(NamedTuple):
    """Points and labels with mean 0 and variance 1, and where local fits are made."""

    inputs: Float[np.ndarray, "points d"]
    labels: Float[np.ndarray, " points"]
    chosen: np.ndarray

    @classmethod
    def standardised(
        cls, inputs: np.ndarray, labels: np.ndarray, generator: np.random.Generator
    ) -> "_Data":
        points = len(labels)
        chosen = np.arange(points)
        if points > LOCAL_POINTS:
            chosen = np.sort(generator.choice(points, LOCAL_POINTS, replace=False))
        return cls(inputs, (labels - labels.mean()) / labels.std(), chosen)

    def weights(self, coordinates: np.ndarray, bandwidth: float) -> np.ndarray:
        """Gaussian kernel weights of all points for each local fit; they sum to 1."""
        squares = (coordinates**2).sum(axis=1)
        centres = coordinates[self.chosen]
        distances = squares[self.chosen][:, None] + squares - 2 * centres @ coordinates.T
        exponents = -np.maximum(distances, 0) / (2 * bandwidth**2)
        weights = np.exp(exponents)
        return weights / weights.sum(axis=1, keepdims=True)


def _refined(data: _Data, bandwidth: float, directions: int) -> Directions:
    """The directions after the bandwidth has shrunk to that of k coordinates."""
    points, dimension = data.inputs.shape
    shrinking = min(SLOWEST, points ** (-1 / (2 * (max(dimension, 3) + 6))))
    last = _bandwidth(points, directions)
    found = _outer_products(data, bandwidth, directions)
    for _ in range(MAX_ITERATIONS):
        bandwidth = max(shrinking * bandwidth, last)
        following = _least_squares_directions(data, found, bandwidth)
        across = following - following @ found.T @ found
        change = float(np.linalg.svd(across, compute_uv=False)[0])
        found = following
        if change < CONVERGED and bandwidth == last:
            break
    return found


def _bandwidth(points: int, coordinates: int) -> float:
    """Silverman's rule for a Gaussian kernel and coordinates of variance 1."""
    return float((4 / ((coordinates + 2) * points)) ** (1 / (coordinates + 4)))


def _first_bandwidth(data: _Data) -> float:
    """The bandwidth of the fits in all coordinates, of the order n^(−1/(d + 6))."""
    points, dimension = data.inputs.shape
    return float(2.34 * points ** (-1 / (max(dimension, 3) + 6)))


def _outer_products(data: _Data, bandwidth: float, directions: int) -> Directions:
    """The top eigenvectors of the mean outer product of the local fits' gradients."""
    weights = data.weights(data.inputs, bandwidth)
    gradients = np.array([_slope(data.inputs, data.labels, each) for each in weights])
    return top_eigenvectors(gradients.T @ gradients, directions)


def _slope(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The slope of the weighted least squares plane; the weights sum to 1."""
    weighted = inputs * weights[:, None]
    mean = weights @ inputs
    matrix = weighted.T @ inputs - np.outer(mean, mean)
    matrix[np.diag_indices_from(matrix)] += RIDGE * max(np.trace(matrix) / len(matrix), RIDGE)
    mixed = weighted.T @ labels - mean * (weights @ labels)
    return scipy.linalg.solve(matrix, mixed, assume_a="pos")


def _local_fits(
    data: _Data, coordinates: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes of the local linear fits in a few coordinates."""
    centres = coordinates[data.chosen]
    count = coordinates.shape[1]
    means = weights @ coordinates
    products = np.einsum("ia,ib->iab", coordinates, coordinates).reshape(len(coordinates), -1)
    second = (weights @ products).reshape(-1, count, count)
    covariances = second - means[:, :, None] * means[:, None, :]
    mean_labels = weights @ data.labels
    mixed = weights @ (coordinates * data.labels[:, None]) - means * mean_labels[:, None]
    traces = np.trace(covariances, axis1=1, axis2=2)
    # A point without neighbours has a covariance of 0, and then a slope of 0.
    ridge = RIDGE * np.maximum(traces / count, RIDGE)
    slopes = np.linalg.solve(covariances + ridge[:, None, None] * np.eye(count), mixed[:, :, None])[
        :, :, 0
    ]
    return mean_labels + ((centres - means) * slopes).sum(axis=1), slopes


def _least_squares_directions(data: _Data, found: Directions, bandwidth: float) -> Directions:
    """The rows B of least Σ w_ij (y_i − a_j − b_j·B(x_i − x_j))², for the fits (a, b) of now."""
    coordinates = data.inputs @ found.T
    weights = data.weights(coordinates, bandwidth)
    values, slopes = _local_fits(data, coordinates, weights)
    count, dimension = found.shape
    centres = data.inputs[data.chosen]
    matrix = np.empty((count, dimension, count, dimension))
    for a in range(count):
        for b in range(a, count):
            factors = slopes[:, a] * slopes[:, b]
            block = _weighted_products(data.inputs, centres, weights * factors[:, None])
            matrix[a, :, b] = block
            matrix[b, :, a] = block
    # Σ_j b_ja Σ_i w_ij (y_i − a_j)(x_i − x_j)
    right = np.empty((count, dimension))
    for a in range(count):
        factors = weights * slopes[:, a][:, None]
        residuals = factors * (data.labels - values[:, None])
        right[a] = residuals.sum(axis=0) @ data.inputs - residuals.sum(axis=1) @ centres
    square = matrix.reshape(count * dimension, -1)
    square[np.diag_indices_from(square)] += RIDGE * np.trace(square) / len(square)
    solution = scipy.linalg.solve(square, right.ravel(), assume_a="pos")
    return np.linalg.qr(solution.reshape(count, dimension).T).Q.T


def _weighted_products(
    inputs: np.ndarray, centres: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, "d d"]:
    """Σ_ij w_ij (x_i − x_j)(x_i − x_j)ᵀ over the points i and the centres j."""
    mixed = centres.T @ (weights @ inputs)
    over_points = (inputs * weights.sum(axis=0)[:, None]).T @ inputs
    over_centres = (centres * weights.sum(axis=1)[:, None]).T @ centres
    return over_points + over_centres - mixed - mixed.T


def _leave_one_out_error(data: _Data, found: Directions) -> float:
    """The mean squared error of local fits, each without the point at which it is made."""
    coordinates = data.inputs @ found.T
    weights = data.weights(coordinates, _bandwidth(len(coordinates), len(found)))
    weights[np.arange(len(data.chosen)), data.chosen] = 0
    totals = weights.sum(axis=1, keepdims=True)
    kept = totals[:, 0] > 0
    weights = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    values, _ = _local_fits(data, coordinates, weights)
    return float(((values - data.labels[data.chosen])[kept] ** 2).mean())


def top_eigenvectors(matrix: Float[np.ndarray, "d d"], count: int) -> Directions:
    """The eigenvectors of a symmetric matrix with the largest eigenvalues, one per row."""
    return np.linalg.eigh(matrix)[1][:, ::-1][:, :count].T
