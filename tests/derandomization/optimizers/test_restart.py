"""The option ``restart`` of PerturbedGradientDescent: no velocity, then shorter steps, uphill."""

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import PerturbedGradientDescent

Tensors = Callable[..., list[Tensor]]
Run = Callable[..., np.ndarray]
LR, MOMENTUM = 0.1, 0.5


def perturbed(params: list, **options: object) -> PerturbedGradientDescent:
    settings = {
        "lr": LR,
        "momentum": MOMENTUM,
        "gradient_threshold": 0.0,
        "perturbation_radius": 0.01,
        "perturbation_interval": 4,
        "decrease_threshold": -math.inf,
        "restart": True,
        "generator": torch.Generator().manual_seed(0),
    }
    return PerturbedGradientDescent(params, **(settings | options))


def scripted(values: Sequence[float]) -> Callable[[list[Tensor]], Tensor]:
    """f takes these values one evaluation after the other; each gradient is 1, wherever x is."""
    script = iter(values)

    def function(params: list[Tensor]) -> Tensor:
        slope = sum(p.sum() for p in params)
        return slope - slope.detach() + next(script)

    return function


def displacements(run: Run, tensors: Tensors, values: Sequence[float], **options: object) -> list:
    params = tensors([0.0])
    path = run(perturbed(params, **options), scripted(values), params, len(values))
    return np.diff(path[:, 0], prepend=0.0).tolist()


def heavy_ball(steps: int) -> list[float]:
    """What gradients of 1 make of a velocity that starts at 0."""
    velocities = [(1 - MOMENTUM ** (t + 1)) / (1 - MOMENTUM) for t in range(steps)]
    return [-LR * velocity for velocity in velocities]


def test_while_f_falls_nothing_changes(run: Run, tensors: Tensors) -> None:
    assert displacements(run, tensors, [4, 3, 3, 2.5]) == pytest.approx(heavy_ball(4))


def test_a_rise_forgets_the_velocity_and_keeps_the_step(run: Run, tensors: Tensors) -> None:
    moved = displacements(run, tensors, [4, 3, 3.5, 3, 2, 2.5, 1])
    assert moved == pytest.approx([*heavy_ball(2), *heavy_ball(3), *heavy_ball(2)])


@pytest.mark.parametrize("level", [4.0, -4.0])
def test_rises_in_a_row_halve_the_step_each_time_but_the_first(
    run: Run, tensors: Tensors, level: float
) -> None:
    moved = displacements(run, tensors, [level + each for each in (0, 1, 2, 3, 1, 2, 3)])
    first = heavy_ball(1)[0]
    halved = [first, first, first / 2, first / 4, *(each / 4 for each in heavy_ball(2)[1:])]
    assert moved == pytest.approx([*halved, first / 4, first / 8])


def test_without_the_option_a_rise_means_nothing(run: Run, tensors: Tensors) -> None:
    assert displacements(run, tensors, [4, 5, 6, 7], restart=False) == pytest.approx(heavy_ball(4))
    assert not perturbed(tensors([0.0]), restart=False).param_groups[0]["restart"]
    default = PerturbedGradientDescent(
        tensors([0.0]),
        lr=1.0,
        gradient_threshold=0.0,
        perturbation_radius=1.0,
        perturbation_interval=1,
        decrease_threshold=0.0,
    )
    assert not default.param_groups[0]["restart"]


@pytest.mark.parametrize("level", [1.0, -1.0, 1e6])
def test_rounding_is_no_rise(run: Run, tensors: Tensors, level: float) -> None:
    noise = [level, level + 5e-11 * abs(level), level + 9e-11 * abs(level)]
    assert displacements(run, tensors, noise) == pytest.approx(heavy_ball(3))
    rise = [level, level + 2e-10 * abs(level)]
    assert displacements(run, tensors, rise) == pytest.approx(heavy_ball(1) * 2)


