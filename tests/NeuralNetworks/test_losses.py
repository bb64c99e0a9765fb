"""Losses against their formulas, and the labels whose best prediction is the teacher's signal."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from NeuralNetworks.losses import LOSSES, Loss, as_loss, squared

# softplus is linear past 20, where it is e⁻²⁰ from the logarithm.
LINEAR, TAIL = 19.9, 3e-9
SIGNALS = [-3.0, -0.7, 0.0, 0.4, 2.5]
FORMULAS = {
    "squared": lambda p, y: (p - y) ** 2,
    "log-cosh": lambda p, y: np.log(np.cosh(p - y)),
    "logistic": lambda p, y: (1 + y) / 2 * np.logaddexp(0, -p) + (1 - y) / 2 * np.logaddexp(0, p),
    "poisson": lambda p, y: np.exp(p) - y * p,
}


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def grid(name: str) -> tuple[np.ndarray, np.ndarray]:
    labels = {"logistic": np.linspace(-1, 1, 9), "poisson": np.linspace(0, 6, 9)}
    found = np.meshgrid(np.linspace(-9, 9, 37), labels.get(name, np.linspace(-0.9, 0.9, 9)))
    return found[0].ravel(), found[1].ravel()


def test_every_loss_has_a_formula() -> None:
    assert list(LOSSES) == list(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_is_its_formula_point_by_point(name: str) -> None:
    prediction, label = grid(name)
    found = LOSSES[name].function(double(prediction), double(label))
    assert found.shape == prediction.shape
    expected = FORMULAS[name](prediction, label)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_is_differentiable_twice_in_the_prediction(name: str) -> None:
    prediction, label = grid(name)
    p, y = double(prediction[::9]).requires_grad_(), double(label[::9])
    assert torch.autograd.gradcheck(lambda p: LOSSES[name].function(p, y), p)
    assert torch.autograd.gradgradcheck(lambda p: LOSSES[name].function(p, y), p)


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("squared", 0.5, [(1e4 + 0.5) ** 2, (1e4 - 0.5) ** 2]),
        ("log-cosh", 0.5, [1e4 + 0.5 - math.log(2), 1e4 - 0.5 - math.log(2)]),
        ("logistic", 1.0, [1e4, 0.0]),
        ("logistic", -1.0, [0.0, 1e4]),
        ("logistic", 0.5, [7.5e3, 2.5e3]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_overflows_ten_thousand_out(
    name: str, label: float, expected: list[float], dtype: torch.dtype
) -> None:
    p = torch.tensor([-1e4, 1e4], dtype=dtype, requires_grad=True)
    values = LOSSES[name].function(p, torch.full_like(p, label))
    (slopes,) = torch.autograd.grad(values.sum(), p, create_graph=True)
    (curvatures,) = torch.autograd.grad(slopes.sum(), p)
    assert values.tolist() == pytest.approx(expected, rel=2e-6 if dtype == torch.float32 else 1e-14)
    assert torch.isfinite(slopes).all()
    assert torch.isfinite(curvatures).all()


def test_poisson_is_linear_where_the_rate_is_none() -> None:
    p = double([-1e4]).requires_grad_()
    value = LOSSES["poisson"].function(p, double([3.0]))
    (slope,) = torch.autograd.grad(value, p)
    assert (value.item(), slope.item()) == (3e4, -3.0)


def test_log_cosh_does_not_tell_too_high_from_too_low() -> None:
    gaps = double(np.linspace(0, 60, 241))
    zero = torch.zeros_like(gaps)
    above, below = (LOSSES["log-cosh"].function(sign * gaps, zero) for sign in (1, -1))
    torch.testing.assert_close(above, below, rtol=0, atol=TAIL)
    assert LOSSES["log-cosh"].function(zero, zero).abs().max() < 1e-15


@pytest.mark.parametrize("label", [1.0, -1.0])
def test_logistic_is_the_log_likelihood_of_plus_and_minus_one(label: float) -> None:
    prediction = np.linspace(-40, 40, 321)
    found = LOSSES["logistic"].function(double(prediction), torch.full((321,), label).double())
    expected = np.log1p(np.exp(-label * prediction))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=TAIL)
    near = np.abs(prediction) < LINEAR
    np.testing.assert_allclose(found.numpy()[near], expected[near], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["logistic", "poisson"])
def test_a_mean_label_stands_for_the_label_it_is_the_mean_of(name: str) -> None:
    p = double(np.linspace(-5, 5, 21))
    mixed = LOSSES[name].function(p, torch.full_like(p, 0.3 * -1 + 0.7 * 1))
    parts = [LOSSES[name].function(p, torch.full_like(p, label)) for label in (-1.0, 1.0)]
    torch.testing.assert_close(mixed, 0.3 * parts[0] + 0.7 * parts[1], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_best_prediction_is_the_signal(name: str) -> None:
    loss = LOSSES[name]
    signal = double(SIGNALS)
    prediction = signal.clone().requires_grad_()
    value = loss.function(prediction, loss.label(signal))
    (slope,) = torch.autograd.grad(value.sum(), prediction, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), prediction)
    assert slope.abs().max() < 1e-14
    assert (curvature > 0).all()
    for shift in (-0.5, 0.5):
        assert (loss.function(signal + shift, loss.label(signal)) > value).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_labels_lie_where_they_may_and_reach_towards_both_ends(name: str) -> None:
    loss = LOSSES[name]
    labels = loss.label(double([-30.0, *SIGNALS, 5.0, 30.0]))
    assert loss.lowest_label <= labels.min() < -0.99 or loss.lowest_label == 0
    assert labels.max() <= loss.highest_label
    assert (loss.lowest_label, loss.highest_label) == {
        "logistic": (-1, 1),
        "poisson": (0, math.inf),
    }.get(name, (-math.inf, math.inf))


@pytest.mark.parametrize("signal", SIGNALS)
def test_labels_are_the_means_of_what_they_say(signal: float) -> None:
    counts = np.arange(200)
    mean = float(counts @ stats.poisson.pmf(counts, math.exp(signal)))
    assert LOSSES["poisson"].label(double(signal)).item() == pytest.approx(mean, rel=1e-12)
    odds = 1 / (1 + math.exp(-signal))
    expected = odds * 1 + (1 - odds) * -1
    assert LOSSES["logistic"].label(double(signal)).item() == pytest.approx(expected, abs=1e-15)
    for name in ("squared", "log-cosh"):
        assert LOSSES[name].label(double(signal)).item() == signal


def test_a_loss_is_found_by_its_name_or_is_the_callers_own() -> None:
    for name, loss in LOSSES.items():
        assert as_loss(name) is loss
    mine = Loss(squared, torch.exp, 0.0, 3.0)
    assert as_loss(mine) is mine

    def quartic(prediction: Tensor, label: Tensor) -> Tensor:
        return (prediction - label) ** 4

    own = as_loss(quartic)
    assert own.function is quartic
    assert torch.equal(own.label(double(SIGNALS)), double(SIGNALS))
    assert (own.lowest_label, own.highest_label) == (-math.inf, math.inf)


def test_a_loss_of_another_name_is_refused(unchecked: Callable[..., Callable]) -> None:
    expected = (
        "loss is 'hinge': it must be a function or one of squared, log-cosh, logistic, poisson"
    )
    with pytest.raises(ValueError, match=f"^{expected}$"):
        unchecked(as_loss)("hinge")
