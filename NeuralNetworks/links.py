"""Samples whose labels depend on a few directions: what methods that find them are tested on."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from derandomization.checks import require_between

InputsName = Literal["gaussian", "uniform", "student-t", "correlated"]
INPUTS: tuple[InputsName, ...] = get_args(InputsName)
DEGREES_OF_FREEDOM = 5  # of Student's t
CORRELATION = 0.5  # correlated inputs have Σ_ij = CORRELATION^|i − j|
Coordinates = Float[np.ndarray, "points k"]


class IndexLink(NamedTuple):
    """The noiseless label as a function of the k coordinates z = Ux, one row per point."""

    directions: int
    function: Callable[[Coordinates], Float[np.ndarray, " points"]]


class Sample(NamedTuple):
    """Points, their labels, and the orthonormal rows that span all directions the labels use."""

    inputs: Float[np.ndarray, "points d"]
    labels: Float[np.ndarray, " points"]
    directions: Float[np.ndarray, "k d"]


LINKS: dict[str, IndexLink] = {
    "tanh z₁": IndexLink(1, lambda z: np.tanh(z[:, 0])),  # odd
    "|z₁|": IndexLink(1, lambda z: np.abs(z[:, 0])),  # even
    "z₁³ − 3z₁": IndexLink(1, lambda z: z[:, 0] ** 3 - 3 * z[:, 0]),  # information exponent 3
    "z₁z₂": IndexLink(2, lambda z: z[:, 0] * z[:, 1]),
    "sin 2z₁ + z₂²/2": IndexLink(2, lambda z: np.sin(2 * z[:, 0]) + z[:, 1] ** 2 / 2),
    "z₁/(½ + (z₂ + 1.5)²)": IndexLink(2, lambda z: z[:, 0] / (0.5 + (z[:, 1] + 1.5) ** 2)),
    "exp(−(z₁² + z₂²)/2)": IndexLink(2, lambda z: np.exp(-(z[:, 0] ** 2 + z[:, 1] ** 2) / 2)),
    "max(z₁, z₂)": IndexLink(2, lambda z: z.max(axis=1)),  # piecewise linear
    "z₁ where z₂ > 0, else 0": IndexLink(2, lambda z: np.where(z[:, 1] > 0, z[:, 0], 0.0)),
    # The second direction has 8% of the variance of Gaussian inputs' labels: 0.18/2.18.
    "√2z₁ + 0.3z₂²": IndexLink(2, lambda z: math.sqrt(2) * z[:, 0] + 0.3 * z[:, 1] ** 2),
    "z₁z₂ + tanh 2z₃": IndexLink(3, lambda z: z[:, 0] * z[:, 1] + np.tanh(2 * z[:, 2])),
    "tanh 2z₁ + |z₂| + z₃z₄": IndexLink(
        4, lambda z: np.tanh(2 * z[:, 0]) + np.abs(z[:, 1]) + z[:, 2] * z[:, 3]
    ),
}


def draw_sample(
    link: str,
    inputs: InputsName,
    points: int,
    dimension: int,
    noise: float,
    generator: np.random.Generator,
) -> Sample:
    """A sample whose labels depend on random orthonormal directions, uniformly distributed.

    Args:
        link: a name in ``LINKS``.
        inputs: the inputs' distribution; every coordinate has mean 0 and variance 1.
        points: number n of points, at least 2.
        dimension: d, at least the number of the link's directions.
        noise: standard deviation of the Gaussian noise on the labels, as a share of the standard
            deviation of this sample's noiseless labels.
        generator: the source of all randomness.

    Raises ``ValueError`` where an argument is out of range.
    """
    if link not in LINKS:
        raise ValueError(f"link is {link!r}: it must be one of {', '.join(LINKS)}")
    directions, function = LINKS[link]
    require_between("points", points, 2, math.inf)
    require_between("dimension", dimension, directions, math.inf)
    require_between("noise", noise, 0, math.inf)
    axes = random_directions(directions, dimension, generator)
    drawn = draw_inputs(inputs, points, dimension, generator)
    signal = function(drawn @ axes.T)
    errors = noise * signal.std() * generator.standard_normal(points)
    return Sample(drawn, signal + errors, axes)


def draw_inputs(
    name: InputsName, points: int, dimension: int, generator: np.random.Generator
) -> Float[np.ndarray, "points d"]:
    """Independent points whose coordinates have mean 0 and variance 1.

    They are independent within a point, except where the inputs are ``correlated``: Gaussian with
    Σ_ij = ½^|i − j|. ``student-t`` has 5 degrees of freedom.
    """
    shape = (points, dimension)
    if name == "uniform":
        return generator.uniform(-math.sqrt(3), math.sqrt(3), shape)
    if name == "student-t":
        variance = DEGREES_OF_FREEDOM / (DEGREES_OF_FREEDOM - 2)
        return generator.standard_t(DEGREES_OF_FREEDOM, shape) / math.sqrt(variance)
    if name not in INPUTS:
        raise ValueError(f"inputs are {name!r}: they must be one of {', '.join(INPUTS)}")
    standard = generator.standard_normal(shape)
    if name == "gaussian":
        return standard
    return standard @ np.linalg.cholesky(input_covariance(name, dimension)).T


def input_covariance(name: InputsName, dimension: int) -> Float[np.ndarray, "d d"]:
    """The covariance of the inputs with that name."""
    if name != "correlated":
        return np.eye(dimension)
    positions = np.arange(dimension)
    return CORRELATION ** np.abs(positions[:, None] - positions).astype(float)


def random_directions(
    count: int, dimension: int, generator: np.random.Generator
) -> Float[np.ndarray, "count d"]:
    """Orthonormal rows whose span is uniformly distributed."""
    return np.linalg.qr(generator.standard_normal((dimension, count))).Q.T


def principal_angle_sine(
    first: Float[np.ndarray, "first d"], second: Float[np.ndarray, "second d"]
) -> float:
    """The sine of the largest principal angle between the spans of two matrices' rows.

    It is 0 where the spans are the same, and 1 where a direction of one is orthogonal to the
    other. Spans of different dimensions count as 1: a direction is missing.

    Raises ``ValueError`` where the matrices have different numbers of columns.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(
            f"first and second have the shapes {first.shape} and {second.shape}: they must be "
            "matrices with equally many columns"
        )
    bases = [_orthonormal_basis(each) for each in (first, second)]
    if len(bases[0]) != len(bases[1]):
        return 1.0
    if not len(bases[0]):
        return 0.0
    # ‖B(I − AᵀA)‖₂; √(1 − σ²) would lose half of the digits of a small angle.
    across = bases[1] - bases[1] @ bases[0].T @ bases[0]
    return min(1.0, float(np.linalg.svd(across, compute_uv=False)[0]))


def _orthonormal_basis(rows: Float[np.ndarray, "rows d"]) -> Float[np.ndarray, "rank d"]:
    """An orthonormal basis of the rows' span."""
    if not len(rows):
        return rows
    _, values, axes = np.linalg.svd(rows, full_matrices=False)
    tolerance = values.max(initial=0.0) * max(rows.shape) * np.finfo(float).eps
    return axes[values > tolerance]
