"""From the random embedding to the worst pairs: quality, exactness and what is refused."""

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from JohnsonLindenstrauss import train as module
from JohnsonLindenstrauss.baselines import (
    gaussian_matrix,
    principal_components,
    rademacher_matrix,
    random_pair_distortions,
)
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pairs import distinct_points, exact_ratio_range, working_precision
from JohnsonLindenstrauss.train import (
    ALL_PAIRS,
    PairTraining,
    StagedDescent,
    train_mean_square,
    train_pairs,
)


def distortion_of(training: PairTraining, points: torch.Tensor) -> object:
    """Its largest distortion measured again: what balances it is multiplied in afterwards."""
    found = exact_ratio_range(training.embedding, points).distortion
    return pytest.approx(found, rel=1e-13, abs=1e-14)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def small() -> PairTraining:
    return train_pairs(gaussian(40, 30), 12, generator=generator(), max_steps=1_000)


def test_the_paper_s_points_are_embedded_as_well_as_is_asked() -> None:
    points = cube_points(100, 500, generator())
    training = train_pairs(points, 30, generator=generator(1), start="random", max_steps=2_000)
    assert training.max_distortion <= 0.15
    assert training.max_distortion == distortion_of(training, points)
    assert training.deviation[0] == pytest.approx(30**-0.5, rel=1e-6)
    assert training.deviation[-1] < 1e-6


def test_it_beats_every_random_draw_and_principal_components(small: PairTraining) -> None:
    points = gaussian(40, 30)
    random = random_pair_distortions(points, 12, gaussian_matrix, generator(), num_draws=200)
    rescaled = exact_ratio_range(principal_components(points, 12), points).balanced_distortion
    assert small.max_distortion < 0.5 * min(random.min(), rescaled)
    assert sum(small.ratios) == pytest.approx(2, abs=1e-9)
    assert len(small.value) <= 1_000
    assert len(small.deviation) == 0  # nothing is random
    assert len(small.rounds) == len(small.distortion)
    assert distinct_points(points, "points").copies == 0


def test_neither_shift_nor_scale_nor_rotation_matters(small: PairTraining) -> None:
    rotation = torch.linalg.qr(gaussian(30, 30, 7)).Q
    moved = 1e3 * (gaussian(40, 30) @ rotation.T) + 17
    training = train_pairs(moved, 12, generator=generator(), max_steps=1_000)
    assert training.max_distortion == pytest.approx(small.max_distortion, rel=0.15)


def test_a_seed_repeats_its_result(small: PairTraining) -> None:
    again = train_pairs(gaussian(40, 30), 12, generator=generator(), max_steps=1_000)
    torch.testing.assert_close(again.embedding, small.embedding, rtol=0, atol=0)


def test_the_block_size_changes_nothing_but_rounding() -> None:
    results = [
        train_pairs(gaussian(30, 8), 3, generator=generator(), block_size=b, max_steps=300)
        for b in (1, 7, 100)
    ]
    for each in results:
        assert each.max_distortion == pytest.approx(results[0].max_distortion, rel=0.1)


@pytest.mark.parametrize(("n", "d", "k"), [(5, 20, 4), (5, 20, 19), (30, 3, 3), (2, 4, 1)])
def test_enough_components_keep_every_distance(n: int, d: int, k: int) -> None:
    training = train_pairs(gaussian(n, d), k, generator=generator())
    assert training.embedding.shape == (min(k, n - 1), d)
    assert training.max_distortion < 1e-12
    assert len(training.value) == 0


def test_copies_have_no_distance_and_are_counted() -> None:
    points = gaussian(12, 6)
    repeated = points[[*range(12), 3, 3, 5]]
    training = train_pairs(repeated, 3, generator=generator(), max_steps=300)
    assert distinct_points(repeated, "points").copies == 3
    assert training.max_distortion == distortion_of(training, points)


def test_points_close_to_each_other_are_computed_in_float64() -> None:
    points = gaussian(20, 6)
    points[1] = points[0] + 1e-5 * gaussian(1, 6, 3)[0]
    training = train_pairs(points, 4, generator=generator(), max_steps=1_000)
    assert training.max_distortion < 0.5
    assert working_precision(points) == torch.float64
    assert working_precision(gaussian(20, 6)) == torch.float32


def test_many_points_are_sampled_and_checked_on_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    points = gaussian(120, 10)
    everything = train_pairs(points, 5, generator=generator(), max_steps=1_500)
    monkeypatch.setattr(module, "SAMPLE", 40)
    sampled = train_pairs(points, 5, generator=generator(), max_steps=1_500)
    assert sampled.max_distortion == distortion_of(sampled, points)
    assert sampled.max_distortion <= 1.15 * everything.max_distortion


def test_it_goes_on_from_a_given_embedding_and_stops_at_a_target(small: PairTraining) -> None:
    points = gaussian(40, 30)
    warm = train_pairs(
        points, 12, generator=generator(), start=small.embedding, target=1.1 * small.max_distortion
    )
    assert len(warm.value) < 2_000
    assert warm.max_distortion <= 1.1 * small.max_distortion


def test_one_step_is_little_but_not_wrong() -> None:
    points = gaussian(10, 6)
    training = train_pairs(points, 2, generator=generator(), max_steps=1)
    assert training.max_distortion == distortion_of(training, points)


