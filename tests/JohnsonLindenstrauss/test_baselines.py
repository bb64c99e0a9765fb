"""The baselines of figure 6 against direct draws, and the guarantee against scipy's chi-square."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from JohnsonLindenstrauss.baselines import (
    add_random_complement,
    gaussian_baselines,
    guaranteed_distortion,
)
from JohnsonLindenstrauss.model import cube_points


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_baselines_at_the_papers_setting_identify_its_cube_and_its_worst_of_20() -> None:
    baselines = gaussian_baselines(cube_points(100, 500, generator()), 30, generator(1))
    assert baselines.single.shape == baselines.worst_of_20.shape == (1000,)
    assert baselines.single.mean() == pytest.approx(0.58, abs=0.02)
    assert baselines.single.min() == pytest.approx(0.31, abs=0.04)
    assert baselines.worst_of_20.mean() == pytest.approx(1.00, abs=0.02)
    assert baselines.worst_of_20.min() == pytest.approx(0.65, abs=0.07)
    assert (baselines.worst_of_20 >= baselines.single).all()


def test_baselines_have_the_law_of_full_gaussian_matrices() -> None:
    points = cube_points(10, 30, generator())
    baselines = gaussian_baselines(points, 5, generator(1))
    draws = np.random.default_rng(2).standard_normal((20_000, 5, 30)) / math.sqrt(5)
    squares = ((draws @ points.numpy().T) ** 2).sum(axis=1)
    direct = np.abs(squares - 1).max(axis=1)
    assert stats.ks_2samp(baselines.single, direct).pvalue > 1e-3
    worst = direct.reshape(1000, 20).max(axis=1)
    assert stats.ks_2samp(baselines.worst_of_20, worst).pvalue > 1e-3


@settings(max_examples=50, deadline=None)
@given(num_points=st.integers(2, 10**6), components=st.integers(1, 500))
def test_guaranteed_distortion_is_where_the_union_bound_is_one(
    num_points: int, components: int
) -> None:
    epsilon = guaranteed_distortion(num_points, components)
    ratio = stats.chi2(components, scale=1 / components)
    union = num_points * (ratio.cdf(1 - epsilon) + ratio.sf(1 + epsilon))
    assert union == pytest.approx(1, rel=1e-6)


def test_the_complement_leaves_the_span_and_is_a_random_projection_outside() -> None:
    rank, dimension, k = 5, 40, 8
    rotation = torch.linalg.qr(torch.randn(dimension, dimension, generator=generator()).double()).Q
    basis, outside = rotation[:rank], rotation[rank:]
    embedding = torch.randn(k, rank, generator=generator()).double() @ basis

    def with_complement(basis: torch.Tensor, seed: int) -> torch.Tensor:
        return add_random_complement(embedding, lambda g: g @ basis.T @ basis, generator(seed))

    sums = [with_complement(basis, seed) for seed in range(200)]
    for each in sums:
        torch.testing.assert_close(each @ basis.T, embedding @ basis.T, rtol=0, atol=1e-14)
    squares = torch.stack([(each @ outside.T).square().sum(dim=0) for each in sums])
    law = stats.chi2(k, scale=1 / k)
    assert stats.kstest(squares.flatten().numpy(), law.cdf).pvalue > 1e-3
    torch.testing.assert_close(with_complement(rotation, 0), embedding)


def test_guaranteed_distortion_at_the_papers_setting() -> None:
    assert guaranteed_distortion(100, 30) == pytest.approx(0.6975, abs=1e-4)
    assert guaranteed_distortion(1, 30) == 0
