"""Value, gradient and Hessian of the expected cut are those of plain torch operations."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from derandomization import certify
from derandomization.hessian import Hessian
from MAXCUT.cut_derivatives import expected_cut
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from tests.MAXCUT.reference import ByAutograd

Build = Callable[..., Graph]
AtRandom = Callable[[float], ExpectedCut]


@pytest.fixture(params=["sparse", "dense"])
def at_random(
    request: pytest.FixtureRequest, signed_graph: Build, monkeypatch: pytest.MonkeyPatch
) -> AtRandom:
    """A point with ‖v_i‖ about ``size`` and μ_i about 0.3; vertex 0 is isolated."""
    monkeypatch.setattr("MAXCUT.edge_products.DENSE", 1_000 if request.param == "dense" else 0)

    def build(size: float) -> ExpectedCut:
        graph = signed_graph(12, seed=3)
        kept = (graph.ends > 0).all(axis=1)
        graph = Graph(12, graph.ends[kept], graph.weights[kept])
        rng = np.random.default_rng(4)
        vectors = size * rng.standard_normal((12, 3)) / 3**0.5
        scales = rng.uniform(0.5, 2, 12)
        objective = ExpectedCut(
            graph, vectors, smoothing=0.1, regularization=0.02, vertex_scales=scales
        )
        assert objective.products.dense == (request.param == "dense")
        with torch.no_grad():
            objective.mean.copy_(torch.from_numpy(0.3 * rng.standard_normal(12)))
        return objective

    return build


@pytest.mark.parametrize("size", [1.0, 0.1, 1e-4])
def test_value_and_gradient(size: float, at_random: AtRandom) -> None:
    objective = at_random(size)
    reference = ByAutograd(objective)
    parameters = list(objective.parameters())
    assert float(objective().detach()) == pytest.approx(float(reference().detach()), rel=1e-7)
    found = torch.autograd.grad(3 * objective(), parameters)
    expected = torch.autograd.grad(3 * reference(), parameters)
    for ours, its in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, its, rtol=1e-7, atol=1e-9)


def test_the_gradient_without_autograd_is_added_to_what_is_there(at_random: AtRandom) -> None:
    objective = at_random(0.3)
    parameters = [objective.vectors, objective.mean]
    expected = torch.autograd.grad(objective(), parameters)
    for times in (1, 2):
        value = objective.backpropagate()
        assert float(value) == pytest.approx(float(objective().detach()), rel=1e-14)
        for parameter, its in zip(parameters, expected, strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, times * its, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("weight", [1.0, 1e-300, 1e300])
@pytest.mark.parametrize("size", [30.0, 1.0, 1e-4, 1e-30])
def test_gradients_in_float32_differ_by_rounding(
    size: float, weight: float, at_random: AtRandom
) -> None:
    objective = at_random(size)
    objective.weights *= weight
    objective.scale /= weight
    exact = torch.autograd.grad(objective(), [objective.vectors, objective.mean])
    objective.gradient_dtype = torch.float32
    value = objective.backpropagate()
    assert value.dtype == torch.float64
    assert float(value) == pytest.approx(float(objective().detach()), rel=1e-6)
    for parameter, its in zip([objective.vectors, objective.mean], exact, strict=True):
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float64
        torch.testing.assert_close(parameter.grad, its, rtol=1e-4, atol=1e-6)


def test_a_frozen_parameter_gets_no_gradient(at_random: AtRandom) -> None:
    objective = at_random(0.3)
    objective.mean.requires_grad_(False)
    (expected,) = torch.autograd.grad(objective(), [objective.vectors])
    objective.backpropagate()
    assert objective.mean.grad is None
    torch.testing.assert_close(objective.vectors.grad, expected, rtol=1e-12, atol=1e-14)


def test_the_gradient_is_that_of_differences(at_random: AtRandom) -> None:
    objective = at_random(0.05)  # every |r| is below 0.2, where the value's error is 1e-12
    point = [p.detach().requires_grad_() for p in (objective.vectors, objective.mean)]

    def cut(vectors: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return expected_cut(vectors, mean, objective.noise, objective.weights, objective.products)

    assert torch.autograd.gradcheck(cut, point, eps=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 0.1, 1e-4])
def test_the_hessian(size: float, at_random: AtRandom) -> None:
    objective = at_random(size)
    parameters = [objective.vectors, objective.mean]
    product = objective.hessian_product()
    assert product is not None
    rows = torch.eye(sum(p.numel() for p in parameters), dtype=torch.float64)
    found = torch.stack([product(row) for row in rows])
    reference = Hessian(ByAutograd(objective), parameters)
    expected = torch.stack([reference.product(row) for row in rows])
    assert float(expected.norm()) > 1
    assert float((found - expected).norm()) <= 1e-8 * float(expected.norm())
    known = objective.bias_hessian() @ np.eye(12)
    assert known == pytest.approx(expected[-12:, -12:].numpy(), abs=1e-8)


def test_a_certificate_uses_it_and_is_that_of_autograd(at_random: AtRandom) -> None:
    objective = at_random(0.1)
    found, expected = certify(objective), certify(ByAutograd(objective))
    for name in ("gradient_norm", "min_curvature", "weight_norm", "bias_curvature"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6)


def test_a_second_derivative_by_autograd_is_refused(at_random: AtRandom) -> None:
    objective = at_random(0.1)
    with pytest.raises(ValueError, match="differentiated once"):
        torch.autograd.grad(objective(), objective.mean, create_graph=True)


@pytest.mark.parametrize("frozen", ["vectors", "mean"])
def test_a_certificate_of_a_partly_frozen_cut_is_that_of_autograd(
    frozen: str, at_random: AtRandom
) -> None:
    objective = at_random(0.1)
    getattr(objective, frozen).requires_grad_(False)
    found, expected = certify(objective), certify(ByAutograd(objective))
    for name in ("gradient_norm", "min_curvature", "weight_norm", "bias_curvature"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6)


def test_levels_that_underflow_leave_value_and_gradient_finite(at_random: AtRandom) -> None:
    objective = at_random(1e-6)
    with torch.no_grad():
        objective.mean.mul_(1e3)
    objective().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in objective.parameters())
    cut = Graph(12, objective.ends.T.numpy(), objective.weights.numpy())
    assert float(objective.expected_cut().detach()) == pytest.approx(
        float(cut.cut_value(objective.signs())), rel=1e-5
    )
