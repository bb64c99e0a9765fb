"""The lower bound on the distortion: never above what a map reaches, tight where that is known."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize

from JohnsonLindenstrauss import lower_bound as module
from JohnsonLindenstrauss.lower_bound import (
    BoundWeights,
    distortion_lower_bound,
    evaluate_bound,
    proven_ratio,
    smallest_possible_components,
)
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.train import train_pairs


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough steps for small points, since every bound is proven whatever the weights are."""
    monkeypatch.setattr(module, "MAX_STEPS", 80)
    monkeypatch.setattr(module, "PAIR_STEPS", 60)


def squares(points: torch.Tensor) -> torch.Tensor:
    return (points[:, None] - points).square().sum(dim=2)


def distortion_of_images(points: torch.Tensor, images: torch.Tensor) -> float:
    """The largest distortion after the best scaling of the images."""
    i, j = torch.triu_indices(len(points), len(points), 1)
    ratios = squares(images)[i, j] / squares(points)[i, j]
    low, high = float(ratios.min()), float(ratios.max())
    return (high - low) / (high + low)


def drawn(seed: int) -> tuple[torch.Tensor, int, BoundWeights, torch.Generator]:
    """Points of some shape with a k, and weights of all three kinds."""
    generator = torch.Generator().manual_seed(seed)
    n, d = (int(torch.randint(low, 9, (1,), generator=generator)) for low in (3, 2))
    k = 1 + seed % min(d, 3)
    spread = torch.rand(d, generator=generator, dtype=torch.float64) ** (seed % 4) + 1e-3
    points = torch.randn(n, d, generator=generator, dtype=torch.float64) * spread
    points = 10.0 ** (seed % 7 - 3) * points + (seed % 5) * spread
    pairs = 0.2 * (seed % 3) * torch.randn(n, n, generator=generator, dtype=torch.float64)
    weights = BoundWeights(
        torch.rand(n, generator=generator, dtype=torch.float64) ** (1 + seed % 3) + 1e-9,
        (pairs + pairs.T) / 2,
        0.2 * (seed % 2) * torch.randn(n, generator=generator, dtype=torch.float64),
    )
    return points, k, weights, generator


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_no_weights_prove_more_than_some_images_reach_in_a_thousand_cases(first: int) -> None:
    positive = 0
    for seed in range(first, first + 250):
        points, k, weights, generator = drawn(seed)
        centred = points - points.mean(dim=0)
        left, values, _ = torch.linalg.svd(centred, full_matrices=False)
        principal = (left * values)[:, :k]
        noise = torch.randn(20, *principal.shape, generator=generator, dtype=torch.float64)
        candidates = [principal, *(principal + 0.1 * float(values[0]) * noise)]
        reached = min(distortion_of_images(points, images) for images in candidates)
        bound = evaluate_bound(points, k, weights)
        assert 0 <= bound <= reached
        positive += bound > 0
    assert positive > 50


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_below_a_planted_map_and_near_it(seed: int) -> None:
    """Points whose map was built first: images plus something small in other directions."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    rest = torch.randn(9, 5, generator=generator, dtype=torch.float64)
    points = torch.cat([images, 0.5 * rest], dim=1)
    assert distortion_lower_bound(points, 2) <= distortion_of_images(points, images)


@pytest.mark.parametrize("seed", range(2))
def test_on_a_line_the_bound_is_below_the_best_arbitrary_images(seed: int) -> None:
    """k = 1, five points: the images are found by brute force, over all orders of the points."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    i, j = np.triu_indices(5, 1)
    kept = squares(points).numpy()[i, j]

    def value(images: np.ndarray) -> float:
        ratios = (images[i] - images[j]) ** 2 / kept
        return float((ratios.max() - ratios.min()) / (ratios.max() + ratios.min() + 1e-300))

    random = np.random.default_rng(seed)
    starts = [random.normal(size=5) for _ in range(12)]
    options = {"maxfev": 1500, "xatol": 1e-6, "fatol": 1e-9}
    found = (optimize.minimize(value, x, method="Nelder-Mead", options=options) for x in starts)
    best = min(each.fun for each in found)
    bound = distortion_lower_bound(points, 1)
    assert 0.3 * best < bound <= best


