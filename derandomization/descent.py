"""The one loop: steps, a stopping rule, and a record of what happened."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils import get_total_norm

from derandomization.checks import require_at_least
from derandomization.memory import keep_freed_memory
from derandomization.objective import DerandomizationObjective

ProgressCallback = Callable[[int, float, float], None]


@dataclass(frozen=True)
class History:
    """What a descent did. Row t of each array is the point *before* step t; the last row, the end.

    Attributes:
        value: f, ``[steps + 1]``.
        gradient_norm: ‖∇f‖₂ over all parameters, ``[steps + 1]``.
        weight_norm: ‖W‖_F, ``[steps + 1]``.
        observations: whatever ``observe`` returned, one array of ``[steps + 1]`` a key.
        snapshots: parameters by name at the steps asked for, on the CPU.
        perturbation_steps: the steps at which noise was added.
        terminated: True if the optimizer stopped by its own rule, False if the steps ran out.
        seconds: wall time of the loop.
    """

    value: Float[np.ndarray, " records"]
    gradient_norm: Float[np.ndarray, " records"]
    weight_norm: Float[np.ndarray, " records"]
    observations: Mapping[str, Float[np.ndarray, " records"]]
    snapshots: Mapping[int, Mapping[str, Tensor]]
    perturbation_steps: Int[np.ndarray, " perturbations"]
    terminated: bool
    seconds: float

    @property
    def num_steps(self) -> int:
        return len(self.value) - 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything but the snapshots, by name, for ``numpy.savez``."""
        return {
            "value": self.value,
            "gradient_norm": self.gradient_norm,
            "weight_norm": self.weight_norm,
            "perturbation_steps": self.perturbation_steps,
            **self.observations,
        }


def log_spaced_steps(max_steps: int, count: int) -> frozenset[int]:
    """At most ``count`` distinct steps from 0 to ``max_steps``, evenly spaced in log(1 + step)."""
    spaced = np.expm1(np.linspace(0, math.log1p(max_steps), count))
    return frozenset(int(step) for step in np.rint(spaced))


def descend(
    objective: DerandomizationObjective,
    optimizer: Any,
    *,
    max_steps: int,
    observe: Callable[[], Mapping[str, float]] | None = None,
    snapshot_steps: Collection[int] = (),
    progress: ProgressCallback | None = None,
) -> History:
    """Minimise f by any torch optimizer, until it terminates or ``max_steps`` are made.

    Args:
        objective: f; its parameters are changed in place.
        optimizer: a ``torch.optim.Optimizer`` over the objective's parameters; one that sets
            ``terminated`` (``PerturbedGradientDescent``) ends the loop early.
        max_steps: the most steps to make, at least 1.
        observe: called before every step, its numbers become ``History.observations``.
        snapshot_steps: steps before which the parameters are copied; the end is always copied.
        progress: called with step, f and ‖W‖_F before every step.

    Raises:
        ValueError: ``max_steps`` below 1.
        FloatingPointError: f is no longer finite; names the step.
    """
    require_at_least("max_steps", max_steps, 1)
    keep_freed_memory()
    parameters = [p for p in objective.parameters() if p.requires_grad]
    rows: list[dict[str, float]] = []
    snapshots: dict[int, dict[str, Tensor]] = {}

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = objective()
        value.backward()
        return value

    def record(value: float, weight_norm: float, observed: Mapping[str, float]) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the objective became {value} at step {len(rows)}: lower the learning rate"
            )
        gradient_norm = float(get_total_norm([p.grad for p in parameters if p.grad is not None]))
        rows.append(
            {"value": value, "gradient_norm": gradient_norm, "weight_norm": weight_norm, **observed}
        )

    def snapshot(step: int) -> None:
        snapshots[step] = {n: p.detach().cpu().clone() for n, p in objective.named_parameters()}

    started = time.perf_counter()
    for step in range(max_steps):
        if step in snapshot_steps:
            snapshot(step)
        weight_norm = objective.weight_norm()
        observed = observe() if observe else {}
        value = float(optimizer.step(closure).detach())
        if getattr(optimizer, "terminated", False):
            break
        record(value, weight_norm, observed)
        if progress:
            progress(step, value, weight_norm)
    record(float(closure().detach()), objective.weight_norm(), observe() if observe else {})
    snapshot(len(rows) - 1)
    seconds = time.perf_counter() - started

    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return History(
        value=columns.pop("value"),
        gradient_norm=columns.pop("gradient_norm"),
        weight_norm=columns.pop("weight_norm"),
        observations=columns,
        snapshots=snapshots,
        perturbation_steps=np.array(getattr(optimizer, "perturbation_steps", []), dtype=np.int64),
        terminated=getattr(optimizer, "terminated", False),
        seconds=seconds,
    )
