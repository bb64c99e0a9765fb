"""The fused kernel gives the value and the gradient of the closed form by autograd."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

import MAXCUT.expected_cut
import MAXCUT.fused_kernel
from MAXCUT.expected_cut import ExpectedCut, bivariate_normal_cdf
from MAXCUT.fused_kernel import SERIES, FusedKernel, _crossing_probabilities
from MAXCUT.graph import Graph

Build = Callable[..., Graph]
AtRandom = Callable[[bool, float], ExpectedCut]


@pytest.fixture(scope="module")
def at_random(signed_graph: Build) -> AtRandom:
    """One point, fused or not: ‖v_i‖ about ``size``, μ_i about 0.3; vertex 0 is isolated."""

    def build(fused: bool, size: float) -> ExpectedCut:
        graph = signed_graph(12, seed=3)
        kept = (graph.ends > 0).all(axis=1)
        graph = Graph(12, graph.ends[kept], graph.weights[kept])
        rng = np.random.default_rng(4)
        vectors = size * rng.standard_normal((12, 3)) / 3**0.5
        objective = ExpectedCut(graph, vectors, smoothing=0.1, regularization=0.02)
        objective.evaluation = FusedKernel(graph) if fused else None
        with torch.no_grad():
            objective.mean.copy_(torch.from_numpy(0.3 * rng.standard_normal(12)))
        return objective

    return build


def value_and_gradient(objective: ExpectedCut) -> tuple[float, torch.Tensor]:
    value = objective()
    gradients = torch.autograd.grad(3 * value, [objective.vectors, objective.mean])
    return float(value.detach()), torch.cat([g.flatten().double() for g in gradients])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", [1.0, 0.1, 1e-4])
def test_it_is_the_expected_cut_and_its_gradient(
    size: float, dense: bool, at_random: AtRandom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MAXCUT.fused_kernel, "is_dense", lambda *_: dense)
    monkeypatch.setattr(MAXCUT.expected_cut, "is_dense", lambda *_: not dense)
    expected, its_gradient = value_and_gradient(at_random(False, size))
    value, gradient = value_and_gradient(at_random(True, size))
    # The gradient is closed form in both; of the value eight nodes give what twenty do to 1e-6.
    assert value == pytest.approx(expected, rel=1e-6)
    assert float((gradient - its_gradient).norm()) <= 1e-9 * float(its_gradient.norm())


def test_levels_that_underflow_leave_value_and_gradient_finite(at_random: AtRandom) -> None:
    objective = at_random(True, 1e-6)
    with torch.no_grad():
        objective.mean.mul_(1e3)
    objective().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in objective.parameters())
    cut = Graph(12, objective.ends.T.numpy(), objective.weights.numpy())
    assert float(objective.expected_cut().detach()) == pytest.approx(
        float(cut.cut_value(objective.signs())), rel=1e-5
    )


@pytest.mark.parametrize("size", [0.01, 0.1])
def test_the_short_quadratures_serve_small_correlations_as_well_as_the_long(
    size: float, monkeypatch: pytest.MonkeyPatch, at_random: AtRandom
) -> None:
    objective = at_random(True, size)
    short = float(objective.expected_cut().detach())
    longest = MAXCUT.fused_kernel.RULES[math.inf]
    monkeypatch.setattr(MAXCUT.fused_kernel, "RULES", {math.inf: longest})
    monkeypatch.setattr(MAXCUT.fused_kernel, "SERIES", 0.0)
    assert short == pytest.approx(float(objective.expected_cut().detach()), abs=1e-11)


def test_the_power_series_serves_where_it_is_used() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = 2 * torch.randn(2, 500, generator=generator, dtype=torch.float64)
    r = SERIES * torch.linspace(-1, 1, 500, dtype=torch.float64)
    both = bivariate_normal_cdf(a, b, r)
    exact = torch.special.ndtr(a) + torch.special.ndtr(b) - 2 * both
    torch.testing.assert_close(_crossing_probabilities(a, b, r), exact, rtol=0, atol=1e-11)
