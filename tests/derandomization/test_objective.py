"""Eq. 1 and the lemma on objectives whose expectation is known on paper."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from derandomization import (
    DerandomizationObjective,
    GaussHermite,
    PerturbedGradientDescent,
    certify,
    descend,
)
from derandomization.hessian import Hessian

Build = Callable[..., DerandomizationObjective]
matrices = arrays(np.float64, (2, 2), elements=st.floats(-2, 2))
vectors = arrays(np.float64, (2,), elements=st.floats(-4, 4))
fixture_is_a_factory = settings(max_examples=30, deadline=None)


def optimizer_for(objective: DerandomizationObjective) -> PerturbedGradientDescent:
    return PerturbedGradientDescent(
        objective.parameters(),
        lr=0.3,
        gradient_threshold=1e-9,
        perturbation_radius=1e-3,
        perturbation_interval=60,
        decrease_threshold=1e-9,
        generator=torch.Generator().manual_seed(0),
    )


def test_closed_form_of_the_example_is_its_expectation(cosine_objective: Build) -> None:
    objective = cosine_objective([[0.5, -0.2], [0.3, 0.9]], [0.4, -1.1])
    points, weights = GaussHermite([30, 30])()
    outputs = points @ objective.random_weights().T + objective.bias()
    expected = weights @ torch.cos(outputs @ torch.tensor([1.0, 0.5]).double())
    # The rule drops nodes of weight below 1e-10.
    assert objective.expected_value().item() == pytest.approx(expected.item(), abs=1e-7)


def test_forward_adds_lambda_times_the_squared_frobenius_norm(cosine_objective: Build) -> None:
    objective = cosine_objective([[3.0, 0.0], [0.0, 4.0]], [0.0, 0.0], 0.25)
    assert objective.weight_norm() == pytest.approx(5.0, rel=1e-15)
    difference = objective() - objective.expected_value()
    assert difference.item() == pytest.approx(0.25 * 25, rel=1e-14)


@fixture_is_a_factory
@given(weight=matrices, bias=vectors, regularization=st.floats(1e-3, 2))
def test_steins_identity_ties_the_gradient_in_w_to_the_hessian_in_b(
    cosine_objective: Build, weight: np.ndarray, bias: np.ndarray, regularization: float
) -> None:
    objective = cosine_objective(weight.tolist(), bias.tolist(), regularization)
    w, b = objective.random_weights(), objective.bias()
    gradient = torch.autograd.grad(objective(), w)[0]
    hessian = Hessian(objective, [b])
    columns = [hessian.product(row) for row in torch.eye(2, dtype=torch.float64)]
    identity = 2 * regularization * torch.eye(2, dtype=torch.float64)
    expected = (torch.stack(columns) + identity) @ w
    torch.testing.assert_close(gradient, expected.detach(), rtol=1e-12, atol=1e-13)


def test_plain_descent_stays_at_the_saddle_with_w_not_zero(cosine_saddle: Build) -> None:
    objective = cosine_saddle()
    start = objective.weight_norm()
    history = descend(objective, torch.optim.SGD(objective.parameters(), lr=0.3), max_steps=500)
    assert history.gradient_norm[0] < 1e-15
    assert objective.weight_norm() == pytest.approx(start, rel=1e-12)
    assert start > 1


def test_the_saddle_is_strict_and_the_lemma_is_silent_there(cosine_saddle: Build) -> None:
    certificate = certify(cosine_saddle())
    # ∂²f/∂b² = −2λ ccᵀ/‖c‖² at the saddle: 2λ + λ_min = 0, and nothing bounds W.
    assert certificate.min_curvature <= -0.2 + 1e-12
    assert certificate.weight_bound is None


def test_pgd_leaves_the_saddle_and_w_vanishes_as_the_lemma_says(cosine_saddle: Build) -> None:
    objective = cosine_saddle()
    history = descend(objective, optimizer_for(objective), max_steps=3000)
    assert history.terminated
    assert objective.weight_norm() < 1e-7
    phase = float(objective.c @ objective.bias().detach())
    assert math.cos(phase) == pytest.approx(-1, abs=1e-12)
    certificate = certify(objective)
    assert certificate.weight_norm <= min(certificate.weight_bound, certificate.sharp_weight_bound)
    assert certificate.weight_norm <= certificate.weight_bound < 1e-6
    assert certificate.weight_norm <= certificate.sharp_weight_bound < 1e-6


@fixture_is_a_factory
@given(
    weight=arrays(np.float64, (2, 2), elements=st.floats(-0.02, 0.02)),
    shift=arrays(np.float64, (2,), elements=st.floats(-0.02, 0.02)),
    regularization=st.floats(0.05, 1),
)
def test_near_the_minimum_both_bounds_hold_at_the_certified_rho(
    cosine_objective: Build, weight: np.ndarray, shift: np.ndarray, regularization: float
) -> None:
    minimum = math.pi * np.array([1.0, 0.5]) / 1.25
    bias = (minimum + shift).tolist()
    certificate = certify(cosine_objective(weight.tolist(), bias, regularization))
    rounding = 1 + 1e-12
    if certificate.weight_bound is not None:
        assert certificate.weight_norm <= certificate.weight_bound * rounding
    assert certificate.sharp_weight_bound is not None
    assert certificate.weight_norm <= certificate.sharp_weight_bound * rounding


def test_the_weight_bound_shrinks_with_rho_along_a_descent(cosine_objective: Build) -> None:
    bias = (math.pi * np.array([1.0, 0.5]) / 1.25 + 0.05).tolist()
    objective = cosine_objective([[0.05, 0.02], [0.01, -0.03]], bias, 0.3)
    bounds, norms = [], []
    for _ in range(5):
        certificate = certify(objective)
        bounds.append(certificate.weight_bound)
        norms.append(certificate.weight_norm)
        descend(objective, torch.optim.SGD(objective.parameters(), lr=0.3), max_steps=10)
    spoken = [bound is not None for bound in bounds]
    assert spoken == sorted(spoken)
    assert sum(spoken) >= 3
    pairs = [(b, n) for b, n in zip(bounds, norms, strict=True) if b is not None]
    assert all(norm <= bound for bound, norm in pairs)
    assert [b for b, _ in pairs] == sorted((b for b, _ in pairs), reverse=True)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_regularization_that_is_not_positive_and_finite_is_refused(
    cosine_saddle: Build, value: float
) -> None:
    objective = cosine_saddle()
    with pytest.raises(ValueError, match=f"regularization is {value}: it must be a finite number"):
        type(objective)(
            objective.weight.detach(), objective.bias().detach(), value, Tensor([1.0, 0.5])
        )


def test_eq_1_itself_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        DerandomizationObjective(1.0)
