"""Blocks of pairs against loops over pairs."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from JohnsonLindenstrauss import pairs as module
from JohnsonLindenstrauss.model import mean_square_distortion
from JohnsonLindenstrauss.pairs import (
    PairBlocks,
    RatioRange,
    distinct_points,
    exact_ratio_range,
    ratio_range,
    span,
    squared_distances,
    worst_pairs,
)


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def slow_ratios(embedding: Tensor, points: Tensor) -> dict[tuple[int, int], float]:
    found = {}
    for i, j in itertools.combinations(range(len(points)), 2):
        y = points[i] - points[j]
        found[i, j] = float((embedding @ y).square().sum() / y.square().sum())
    return found


@settings(deadline=None, max_examples=20)
@given(n=st.integers(2, 9), d=st.integers(1, 5), block=st.integers(1, 12), seed=st.integers(0, 99))
def test_extremes_are_those_of_a_loop_whatever_the_block(
    n: int, d: int, block: int, seed: int
) -> None:
    points, embedding = gaussian(n, d, seed=seed), gaussian(2, d, seed=seed + 1)
    ratios = slow_ratios(embedding, points).values()
    exact = exact_ratio_range(embedding, points, block)
    low, high = exact
    assert low == pytest.approx(min(ratios), rel=1e-9)
    assert high == pytest.approx(max(ratios), rel=1e-9)
    in_blocks = ratio_range(points @ embedding.T, PairBlocks(points, block))
    # The blocks count entries that are no pairs as ratios of 1, so their smallest is at most 1.
    assert in_blocks == pytest.approx((min(low, 1), high), rel=1e-8)
    assert exact.distortion == max(high - 1, 1 - low)
    assert exact_ratio_range(embedding, points).distortion == pytest.approx(
        exact.distortion, rel=1e-9
    )


@pytest.mark.parametrize("kept", [2**30, 0])
def test_blocks_hold_the_inverse_distances_above_the_diagonal(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", kept)
    monkeypatch.setattr(module, "MOST_COLUMNS", 4)
    points = gaussian(7, 3)
    blocks = PairBlocks(points, 3)
    assert blocks.num_pairs == 21
    for _ in range(2):
        seen = torch.zeros(7, 7, dtype=torch.float64)
        for start, column, inverse, _ in blocks:
            rows, columns = inverse.shape
            assert rows <= 3
            assert columns <= 4
            seen[start : start + rows, column : column + columns] = inverse
        expected = torch.cdist(points, points).square().reciprocal().triu(1)
        torch.testing.assert_close(seen, expected, rtol=1e-12, atol=0)


def test_distances_survive_points_that_nearly_agree() -> None:
    points = gaussian(3, 4) * 1e3
    near = torch.cat([points, points[:1] + 1e-6])
    assert squared_distances(near, near)[0, 3] == pytest.approx(4e-12, rel=1e-3)
    identity = torch.eye(4, dtype=torch.float64)
    assert exact_ratio_range(identity, near).distortion == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("limit", [1, 2, 10, 28, 1000])
def test_worst_pairs_are_those_with_the_largest_distortion(limit: int) -> None:
    points, embedding = gaussian(8, 5), gaussian(2, 5, seed=1) / 2
    ratios = slow_ratios(embedding, points)
    found = worst_pairs(points @ embedding.T, PairBlocks(points, 3), limit)
    distortion = {pair: abs(ratio - 1) for pair, ratio in ratios.items()}
    expected = set(sorted(distortion, key=distortion.__getitem__)[-limit:])
    listed = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(listed) == len(expected)
    assert set(listed) == expected
    for pair, inverse in zip(listed, found.inverse.tolist(), strict=True):
        y = points[pair[0]] - points[pair[1]]
        assert inverse == pytest.approx(1 / float(y.square().sum()), rel=1e-9)
    assert found.ratios == pytest.approx((min(ratios.values()), max(ratios.values())), abs=1e-9)


@given(low=st.floats(0.01, 2), gap=st.floats(0, 5))
def test_the_balancing_factor_leaves_what_it_says(low: float, gap: float) -> None:
    ratios = RatioRange(low, low + gap)
    factor, distortion = ratios.balancing_factor, ratios.balanced_distortion
    assert factor**2 * low == pytest.approx(1 - distortion, abs=1e-12)
    assert factor**2 * (low + gap) == pytest.approx(1 + distortion, abs=1e-12)
    zero = RatioRange(0.0, 0.0)
    assert (zero.balancing_factor, zero.balanced_distortion) == (1.0, 1.0)


def test_copies_are_dropped_and_the_order_kept() -> None:
    points = gaussian(5, 3)
    distinct = distinct_points(points[[3, 1, 3, 4, 1, 1]], "points")
    assert distinct.copies == 3
    torch.testing.assert_close(distinct.points, points[[3, 1, 4]], rtol=0, atol=0)


def test_equal_points_have_no_distance_to_keep() -> None:
    same = torch.ones(3, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="all points are equal"):
        exact_ratio_range(torch.eye(2, dtype=torch.float64), same)
    with pytest.raises(ValueError, match="number of points is 1"):
        exact_ratio_range(torch.eye(2, dtype=torch.float64), same[:1])
    twice = torch.cat([same, gaussian(2, 2)])
    assert exact_ratio_range(torch.eye(2, dtype=torch.float64), twice) == pytest.approx((1, 1))


@pytest.mark.parametrize("size", [0, -1])
def test_a_block_has_rows(size: int) -> None:
    with pytest.raises(ValueError, match="block_size is"):
        PairBlocks(gaussian(3, 2), size)


def test_the_span_reproduces_the_centred_points() -> None:
    points = gaussian(6, 9)
    inside = span(points)
    assert inside.coordinates.shape == (6, 5)
    torch.testing.assert_close(inside.basis @ inside.basis.T, torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(inside.coordinates @ inside.basis, points - points.mean(dim=0))


@pytest.mark.parametrize("limit", [5, 1000])
def test_narrow_blocks_change_no_result(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points, embedding = gaussian(30, 5), gaussian(2, 5, seed=1) / 2
    points[29] = points[0] + 1e-9  # in another block of columns than the diagonal's
    images = points @ embedding.T
    found = []
    for columns in (100, 4):
        monkeypatch.setattr(module, "MOST_COLUMNS", columns)
        blocks = PairBlocks(points, 3)
        pairs = worst_pairs(images, blocks, limit)
        order = (pairs.first * 30 + pairs.second).argsort()
        found.append(
            {
                "blocks": torch.tensor(float(len(list(blocks)))),
                "exact": torch.tensor(exact_ratio_range(embedding, points, 3)),
                "range": torch.tensor(ratio_range(images, blocks)),
                "pairs": torch.stack([pairs.first[order], pairs.second[order]]),
                "inverse": pairs.inverse[order],
                "slope": mean_square_distortion(images, blocks)[1],
            }
        )
    wide, narrow = found
    assert float(wide.pop("blocks")) == 10 < float(narrow.pop("blocks"))
    for name, expected in wide.items():
        torch.testing.assert_close(narrow[name], expected, rtol=1e-9, atol=1e-12, msg=name)
    assert wide["pairs"].shape == (2, min(limit, 30 * 29 // 2))


def test_the_list_of_worst_pairs_is_pruned_while_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COLUMNS", 4)
    points, embedding = gaussian(60, 5), gaussian(2, 5, seed=1) / 2
    ratios = slow_ratios(embedding, points)
    expected = sorted(ratios, key=lambda pair: -abs(ratios[pair] - 1))[:7]
    lengths = []
    worst_listed = module._worst_listed

    def recorded(listed: list, limit: int) -> tuple:
        lengths.append(sum(len(each[0]) for each in listed))
        return worst_listed(listed, limit)

    monkeypatch.setattr(module, "_worst_listed", recorded)
    found = worst_pairs(points @ embedding.T, PairBlocks(points, 3), 7)
    listed = zip(found.first.tolist(), found.second.tolist(), strict=True)
    assert set(listed) == set(expected)
    assert len(lengths) > 2
    assert max(lengths) < 60


def test_joined_lists_hold_every_pair_once() -> None:
    points, first, second = gaussian(12, 5), gaussian(2, 5, seed=1), gaussian(2, 5, seed=2)
    blocks = PairBlocks(points)
    lists = [worst_pairs(points @ each.T, blocks, 20) for each in (first, second)]
    joined = lists[0].joined(lists[1])
    as_sets = [set(zip(each.first.tolist(), each.second.tolist(), strict=True)) for each in lists]
    together = list(zip(joined.first.tolist(), joined.second.tolist(), strict=True))
    assert len(together) == len(set(together)) < 40
    assert set(together) == as_sets[0] | as_sets[1]
    assert joined.ratios == lists[0].ratios
    apart = points[joined.first] - points[joined.second]
    torch.testing.assert_close(joined.inverse, 1 / apart.square().sum(dim=1))
