"""From the random embedding to one good deterministic one, and what the lemma says at its end."""

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import certify
from derandomization.laboratory.trace import sharp_bounds_along
from JohnsonLindenstrauss.model import cube_points, max_distortion
from JohnsonLindenstrauss.train import Training, plain_descent, train

POINTS, DIMENSION, COMPONENTS = 10, 20, 5


def points() -> Tensor:
    return cube_points(POINTS, DIMENSION, torch.Generator().manual_seed(7))


def run(seed: int = 0, **options: object) -> Training:
    return train(points(), COMPONENTS, generator=torch.Generator().manual_seed(seed), **options)


@pytest.fixture(scope="module")
def exact() -> Training:
    return run()


@pytest.fixture(scope="module")
def sampled() -> Training:
    return run(estimator="sampled")


def test_the_randomness_vanishes_and_one_embedding_is_left(exact: Training) -> None:
    history, objective = exact.history, exact.exact_objective
    assert history.terminated
    distortion = history.observations["max_distortion"]
    assert distortion[0] == 1  # M = 0
    assert distortion[-1] <= 1e-8
    assert max_distortion(objective.mean, points()) == distortion[-1]
    assert history.weight_norm[0] == pytest.approx(DIMENSION**0.5, rel=1e-14)
    assert history.weight_norm[-1] <= 1e-6 * history.weight_norm[0]
    assert objective.weight_norm() == history.weight_norm[-1]


def test_the_lemma_holds_where_the_descent_ends(exact: Training) -> None:
    certificate = exact.certificate
    assert certificate.weight_bound is not None
    assert certificate.sharp_weight_bound is not None
    assert 0 < certificate.weight_norm <= certificate.weight_bound <= 1e-6
    assert certificate.weight_norm <= certificate.sharp_weight_bound <= 1e-6
    assert certificate.weight_norm <= min(certificate.weight_bound, certificate.sharp_weight_bound)
    assert certificate.hessian_lipschitz_is_estimate
    # ∇³(‖Mu‖² − 1)² reaches 24 at most where ‖Mu‖ = 1.
    assert 1 < certificate.hessian_lipschitz < 24
    assert certificate.rho <= 1e-12 * 1.01


def test_the_sharp_bound_is_respected_along_the_way(exact: Training) -> None:
    steps, bounds = sharp_bounds_along(exact.exact_objective, exact.history.snapshots)
    speaks = ~np.isnan(bounds)
    assert speaks[0]  # at the random embedding
    assert speaks[-1]
    assert speaks.sum() >= 4
    assert (exact.history.weight_norm[steps[speaks]] <= bounds[speaks]).all()


def test_plain_descent_stays_at_a_strict_saddle_which_the_perturbation_leaves(
    exact: Training,
) -> None:
    plain = plain_descent(points(), COMPONENTS)
    assert not plain.mean.any()
    # ∂f/∂σ² = 0 at M = 0: kσ²(1 + 2/k) = 1 − λd/2 with λ = 1/(2kd).
    expected = (1 - 1 / (4 * COMPONENTS)) / (1 + 2 / COMPONENTS)
    assert COMPONENTS * plain.variance().item() == pytest.approx(expected, rel=1e-6)
    certificate = certify(plain)
    assert certificate.gradient_norm < 1e-6
    # There the curvature in M is −2λd C ⊗ I, C the second moment of the points.
    second_moment = points().T @ points() / POINTS
    steepest = torch.linalg.eigvalsh(second_moment)[-1].item()
    assert certificate.min_curvature == pytest.approx(-steepest / COMPONENTS, rel=1e-4)
    assert certificate.weight_bound is None
    assert certificate.sharp_weight_bound is None
    first = exact.history.perturbation_steps[0]
    assert (exact.history.observations["max_distortion"][: first + 1] == 1).all()
    assert exact.exact_objective.mean.norm() > 0.5


def test_the_sampled_run_ends_near_an_embedding_and_is_certified_exactly(
    sampled: Training,
) -> None:
    history, objective = sampled.history, sampled.exact_objective
    assert history.num_steps == 5_000
    assert len(history.perturbation_steps) == 0
    assert history.observations["max_distortion"][-500:].max() <= 0.05
    assert history.weight_norm[-500:].max() <= 1e-2 * history.weight_norm[0]
    assert torch.equal(objective.mean, history.snapshots[5_000]["mean"])
    assert sampled.certificate == certify(objective)
    assert sampled.certificate.weight_norm == history.weight_norm[-1]


@pytest.mark.parametrize("estimator", ["exact", "sampled"])
def test_one_seed_gives_one_run(estimator: str) -> None:
    first, again = (run(seed=3, estimator=estimator, max_steps=120) for _ in range(2))
    other = run(seed=4, estimator=estimator, max_steps=120)
    assert first.history.num_steps == 120
    assert np.array_equal(first.history.value, again.history.value)
    assert torch.equal(first.exact_objective.mean, again.exact_objective.mean)
    assert first.certificate == again.certificate
    assert not torch.equal(first.exact_objective.mean, other.exact_objective.mean)
