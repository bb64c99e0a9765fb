"""HessianDescent: what it asks of a closure, leaves behind, refuses with a line, and saves."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import HessianDescent, eigenvalues
from derandomization.eigenvalues import DENSE_SIZE

Tensors = Callable[..., list[Tensor]]
Run = Callable[..., np.ndarray]
Flat = Callable[[list[Tensor]], np.ndarray]
LANCZOS = DENSE_SIZE + 60


def hessian_descent(params: list, **options: float) -> HessianDescent:
    settings = {"smoothness": 4.0, "hessian_lipschitz": 1.0, "accuracy": 0.01}
    return HessianDescent(params, **(settings | options))


def bowl(params: list[Tensor]) -> Tensor:
    return sum(p.cosh().sum() for p in params)


def saddles(params: list[Tensor]) -> Tensor:
    """x⁴/4 − x²/2 + y⁴/4 − y²/4: from 0, two saddles one after the other."""
    return (params[0] ** 4 / 4 - params[0] ** 2 / torch.tensor([2, 4])).sum()


@pytest.mark.parametrize(
    ("dtype", "shift", "error"),
    [
        (torch.float64, 0.0, 1e-9),
        (torch.float64, 10.0, 3e-8),
        (torch.float32, 0.0, 1e-3),
    ],
)
def test_differences_of_gradients_give_the_eigenvalue_of_the_exact_hessian(
    tensors: Tensors, run: Run, flat: Flat, dtype: torch.dtype, shift: float, error: float
) -> None:
    def wavy(params: list[Tensor]) -> Tensor:
        x, y = params[0] - shift, params[1]
        return (x.square() * torch.arange(1, 4)).sum() + torch.sin(3 * x).sum() + y.cosh().sum()

    params = tensors([0.6 + shift, 0.1 + shift, 1.9 + shift], [0.2], dtype=dtype)
    smallest = 2 - 9 * math.sin(3 * 0.6)
    optimizer = hessian_descent(params, hessian_lipschitz=0.1, accuracy=100.0)  # √(Kρ) = 3.2
    step = run(optimizer, wavy, params, 1)[0].astype(float) - flat(
        tensors([0.6 + shift, 0.1 + shift, 1.9 + shift], [0.2], dtype=dtype)
    )
    assert optimizer.curvature_steps == [0]
    assert np.linalg.norm(step) * 0.1 / 2 == pytest.approx(-smallest, rel=error)


@pytest.mark.parametrize(
    ("dtype", "shift", "error"),
    [(torch.float64, 1e6, 1e-9), (torch.float32, 0.3, 1e-3)],  # beside float64 for the rest
)
def test_the_width_of_a_difference_suits_the_coarsest_dtype_and_the_size_of_the_point(
    tensors: Tensors, run: Run, flat: Flat, dtype: torch.dtype, shift: float, error: float
) -> None:
    def cap(params: list[Tensor]) -> Tensor:
        return -(params[0] - shift).square().sum() / 2 + params[1].square().sum()

    params = tensors([shift, shift], dtype=dtype) + tensors([0.0])
    start = flat(params)
    optimizer = hessian_descent(params, hessian_lipschitz=0.02)
    step = run(optimizer, cap, params, 1)[0] - start
    assert np.linalg.norm(step) == pytest.approx(2 * 1 / 0.02, rel=error)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("set_to_none", [True, False])
@pytest.mark.parametrize("size", [5, LANCZOS])
def test_products_put_parameters_and_gradients_back_to_the_bit(
    flat: Flat, dtype: torch.dtype, set_to_none: bool, size: int
) -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(size, generator=generator, dtype=dtype) * 1e-3
    values[0], values[1] = -0.0, 1e-30
    transposed = values[2:].clone().view(-1, 3).T  # not contiguous
    params = [values[:2].clone().requires_grad_(), transposed.requires_grad_()]
    storage = [p.data_ptr() for p in params]
    optimizer = hessian_descent(params, accuracy=1.0)
    points, gradients = [], []

    def closure() -> Tensor:
        optimizer.zero_grad(set_to_none=set_to_none)
        value = bowl(params)
        value.backward()
        points.append([p.detach().clone() for p in params])
        gradients.append([p.grad.clone() for p in params])
        return value.detach()

    returned = optimizer.step(closure)
    assert optimizer.terminated
    bits = torch.int64 if dtype == torch.float64 else torch.int32
    for now, first in zip(params, points[0], strict=True):
        assert torch.equal(now.detach().contiguous().view(bits), first.contiguous().view(bits))
    assert [p.data_ptr() for p in params] == storage
    assert all(torch.equal(p.grad, g) for p, g in zip(params, gradients[0], strict=True))
    # The closure came first to where the step began, whose f it returns; then to either side.
    assert torch.equal(points[0][0], values[:2])
    assert torch.equal(returned, bowl(points[0]))
    assert len(points) > 10
    assert all((flat(point) != flat(points[0])).any() for point in points[1:])


def test_a_step_by_the_gradient_costs_one_closure(tensors: Tensors, run: Run, flat: Flat) -> None:
    seen = []

    def counted(params: list[Tensor]) -> Tensor:
        seen.append(flat(params).tolist())
        return bowl(params)

    params = tensors([0.5, -2.0])
    path = run(hessian_descent(params), counted, params, 2)
    assert seen == [[0.5, -2.0], path[0].tolist()]


def test_parameters_that_are_frozen_or_unused_stay_and_do_not_count(tensors: Tensors) -> None:
    x, frozen, unused = params = tensors([0.0, 0.0], [1e-3, 0.0], [5.0])
    frozen.requires_grad_(False)
    frozen.grad = torch.ones(2, dtype=torch.float64)  # left from before it was frozen
    optimizer = hessian_descent(params)

    def closure() -> Tensor:
        x.grad = None
        value = -x.square().sum() / 2 + (x * frozen).sum() - 25 * frozen.square().sum()
        value.backward()
        return value

    assert not optimizer.step(closure).requires_grad
    assert optimizer.curvature_steps == [0]
    assert float(x.detach().norm()) == pytest.approx(2, rel=1e-9)
    assert frozen.tolist() == [1e-3, 0.0]
    assert unused.tolist() == [5.0]
    assert unused.grad is None


def test_a_parameter_that_f_leaves_out_to_one_side_has_no_gradient_there(
    tensors: Tensors, run: Run
) -> None:
    def one_sided(params: list[Tensor]) -> Tensor:
        x, y = params
        return x.square().sum() if x < 0 else (x.square() + y.square()).sum()

    params = tensors([0.0], [0.0])
    optimizer = hessian_descent(params)
    run(optimizer, one_sided, params, 1)
    assert optimizer.terminated


def test_an_error_in_the_closure_passes_through_and_the_parameters_are_put_back(
    tensors: Tensors, run: Run, flat: Flat
) -> None:
    params = tensors([0.1, -0.2])
    optimizer = hessian_descent(params, accuracy=1.0)
    seen = []

    def failing(params: list[Tensor]) -> Tensor:
        seen.append(flat(params).tolist())
        if len(seen) == 3:
            raise ValueError("mine")
        return bowl(params)

    with pytest.raises(ValueError, match=r"^mine$"):
        run(optimizer, failing, params, 1)
    assert seen[2] != seen[0]
    assert flat(params).tolist() == [0.1, -0.2]
    assert (optimizer.num_steps, optimizer.terminated) == (0, False)


def test_lanczos_that_does_not_converge_is_one_line_that_says_what_to_change(
    monkeypatch: pytest.MonkeyPatch, tensors: Tensors, run: Run, flat: Flat
) -> None:
    monkeypatch.setattr(eigenvalues, "MAX_STEPS", 3)
    start = np.full(LANCZOS, 1e-3)
    params = tensors(start.tolist())
    optimizer = hessian_descent(params, accuracy=0.25)
    slopes = torch.linspace(0.1, 3, LANCZOS)
    with pytest.raises(ValueError, match="too rough") as caught:
        run(optimizer, lambda params: (slopes * params[0] ** 2).sum(), params, 1)
    message = str(caught.value)
    assert "\n" not in message
    assert (flat(params) == start).all()
    assert (optimizer.num_steps, optimizer.terminated) == (0, False)


def test_a_curvature_lost_in_the_differences_is_refused_and_not_certified(
    tensors: Tensors, run: Run
) -> None:
    def quartic(params: list[Tensor]) -> Tensor:
        return (params[0] ** 4).sum()

    # ∇²f = 0, and the difference 4h²: 1e-10 in float64, 1e-4 in float32, against √(Kρ) = 1e-5.
    params = tensors([0.0, 0.0])
    optimizer = hessian_descent(params, accuracy=1e-10)
    run(optimizer, quartic, params, 1)
    assert optimizer.terminated

    params = tensors([0.0, 0.0], dtype=torch.float32)
    optimizer = hessian_descent(params, accuracy=1e-10)
    with pytest.raises(ValueError, match=r"2×2 Hessian .* √\(Kρ\) = 1e-05: .* float64") as caught:
        run(optimizer, quartic, params, 1)
    assert "accuracy (it is 1e-10)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert params[0].tolist() == [0.0, 0.0]
    assert (optimizer.num_steps, optimizer.terminated) == (0, False)


def test_a_closure_without_backward_is_named(tensors: Tensors) -> None:
    params = tensors([0.0, 0.0])
    optimizer = hessian_descent(params)
    with pytest.raises(ValueError, match="no parameter has a gradient: the closure must call"):
        optimizer.step(lambda: bowl(params))
    assert not optimizer.terminated


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothness": 0.0}, r"smoothness is 0\.0: it must be a finite number above 0"),
        ({"smoothness": math.inf}, r"smoothness is inf"),
        ({"hessian_lipschitz": 0.0}, r"hessian_lipschitz is 0\.0: it must be a finite number"),
        ({"hessian_lipschitz": math.nan}, r"hessian_lipschitz is nan"),
        ({"accuracy": -1.0}, r"accuracy is -1\.0: it must be a finite number above 0"),
        ({"seed": -1}, r"seed is -1: it must be at least 0"),
    ],
)
def test_an_argument_out_of_range_is_named(tensors: Tensors, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hessian_descent(tensors([0.0]), **options)


@pytest.mark.parametrize("stop", [0, 1, 5, 40, 79])
def test_a_restored_run_continues_bit_for_bit(tensors: Tensors, run: Run, stop: int) -> None:
    options = {"hessian_lipschitz": 7.0, "accuracy": 1e-3, "seed": 7}
    params = tensors([0.0, 0.0])
    optimizer = hessian_descent(params, **options)
    whole = run(optimizer, saddles, params, 80)
    assert optimizer.terminated
    assert len(optimizer.curvature_steps) == 2
    assert 5 < optimizer.curvature_steps[1] < 40 < optimizer.num_steps < 79

    params = tensors([0.0, 0.0])
    optimizer = hessian_descent(params, **options)
    first = run(optimizer, saddles, params, stop).reshape(stop, 2)
    stored = io.BytesIO()
    torch.save(optimizer.state_dict(), stored)
    stored.seek(0)
    resumed = tensors([0.0, 0.0, *first.ravel()][-2:])
    fresh = hessian_descent(resumed, smoothness=9.0, hessian_lipschitz=1.0, accuracy=0.5, seed=1)
    fresh.load_state_dict(torch.load(stored))
    assert fresh.state_dict() == optimizer.state_dict()
    assert fresh.terminated is optimizer.terminated is (stop == 79)
    rest = run(fresh, saddles, resumed, 80 - stop)
    assert np.array_equal(np.concatenate([first, rest]), whole)
    run(optimizer, saddles, params, 80 - stop)
    assert fresh.state_dict() == optimizer.state_dict()
    assert (fresh.smoothness, fresh.seed, fresh.terminated) == (4.0, 7, True)


def test_a_state_shares_nothing_with_the_optimizer_it_came_from_or_went_to(
    tensors: Tensors, run: Run
) -> None:
    params = tensors([0.0, 0.0])
    optimizer, other = hessian_descent(params), hessian_descent(tensors([0.0, 0.0]))
    state = optimizer.state_dict()
    other.load_state_dict(state)
    run(optimizer, saddles, params, 1)
    assert optimizer.curvature_steps == [0]
    assert state["curvature_steps"] == other.curvature_steps == []
    other.curvature_steps.append(3)
    assert state["curvature_steps"] == []
