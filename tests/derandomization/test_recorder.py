"""A descent that goes wrong: where it stops, what it says, what is left of it."""

import math
import pickle
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from derandomization import DerandomizationObjective, Diverged, descend

Build = Callable[..., DerandomizationObjective]
Quantities = Callable[..., tuple[float, float, float]]


def diverging(
    build: Build, optimizer: type[torch.optim.Optimizer] = torch.optim.SGD, **options: object
) -> Diverged:
    """What a descent on b³/6 raises, which is unbounded below, at a fixed step of 1."""
    objective = build(0.0, -1.0, 0.1, 1.0)
    with pytest.raises(Diverged) as error:
        descend(objective, optimizer(objective.parameters(), lr=1.0), max_steps=100, **options)
    return error.value


def test_a_value_no_longer_finite_ends_the_descent_and_all_before_is_kept(
    cubic_objective: Build,
    quantities: Quantities,
) -> None:
    calls: list[tuple[int, float, float]] = []
    objective = cubic_objective(0.0, -1.0, 0.1, 1.0)
    stop = diverging(
        cubic_objective,
        on_step=lambda *call: calls.append(call),
        observe=lambda: {"calls": float(len(calls))},
        snapshot_steps=[0, 3],
    )
    history = stop.history
    last = history.num_steps
    assert isinstance(stop, FloatingPointError)
    assert str(stop) == (
        f"the objective became {history.value[-1]} at step {last}: lower the learning rate, now 1"
    )
    assert 5 < last < 100
    assert not math.isfinite(history.value[-1])
    assert np.isfinite(history.value[:-1]).all()
    assert [call[:2] for call in calls] == list(enumerate(history.value[:-1]))
    assert history.observations["calls"].tolist() == list(range(last + 1))
    assert len(history.gradient_norm) == len(history.weight_norm) == last + 1
    assert not history.terminated
    assert list(history.snapshots) == [0, 3]
    row = quantities(objective, history.snapshots[3])
    assert (history.value[3], history.gradient_norm[3], history.weight_norm[3]) == row


def test_a_value_that_ends_not_finite_is_an_error_too(cubic_objective: Build) -> None:
    last = diverging(cubic_objective).history.num_steps
    objective = cubic_objective(0.0, -1.0, 0.1, 1.0)
    sgd = torch.optim.SGD(objective.parameters(), lr=1.0)
    with pytest.raises(Diverged, match=rf"at step {last}: lower the learning rate") as error:
        descend(objective, sgd, max_steps=last)  # the row after the last step is the first bad one
    assert error.value.history.num_steps == last


def test_the_rate_it_names_is_the_optimizers_own_by_then(cubic_objective: Build) -> None:
    class Slowing(torch.optim.SGD):
        def step(self, closure: Callable[[], Tensor]) -> Tensor:
            self.param_groups[0]["lr"] = 0.75
            return super().step(closure)

    assert str(diverging(cubic_objective, Slowing)).endswith("lower the learning rate, now 0.75")


def test_an_optimizer_without_a_rate_diverges_without_one(cubic_objective: Build) -> None:
    class Rateless(torch.optim.Optimizer):
        def __init__(self, params: Iterable[Tensor], lr: float) -> None:
            super().__init__(params, {})

        def step(self, closure: Callable[[], Tensor]) -> Tensor:
            value = closure()
            for parameter in self.param_groups[0]["params"]:
                parameter.data -= parameter.grad
            return value

    assert str(diverging(cubic_objective, Rateless)).endswith(": lower the learning rate")


@pytest.mark.parametrize("start", [math.nan, math.inf])
def test_an_objective_not_finite_where_it_starts_blames_the_loss(
    cubic_objective: Build, start: float
) -> None:
    objective = cubic_objective(1.0, start, 0.1, 1.0)
    with pytest.raises(Diverged) as error:
        descend(objective, torch.optim.SGD(objective.parameters(), lr=1.0), max_steps=9)
    expected = f"the objective is {start} at step 0, where the descent starts: check the loss"
    assert str(error.value) == expected
    assert error.value.history.num_steps == 0


def test_a_divergence_travels_between_processes_with_its_history(cubic_objective: Build) -> None:
    sent = diverging(cubic_objective, snapshot_steps=[0])
    received = pickle.loads(pickle.dumps(sent))
    assert type(received) is Diverged
    assert str(received) == str(sent)
    assert received.args == sent.args
    assert received.history.arrays().keys() == sent.history.arrays().keys()
    for name, array in sent.history.arrays().items():
        np.testing.assert_array_equal(received.history.arrays()[name], array)
    assert received.history.snapshots[0].keys() == sent.history.snapshots[0].keys()


def rising(build: Build, rate: float) -> tuple[DerandomizationObjective, Diverged]:
    """Gradient descent on a bowl, 0.05·w² + b²/2-like, with steps too long for it."""
    objective = build([[0.5, 0.1], [0.2, 0.8]], [3.2, 0.1])
    sgd = torch.optim.SGD(objective.parameters(), lr=rate, momentum=0.9)
    with pytest.raises(Diverged) as error:
        descend(objective, sgd, max_steps=5_000)
    return objective, error.value


def test_a_value_far_above_its_start_ends_the_descent_at_the_best_point_seen(
    cosine_objective: Build,
) -> None:
    objective, stop = rising(cosine_objective, 60.0)
    history = stop.history
    assert np.isfinite(history.value).all()  # long before it is infinite
    assert history.num_steps < 1_000
    rose = history.value[-10:] - history.value[0]
    assert (rose > 10 * abs(history.value[0])).all()
    assert str(stop) == (
        f"the objective rose far above its start, to {history.value[-1]:g} at step "
        f"{history.num_steps}: lower the learning rate, now 60"
    )
    looked_at = history.value[::10]
    with torch.no_grad():
        assert float(objective()) == looked_at.min()


def test_noise_about_zero_is_no_divergence() -> None:
    class Noise(DerandomizationObjective):
        def __init__(self) -> None:
            super().__init__(1e-3)
            self.w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
            self.b = nn.Parameter(torch.zeros(1, dtype=torch.float64))
            self.generator = torch.Generator().manual_seed(0)

        def expected_value(self) -> Tensor:
            return torch.randn((), generator=self.generator).double() + 0 * self.w.sum()

        def random_weights(self) -> Tensor:
            return self.w

        def bias(self) -> Tensor:
            return self.b

    objective = Noise()
    history = descend(objective, torch.optim.SGD(objective.parameters(), lr=0.1), max_steps=3_000)
    assert history.num_steps == 3_000
