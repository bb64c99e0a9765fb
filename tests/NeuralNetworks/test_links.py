"""The suite of links against closed cases: moments, covariances, noise, and angles."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from NeuralNetworks.links import (
    INPUTS,
    LINKS,
    InputsName,
    draw_inputs,
    draw_sample,
    input_covariance,
    principal_angle_sine,
    random_directions,
)

Unchecked = Callable[[Callable[..., Any]], Callable[..., Any]]


@pytest.mark.parametrize(
    ("link", "expected"),
    {
        "tanh z₁": math.tanh(1.5),
        "|z₁|": 1.5,
        "z₁³ − 3z₁": -1.125,
        "z₁z₂": -3.0,
        "sin 2z₁ + z₂²/2": math.sin(3) + 2,
        "z₁/(½ + (z₂ + 1.5)²)": 1.5 / 0.75,
        "exp(−(z₁² + z₂²)/2)": math.exp(-3.125),
        "max(z₁, z₂)": 1.5,
        "z₁ where z₂ > 0, else 0": 0.0,
        "√2z₁ + 0.3z₂²": 1.5 * math.sqrt(2) + 1.2,
        "z₁z₂ + tanh 2z₃": -3.0 + math.tanh(1),
        "tanh 2z₁ + |z₂| + z₃z₄": math.tanh(3) + 2 - 2,
    }.items(),
)
def test_a_link_has_its_value(link: str, expected: float) -> None:
    directions, function = LINKS[link]
    point = np.array([[1.5, -2.0, 0.5, -4.0]])[:, :directions]
    assert function(point) == pytest.approx([expected])


@pytest.mark.parametrize("link", LINKS)
def test_a_link_depends_on_each_of_its_directions(link: str) -> None:
    directions, function = LINKS[link]
    generator = np.random.default_rng(0)
    points = generator.standard_normal((500, directions))
    for column in range(directions):
        moved = points.copy()
        moved[:, column] += 1
        change = np.abs(function(moved) - function(points)).mean()
        assert change > 0.1 * np.std(function(points))


def test_the_quiet_direction_has_a_twelfth_of_the_variance() -> None:
    points = np.random.default_rng(0).standard_normal((200_000, 2))
    both = LINKS["√2z₁ + 0.3z₂²"].function(points)
    loud = math.sqrt(2) * points[:, 0]
    assert np.var(both - loud) / np.var(both) == pytest.approx(0.18 / 2.18, rel=0.03)


@pytest.mark.parametrize(
    ("inputs", "kurtosis"),
    [("gaussian", 3.0), ("uniform", 1.8), ("student-t", 9.0), ("correlated", 3.0)],
)
def test_inputs_have_unit_variance_and_their_covariance(
    inputs: InputsName, kurtosis: float
) -> None:
    drawn = draw_inputs(inputs, 200_000, 4, np.random.default_rng(0))
    assert np.abs(drawn.mean(axis=0)).max() < 0.01
    assert np.abs(np.cov(drawn.T) - input_covariance(inputs, 4)).max() < 0.02
    # The fourth moment of t(5) has no variance: its sample kurtosis says little.
    rough = 0.5 if inputs == "student-t" else 0.03
    assert float((drawn**4).mean()) == pytest.approx(kurtosis, rel=rough)


def test_inputs_without_a_name_are_refused(unchecked: Unchecked) -> None:
    with pytest.raises(ValueError, match="inputs are 'cauchy': they must be one of gaussian"):
        unchecked(draw_inputs)("cauchy", 9, 3, np.random.default_rng(0))


def test_correlations_halve_with_the_distance() -> None:
    expected = [[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]]
    assert input_covariance("correlated", 3).tolist() == expected
    assert input_covariance("uniform", 2).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("inputs", INPUTS)
def test_labels_depend_on_the_directions_alone(inputs: InputsName) -> None:
    sample = draw_sample("z₁z₂", inputs, 300, 7, 0.0, np.random.default_rng(0))
    coordinates = sample.inputs @ sample.directions.T
    assert sample.inputs.shape == (300, 7)
    assert sample.directions @ sample.directions.T == pytest.approx(np.eye(2), abs=1e-12)
    assert sample.labels == pytest.approx(coordinates[:, 0] * coordinates[:, 1])


def test_noise_is_a_share_of_the_signal() -> None:
    clean, noisy = (
        draw_sample("|z₁|", "gaussian", 20_000, 3, noise, np.random.default_rng(0))
        for noise in (0.0, 0.2)
    )
    assert np.array_equal(clean.inputs, noisy.inputs)
    assert np.std(noisy.labels - clean.labels) / np.std(clean.labels) == pytest.approx(
        0.2, rel=0.03
    )


def test_a_generator_repeats_and_goes_on() -> None:
    first, again = np.random.default_rng(3), np.random.default_rng(3)
    one, same = (draw_sample("|z₁|", "uniform", 9, 3, 0.1, each) for each in (first, again))
    other = draw_sample("|z₁|", "uniform", 9, 3, 0.1, first)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one.directions, other.directions)


def test_directions_are_uniform_on_the_sphere() -> None:
    generator = np.random.default_rng(0)
    drawn = np.concatenate([random_directions(1, 3, generator) for _ in range(4000)])
    # Where the directions are uniform, the squares of the coordinates are 1/3 on average.
    assert np.abs((drawn.T @ drawn) / len(drawn) - np.eye(3) / 3).max() < 0.02


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 30.0, 90.0])
def test_the_sine_is_that_of_the_largest_angle(degrees: float) -> None:
    angle = math.radians(degrees)
    first = np.eye(4)[:2]
    second = np.array([[1, 0, 0, 0], [0, math.cos(angle), math.sin(angle), 0]])
    mixed = np.array([[2.0, 1], [1, -3]]) @ second  # the same span
    assert principal_angle_sine(first, mixed) == pytest.approx(math.sin(angle), abs=1e-15)
    assert principal_angle_sine(mixed, first) == pytest.approx(math.sin(angle), abs=1e-15)


def test_a_missing_direction_is_a_right_angle(unchecked: Unchecked) -> None:
    axes = np.eye(3)
    assert principal_angle_sine(axes[:2], axes[:1]) == 1.0
    assert principal_angle_sine(axes[:1], axes[:2]) == 1.0
    assert principal_angle_sine(axes[:2], np.array([[1.0, 1, 0], [2, 2, 0]])) == 1.0
    assert principal_angle_sine(axes[:1], np.zeros((1, 3))) == 1.0
    assert principal_angle_sine(axes[:0], axes[:0]) == 0.0
    with pytest.raises(ValueError, match="equally many columns"):
        unchecked(principal_angle_sine)(axes[:1], np.eye(2))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"link": "z₁₇"}, "link is"),
        ({"points": 1}, "points"),
        ({"dimension": 1}, "dimension"),
        ({"noise": -0.1}, "noise"),
        ({"noise": math.nan}, "noise"),
    ],
)
def test_an_argument_out_of_range_is_named(
    bad: dict[str, object], message: str, unchecked: Unchecked
) -> None:
    arguments = {
        "link": "z₁z₂",
        "inputs": "gaussian",
        "points": 9,
        "dimension": 3,
        "noise": 0.1,
        "generator": np.random.default_rng(0),
    }
    with pytest.raises(ValueError, match=message):
        unchecked(draw_sample)(**(arguments | bad))
