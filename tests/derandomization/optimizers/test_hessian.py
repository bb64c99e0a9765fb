"""HessianDescent: its two kinds of step, the curvature it follows, its stopping rule."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from derandomization import DerandomizationObjective, HessianDescent, certify, descend
from derandomization.eigenvalues import DENSE_SIZE, Eigenvalue
from derandomization.optimizers import hessian

Build = Callable[..., DerandomizationObjective]
Tensors = Callable[..., list[Tensor]]
Run = Callable[..., np.ndarray]
Flat = Callable[[list[Tensor]], np.ndarray]
LANCZOS = DENSE_SIZE + 60


def hessian_descent(params: list, **options: float) -> HessianDescent:
    settings = {"smoothness": 10.0, "hessian_lipschitz": 1.0, "accuracy": 0.01}
    return HessianDescent(params, **(settings | options))


def ripples(spectrum: np.ndarray) -> tuple[Callable[[list[Tensor]], Tensor], np.ndarray]:
    """Σ aᵢ(1 − cos qᵢ·x), and the orthonormal q: ∇²f(0) has spectrum a, and K = L = max |a|."""
    size = len(spectrum)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    heights, directions = torch.from_numpy(spectrum), torch.from_numpy(rotation)

    def function(params: list[Tensor]) -> Tensor:
        x = torch.cat([p.flatten() for p in params])
        return heights @ (1 - torch.cos(directions @ x))

    return function, rotation


@pytest.mark.parametrize("accuracy", [1e-3, 1e-8])
def test_it_leaves_the_saddle_and_ends_where_certify_finds_its_own_rho(
    cosine_saddle: Build, accuracy: float
) -> None:
    objective = cosine_saddle(regularization=0.1)
    smoothness, lipschitz = 1.25 + 2 * 0.1, objective.hessian_lipschitz()  # L = ‖c‖² + 2λ
    start = certify(objective)
    assert start.gradient_norm < 1e-15
    assert start.rho > accuracy
    optimizer = HessianDescent(
        objective.parameters(),
        smoothness=smoothness,
        hessian_lipschitz=lipschitz,
        accuracy=accuracy,
    )
    history = descend(objective, optimizer, max_steps=2000)
    assert history.terminated
    assert history.num_steps == optimizer.num_steps
    certificate = certify(objective)
    assert certificate.rho <= accuracy
    assert certificate.min_curvature >= -math.sqrt(lipschitz * accuracy)
    # There ∇²f ≥ 2λ, also on the way to the minimum, which is no further than ‖∇f‖/2λ.
    assert history.weight_norm[-1] <= accuracy / 0.2
    phase = float((objective.c @ objective.bias()).detach())
    assert abs(phase) == pytest.approx(math.pi, abs=accuracy / 0.2 * math.sqrt(1.25))
    # Every step pays what the theory says: f falls by ρ²/2L, or by 2|λ|³/3K².
    along = optimizer.curvature_steps
    assert along[0] == 0
    assert (history.gradient_norm[along] <= accuracy).all()
    drops = -np.diff(history.value)
    paid = 2 / 3 * (0.98 * math.sqrt(lipschitz * accuracy)) ** 3 / lipschitz**2
    assert (drops[along] >= paid).all()
    assert (np.delete(drops, along) >= accuracy**2 / (2 * smoothness) - 1e-15).all()
    assert (np.delete(history.gradient_norm[:-1], along) > accuracy).all()


def test_a_row_of_the_history_is_the_point_before_the_step_along_curvature(
    cosine_saddle: Build,
) -> None:
    objective = cosine_saddle()
    value = float(objective().detach())
    optimizer = hessian_descent(objective.parameters(), accuracy=1e-3)
    history = descend(objective, optimizer, max_steps=1)
    assert optimizer.curvature_steps == [0]
    assert history.value[0] == value
    assert history.gradient_norm[0] < 1e-15
    assert history.value[1] < value - 1e-3


def test_an_f_that_is_not_finite_is_reported_by_descend(cosine_objective: Build) -> None:
    objective = cosine_objective([[math.nan, 0.0], [0.0, 0.0]], [0.0, 0.0])
    with pytest.raises(FloatingPointError, match="nan at step 0"):
        descend(objective, hessian_descent(objective.parameters()), max_steps=3)


def test_a_step_by_the_gradient_is_that_of_torch_sgd(tensors: Tensors, run: Run) -> None:
    def rippled(params: list[Tensor]) -> Tensor:
        x, y = params
        return (x.square() * torch.arange(1, 4)).sum() + torch.sin(3 * x).sum() + y.cosh().sum()

    start = ([0.5, -0.3, 1.2], [0.7])
    ours, theirs = tensors(*start), tensors(*start)
    optimizer = hessian_descent(ours, smoothness=50.0, accuracy=1e-9)
    path = run(optimizer, rippled, ours, 50)
    expected = run(torch.optim.SGD(theirs, lr=1 / 50), rippled, theirs, 50)
    np.testing.assert_allclose(path, expected, rtol=1e-14, atol=1e-15)
    assert not np.allclose(path[-1], path[0], atol=0.1)
    assert (optimizer.num_steps, optimizer.curvature_steps) == (50, [])


def test_a_gradient_is_small_when_its_norm_over_all_groups_is_at_most_rho(
    tensors: Tensors, run: Run
) -> None:
    def slope(params: list[Tensor]) -> Tensor:  # ∇f = (3, 4): norm 5, each part below 4.5
        return 3 * params[0].sum() + 4 * params[1].sum()

    for accuracy, terminated in [(4.999, False), (5.0, True)]:
        params = tensors([0.0], [0.0])
        optimizer = hessian_descent([{"params": [p]} for p in params], accuracy=accuracy)
        run(optimizer, slope, params, 1)
        assert optimizer.terminated is terminated


@pytest.mark.parametrize("size", [7, DENSE_SIZE, DENSE_SIZE + 1, LANCZOS])
def test_a_curvature_step_is_of_length_2_lambda_over_k_along_the_eigenvector(
    tensors: Tensors, run: Run, size: int
) -> None:
    function, rotation = ripples(np.concatenate([[-1.5], np.linspace(-0.9, 2, size - 1)]))
    lipschitz = 3.0  # valid, and not |λ|
    params = tensors([[0.0] * (size - 3)], [0.0, 0.0], 0.0)
    optimizer = hessian_descent(params, hessian_lipschitz=lipschitz, accuracy=1e-4)
    step = run(optimizer, function, params, 1)[0]
    assert (optimizer.num_steps, optimizer.curvature_steps) == (1, [0])
    assert np.linalg.norm(step) == pytest.approx(2 * 1.5 / lipschitz, rel=1e-6)
    # Lanczos stops at a residual of 1% of √(Kρ): over the gap of 0.6, that is sin of the angle.
    assert abs(step @ rotation[0]) >= (1 - 1e-6) * np.linalg.norm(step)
    assert float(-function(params).detach()) >= 2 * 1.5**3 / (3 * lipschitz**2)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    size=st.sampled_from([1, 2, 9, DENSE_SIZE + 20]),
    slack=st.sampled_from([1.0, 1.7]),
    distance=st.sampled_from([0.05, 0.8]),
)
def test_it_is_taken_where_it_should_and_lowers_f_by_what_is_guaranteed(
    tensors: Tensors, run: Run, seed: int, size: int, slack: float, distance: float
) -> None:
    rng = np.random.default_rng(seed)
    function, _ = ripples(np.concatenate([[-1.0], rng.uniform(-1, 1, size - 1)]))
    lipschitz = slack  # max |a| is 1
    start = rng.standard_normal(size)
    (x,) = params = tensors((distance * start / np.linalg.norm(start)).tolist())
    exact = torch.autograd.functional.hessian(lambda x: function([x]), x)
    smallest = float(torch.linalg.eigvalsh(exact)[0])
    before = function(params)
    (gradient,) = torch.autograd.grad(before, x)
    accuracy = 1.001 * float(gradient.norm())
    allowed = math.sqrt(lipschitz * accuracy)
    optimizer = hessian_descent(params, hessian_lipschitz=lipschitz, accuracy=accuracy)
    begin = x.detach().clone()
    run(optimizer, function, params, 1)
    step = x.detach() - begin
    if optimizer.terminated:
        assert smallest >= -allowed
        assert not step.any()
        return
    assert smallest <= -0.98 * allowed
    followed = float(step.norm()) * lipschitz / 2
    assert followed == pytest.approx(-smallest, abs=0.02 * allowed)
    assert float(gradient @ step) <= 0
    drop = float((before - function(params)).detach())
    assert drop >= 2 / 3 * followed**3 / lipschitz**2 - 1e-9


@pytest.mark.parametrize("slope", [1e-3, -1e-3])
@pytest.mark.parametrize("size", [1, LANCZOS])
def test_its_sign_is_against_the_gradient_and_where_f_is_cubic_the_bound_is_attained(
    tensors: Tensors, run: Run, slope: float, size: int
) -> None:
    curvature, lipschitz = 0.6, 2.0
    downhill = -math.copysign(1, slope)

    def cubic(params: list[Tensor]) -> Tensor:  # whose third derivative is K going downhill
        x, others = params[0][0], params[0][1:]
        along = slope * x - curvature * x**2 / 2 + downhill * lipschitz * x**3 / 6
        return along + others.square().sum()

    params = tensors([0.0] * size)
    run(hessian_descent(params, hessian_lipschitz=lipschitz), cubic, params, 1)
    length = 2 * curvature / lipschitz
    assert float(params[0][0].detach()) == pytest.approx(downhill * length, rel=1e-6)
    drop = 2 * curvature**3 / (3 * lipschitz**2) + abs(slope) * length
    assert float(-cubic(params).detach()) == pytest.approx(drop, rel=1e-5)


def test_curvature_is_that_of_all_parameters_and_groups_jointly(tensors: Tensors, run: Run) -> None:
    def product(params: list[Tensor]) -> Tensor:  # ∇² has −1 along (1, −1), no part of it has
        return (params[0] * params[1]).sum()

    params = tensors([0.0], [[0.0]])
    optimizer = hessian_descent([{"params": [p]} for p in params], hessian_lipschitz=4.0)
    x, y = run(optimizer, product, params, 1)[0]
    assert x == pytest.approx(-y, rel=1e-9)
    assert math.hypot(x, y) == pytest.approx(2 / 4, rel=1e-9)


@pytest.mark.parametrize("size", [3, LANCZOS])
@pytest.mark.parametrize(("curvature", "terminated"), [(-0.0985, True), (-0.1015, False)])
def test_it_terminates_above_minus_root_of_k_rho_and_only_there(
    tensors: Tensors, run: Run, size: int, curvature: float, terminated: bool
) -> None:
    heights = torch.linspace(curvature, 3, size, dtype=torch.float64)
    params = tensors([0.0] * size)
    optimizer = hessian_descent(params, hessian_lipschitz=4.0, accuracy=0.0025)  # √(Kρ) = 0.1
    path = run(optimizer, lambda x: heights @ x[0].square() / 2, params, 1)
    assert optimizer.terminated is terminated
    assert path.any() != terminated
    assert optimizer.num_steps == len(optimizer.curvature_steps) == int(not terminated)


def test_the_residual_counts_against_the_curvature_and_little_of_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tensors: Tensors, run: Run
) -> None:
    asked = []
    for residual, terminated in [(0.0009, True), (0.0011, False)]:

        def found(*_: object, r: float = residual, **options: float) -> Eigenvalue:
            asked.append(options)
            return Eigenvalue(-0.099, r, np.array([1.0, 0.0]))

        monkeypatch.setattr(hessian, "smallest_eigenvalue", found)
        params = tensors([0.0, 0.0])
        optimizer = hessian_descent(params, seed=5)  # √(Kρ) = 0.1
        (end,) = run(optimizer, lambda x: x[0].square().sum(), params, 1)
        assert optimizer.terminated is terminated
        assert end[0] == (0.0 if terminated else pytest.approx(0.198, rel=1e-12))
    assert asked[0] == {"tolerance": pytest.approx(0.001, rel=1e-12), "seed": 5}


def test_where_it_terminated_it_stays(tensors: Tensors, run: Run) -> None:
    def bowl(params: list[Tensor]) -> Tensor:
        return params[0].square().sum()

    params = tensors([0.0, -0.0])
    optimizer = hessian_descent(params)
    path = run(optimizer, bowl, params, 3)
    assert optimizer.terminated
    assert (optimizer.num_steps, optimizer.curvature_steps) == (0, [])
    assert (path.view(np.int64) == np.array([0.0, -0.0]).view(np.int64)).all()
    params[0].data.fill_(0.3)  # stationary no more, and it stays all the same
    assert run(optimizer, bowl, params, 2).tolist() == [[0.3, 0.3]] * 2
    assert optimizer.num_steps == 0
