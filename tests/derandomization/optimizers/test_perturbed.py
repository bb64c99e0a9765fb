"""PerturbedGradientDescent: its steps, its noise, its stopping rule, its state."""

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from derandomization import PerturbedGradientDescent

Tensors = Callable[..., list[Tensor]]
Run = Callable[..., np.ndarray]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perturbed(params: list[Tensor], **options: object) -> PerturbedGradientDescent:
    settings = {
        "lr": 0.1,
        "gradient_threshold": 1e-6,
        "perturbation_radius": 0.01,
        "perturbation_interval": 20,
        "decrease_threshold": 1e-6,
        "generator": generator(),
    }
    return PerturbedGradientDescent(params, **(settings | options))


def rippled(params: list[Tensor]) -> Tensor:
    x, y = params
    return (x.square() * torch.arange(1, 4)).sum() + torch.sin(3 * x).sum() + y.cosh().sum()


def saddle(params: list[Tensor]) -> Tensor:
    """x⁴/4 − x²/2 + y²/2: a strict saddle at 0, minima of −1/4 at x = ±1, y = 0."""
    x, y = params[0]
    return x**4 / 4 - x**2 / 2 + y**2 / 2


def flat(params: list[Tensor]) -> Tensor:
    return sum(p.sum() for p in params) * 0.0


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_without_perturbation_every_step_is_that_of_torch_sgd(
    tensors: Tensors, run: Run, momentum: float, nesterov: bool
) -> None:
    start = ([0.5, -0.3, 1.2], [0.7])
    ours, theirs = tensors(*start), tensors(*start)
    groups = [[{"params": [p[0]]}, {"params": [p[1]], "lr": 0.003}] for p in (ours, theirs)]
    mine = perturbed(
        groups[0], lr=0.02, gradient_threshold=0.0, momentum=momentum, nesterov=nesterov
    )
    sgd = torch.optim.SGD(groups[1], lr=0.02, momentum=momentum, nesterov=nesterov)
    path, expected = run(mine, rippled, ours, 50), run(sgd, rippled, theirs, 50)
    # The same operations in the same order: equal but for a fused multiply-add here or there.
    np.testing.assert_allclose(path, expected, rtol=1e-14, atol=1e-15)
    assert mine.perturbation_steps == []
    assert not np.allclose(path[-1], path[0], atol=0.1)


def test_noise_is_uniform_in_the_ball_over_all_parameters_jointly(
    tensors: Tensors, run: Run
) -> None:
    radius, draws = 0.3, 3000
    params = tensors([0.0, 0.0], [0.0])
    optimizer = perturbed(
        params,
        perturbation_radius=radius,
        perturbation_interval=1,
        decrease_threshold=-math.inf,
    )
    path = run(optimizer, flat, params, 2 * draws)
    noise = np.diff(np.concatenate([np.zeros((1, 3)), path[::2]]), axis=0)
    norms = np.linalg.norm(noise, axis=1)
    assert len(optimizer.perturbation_steps) == draws
    assert norms.max() <= radius * (1 + 1e-12)
    # Uniform in a ball of R³: (norm/r)³ is uniform, and so is each coordinate of the direction
    # (Archimedes), whichever tensor it lies in. Seeded, so the p-values never change.
    assert stats.kstest((norms / radius) ** 3, "uniform").pvalue > 0.01
    for coordinate in (noise / norms[:, None]).T:
        assert stats.kstest((coordinate + 1) / 2, "uniform").pvalue > 0.01


def test_perturbations_are_more_than_the_interval_apart(tensors: Tensors, run: Run) -> None:
    params = tensors([0.0])
    optimizer = perturbed(params, perturbation_interval=4, decrease_threshold=-math.inf)
    run(optimizer, flat, params, 16)
    assert optimizer.perturbation_steps == [0, 5, 10, 15]


def test_gradient_norm_is_taken_over_all_parameters_before_it_is_compared(
    tensors: Tensors, run: Run
) -> None:
    def slope(params: list[Tensor]) -> Tensor:  # ∇f = (3, 4): norm 5, each part below 4.5
        return 3 * params[0].sum() + 4 * params[1].sum()

    for threshold, steps in [(4.999, []), (5.0, [0])]:
        params = tensors([0.0], [0.0])
        optimizer = perturbed(params, gradient_threshold=threshold)
        run(optimizer, slope, params, 3)
        assert optimizer.perturbation_steps == steps


