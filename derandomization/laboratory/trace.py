"""‖W‖_F along a descent, compared with the bounds that the lemma gives."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from derandomization.certificate import Certificate, sharp_weight_bound
from derandomization.descent import History
from derandomization.objective import DerandomizationObjective

# Snapshots at which the sharp bound is evaluated: enough to draw it; each takes a Lanczos run.
NUM_BOUNDS = 10


@dataclass(frozen=True)
class NormTrace:
    """‖W‖_F along a descent and its bounds.

    Attributes:
        weight_norm: ‖W‖_F before each step.
        perturbation_steps: the steps at which noise was added.
        bound_steps: the steps at which the sharp bound was evaluated.
        sharp_bound: its value there, NaN where there is no bound.
        lemma_bound: Lemma 3.1's bound at the end; None where it gives none.
    """

    weight_norm: Float[np.ndarray, " records"]
    perturbation_steps: Int[np.ndarray, " perturbations"]
    bound_steps: Int[np.ndarray, " snapshots"]
    sharp_bound: Float[np.ndarray, " snapshots"]
    lemma_bound: float | None


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

    Args:
        history: of the descent.
        objective: the exact objective it minimised; None leaves the bound out.
        certificate: of the end point, if there is one.
    """
    steps, bounds = np.array([], dtype=np.int64), np.array([])
    if objective is not None:
        recorded = sorted(history.snapshots)
        chosen = np.unique(np.linspace(0, len(recorded) - 1, NUM_BOUNDS).round().astype(int))
        kept = {recorded[i]: history.snapshots[recorded[i]] for i in chosen}
        steps, bounds = sharp_bounds_along(objective, kept)
    return NormTrace(
        weight_norm=history.weight_norm,
        perturbation_steps=history.perturbation_steps,
        bound_steps=steps,
        sharp_bound=bounds,
        lemma_bound=certificate.weight_bound if certificate else None,
    )


def sharp_bounds_along(
    objective: DerandomizationObjective, snapshots: Mapping[int, Mapping[str, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Steps and sharp bounds at the snapshots of a descent; NaN where there is no bound."""
    objective = copy.deepcopy(objective)
    bounds = []
    for parameters in snapshots.values():
        objective.load_state_dict(dict(parameters), strict=False)
        bound = sharp_weight_bound(objective)
        bounds.append(math.nan if bound is None else bound)
    return np.array(list(snapshots)), np.array(bounds)