def test_every_group_forgets_and_halves(run: Run, tensors: Tensors) -> None:
    params = tensors([0.0], [0.0])
    groups = [{"params": params[0]}, {"params": params[1], "lr": 0.4, "momentum": 0.25}]
    optimizer = perturbed(groups)
    path = run(optimizer, scripted([3, 2, 4, 5]), params, 4)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.2]
    moved = np.diff(path, axis=0, prepend=0.0)
    assert moved[:, 0] == pytest.approx([-0.1, -0.15, -0.1, -0.05])
    assert moved[:, 1] == pytest.approx([-0.4, -0.5, -0.4, -0.2])


def test_nesterovs_velocity_is_forgotten_too(run: Run, tensors: Tensors) -> None:
    moved = displacements(run, tensors, [4, 3, 5], nesterov=True)
    assert moved == pytest.approx([-0.15, -0.175, -0.15])


def test_noise_may_raise_f_and_what_follows_is_compared_with_that(
    run: Run, tensors: Tensors
) -> None:
    params = tensors([0.0])
    optimizer = perturbed(params, gradient_threshold=2.0)
    # Step 0 evaluates f twice, before the noise and after: the value after it is not looked at.
    values = [4, 9, 8, 7, 7.5, 6]
    path = run(optimizer, scripted(values), params, 5)
    assert optimizer.perturbation_steps == [0]
    moved = np.diff(path[:, 0])
    assert moved == pytest.approx([*heavy_ball(3)[1:], *heavy_ball(2)])
    assert optimizer.param_groups[0]["lr"] == LR


def test_a_rise_on_both_sides_of_the_noise_is_not_two_in_a_row(run: Run, tensors: Tensors) -> None:
    params = tensors([0.0])
    optimizer = perturbed(params, gradient_threshold=2.0, perturbation_interval=2)
    # The second perturbation, in step 3, is made where f has just risen.
    run(optimizer, scripted([4, 4, 3, 2, 3, 9, 10, 9]), params, 6)
    assert optimizer.perturbation_steps == [0, 3]
    assert optimizer.param_groups[0]["lr"] == LR


def steep(params: list[Tensor]) -> Tensor:
    return (params[0] ** 4).sum() / 4 - params[0].square().sum() / 2


@pytest.mark.parametrize("stop", [1, 5, 8, 9, 10, 27])  # f rises in steps 1, 8 and 9
def test_a_restored_run_continues_bit_for_bit(tensors: Tensors, run: Run, stop: int) -> None:
    options = {
        "lr": 0.5,
        "momentum": 0.9,
        "nesterov": True,
        "gradient_threshold": 0.05,
        "perturbation_interval": 10,
    }
    start = [1.4, -0.9]
    params = tensors(start)
    optimizer = perturbed(params, **options)
    whole = run(optimizer, steep, params, 60)
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert optimizer.perturbation_steps[:3] == [4, 15, 26]

    params = tensors(start)
    optimizer = perturbed(params, **options)
    first = run(optimizer, steep, params, stop)
    stored = io.BytesIO()
    torch.save(optimizer.state_dict(), stored)
    stored.seek(0)
    resumed = tensors(first[-1].tolist())
    fresh = perturbed(resumed, **options)
    fresh.load_state_dict(torch.load(stored))
    rest = run(fresh, steep, resumed, 60 - stop)
    assert np.array_equal(np.concatenate([first, rest]), whole)


@pytest.mark.parametrize("start", [0.03, 0.1, 0.4, 1.0])
def test_it_makes_too_long_a_step_stable(tensors: Tensors, run: Run, start: float) -> None:
    def bowl(params: list[Tensor]) -> Tensor:  # curvatures 1 and 100: steps below 0.02 are stable
        return (params[0].square() * torch.tensor([1.0, 100.0])).sum() / 2

    params, plain = tensors([1.0, 1.0]), tensors([1.0, 1.0])
    options = {"lr": start, "momentum": 0.9, "nesterov": True}
    optimizer = perturbed(params, **options)
    end = run(optimizer, bowl, params, 300)[-1]
    assert np.abs(end).max() < 1e-6
    assert 1 / 200 < optimizer.param_groups[0]["lr"] < 2 / 100  # no shorter than it need be
    unstable = perturbed(plain, restart=False, **options)
    assert not np.abs(run(unstable, bowl, plain, 300)[-1]).max() < 1e6
