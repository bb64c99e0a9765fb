"""Activations and the moments of a rectified Gaussian, against 300 digits, quad and sampling."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats
from torch import Tensor

from NeuralNetworks.activations import ACTIVATIONS, SmoothReLU, rectified_moments

ORDER = 6
FORMULAS = {
    "smooth-relu": lambda z: np.logaddexp(0, 2 * z) / 2,
    "tanh": np.tanh,
    "gelu": lambda z: z * stats.norm.cdf(z),
    "erf": special.erf,
    "softplus": lambda z: np.logaddexp(0, z),
    "quadratic": lambda z: z**2,
    "cubic-relu": lambda z: np.maximum(z, 0) ** 3,
}


def exact_smooth_relu(z: float, sharpness: float) -> float:
    with localcontext() as context:
        context.prec = 300
        iota = Decimal(sharpness)
        return float((1 + (iota * Decimal(z)).exp()).ln() / iota)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def moments(bias: float, deviation: float) -> np.ndarray:
    return np.array([float(m) for m in rectified_moments(*double(bias, deviation), ORDER)])


@settings(max_examples=60, deadline=None)
@given(z=st.floats(-50, 50), sharpness=st.floats(0.1, 10))
@example(z=20.0, sharpness=2.0)  # where the linear branch begins
@example(z=-300.0, sharpness=2.0)
def test_smooth_relu_is_the_logarithm_to_double_precision(z: float, sharpness: float) -> None:
    found = SmoothReLU(sharpness)(double(z)).item()
    # The rounding of the product ιz alone moves e^{ιz} by |ιz| units in the last place.
    tolerance = 1e-15 * (10 + abs(sharpness * z))
    assert found == pytest.approx(exact_smooth_relu(z, sharpness), rel=tolerance, abs=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_smooth_relu_does_not_overflow(dtype: torch.dtype) -> None:
    z = torch.tensor([-1e4, -100.0, 100.0, 1e4], dtype=dtype, requires_grad=True)
    output = SmoothReLU(2.0)(z)
    (slope,) = torch.autograd.grad(output.sum(), z, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), z)
    assert output.tolist() == pytest.approx([0, 0, 100, 1e4], abs=1e-80)
    assert slope.tolist() == pytest.approx([0, 0, 1, 1], abs=1e-80)
    assert curvature.tolist() == pytest.approx([0, 0, 0, 0], abs=1e-80)


def test_smooth_relu_stays_within_log_two_over_iota_of_relu() -> None:
    z = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    gap = SmoothReLU(3.0)(z) - torch.relu(z)
    assert gap.min() > 0
    assert gap.max().item() == pytest.approx(math.log(2) / 3, rel=1e-14)
    assert z[gap.argmax()].item() == pytest.approx(0, abs=1e-14)


def test_smooth_relu_has_the_derivatives_it_claims() -> None:
    z = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(SmoothReLU(2.0), z)
    assert torch.autograd.gradgradcheck(SmoothReLU(2.0), z)
    (slope,) = torch.autograd.grad(SmoothReLU(2.0)(z).sum(), z, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), z)
    assert curvature.max().item() == pytest.approx(2.0 / 4, rel=1e-14)  # ι/4, at 0


def test_every_activation_has_a_formula() -> None:
    assert set(ACTIVATIONS) == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_its_formula(name: str) -> None:
    z = np.append(np.linspace(-6, 6, 97), [-30.0, 30.0]).reshape(9, 11)
    found = ACTIVATIONS[name]()(torch.from_numpy(z))
    assert found.shape == z.shape
    np.testing.assert_allclose(found.numpy(), FORMULAS[name](z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_is_differentiable_twice(name: str) -> None:
    z = double(-2.7, -1.1, -0.3, 0.2, 0.9, 1.6, 2.4).requires_grad_()
    activation = ACTIVATIONS[name]()
    assert torch.autograd.gradcheck(activation, z)
    assert torch.autograd.gradgradcheck(activation, z)


@settings(max_examples=40, deadline=None)
@given(bias=st.floats(-4, 4), deviation=st.floats(-3, 3).filter(lambda w: abs(w) > 0.05))
def test_moments_are_the_integrals(bias: float, deviation: float) -> None:
    edge = -bias / abs(deviation)
    found = moments(bias, deviation)
    for power in range(ORDER + 1):
        exact, _ = integrate.quad(
            lambda x, p=power: (abs(deviation) * x + bias) ** p * math.exp(-x * x / 2),
            edge,
            max(edge, 0) + 15,
            points=[max(edge, 0.0)],
            limit=200,
            epsabs=0,
            epsrel=1e-11,
        )
        # The recursion subtracts where b < 0, so its error is relative to (|b| + |w|)^p; quad's
        # upper end, 15 deviations out, leaves 1e-45.
        assert found[power] == pytest.approx(
            exact / math.sqrt(2 * math.pi),
            rel=1e-9,
            abs=1e-12 * (abs(bias) + abs(deviation)) ** power,
        )


@pytest.mark.parametrize(("bias", "deviation"), [(0.0, 1.0), (0.7, -1.3), (-0.5, 0.8)])
def test_moments_are_the_averages_of_samples(bias: float, deviation: float) -> None:
    x = np.random.default_rng(0).standard_normal(400_000)
    rectified = np.maximum(deviation * x + bias, 0)
    for power, exact in enumerate(moments(bias, deviation)):
        samples = rectified**power if power else (rectified > 0).astype(float)
        z_score = (samples.mean() - exact) / (samples.std() / math.sqrt(len(x)))
        assert abs(z_score) < 4


@pytest.mark.parametrize("point", [(0.4, 0.9), (-0.6, 0.5), (0.3, -1.2), (1.0, 0.05)])
def test_moments_have_the_derivatives_of_their_formulas(point: tuple[float, float]) -> None:
    inputs = tuple(value.requires_grad_() for value in double(*point))

    def stacked(bias: Tensor, deviation: Tensor) -> Tensor:
        return torch.stack(rectified_moments(bias, deviation, ORDER))

    assert torch.autograd.gradcheck(stacked, inputs)
    assert torch.autograd.gradgradcheck(stacked, inputs)


@pytest.mark.parametrize("bias", [-1.5, -0.2, 0.3, 1.0])
def test_at_zero_deviation_value_and_derivatives_are_those_of_the_limit(bias: float) -> None:
    b, w = (value.requires_grad_() for value in double(bias, 0.0))
    for power, moment in enumerate(rectified_moments(b, w, ORDER)):
        positive = float(bias > 0)
        assert moment.item() == pytest.approx(positive * bias**power, rel=1e-15, abs=0)
        slopes = torch.autograd.grad(moment, (b, w), create_graph=True, materialize_grads=True)
        # E(b + wx)^p = b^p + p(p−1)/2 · b^{p−2}w² + …, and nothing where b < 0.
        assert slopes[0].item() == pytest.approx(positive * power * bias ** max(power - 1, 0))
        assert slopes[1].item() == 0
        if power >= 2:
            (curvature,) = torch.autograd.grad(slopes[1], w, retain_graph=True)
            expected = positive * power * (power - 1) * bias ** (power - 2)
            assert curvature.item() == pytest.approx(expected)


@pytest.mark.parametrize("ratio", [37.9, 38.1, 1e3, 1e300])
def test_nothing_jumps_or_overflows_far_from_the_edge(ratio: float) -> None:
    for sign in (1.0, -1.0):
        b, w = (value.requires_grad_() for value in double(sign, 1 / ratio))
        for power, moment in enumerate(rectified_moments(b, w, 3)):
            gradient = torch.autograd.grad(
                moment, (b, w), retain_graph=True, materialize_grads=True
            )
            assert torch.isfinite(torch.stack(gradient)).all()
            polynomial = [1, 1, 1 + ratio**-2, 1 + 3 * ratio**-2][power]
            assert moment.item() == pytest.approx(polynomial if sign > 0 else 0, abs=1e-13)
