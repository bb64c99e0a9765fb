"""Near-duplicates, offsets, scales and types: distances are those of brute force."""

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from JohnsonLindenstrauss.baselines import gaussian_matrix, random_pair_distortions
from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.main import Config, main
from JohnsonLindenstrauss.model import PairDistortion
from JohnsonLindenstrauss.pairs import (
    PairBlocks,
    distinct_points,
    exact_ratio_range,
    ratio_range,
    working_precision,
    worst_pairs,
)
from JohnsonLindenstrauss.train import train_pairs

POINTS = np.random.default_rng(0).standard_normal((40, 12))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def with_a_near_pair(points: Tensor, distance: float) -> Tensor:
    return torch.cat([points, points[:1] + distance * gaussian(1, points.shape[1], 9)])


def exact_ratios(projection: LearnedProjection, points: np.ndarray) -> np.ndarray:
    """‖A(x − y)‖²/‖x − y‖² of all pairs, in long double."""
    a, x = projection.components_.astype(np.longdouble), points.astype(np.longdouble)
    i, j = np.triu_indices(len(points), 1)
    apart = x[i] - x[j]
    return ((apart @ a.T) ** 2).sum(axis=1) / (apart**2).sum(axis=1)


def check_against_brute_force(projection: LearnedProjection, points: np.ndarray) -> None:
    """``max_distortion_`` is brute force's; the images' distances differ by their rounding."""
    ratios = exact_ratios(projection, points)
    expected = float(np.abs(ratios - 1).max())
    assert projection.max_distortion_ == pytest.approx(expected, rel=1e-8, abs=1e-11)
    i, j = np.triu_indices(len(points), 1)
    x, z = (each.astype(np.longdouble) for each in (points, projection.transform(points)))
    of_images = np.linalg.norm((z[i] - z[j]).astype(float), axis=1)
    distances = np.linalg.norm((x[i] - x[j]).astype(float), axis=1)
    # x − m is rounded, then multiplied by A in d products and sums, in the points' own type.
    size = np.linalg.norm((x - projection.mean_).astype(float), axis=1)
    size = size * np.linalg.norm(projection.components_)
    unit = (points.shape[1] + 2) * np.finfo(points.dtype).eps
    error = np.abs(of_images - np.sqrt(ratios.astype(float)) * distances)
    assert (error <= unit * (size[i] + size[j])).all()


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(3, 10),
    d=st.integers(2, 6),
    nearness=st.integers(1, 13),
    offset=st.sampled_from([0.0, 1.0, 1e4, 1e9]),
    scale=st.sampled_from([1e-30, 1.0, 1e25]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 999),
)
def test_the_distortion_is_that_of_the_transformed_points(
    n: int, d: int, nearness: int, offset: float, scale: float, dtype: type, seed: int
) -> None:
    random = np.random.default_rng(seed)
    points = random.standard_normal((n, d))
    points[-1] = points[0] + 10.0**-nearness * random.standard_normal(d)
    points = ((points + offset * random.standard_normal(d)) * scale).astype(dtype)
    with warnings.catch_warnings(record=True, action="always") as caught:
        if (points == points[0]).all():  # by the offset in float32
            with pytest.raises(ValueError, match="all points are equal"):
                LearnedProjection(1).fit(points)
            return
        projection = LearnedProjection(1, max_iter=4, random_state=0).fit(points)
    if caught:  # copies, which brute force leaves out here
        points = distinct_points(torch.from_numpy(points), "points").points.numpy().astype(dtype)
        assert len(points) >= 2
    check_against_brute_force(projection, points)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_of_timestamps_is_transformed_as_it_was_measured(dtype: type) -> None:
    stamped = np.column_stack([1e9 + 640 * np.arange(40.0), POINTS]).astype(dtype)
    projection = LearnedProjection(3, max_iter=300, random_state=0).fit(stamped)
    assert projection.max_distortion_ < 0.05
    check_against_brute_force(projection, stamped)
    images = projection.transform(stamped).astype(float)
    found = exact_ratio_range(torch.eye(3, dtype=torch.float64), torch.from_numpy(images))
    assert found.distortion == 0  # the images are distinct
    back = projection.inverse_transform(images)
    assert np.abs(back[:, 0] - stamped[:, 0]).max() < 0.02 * np.ptp(stamped[:, 0])


@pytest.mark.parametrize("distance", [1e-9, 1e-12])
def test_one_near_pair_costs_no_accuracy(distance: float) -> None:
    points = gaussian(40, 12)
    alone = train_pairs(points, 5, generator=generator(), max_steps=300).max_distortion
    near = train_pairs(with_a_near_pair(points, distance), 5, generator=generator(), max_steps=300)
    assert near.max_distortion < 1.1 * alone


def test_an_embedding_stored_twice_once_in_float32_is_embedded_as_well() -> None:
    points = gaussian(40, 30)
    twice = torch.cat([points, points.float().double()])
    assert distinct_points(twice, "points").copies == 0
    found = train_pairs(twice, 12, generator=generator(), max_steps=600)
    assert found.max_distortion < 0.4  # 0.30; 0.75 if near pairs are taken from products


