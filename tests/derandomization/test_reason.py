"""Why a descent ended, and settings that follow from the objective."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from derandomization import (
    DerandomizationObjective,
    HessianDescent,
    MonteCarlo,
    PerturbedGradientDescent,
    descend,
)

Build = Callable[..., DerandomizationObjective]


class Ripple(DerandomizationObjective):
    """README's: E cos(wx + b) = exp(−w²/2)·cos(b), from the saddle's neighbourhood w = 1, b = 0."""

    def __init__(self, regularization: float, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(regularization)
        self.w = nn.Parameter(torch.ones(1, dtype=dtype))
        self.b = nn.Parameter(torch.zeros(1, dtype=dtype))

    def expected_value(self) -> Tensor:
        return (torch.exp(-self.w.square() / 2) * torch.cos(self.b)).sum()

    def random_weights(self) -> Tensor:
        return self.w

    def bias(self) -> Tensor:
        return self.b


def hand_set(objective: DerandomizationObjective) -> PerturbedGradientDescent:
    """Five numbers that suit λ = 0.1 and no smaller one."""
    return PerturbedGradientDescent(
        objective.parameters(),
        lr=0.5,
        gradient_threshold=1e-3,
        perturbation_radius=1e-2,
        perturbation_interval=100,
        decrease_threshold=1e-6,
        generator=torch.Generator().manual_seed(0),
    )


@pytest.mark.parametrize("regularization", [1e-2, 1e-3, 1e-4])
def test_a_descent_that_stops_at_a_saddle_says_so(regularization: float) -> None:
    objective = Ripple(regularization)
    with pytest.warns(UserWarning, match="the curvature there is -.*, below −λ"):
        history = descend(objective, hand_set(objective), max_steps=5_000)
    assert history.terminated
    assert history.reason == "no decrease"
    assert objective.weight_norm() > 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("regularization", [1.0, 0.1, 1e-2, 1e-3])
def test_settings_that_follow_from_the_objective_reach_w_zero(
    regularization: float, seed: int, dtype: torch.dtype
) -> None:
    objective = Ripple(regularization, dtype)
    generator = torch.Generator().manual_seed(seed)
    optimizer = PerturbedGradientDescent.for_objective(objective, generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = descend(objective, optimizer, max_steps=10_000)
    assert history.reason == "second-order stationary"
    assert objective.weight_norm() < 1e-6


@pytest.mark.parametrize("accuracy", [1e-2, 1e-6])
def test_perturbations_begin_where_the_gradient_is_that_of_w_at_the_accuracy(
    accuracy: float,
) -> None:
    optimizer = PerturbedGradientDescent.for_objective(Ripple(1e-2), accuracy=accuracy)
    threshold = optimizer.param_groups[0]["gradient_threshold"]
    assert threshold == pytest.approx(2 * 1e-2 * accuracy)


def test_they_fail_where_no_perturbation_is_made() -> None:
    objective = Ripple(1e-2)
    optimizer = PerturbedGradientDescent.for_objective(objective)
    optimizer.param_groups[0]["gradient_threshold"] = -1.0
    history = descend(objective, optimizer, max_steps=2_000)
    assert history.reason == "max_steps"
    assert objective.weight_norm() > 1


def test_a_nan_accuracy_and_a_sampled_objective_are_refused() -> None:
    with pytest.raises(ValueError, match="accuracy is nan"):
        PerturbedGradientDescent.for_objective(Ripple(0.1), accuracy=float("nan"))

    class Sampled(Ripple):
        points = MonteCarlo(1, 4, torch.Generator().manual_seed(0))

        def expected_value(self) -> Tensor:
            points, weights = self.points()
            return (weights * torch.cos(points[:, 0] * self.w + self.b)).sum()

    with pytest.raises(ValueError, match="it must be exact"):
        PerturbedGradientDescent.for_objective(Sampled(0.1))
    objective = Sampled(0.1)
    with pytest.warns(
        UserWarning, match="the curvature there is not known|the gradient norm there is"
    ):
        history = descend(objective, hand_set(objective), max_steps=5_000)
    assert history.reason == "no decrease"


def test_unverified_and_unfinished_descents_make_no_claim(cosine_objective: Build) -> None:
    objective = cosine_objective([[0.1, 0.0], [0.0, 0.1]], [3.0, 0.0], 1.0)
    optimizer = PerturbedGradientDescent.for_objective(objective)
    assert descend(objective, optimizer, max_steps=3).reason == "max_steps"
    assert descend(objective, optimizer, max_steps=5_000, verify=False).reason == "no decrease"
    again = PerturbedGradientDescent.for_objective(objective)
    assert descend(objective, again, max_steps=5_000).reason == "second-order stationary"


def test_hessian_descent_is_verified_too(cosine_saddle: Build) -> None:
    objective = cosine_saddle()
    params = list(objective.parameters())
    for accuracy, reason in ((1e-6, "second-order stationary"), (10.0, "no decrease")):
        optimizer = HessianDescent(params, smoothness=4, hessian_lipschitz=4, accuracy=accuracy)
        if reason == "no decrease":  # ρ so large that every point is ρ-second-order stationary
            objective.load_state_dict(cosine_saddle().state_dict())
            with pytest.warns(UserWarning, match="W need not be small there"):
                history = descend(objective, optimizer, max_steps=500)
        else:
            history = descend(objective, optimizer, max_steps=500)
        assert history.reason == reason


def test_an_optimizer_must_have_every_trainable_parameter() -> None:
    objective = Ripple(0.1)
    with pytest.raises(ValueError, match="the optimizer lacks b: it must have every trainable"):
        descend(objective, torch.optim.SGD([objective.w], lr=0.1), max_steps=1)
    objective.b.requires_grad_(False)
    descend(objective, torch.optim.SGD([objective.w], lr=0.1), max_steps=1)


def test_frozen_parameters_do_not_move_and_do_not_count() -> None:
    objective = Ripple(0.1)
    objective.b.grad = torch.ones(1, dtype=torch.float64)  # left from before it was frozen
    objective.b.requires_grad_(False)
    optimizer = hand_set(objective)
    history = descend(objective, optimizer, max_steps=300)
    assert len(history.perturbation_steps) > 0
    assert objective.b.item() == 0.0
    # In one dimension the perturbation is uniform in [−r, r]; in two it would hardly be below r/3.
    lengths = []
    for seed in range(200):
        moved = Ripple(0.1)
        moved.b.requires_grad_(False)
        single = hand_set(moved)
        single.generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            single._perturb(0.0)
        lengths.append(abs(moved.w.item() - 1) / 1e-2)
    assert sum(length < 1 / 3 for length in lengths) == pytest.approx(200 / 3, abs=25)


def test_a_step_that_raises_f_far_is_undone() -> None:
    """The curvature of exp(t)-like objectives grows so fast that a stable step becomes too long."""

    class Steep(Ripple):
        def expected_value(self) -> Tensor:
            return (torch.exp(8 * self.b + 32 * self.w.square()) - 20 * self.b).sum()

    objective = Steep(0.1)
    with torch.no_grad():
        objective.w.fill_(1e-3)
        objective.b.fill_(-0.4)  # the curvature is 3 there and 160 at the minimum
    optimizer = PerturbedGradientDescent.for_objective(objective)
    history = descend(objective, optimizer, max_steps=5_000)
    assert history.reason == "second-order stationary"
    assert objective.b.item() == pytest.approx(torch.log(torch.tensor(20 / 8)).item() / 8, abs=1e-6)


class Exponential(Ripple):
    """E(exp(az) − z): the start may be so flat that the first step overflows."""

    def __init__(self, rate: float, weight: float, bias: float, regularization: float) -> None:
        super().__init__(regularization)
        self.rate = rate
        with torch.no_grad():
            self.w.fill_(weight)
            self.b.fill_(bias)

    def expected_value(self) -> Tensor:
        exponent = self.rate * self.b + (self.rate * self.w).square() / 2
        return (torch.exp(exponent) - self.b).sum()


class Overflowing(Exponential):
    """E(exp(2z) − 2exp(z) − z), whose overflow is inf − inf = NaN."""

    def expected_value(self) -> Tensor:
        first = torch.exp(self.b + self.w.square() / 2)
        second = torch.exp(2 * self.b + 2 * self.w.square())
        return (second - 2 * first - self.b).sum()


@pytest.mark.parametrize(
    "objective", [Exponential(1.0, 1.0, -30.0, 0.1), Overflowing(1.0, 0.1, -15.0, 0.1)]
)
def test_a_step_that_overflows_is_undone(objective: Ripple) -> None:
    history = descend(
        objective, PerturbedGradientDescent.for_objective(objective), max_steps=20_000
    )
    assert history.reason == "second-order stationary"
    assert objective.weight_norm() < 1e-6


def test_the_interval_grows_as_the_step_is_halved() -> None:
    class Fast(Ripple):
        """E cos(10z): the curvature at the start, 100·exp(−50), says nothing."""

        def expected_value(self) -> Tensor:
            return (torch.exp(-50 * self.w.square()) * torch.cos(10 * self.b)).sum()

    objective = Fast(0.5)
    generator = torch.Generator().manual_seed(0)
    optimizer = PerturbedGradientDescent.for_objective(objective, generator=generator)
    before = dict(optimizer.param_groups[0])
    history = descend(objective, optimizer, max_steps=20_000)
    after = optimizer.param_groups[0]
    assert after["lr"] < before["lr"]
    product = after["lr"] * after["perturbation_interval"]
    assert product == pytest.approx(before["lr"] * before["perturbation_interval"])
    assert history.reason == "second-order stationary"
    assert objective.weight_norm() < 1e-6


def test_a_point_with_a_large_gradient_is_not_stationary() -> None:
    objective = Ripple(0.1)
    optimizer = PerturbedGradientDescent.for_objective(objective)
    descend(objective, optimizer, max_steps=5_000)
    with torch.no_grad():
        objective.w.fill_(3.0)
        objective.b.fill_(3.0)
    with pytest.warns(UserWarning, match="the gradient norm there is"):
        history = descend(objective, optimizer, max_steps=5)
    assert history.reason == "no decrease"


def test_frozen_objectives_and_bad_momenta_are_refused() -> None:
    with pytest.raises(ValueError, match="every parameter is frozen"):
        PerturbedGradientDescent.for_objective(Ripple(0.1).requires_grad_(False))
    for momentum in (1.0, 1.5, -0.1):
        with pytest.raises(ValueError, match="momentum is"):
            PerturbedGradientDescent.for_objective(Ripple(0.1), momentum=momentum)