@pytest.mark.parametrize(
    ("points", "k", "message"),
    [
        (gaussian(5, 3), 0, "num_components is 0"),
        (gaussian(5, 3), 4, "num_components is 4: it must lie between 1 and 3"),
        (gaussian(1, 3), 1, "all points are equal"),
        (torch.ones(4, 3, dtype=torch.float64), 1, "all points are equal"),
    ],
)
def test_bad_arguments_are_named(points: Tensor, k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_pairs(points, k, generator=generator())


def test_a_descent_that_diverges_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("JohnsonLindenstrauss.train.PAIR_LEARNING_RATE", 1e3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training = train_pairs(
            gaussian(20, 10), 4, generator=generator(), start="random", max_steps=600
        )
    assert np.isfinite(training.max_distortion)
    assert training.max_distortion < 1
    assert StagedDescent(generator(), 10).record()[0].shape == (0,)


def test_baselines_are_what_they_are_called() -> None:
    drawn = gaussian_matrix(50, 400, generator())
    assert float(drawn.square().mean()) == pytest.approx(1 / 50, rel=0.05)
    sparse = rademacher_matrix(50, 400, generator())
    assert sorted(sparse.unique().tolist()) == pytest.approx([-(0.06**0.5), 0, 0.06**0.5])
    assert float((sparse == 0).double().mean()) == pytest.approx(2 / 3, abs=0.02)
    points = gaussian(30, 6) * torch.tensor([9.0, 5, 1, 1, 1, 1])
    components = principal_components(points, 2)
    values = torch.linalg.svdvals((points - points.mean(dim=0)) @ components.T)
    expected = torch.linalg.svdvals(points - points.mean(dim=0))[:2]
    torch.testing.assert_close(values, expected)
    assert principal_components(gaussian(3, 6), 5)[2:].abs().max() == 0
    found = random_pair_distortions(points, 2, gaussian_matrix, generator(), num_draws=5)
    again = generator()
    matrices = [gaussian_matrix(2, 6, again) for _ in range(5)]
    exact = [exact_ratio_range(each, points).distortion for each in matrices]
    np.testing.assert_allclose(found, exact, rtol=1e-4)


def ratios(embedding: Tensor, points: Tensor) -> Tensor:
    i, j = torch.triu_indices(len(points), len(points), 1)
    differences = points[i] - points[j]
    return (differences @ embedding.T).square().sum(dim=1) / differences.square().sum(dim=1)


def mean_square(embedding: Tensor, points: Tensor) -> float:
    return float((ratios(embedding, points) - 1).square().mean())


def test_the_mean_square_is_below_those_of_the_other_embeddings() -> None:
    points = gaussian(60, 12) * torch.arange(1, 13)
    training = train_mean_square(points, 4, generator=generator(1))
    least = mean_square(training.embedding, points)
    assert training.value[-1] == pytest.approx(least, rel=1e-3)
    assert training.max_distortion == distortion_of(training, points)
    components = principal_components(points, 4)
    kept = ratios(components, points)
    best_factor = float((kept.mean() / kept.square().mean()).sqrt())
    for factor in (0.9, best_factor, 1.1):
        assert least < 0.98 * mean_square(factor * components, points)
    for factor in (0.99, 1.01):
        assert least < mean_square(factor * training.embedding, points)
    largest = train_pairs(points, 4, generator=generator(1), max_steps=600)
    assert least < mean_square(largest.embedding, points)
    assert largest.max_distortion < training.max_distortion


def test_the_mean_square_leaves_the_saddle_at_the_principal_components() -> None:
    ends = torch.diag(torch.linspace(1, 0.9, 6, dtype=torch.float64))
    points = torch.cat([ends, -ends])  # symmetric in every direction that is left out
    training = train_mean_square(points, 2, generator=generator())
    kept = ratios(principal_components(points, 2), points)
    rescaled = float(1 - kept.mean().square() / kept.square().mean())
    assert rescaled == pytest.approx(0.467, abs=1e-3)
    assert training.value[-1] == pytest.approx(0.2655, abs=1e-3)


def test_the_mean_square_of_many_points_is_learned_on_a_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = gaussian(300, 10)
    best = mean_square(train_mean_square(points, 3, generator=generator()).embedding, points)
    monkeypatch.setattr(module, "SAMPLE", 100)
    training = train_mean_square(points, 3, generator=generator())
    assert 1.01 * best < mean_square(training.embedding, points) < 1.2 * best
    assert training.max_distortion == distortion_of(training, points)


def test_the_mean_square_is_exact_from_the_rank_on_and_stops_early() -> None:
    points = gaussian(5, 20)
    assert train_mean_square(points, 6, generator=generator()).max_distortion < 1e-12
    assert len(train_mean_square(points, 2, generator=generator(), max_steps=3).value) == 3
    with pytest.raises(ValueError, match="num_components is 21"):
        train_mean_square(points, 21, generator=generator())


def test_pairs_are_not_listed_where_the_map_could_fit_them_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = gaussian(60, 50)  # 1 770 pairs, and 1 000 entries for 20 components
    monkeypatch.setattr("JohnsonLindenstrauss.train.LISTED", 50)
    training = train_pairs(points, 20, generator=generator(), max_steps=1_000)
    in_rounds = training.distortion[len(ALL_PAIRS) :]
    assert in_rounds.max() <= 1.2 * in_rounds.min()


def test_points_that_nearly_lie_in_few_dimensions_keep_what_principal_components_keep() -> None:
    points = gaussian(20, 4) @ gaussian(4, 12, seed=1) + 1e-9 * gaussian(20, 12, seed=2)
    training = train_pairs(points, 4, generator=generator(), max_steps=300)
    assert training.max_distortion < 1e-12  # by the descent, in float32, about 1e-7