@pytest.mark.parametrize("seed", range(5))
def test_the_inequality_is_an_equation_with_the_shifts_of_some_images(seed: int) -> None:
    """Σ s_i s_j z² + 2 Σ u z = 4 (‖Δ‖² + (tr Δ)² + ⟨U, Δ⟩) − 2 Σ s t², term by term."""
    points, _, weights, generator = drawn(seed)
    distances, n = squares(points), len(points)
    images = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    change = distances - squares(images)
    s = weights.points / weights.points.sum()
    centring = torch.eye(n, dtype=torch.float64) - s
    gram_change = centring @ change @ centring.T / -2
    unit = s @ distances @ s
    weights = BoundWeights(weights.points, weights.pairs, gram_change.diagonal() / unit)
    parts = module._inequality(distances, weights)
    scaled = s.sqrt()[:, None] * gram_change * s.sqrt()
    multipliers = s[:, None] * distances * weights.pairs * s
    left = s @ change.square() @ s + 2 * (multipliers * change).sum()
    squared = scaled.square().sum() + scaled.trace() ** 2
    right = 4 * (squared + (parts.multipliers * scaled).sum()) - parts.shift_cost
    assert float(left) == pytest.approx(float(right), rel=1e-9)
    assert float(parts.linear) == pytest.approx(float((multipliers.abs() * distances).sum()))
    torch.testing.assert_close(parts.gram.trace(), unit / 2)
    tail, norm = 10 * squared + parts.shift_cost, torch.tensor(0.5) * squared.sqrt()
    delta = parts.least_distortion(tail, norm)
    least = float(parts.quadratic * delta**2 + 2 * parts.linear * delta)
    assert least == pytest.approx(float(4 * tail - norm**2 - parts.shift_cost), rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (6, 4)])
def test_the_regular_simplex_one_dimension_lower(n: int, k: int) -> None:
    """n points in R^(n−2): 1/(n − 1) with uniform weights; the square attains 1/3 at n = 4."""
    bound = distortion_lower_bound(torch.eye(n), k)
    assert bound == pytest.approx(1 / (n - 1), rel=1e-9)
    assert bound <= 1 / (n - 1)
    if n == 4:
        square = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]], dtype=torch.float64)
        assert distortion_of_images(torch.eye(4).double(), square) == pytest.approx(1 / 3)


def test_points_that_fit_into_k_dimensions_have_the_bound_0() -> None:
    points = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inside = torch.cat([points, points @ torch.ones(3, 2, dtype=torch.float64)], dim=1)
    assert distortion_lower_bound(inside + 1e3, 3) == 0
    assert distortion_lower_bound(points[:2], 1) == 0
    uniform = module._no_pairs(torch.ones(10, dtype=torch.float64))
    assert evaluate_bound(inside + 1e3, 3, uniform) == 0  # its eigenvalues are rounding


def test_figure_6s_bound_is_proven_to_four_fifths_and_multipliers_improve_it() -> None:
    points = cube_points(100, 500, torch.Generator().manual_seed(0))
    bound = distortion_lower_bound(points, 30)
    uniform = module._no_pairs(torch.ones(100, dtype=torch.float64))
    assert evaluate_bound(points, 30, uniform) == pytest.approx(0.11534, abs=1e-5)
    assert bound > 0.1195
    training = train_pairs(points, 30, generator=torch.Generator().manual_seed(0), max_steps=300)
    assert bound < training.max_distortion


