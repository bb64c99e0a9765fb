"""trace_norm: the norm along a descent beside the bounds at its snapshots."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from derandomization import DerandomizationObjective, History, certify, descend, stein_bounds
from derandomization.laboratory.trace import (
    NUM_BOUNDS,
    log_spaced_steps,
    sharp_bounds_along,
    trace_norm,
)

Descent = tuple[DerandomizationObjective, History]


@pytest.fixture(scope="module")
def descent(cosine_objective: Callable[..., DerandomizationObjective]) -> Descent:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [1.2, 1.1])
    sgd = torch.optim.SGD(objective.parameters(), lr=0.3)
    return objective, descend(objective, sgd, max_steps=100, snapshot_steps=range(0, 100, 3))


def test_bounds_are_evaluated_at_some_snapshots_both_ends_included(descent: Descent) -> None:
    objective, history = descent
    trace = trace_norm(history, objective, certify(objective))
    assert len(trace.bound_steps) == len(trace.sharp_bound) == NUM_BOUNDS
    assert trace.bound_steps[[0, -1]].tolist() == [0, 100]
    assert set(trace.bound_steps) <= set(history.snapshots)
    assert trace.sharp_bound[-1] == stein_bounds(objective).sharp_weight_bound
    assert trace.lemma_bound == certify(objective).weight_bound is not None
    assert np.array_equal(trace.weight_norm, history.weight_norm)


def test_the_norm_stays_below_the_bound_wherever_it_speaks(descent: Descent) -> None:
    objective, history = descent
    trace = trace_norm(history, objective, None)
    speaks = ~np.isnan(trace.sharp_bound)
    assert speaks.sum() > NUM_BOUNDS / 2
    norms = history.weight_norm[trace.bound_steps]
    assert (norms[speaks] <= trace.sharp_bound[speaks] * (1 + 1e-12)).all()


def test_without_an_objective_or_a_certificate_no_bound_is_claimed(descent: Descent) -> None:
    trace = trace_norm(descent[1], None, None)
    assert len(trace.bound_steps) == len(trace.sharp_bound) == 0
    assert trace.lemma_bound is None


def test_bounds_along_a_descent_are_those_at_each_snapshot(
    cosine_objective: Callable[..., DerandomizationObjective],
) -> None:
    objective = cosine_objective([[0.5, 0.1], [0.2, 0.8]], [0.2, 0.1])
    sgd = torch.optim.SGD(objective.parameters(), lr=0.3)
    history = descend(objective, sgd, max_steps=60, snapshot_steps=[0, 3, 30])
    end = objective.weight.detach().clone()
    steps, bounds = sharp_bounds_along(objective, history.snapshots)
    assert steps.tolist() == [0, 3, 30, 60]
    assert torch.equal(objective.weight, end)
    assert math.isnan(bounds[0])
    assert bounds[-1] == stein_bounds(objective).sharp_weight_bound
    norms = history.weight_norm[steps]
    assert (norms[2:] <= bounds[2:]).all()


@pytest.mark.parametrize(
    ("max_steps", "count", "distinct"), [(1, 2, 2), (10, 5, 5), (10, 50, 11), (2400, 16, 16)]
)
def test_log_spaced_steps_run_from_zero_to_the_end(
    max_steps: int, count: int, distinct: int
) -> None:
    steps = sorted(log_spaced_steps(max_steps, count))
    assert steps[0] == 0
    assert steps[-1] == max_steps
    assert len(steps) == distinct


def test_log_spaced_steps_grow_by_a_constant_factor() -> None:
    steps = np.array(sorted(log_spaced_steps(10**6, 13)))
    ratios = (steps[1:] + 1) / (steps[:-1] + 1)
    assert ratios[3:] == pytest.approx(np.full(9, 10**0.5), rel=0.02)  # rounding to whole steps
