"""Points of any size have distances, or one line says why not."""

import contextlib
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.pairs import distinct_points, exact_ratio_range, rescaled

POINTS = np.random.default_rng(0).standard_normal((8, 5))
ONE_FAR = np.vstack([POINTS, np.full(5, 1e300)])
TWO_NEAR = np.vstack([POINTS, np.zeros(5), np.full(5, 1e-200)])


def fit(points: np.ndarray, n_components: object = 2, **options: object) -> LearnedProjection:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        options = {"random_state": 0, "max_iter": 60} | options
        return LearnedProjection(n_components, **options).fit(points)


@pytest.mark.parametrize("exponent", [-1022, -500, -101, -100, 0, 100, 101, 1020])
def test_scaling_changes_no_ratio(exponent: int) -> None:
    points = torch.from_numpy(np.ldexp(POINTS, exponent))
    scaled, taken = rescaled(points)
    np.testing.assert_array_equal(np.ldexp(scaled.numpy(), taken), points.numpy())
    assert 2.0**-101 < scaled.abs().max() < 2.0**101
    embedding = torch.from_numpy(POINTS[:2])
    expected = exact_ratio_range(embedding, torch.from_numpy(POINTS)).distortion
    assert exact_ratio_range(embedding, points).distortion == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_points_of_any_size_are_embedded_alike(scale: float) -> None:
    found, usual = fit(POINTS * scale), fit(POINTS)
    assert found.max_distortion_ == pytest.approx(usual.max_distortion_, rel=1e-6)
    assert np.isfinite(found.transform(POINTS * scale)).all()
    images = found.transform(POINTS * scale) / scale
    centred = POINTS - POINTS.mean(axis=0)
    np.testing.assert_allclose(images, centred @ found.components_.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "points",
    [POINTS * 1e-320, np.eye(5) * 5e-324, np.sign(POINTS) * 1.7e308, POINTS + 1e15, POINTS[:2]],
    ids=["denormal", "smallest", "largest", "offset", "two"],
)
@pytest.mark.filterwarnings("ignore:.*points equal earlier ones")
def test_the_distortion_is_that_of_the_images(points: np.ndarray) -> None:
    projection = fit(points)
    assert np.isfinite(projection.components_).all()
    # Differences of halves can't overflow, and powers of two scale without an error.
    exponent = int(np.frexp(np.abs(points).max())[1])
    scaled = np.ldexp(points, -exponent)
    apart = [a - b for i, a in enumerate(scaled) for b in scaled[:i] if (a != b).any()]
    ratios = [
        float(np.square(projection.components_ @ each).sum() / np.square(each).sum())
        for each in apart
    ]
    worst = max(abs(ratio - 1) for ratio in ratios)
    assert projection.max_distortion_ == pytest.approx(worst, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
def test_the_smallest_and_the_largest_k(k: int) -> None:
    distortion = fit(POINTS, k).max_distortion_
    assert distortion < 1e-12 if k == 5 else 0 < distortion <= 1


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        (np.ones((5, 3)), {}, "X: all points are equal: there is no distance to keep"),
        (np.zeros((2, 3)), {}, "X: all points are equal: there is no distance to keep"),
        (POINTS + 1e300, {}, "X: all points are equal: there is no distance to keep"),
        (ONE_FAR, {}, "X: two points are too close together, beside the largest coordinate"),
        (TWO_NEAR, {}, "X: two points are too close together, beside the largest coordinate"),
        (POINTS[:1], {}, "a minimum of 2 is required"),
        (np.where(POINTS > 1, np.nan, POINTS), {}, "Input X contains NaN"),
        (POINTS, {"n_components": 6}, "n_components is 6"),
        (POINTS, {"n_components": float("nan")}, "n_components is nan"),
        (POINTS, {"n_components": "auto", "eps": float("nan")}, "eps is nan"),
        (POINTS, {"random_state": 10**30}, "random_state is 1000000000000000000000000000000"),
        (POINTS, {"random_state": 1.5}, "random_state is 1.5"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*points equal earlier ones")
def test_what_has_no_answer_is_one_line(points: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        fit(points, **options)
    assert str(raised.value).isprintable()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=2), min_size=2, max_size=6))
def test_squared_distances_of_what_is_accepted_are_in_range(table: list[list[float]]) -> None:
    points = torch.tensor(table, dtype=torch.float64)
    found = points[:0]
    with contextlib.suppress(ValueError):
        found = distinct_points(points, "points").points
    for i, row in enumerate(found):
        squares = (found[:i] - row).square().sum(dim=1)
        assert (squares > 0).all()
        assert torch.isfinite(1 / squares).all()