def test_a_step_returns_the_value_where_it_began(tensors: Tensors) -> None:
    params = tensors([0.5, -2.0])
    optimizer = perturbed(params)
    before = saddle(params).item()
    returned = optimizer.step(lambda: (saddle(params).backward(), saddle(params))[1])
    assert returned.item() == before
    assert saddle(params).item() < before


def test_at_a_minimum_it_terminates_and_restores_the_point_before_the_noise(
    tensors: Tensors, run: Run
) -> None:
    params = tensors([1.0, 0.0])
    optimizer = perturbed(params, perturbation_interval=7)
    path = run(optimizer, saddle, params, 12)
    assert optimizer.terminated
    assert optimizer.num_steps == 7
    assert (path[:7] != [1.0, 0.0]).any(axis=1).all()
    assert (path[7:] == [1.0, 0.0]).all()


def test_after_the_noise_the_step_is_taken_by_the_gradient_where_the_noise_led(
    tensors: Tensors, run: Run
) -> None:
    params = tensors([0.0, 0.0, 0.0])
    optimizer = perturbed(params, lr=1.0)
    # On ‖x‖²/2 a step of 1 returns to 0 from anywhere, but only by the gradient there.
    run(optimizer, lambda x: x[0].square().sum() / 2, params, 1)
    assert optimizer.perturbation_steps == [0]
    assert torch.equal(params[0].detach(), torch.zeros(3, dtype=torch.float64))


def test_a_decrease_of_exactly_the_threshold_lets_it_go_on(tensors: Tensors, run: Run) -> None:
    for threshold, terminated in [(0.0, False), (1e-300, True)]:
        params = tensors([0.0])
        optimizer = perturbed(params, perturbation_interval=3, decrease_threshold=threshold)
        run(optimizer, flat, params, 5)
        assert optimizer.terminated is terminated


def test_it_leaves_the_strict_saddle_where_plain_descent_stays(tensors: Tensors, run: Run) -> None:
    stuck, params = tensors([0.0, 0.5]), tensors([0.0, 0.5])
    plain = run(torch.optim.SGD(stuck, lr=0.1), saddle, stuck, 1000)
    assert plain[-1, 0] == 0.0
    optimizer = perturbed(params, perturbation_interval=80)
    run(optimizer, saddle, params, 1000)
    assert optimizer.terminated
    assert abs(params[0][0].item()) == pytest.approx(1.0, abs=1e-6)
    assert saddle(params).item() == pytest.approx(-0.25, abs=1e-12)


def test_from_theory_computes_the_formulas_of_jin_et_al(tensors: Tensors) -> None:
    d, ell, rho, eps, delta, gap, c = 5, 4.0, 2.0, 0.01, 0.1, 3.0, 0.5
    chi = 3 * math.log(d * ell * gap / (c * eps**2 * delta))
    assert chi > 12
    optimizer = PerturbedGradientDescent.from_theory(
        tensors([0.0] * 3, [0.0] * 2),
        smoothness=ell,
        hessian_lipschitz=rho,
        accuracy=eps,
        failure_probability=delta,
        value_gap=gap,
        constant=c,
    )
    options = optimizer.param_groups[0]
    assert options["lr"] == pytest.approx(c / ell, rel=1e-12)
    assert options["perturbation_radius"] == pytest.approx(c**0.5 / chi**2 * eps / ell, rel=1e-12)
    assert options["gradient_threshold"] == pytest.approx(c**0.5 / chi**2 * eps, rel=1e-12)
    assert options["decrease_threshold"] == pytest.approx(
        c / chi**3 * (eps**3 / rho) ** 0.5, rel=1e-12
    )
    waits = chi / c**2 * ell / (rho * eps) ** 0.5
    assert waits <= options["perturbation_interval"] < waits + 1


