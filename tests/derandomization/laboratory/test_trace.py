"""trace_norm: the norm along a descent beside the bounds at its snapshots."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from derandomization import DerandomizationObjective, History, certify, descend, sharp_weight_bound
from derandomization.laboratory.trace import NUM_BOUNDS, trace_norm

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
    assert trace.sharp_bound[-1] == sharp_weight_bound(objective)
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