def test_the_bound_does_not_depend_on_scale_offset_copies_or_order() -> None:
    points = torch.randn(12, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    bound = distortion_lower_bound(points, 2)
    changed = torch.cat([2.0**150 * points.flip(0), 2.0**150 * points[:3]])
    assert distortion_lower_bound(changed, 2) == pytest.approx(bound, rel=1e-3)
    assert distortion_lower_bound(points + 100, 2) == pytest.approx(bound, rel=1e-3)


def test_a_sample_of_many_points_proves_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(60, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = distortion_lower_bound(points, 4)
    monkeypatch.setattr(module, "MAX_POINTS", 30)
    monkeypatch.setattr(module, "MAX_PAIR_POINTS", 20)
    assert 0.5 * whole < distortion_lower_bound(points, 4) < whole


def test_rounding_is_subtracted_in_proportion_to_the_points() -> None:
    """The tetrahedron's 1/3 is exact: what is computed must lie below it, but barely."""
    for angle in np.linspace(0, 1, 20):
        turn = torch.linalg.qr(torch.eye(4, dtype=torch.float64) + angle * torch.ones(4, 4)).Q
        uniform = module._no_pairs(torch.ones(4, dtype=torch.float64))
        bound = evaluate_bound(turn, 2, uniform)
        assert 1 / 3 - 1e-11 < bound < 1 / 3


def test_the_smallest_k_that_is_not_excluded() -> None:
    points = torch.eye(12, dtype=torch.float64)
    # With uniform weights the simplex excludes k where √((11 − k)/(11 (k + 1))) > eps.
    expected = next(k for k in range(1, 12) if math.sqrt((11 - k) / (11 * (k + 1))) <= 0.2)
    assert smallest_possible_components(points, 0.2, 11) == expected
    assert smallest_possible_components(points, 0.2, 3) == 3
    assert smallest_possible_components(points, 0.999, 11) == 1


def test_the_ratio_is_1_where_the_distortion_is_rounding() -> None:
    assert proven_ratio(0.0, 1e-15) == 1
    assert proven_ratio(0.1, 0.4) == 0.25


@pytest.mark.parametrize(
    ("points", "k", "message"),
    [
        (torch.eye(3), 0, "num_components is 0"),
        (torch.eye(3), True, "num_components is True"),
        (torch.ones(3, 2), 1, "all points are equal"),
        (np.full((3, 2), np.nan), 1, "points: all entries must be finite numbers"),
        (np.ones((0, 2)), 1, "points: a matrix with rows and columns is needed"),
        (np.ones((3, 0)), 1, "points: a matrix with rows and columns is needed"),
    ],
)
def test_bad_input_is_named(points: Any, k: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        distortion_lower_bound(points, k)


@pytest.mark.parametrize("eps", [math.nan, -1.0, True])
def test_a_bad_eps_is_named(eps: Any) -> None:
    with pytest.raises(ValueError, match=r"eps is .*: it must be a finite number above 0"):
        smallest_possible_components(torch.eye(3), eps, 2)


@pytest.mark.parametrize("distance", [1e2, 1e4, 1e8])
def test_one_distant_point_does_not_hide_what_the_others_prove(distance: float) -> None:
    points = np.random.default_rng(0).normal(size=(60, 10))
    others = distortion_lower_bound(points[1:], 3)
    points[0] += distance
    assert distortion_lower_bound(points, 3, max_steps=1_000) > 0.95 * others > 0.3


def test_more_components_than_points_with_multipliers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIR_POINTS", 10)
    points = np.random.default_rng(0).normal(size=(40, 40))
    bounds = [distortion_lower_bound(points, k) for k in (8, 9, 10, 30)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > 0


def test_the_caller_s_modes_of_torch_do_not_matter() -> None:
    points = np.random.default_rng(0).normal(size=(12, 6))
    bound = distortion_lower_bound(points, 2)
    with torch.no_grad():
        assert distortion_lower_bound(points, 2) == bound
    with torch.inference_mode():
        assert distortion_lower_bound(points, 2) == bound
    try:
        torch.set_default_dtype(torch.float64)
        assert distortion_lower_bound(points, 2) == bound
    finally:
        torch.set_default_dtype(torch.float32)


def test_distances_from_differences_need_one_buffer() -> None:
    # The differences from one point are 3 MB; where freed ones leave holes, 400 took 500 MiB.
    code = """
import resource, torch
from JohnsonLindenstrauss.lower_bound import _distances_from_differences
points = torch.ones(400, 1000, dtype=torch.float64)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
_distances_from_differences(points + torch.arange(400)[:, None])
print((peak() - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 50  # MiB


def test_an_array_has_the_bound_of_a_tensor() -> None:
    points = torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = distortion_lower_bound(points, 2)
    assert distortion_lower_bound(points.numpy(), 2) == expected > 0
    assert 0 < distortion_lower_bound(points.numpy()[::-1], 2) < 1
