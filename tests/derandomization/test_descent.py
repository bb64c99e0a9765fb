"""descend: what its History says is what happened."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from derandomization import (
    DerandomizationObjective,
    PerturbedGradientDescent,
    descend,
)

Build = Callable[..., DerandomizationObjective]
Quantities = Callable[..., tuple[float, float, float]]


def pgd(objective: DerandomizationObjective, **options: float) -> PerturbedGradientDescent:
    settings = {
        "lr": 0.3,
        "gradient_threshold": 1e-9,
        "perturbation_radius": 1e-2,
        "perturbation_interval": 50,
        "decrease_threshold": 1e-9,
        "generator": torch.Generator().manual_seed(0),
    }
    return PerturbedGradientDescent(objective.parameters(), **(settings | options))


def test_row_t_is_the_point_before_step_t_and_the_last_row_the_end(
    cosine_objective: Build,
    quantities: Quantities,
) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    history = descend(
        objective,
        torch.optim.SGD(objective.parameters(), lr=0.2, momentum=0.5),
        max_steps=20,
        snapshot_steps=range(21),
    )
    assert history.num_steps == 20
    assert list(history.snapshots) == list(range(21))
    end = {n: p.detach().clone() for n, p in objective.named_parameters()}
    assert all(torch.equal(end[n], p) for n, p in history.snapshots[20].items())
    for step, snapshot in history.snapshots.items():
        row = (history.value[step], history.gradient_norm[step], history.weight_norm[step])
        assert row == pytest.approx(quantities(objective, snapshot), rel=1e-12)


def test_the_row_of_a_perturbing_step_too_is_the_point_before_it(
    cosine_saddle: Build, quantities: Quantities
) -> None:
    objective = cosine_saddle()
    history = descend(objective, pgd(objective), max_steps=3, snapshot_steps=[0])
    assert history.perturbation_steps.tolist() == [0]
    value, gradient_norm, weight_norm = quantities(objective, history.snapshots[0])
    assert history.value[0] == value
    assert history.weight_norm[0] == weight_norm
    assert history.gradient_norm[0] == pytest.approx(gradient_norm, abs=1e-15)


def test_a_terminated_descent_stops_and_its_last_row_is_the_restored_point(
    cosine_saddle: Build,
    quantities: Quantities,
) -> None:
    objective = cosine_saddle()
    calls = []
    history = descend(
        objective,
        pgd(objective),
        max_steps=5000,
        snapshot_steps=[0, 5000],
        on_step=lambda *call: calls.append(call),
    )
    assert history.terminated
    assert history.num_steps < 5000
    assert history.num_steps == history.perturbation_steps[-1] + 50
    assert list(history.snapshots) == [0, history.num_steps]
    assert calls == [
        (t, history.value[t], history.weight_norm[t]) for t in range(history.num_steps)
    ]
    row = (history.value[-1], history.gradient_norm[-1], history.weight_norm[-1])
    end = {n: p.detach().clone() for n, p in objective.named_parameters()}
    assert row == pytest.approx(quantities(objective, end), rel=1e-12, abs=1e-15)
    assert history.value[-1] == history.value[history.perturbation_steps[-1]]


def test_observations_are_recorded_before_every_step_and_at_the_end(
    cosine_objective: Build,
) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    history = descend(
        objective,
        torch.optim.SGD(objective.parameters(), lr=0.2),
        max_steps=7,
        observe=lambda: {"corner": objective.weight[0, 0].item()},
        snapshot_steps=range(7),
    )
    corners = [s["weight"][0, 0].item() for s in history.snapshots.values()]
    assert history.observations["corner"].tolist() == corners
    arrays = history.arrays()
    assert set(arrays) == {"value", "gradient_norm", "weight_norm", "perturbation_steps", "corner"}
    assert all(len(arrays[n]) == 8 for n in arrays if n != "perturbation_steps")


def test_adam_too_brings_w_to_zero_and_never_terminates_early(cosine_objective: Build) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [1.2, 1.1])
    adam = torch.optim.Adam(objective.parameters(), lr=0.05)
    history = descend(objective, adam, max_steps=600)
    assert not history.terminated
    assert history.num_steps == 600
    assert history.perturbation_steps.tolist() == []
    assert history.weight_norm[-1] < 1e-4 * history.weight_norm[0]


def test_only_trainable_parameters_count_in_the_gradient_norm(cosine_objective: Build) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    objective.bias().requires_grad_(False)
    trainable = [objective.random_weights()]
    history = descend(objective, torch.optim.SGD(trainable, lr=0.1), max_steps=1)
    assert history.gradient_norm[-1] == pytest.approx(trainable[0].grad.norm().item(), rel=1e-12)
    assert torch.equal(objective.bias(), torch.tensor([0.2, 0.1], dtype=torch.float64))


def test_no_steps_are_refused(cosine_saddle: Build) -> None:
    objective = cosine_saddle()
    with pytest.raises(ValueError, match="max_steps is 0: it must be at least 1"):
        descend(objective, pgd(objective), max_steps=0)


def test_snapshots_are_copies(cosine_objective: Build) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    history = descend(
        objective, torch.optim.SGD(objective.parameters(), lr=0.2), max_steps=2, snapshot_steps=[0]
    )
    nn.init.zeros_(objective.weight)
    assert history.snapshots[2]["weight"].norm() > 0.5
    assert history.snapshots[0]["weight"].tolist() == [[0.5, 0.1], [0.2, 0.8]]
