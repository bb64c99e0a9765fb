"""‖W‖_F along a descent, compared with the bounds that the lemma gives."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from derandomization.certificate import Certificate, stein_bounds
from derandomization.descent import History
from derandomization.objective import DerandomizationObjective

# Snapshots at which the sharp bound is evaluated: enough to draw it; each takes a Lanczos run.
NUM_BOUNDS = 10


@dataclass(frozen=True)
class NormTrace:
    """‖W‖_F before each step of a descent, the steps at which noise was added, and the bounds."""

    weight_norm: Float[np.ndarray, " records"]
    perturbation_steps: Int[np.ndarray, " perturbations"]
    bound_steps: Int[np.ndarray, " snapshots"]  # where the sharp bound was evaluated
    sharp_bound: Float[np.ndarray, " snapshots"]  # NaN where there is none
    lemma_bound: float | None  # Lemma 3.1's bound at the end, if it gives one


def log_spaced_steps(max_steps: int, count: int) -> frozenset[int]:
    """At most ``count`` distinct steps from 0 to ``max_steps``, evenly spaced in log(1 + step)."""
    spaced = np.expm1(np.linspace(0, math.log1p(max_steps), count))
    return frozenset(int(step) for step in np.rint(spaced))


def trace_norm(
    history: History,
    objective: DerandomizationObjective | None,
    certificate: Certificate | None,
) -> NormTrace:
    """Evaluate the sharp bound at some of a descent's snapshots, the last one included.

    ``objective`` is the exact one that the descent minimised; None leaves the sharp bound out.
    """
    steps, bounds = np.array([], dtype=np.int64), np.array([])
    if objective is not None:
        recorded = sorted(history.snapshots)
        chosen = np.unique(np.linspace(0, len(recorded) - 1, NUM_BOUNDS).round().astype(int))
        kept = {recorded[i]: history.snapshots[recorded[i]] for i in chosen}
        steps, bounds = sharp_bounds_along(objective, kept)
    lemma_bound = certificate.weight_bound if certificate else None
    return NormTrace(history.weight_norm, history.perturbation_steps, steps, bounds, lemma_bound)


def sharp_bounds_along(
    objective: DerandomizationObjective, snapshots: Mapping[int, Mapping[str, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Steps and sharp bounds at the snapshots of a descent; NaN where there is no bound."""
    objective = copy.deepcopy(objective)
    bounds = []
    for parameters in snapshots.values():
        objective.load_state_dict(dict(parameters), strict=False)
        bound = stein_bounds(objective).sharp_weight_bound
        bounds.append(math.nan if bound is None else bound)
    return np.array(list(snapshots)), np.array(bounds)
