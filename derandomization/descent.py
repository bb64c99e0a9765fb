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
from torch.optim import Optimizer

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


class Diverged(FloatingPointError):  # noqa: N818 - it says what happened
    """f is no longer finite.

    Attributes:
        history: what was measured up to there; its last row is the first that is not finite.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel back from another process, message and history."""
        return type(self), (str(self), self.history)


def log_spaced_steps(max_steps: int, count: int) -> frozenset[int]:
    """At most ``count`` distinct steps from 0 to ``max_steps``, evenly spaced in log(1 + step)."""
    spaced = np.expm1(np.linspace(0, math.log1p(max_steps), count))
    return frozenset(int(step) for step in np.rint(spaced))


def descend(
    objective: DerandomizationObjective,
    optimizer: Optimizer,
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
        Diverged: f is no longer finite; names the step and holds the history up to there.
    """
    require_at_least("max_steps", max_steps, 1)
    keep_freed_memory()
    recorder = _Recorder(objective, optimizer, observe)
    for step in range(max_steps):
        if step in snapshot_steps:
            recorder.snapshot()
        before = recorder.measure()
        optimizer.step(recorder.closure)  # type: ignore[arg-type]
        if getattr(optimizer, "terminated", False):
            break
        recorder.record(before)
        if progress:
            progress(step, recorder.rows[-1]["value"], before["weight_norm"])
    recorder.record_end()
    return recorder.history()


class _Recorder:
    """Evaluates f for the optimizer and keeps what the history is made of."""

    def __init__(
        self,
        objective: DerandomizationObjective,
        optimizer: Optimizer,
        observe: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._observe = observe
        self._parameters = [p for p in objective.parameters() if p.requires_grad]
        self._evaluations: list[dict[str, float]] = []
        self._snapshots: dict[int, dict[str, Tensor]] = {}
        self.rows: list[dict[str, float]] = []
        self._started = time.perf_counter()

    def closure(self) -> Tensor:
        self._optimizer.zero_grad()
        value = self._objective()
        value.backward()
        norm = get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        self._evaluations.append({"value": float(value.detach()), "gradient_norm": float(norm)})
        return value.detach()

    def measure(self) -> dict[str, float]:
        observed = self._observe() if self._observe else {}
        return {"weight_norm": self._objective.weight_norm(), **observed}

    def record(self, before: Mapping[str, float]) -> None:
        # A step may evaluate f again where it perturbed to; the first time is the point before.
        row = {**self._evaluations[0], **before}
        self._evaluations.clear()
        self.rows.append(row)
        if not math.isfinite(row["value"]):
            raise Diverged(self._complaint(row["value"]), self.history())

    def _complaint(self, value: float) -> str:
        if len(self.rows) == 1:
            return f"the objective is {value} at step 0, where the descent starts: check the loss"
        rate = self._optimizer.param_groups[0].get("lr")
        now = "" if rate is None else f", now {rate:g}"
        return (
            f"the objective became {value} at step {len(self.rows) - 1}: "
            f"lower the learning rate{now}"
        )

    def record_end(self) -> None:
        self._evaluations.clear()
        self.closure()
        self.snapshot()
        self.record(self.measure())

    def snapshot(self) -> None:
        named = self._objective.named_parameters()
        self._snapshots[len(self.rows)] = {n: p.detach().cpu().clone() for n, p in named}

    def history(self) -> History:
        columns = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
        perturbed = getattr(self._optimizer, "perturbation_steps", [])
        return History(
            value=columns.pop("value"),
            gradient_norm=columns.pop("gradient_norm"),
            weight_norm=columns.pop("weight_norm"),
            observations=columns,
            snapshots=self._snapshots,
            perturbation_steps=np.array(perturbed, dtype=np.int64),
            terminated=getattr(self._optimizer, "terminated", False),
            seconds=time.perf_counter() - self._started,
        )