def test_from_theory_never_takes_chi_below_twelve(tensors: Tensors) -> None:
    optimizer = PerturbedGradientDescent.from_theory(
        tensors([0.0], [0.0]),
        smoothness=1.0,
        hessian_lipschitz=1.0,
        accuracy=1.0,
        failure_probability=0.5,
        value_gap=1.0,
    )
    assert optimizer.param_groups[0]["gradient_threshold"] == pytest.approx(1 / 144, rel=1e-12)


def test_the_theoretical_parameters_lead_from_the_saddle_to_a_minimum(
    tensors: Tensors, run: Run
) -> None:
    params = tensors([0.0, 0.0])
    optimizer = PerturbedGradientDescent.from_theory(
        params,
        smoothness=2.0,  # ∇² = diag(3x² − 1, 1) on |x| ≤ 1
        hessian_lipschitz=6.0,
        accuracy=0.1,
        failure_probability=0.1,
        value_gap=0.25,
        generator=generator(),
    )
    run(optimizer, saddle, params, 2000)
    assert optimizer.terminated
    assert abs(params[0][0].item()) == pytest.approx(1.0, abs=0.05)  # ‖∇f‖ ≤ ε, curvature 2


@pytest.mark.parametrize("stop", [3, 20, 95])
def test_a_restored_run_continues_bit_for_bit(tensors: Tensors, run: Run, stop: int) -> None:
    options = {"perturbation_interval": 60, "momentum": 0.5, "nesterov": True}
    params = tensors([0.0, 0.3])
    optimizer = perturbed(params, generator=generator(5), **options)
    whole = run(optimizer, saddle, params, 400)
    assert optimizer.terminated
    assert len(optimizer.perturbation_steps) >= 2

    params = tensors([0.0, 0.3])
    optimizer = perturbed(params, generator=generator(5), **options)
    first = run(optimizer, saddle, params, stop)
    stored = io.BytesIO()
    torch.save(optimizer.state_dict(), stored)
    stored.seek(0)
    resumed = tensors(first[-1].tolist())
    fresh = perturbed(resumed, generator=generator(99), lr=7.0, **options)
    fresh.load_state_dict(torch.load(stored))
    rest = run(fresh, saddle, resumed, 400 - stop)
    assert np.array_equal(np.concatenate([first, rest]), whole)
    assert fresh.terminated


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"lr is 0\.0: it must be a finite number above 0"),
        ({"lr": math.inf}, r"lr is inf"),
        ({"gradient_threshold": -1.0}, r"gradient_threshold is -1\.0: it must lie between 0"),
        ({"gradient_threshold": math.nan}, r"gradient_threshold is nan"),
        ({"perturbation_radius": 0.0}, r"perturbation_radius is 0\.0"),
        ({"perturbation_interval": 0}, r"perturbation_interval is 0: it must be at least 1"),
        ({"momentum": 1.0}, r"momentum is 1\.0: it must be at least 0 and below 1"),
        ({"momentum": -0.1}, r"momentum is -0\.1"),
    ],
)
def test_an_argument_out_of_range_is_named(tensors: Tensors, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        perturbed(tensors([0.0]), **options)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"smoothness": 0.0}, r"smoothness is 0\.0"),
        ({"accuracy": -1.0}, r"accuracy is -1\.0"),
        ({"failure_probability": 0.0}, r"failure_probability is 0\.0"),
        ({"failure_probability": 1.5}, r"failure_probability is 1\.5"),
    ],
)
def test_from_theory_names_an_argument_out_of_range(
    tensors: Tensors, changed: dict, message: str
) -> None:
    theory = {
        "smoothness": 1.0,
        "hessian_lipschitz": 1.0,
        "accuracy": 0.1,
        "failure_probability": 0.1,
        "value_gap": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        PerturbedGradientDescent.from_theory(tensors([0.0]), **(theory | changed))


def test_a_group_without_gradients_stays_where_it_is(tensors: Tensors) -> None:
    moving, resting = tensors([2.0, 1.0]), tensors([3.0])
    groups = [{"params": moving}, {"params": resting, "lr": 0.5}]
    optimizer = perturbed(groups, momentum=0.9)  # type: ignore[arg-type]

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = moving[0].square().sum()
        value.backward()
        return value

    start = optimizer.step(closure)
    assert float(optimizer.step(closure)) < float(start)
    assert resting[0].tolist() == [3.0]
