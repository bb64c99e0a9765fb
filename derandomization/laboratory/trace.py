"""‖W‖_F along a descent beside what the lemma says about it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from derandomization.certificate import Certificate, sharp_bounds_along
from derandomization.descent import History
from derandomization.objective import DerandomizationObjective

# Snapshots at which the sharp bound is evaluated: enough to see it, a Lanczos run each.
NUM_BOUNDS = 10


@dataclass(frozen=True)
class NormTrace:
    """‖W‖_F along a descent and what bounds it.

    Attributes:
        weight_norm: ‖W‖_F before each step.
        perturbation_steps: the steps at which noise was added.
        bound_steps: the steps at which the sharp bound was evaluated.
        sharp_bound: its value there, NaN where it is silent.
        lemma_bound: Lemma 3.1's bound at the end; None where it is silent.
    """

    weight_norm: Float[np.ndarray, " records"]
    perturbation_steps: Int[np.ndarray, " perturbations"]
    bound_steps: Int[np.ndarray, " snapshots"]
    sharp_bound: Float[np.ndarray, " snapshots"]
    lemma_bound: float | None


def trace_norm(
    history: History,
    objective: DerandomizationObjective | None,
    certificate: Certificate | None,
) -> NormTrace:
    """Evaluate the sharp bound at some of a descent's snapshots, the last one included.

    Args:
        history: of the descent.
        objective: the exact objective it descended on; None leaves the bound out.
        certificate: of where it ended, if there is one.
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