def test_rows_equal_within_rounding_are_copies_and_further_ones_are_not() -> None:
    points = gaussian(30, 5)
    eps = torch.finfo(torch.float64).eps
    signs = torch.sign(gaussian(30, 5, 1))
    for ulps, copies in ((0, 30), (1, 30), (3, 30), (40, 0)):
        both = torch.cat([points, points * (1 + ulps * eps * signs)])
        distinct = distinct_points(both, "points")
        assert distinct.copies == copies, ulps
        assert torch.equal(distinct.points[:30], points)
    # Where the offset leaves the points few units of rounding, these are the data.
    assert distinct_points(points + 1e15, "points").copies == 0
    # An outlier makes all projections equal, but no other point a copy.
    far = torch.cat([points, torch.full((1, 5), 1e20)])
    assert distinct_points(torch.cat([far, far[3:4] * (1 + eps)]), "points").copies == 1
    with pytest.warns(UserWarning, match="2 points equal earlier ones"):
        LearnedProjection(2, max_iter=20).fit(
            np.concatenate([points.numpy(), points[:2].numpy() * (1 + eps)])
        )


def test_blocks_take_near_pairs_from_differences() -> None:
    points = with_a_near_pair(gaussian(9, 5), 1e-9)
    embedding = gaussian(2, 5, 1) / 2
    centred = points - points.mean(dim=0)
    exact = exact_ratio_range(embedding, points)
    apart = points[9] - points[0]
    ratio = float((embedding @ apart).square().sum() / apart.square().sum())
    for block_size in (3, 100):
        blocks = PairBlocks(centred, block_size)
        images = centred @ embedding.T
        found = ratio_range(images, blocks)
        assert found == pytest.approx((min(exact.low, 1), exact.high), rel=1e-6)
        listed = worst_pairs(images, blocks, 1000)
        at = ((listed.first == 0) & (listed.second == 9)).nonzero()
        assert float(listed.inverse[at]) == pytest.approx(1 / float(apart.square().sum()), rel=1e-6)
        rows = torch.cat([each.ravel() for _, each in blocks.excesses(images)])
        assert float((rows - (ratio - 1)).abs().min()) < 1e-6
    assert exact.low <= ratio <= exact.high


def test_the_gradient_of_a_near_pair_is_that_of_its_difference() -> None:
    points = with_a_near_pair(gaussian(6, 4), 1e-9)
    centred = points - points.mean(dim=0)
    objective = PairDistortion(centred, 2, PairBlocks(centred, 3), sharpness=5.0)
    mean = gaussian(2, 4, 2) / 2
    with torch.no_grad():
        objective.mean.copy_(mean)
        objective.scale.fill_(0.1)
    objective().backward()

    i, j = zip(*itertools.combinations(range(7), 2), strict=True)
    apart = points[list(i)] - points[list(j)]
    apart = apart / apart.norm(dim=1, keepdim=True)
    mean.requires_grad_()
    variance = objective.variance().detach()
    q = (apart @ mean.T).square().sum(dim=1)
    moments = (q + 4 * variance - 1).square() + 4 * variance - 8 * variance.square()
    torch.logsumexp(5.0 * moments.sqrt(), dim=0).div(5.0).backward()
    torch.testing.assert_close(objective.mean.grad, mean.grad, rtol=1e-5, atol=1e-6)


def test_pairs_that_are_rounding_in_the_span_move_nothing() -> None:
    points = gaussian(8, 4)
    points = torch.cat([points, points[:1], points[1:2] * (1 + 1e-15)])
    ratios = ratio_range(points @ gaussian(2, 4, 1).T / 2, PairBlocks(points))
    low, high = ratio_range(points[:8] @ gaussian(2, 4, 1).T / 2, PairBlocks(points[:8]))
    assert tuple(ratios) == pytest.approx((low, max(high, 1)))


def test_the_precision_looks_at_all_rows() -> None:
    many = gaussian(300, 20)
    assert working_precision(many, 64) == torch.float32
    many[299] = many[298] + 1e-5
    assert working_precision(many, 64) == torch.float64
    assert working_precision(gaussian(3, 2) * 1e30) == torch.float64  # squares leave float32


def test_random_draws_have_the_same_guard() -> None:
    points = with_a_near_pair(gaussian(20, 6), 1e-9)
    found = random_pair_distortions(points, 3, gaussian_matrix, generator(), num_draws=5)
    again = generator()
    exact = [exact_ratio_range(gaussian_matrix(3, 6, again), points).distortion for _ in range(5)]
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_collinear_rows_that_are_normalised_are_copies(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    directions = random.standard_normal((6, 5))
    table = np.concatenate([directions * factor for factor in random.uniform(0.1, 9, (4, 6, 1))])
    np.save(tmp_path / "points.npy", table)
    config = Config(
        data=tmp_path / "points.npy",
        pairs=True,
        normalize=True,
        num_components=2,
        steps=50,
        output_dir=tmp_path / "out",
        quiet=True,
        figures=False,
    )
    main(config)
    results = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
    assert results["num_points"] == 6
    assert results["copies"] == 18
    assert results["random_min"] < 3
