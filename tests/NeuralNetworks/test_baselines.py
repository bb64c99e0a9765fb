"""Whitening, SIR and rMAVE against cases with a known answer."""

import numpy as np
import pytest

from NeuralNetworks import baselines
from NeuralNetworks.baselines import (
    Whitened,
    minimum_average_variance,
    outer_product_of_gradients,
    sliced_inverse_regression,
    top_eigenvectors,
)
from NeuralNetworks.links import draw_inputs, draw_sample, principal_angle_sine


def gaussian(points: int, dimension: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((points, dimension))


def test_whitened_points_have_the_covariance_one() -> None:
    inputs = draw_inputs("correlated", 300, 5, np.random.default_rng(0)) * [1, 2, 3, 4, 5] + 7
    whitened = Whitened.of(inputs)
    assert whitened.inputs.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-12)
    assert whitened.inputs.T @ whitened.inputs / 300 == pytest.approx(np.eye(5), abs=1e-10)


def test_directions_of_whitened_points_are_mapped_back() -> None:
    inputs = draw_inputs("correlated", 300, 5, np.random.default_rng(0))
    wanted = np.array([[1.0, 2, 0, -1, 0], [0, 0, 1, 1, 3]])
    whitened = Whitened.of(inputs)
    coordinates = (inputs - inputs.mean(axis=0)) @ wanted.T
    seen = np.linalg.lstsq(whitened.inputs, coordinates, rcond=None)[0].T
    found = whitened.given(seen)
    assert found @ found.T == pytest.approx(np.eye(2), abs=1e-12)
    assert principal_angle_sine(found, wanted) < 1e-10


def test_few_points_are_scaled_only() -> None:
    inputs = gaussian(10, 5) * [1, 2, 3, 4, 5]
    whitened = Whitened.of(inputs)
    assert whitened.inputs.std(axis=0) == pytest.approx(np.ones(5))
    assert np.count_nonzero(whitened.scaling) == 5


@pytest.mark.parametrize("points", [6, 60])
def test_a_constant_column_is_left_out(points: int) -> None:
    inputs = gaussian(points, 4)
    inputs[:, 2] = 3
    whitened = Whitened.of(inputs)
    assert np.isfinite(whitened.inputs).all()
    assert np.abs(whitened.scaling[2]).max() < 1e-12


def test_sliced_inverse_regression_finds_an_odd_direction_and_no_even_one() -> None:
    inputs = gaussian(2000, 4)
    odd, even = inputs[:, 1] ** 3, inputs[:, 1] ** 2
    assert principal_angle_sine(sliced_inverse_regression(inputs, odd, 1), np.eye(4)[1:2]) < 0.05
    assert principal_angle_sine(sliced_inverse_regression(inputs, even, 1), np.eye(4)[1:2]) > 0.3


def test_the_gradient_of_a_plane_is_exact() -> None:
    inputs, slope = gaussian(40, 3), np.array([1.0, -2.0, 0.5])
    labels = 3 + inputs @ slope
    weights = np.full(40, 1 / 40)
    assert baselines._slope(inputs - inputs[0], labels, weights) == pytest.approx(slope, rel=1e-4)


def test_local_fits_of_a_plane_are_exact() -> None:
    inputs, slope = gaussian(40, 2), np.array([1.0, -2.0])
    data = baselines._Data(inputs, 3 + inputs @ slope, np.arange(40))
    values, slopes = baselines._local_fits(data, inputs, data.weights(inputs, 1.0))
    assert values == pytest.approx(data.labels, rel=1e-4)
    assert slopes == pytest.approx(np.tile(slope, (40, 1)), rel=1e-4)


def test_the_next_directions_solve_the_least_squares_problem() -> None:
    """Against the design matrix of that problem, row by row."""
    inputs = gaussian(12, 3)
    data = baselines._Data(inputs, inputs[:, 0] * inputs[:, 1], np.arange(0, 12, 2))
    now = np.linalg.qr(gaussian(3, 2)).Q.T
    coordinates = inputs @ now.T
    weights = data.weights(coordinates, 1.0)
    values, slopes = baselines._local_fits(data, coordinates, weights)
    design, right = [], []
    for row, j in enumerate(data.chosen):
        for i in range(12):
            root = np.sqrt(weights[row, i])
            design.append(root * np.outer(slopes[row], inputs[i] - inputs[j]).ravel())
            right.append(root * (data.labels[i] - values[row]))
    expected = np.linalg.lstsq(np.array(design), np.array(right), rcond=None)[0].reshape(2, 3)
    found = baselines._least_squares_directions(data, now, 1.0)
    assert principal_angle_sine(found, expected) < 1e-3


def test_local_linear_fits_find_exact_directions_without_noise() -> None:
    sample = draw_sample("z₁z₂", "gaussian", 300, 5, 0.0, np.random.default_rng(0))
    found = minimum_average_variance(sample.inputs, sample.labels, 2, np.random.default_rng(0))
    assert found @ found.T == pytest.approx(np.eye(2), abs=1e-12)
    assert principal_angle_sine(found, sample.directions) < 0.01


def test_the_refined_directions_are_better_than_the_gradients_alone() -> None:
    sample = draw_sample("|z₁|", "correlated", 300, 8, 0.2, np.random.default_rng(0))
    first, refined = (
        method(sample.inputs, sample.labels, 1, np.random.default_rng(0))
        for method in (outer_product_of_gradients, minimum_average_variance)
    )
    error = principal_angle_sine(refined, sample.directions)
    assert error < 0.1
    assert error < 0.7 * principal_angle_sine(first, sample.directions)


def test_a_slope_is_that_of_weighted_least_squares() -> None:
    generator = np.random.default_rng(0)
    inputs, labels = generator.standard_normal((30, 3)), generator.standard_normal(30)
    weights = generator.random(30)
    weights /= weights.sum()
    design = np.sqrt(weights)[:, None] * np.column_stack([np.ones(30), inputs])
    expected = np.linalg.lstsq(design, np.sqrt(weights) * labels, rcond=None)[0][1:]
    assert baselines._slope(inputs, labels, weights) == pytest.approx(expected, abs=1e-5)


def test_of_many_points_a_subset_gets_local_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "LOCAL_POINTS", 50)
    sample = draw_sample("tanh z₁", "gaussian", 400, 5, 0.1, np.random.default_rng(0))
    found, again, other = (
        minimum_average_variance(sample.inputs, sample.labels, 1, np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(found, again)
    assert not np.array_equal(found, other)
    assert principal_angle_sine(found, sample.directions) < 0.15


def test_equal_labels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"labels are all 2\.0: they must not all be equal"):
        minimum_average_variance(gaussian(30, 3), np.full(30, 2.0), 1, np.random.default_rng(0))


def test_eigenvectors_come_largest_first() -> None:
    assert np.abs(top_eigenvectors(np.diag([1.0, 3, 2]), 2)).tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("directions", [0, 4])
def test_directions_out_of_range_are_named(
    directions: int,
) -> None:
    with pytest.raises(ValueError, match="directions"):
        sliced_inverse_regression(gaussian(30, 3), np.ones(30), directions)
    with pytest.raises(ValueError, match="directions"):
        minimum_average_variance(gaussian(30, 3), np.ones(30), directions, np.random.default_rng(0))
