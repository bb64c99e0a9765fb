"""The descent loop: steps of an optimizer, a stopping rule, and a record of every step.

A step costs one value and gradient of f, or two where it perturbs, one ‖∇f‖ and one ‖W‖.
"""

import math
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.optim import Optimizer

from derandomization.certificate import smallest_curvature
from derandomization.checks import require_at_least
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers.base import total_norm

Reason = Literal["max_steps", "second-order stationary", "no decrease"]
StepCallback = Callable[[int, float, float], None]

# A descent has diverged when f has stayed far above its start for DIVERGED_STEPS steps in a row:
# above the highest starting value by DIVERGED_FACTOR times the larger of that value's size and the
# decrease so far. Noise of a sampled f, perturbations and momentum stay well below this.
DIVERGED_FACTOR, DIVERGED_STEPS = 10.0, 10
BEST_EVERY = 10  # steps between copies of the best point: a copy at every step would cost a tenth
_NUMBERS = ("_best_value", "_lowest", "_reference", "_risen", "complaint", "reason", "ended")
EXTRA = "_extra_state"  # the end of torch's name of what a module adds to its ``state_dict``
VERIFICATION_TOLERANCE = 2e-3  # of λ, as in ``certify``: with 0.1 Lanczos missed eigenvalues


@dataclass(frozen=True)
class History:
    """What a descent did. Row t of each array is the point *before* step t, the last row the end.

    Attributes:
        value: f, ``[steps + 1]``.
        gradient_norm, weight_norm: ‖∇f‖₂ over all parameters and ‖W‖_F, ``[steps + 1]``.
        observations: the numbers that ``observe`` returned: by name, an array ``[steps + 1]``.
        snapshots: parameters by name at the steps asked for, on the CPU.
        perturbation_steps: the steps at which noise was added.
        terminated: True if the optimizer stopped by its own rule, False if the steps ran out.
        reason: why it ended. "max_steps"; "second-order stationary" if the optimizer stopped where
            no eigenvalue of ∇²f is below −λ; "no decrease" if it stopped where one is, or where
            they could not be computed (both with a warning), or ``verify`` was False.
        seconds: wall time of the loop.
    """

    value: Float[np.ndarray, " records"] = field(repr=False)
    gradient_norm: Float[np.ndarray, " records"] = field(repr=False)
    weight_norm: Float[np.ndarray, " records"] = field(repr=False)
    observations: Mapping[str, Float[np.ndarray, " records"]] = field(repr=False)
    snapshots: Mapping[int, Mapping[str, Tensor]] = field(repr=False)
    perturbation_steps: Int[np.ndarray, " perturbations"]
    terminated: bool
    seconds: float
    reason: Reason = "max_steps"

    @property
    def num_steps(self) -> int:
        return len(self.value) - 1

    def arrays(self) -> dict[str, np.ndarray]:
        """All recorded arrays by name, without snapshots, for ``numpy.savez``."""
        names = ("value", "gradient_norm", "weight_norm", "perturbation_steps")
        return {name: getattr(self, name) for name in names} | dict(self.observations)


class Diverged(FloatingPointError):  # noqa: N818 - it says what happened
    """f is no longer finite, or far above its start; the last row of ``history`` is that point."""

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.history)


def descend(
    objective: DerandomizationObjective,
    optimizer: Optimizer,
    *,
    max_steps: int,
    observe: Callable[[], Mapping[str, float]] | None = None,
    snapshot_steps: Collection[int] = (),
    on_step: StepCallback | None = None,
    verify: bool = True,
) -> History:
    """Minimise f by any torch optimizer, until it terminates or ``max_steps`` are made.

    Args:
        objective: f; its parameters are changed in place.
        optimizer: a ``torch.optim.Optimizer`` over the objective's parameters; one that sets
            ``terminated`` (``PerturbedGradientDescent``) ends the loop early.
        max_steps: the maximum number of steps, at least 1.
        observe: called before every step; its numbers become ``History.observations``.
        snapshot_steps: steps before which the parameters are copied; the end is always copied.
        on_step: called after every step with the step and the f and ‖W‖_F before it.
        verify: compute λ_min(∇²f) where the optimizer terminated, for ``History.reason``. This
            needs an f that can be differentiated twice, and dozens to hundreds of gradients.

    Raises ``ValueError`` for ``max_steps`` below 1, or an optimizer that lacks a trainable
    parameter; ``Diverged``, with the history so far, where f is no longer finite or far above its
    start. The parameters are then the best point's.
    """
    descent = Descent(objective, optimizer, observe)
    return descent.run(max_steps, snapshot_steps=snapshot_steps, on_step=on_step, verify=verify)


class Descent:
    """A descent that can be saved between two steps and continued in another process.

    Its arguments are those of ``descend``; ``ended`` says whether nothing is left to do.
    """

    def __init__(
        self,
        objective: DerandomizationObjective,
        optimizer: Optimizer,
        observe: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._observe = observe or dict
        given = {id(p) for group in optimizer.param_groups for p in group["params"]}
        named = objective.named_parameters()
        if missing := [name for name, p in named if p.requires_grad and id(p) not in given]:
            raise ValueError(
                f"the optimizer lacks {', '.join(missing)}: it must have every trainable parameter"
            )
        self._evaluations: list[dict[str, float]] = []  # each evaluation of the current step
        self._columns: dict[str, list[float]] = {"value": []}
        self._snapshots: dict[int, dict[str, Tensor]] = {}
        self._best: dict[str, Tensor] = {}
        self._best_value = self._lowest = math.inf
        self._reference = -math.inf  # the highest f at the start or right after a perturbation
        self._risen = 0
        self._started = time.perf_counter()
        self.complaint = ""
        self.reason: Reason = "max_steps"
        self.ended = False

    def run(
        self,
        max_steps: int,
        *,
        snapshot_steps: Collection[int] = (),
        on_step: StepCallback | None = None,
        verify: bool = True,
    ) -> History:
        """Descend from the current point to the end; arguments and errors as for ``descend``."""
        require_at_least("max_steps", max_steps, 1)
        if self.complaint:
            raise Diverged(self.complaint, self.history())
        while not self.ended:
            step = len(self._columns["value"])
            last = step >= max_steps or getattr(self._optimizer, "terminated", False)
            if last or step in snapshot_steps:
                self._snapshots[step] = self._copies(cpu=True)
            point = {} if step % BEST_EVERY else self._copies()
            before = {"weight_norm": self._objective.weight_norm(), **self._observe()}
            self._evaluations.clear()
            if last:
                self._closure()
            else:
                self._optimizer.step(self._closure)  # type: ignore[arg-type]
                if getattr(self._optimizer, "terminated", False):
                    continue
            self._record(before, point)
            if last and getattr(self._optimizer, "terminated", False):
                self.reason = self._verify() if verify else "no decrease"
            self.ended = last
            if on_step and not last:
                on_step(step, self._columns["value"][-1], before["weight_norm"])
        return self.history()

    def _closure(self) -> Tensor:
        """f and its gradients, as an optimizer wants them."""
        self._optimizer.zero_grad()
        value = self._objective.backpropagate()
        trained = [p for p in self._objective.parameters() if p.requires_grad]
        norm = total_norm([p.grad for p in trained if p.grad is not None])
        self._evaluations.append({"value": float(value), "gradient_norm": norm})
        return value

    def _record(self, before: Mapping[str, float], point: dict[str, Tensor]) -> None:
        """Append the row of the point before a step; raise ``Diverged`` where f diverged."""
        # A step that perturbs evaluates f twice, first at the point before the step. So does one
        # that PGD undoes, where the first value may be infinite.
        first = self._evaluations[0]
        evaluation = first if math.isfinite(first["value"]) else self._evaluations[-1]
        value = evaluation["value"]
        if not self._columns["value"] or len(self._evaluations) > 1:
            self._reference = max(self._reference, self._evaluations[-1]["value"])
        if point and value < self._best_value:
            self._best_value, self._best = value, point
        for name, number in {**evaluation, **before}.items():
            self._columns.setdefault(name, []).append(number)
        self._lowest = min(self._lowest, value)
        gained = self._reference - self._lowest
        far = value > self._reference + DIVERGED_FACTOR * max(abs(self._reference), gained)
        self._risen = self._risen + 1 if far else 0
        if not math.isfinite(value) or self._risen >= DIVERGED_STEPS:
            history = self.history()
            self._restore(self._best)
            self.complaint, self.ended = self._advice(value), True
            raise Diverged(self.complaint, history)

    def _verify(self) -> Reason:
        """Whether ∇f is small and ∇²f has no eigenvalue below −λ where the optimizer stopped."""
        allowed = self._objective.regularization
        gradient_norm = self._columns["gradient_norm"][-1]
        accuracy = getattr(self._optimizer, "accuracy", math.inf)
        threshold = self._optimizer.param_groups[0].get("gradient_threshold", accuracy)
        if gradient_norm > threshold * (1 + 1e-6):
            found = f"the gradient norm there is {gradient_norm:.3g}, above {threshold:.3g}"
        else:
            try:
                curvature = smallest_curvature(
                    self._objective, tolerance=VERIFICATION_TOLERANCE * allowed
                )
            except (RuntimeError, ValueError, TypeError) as problem:  # not exact, smooth, copyable
                found = f"the curvature there is not known ({problem})"
            else:
                if curvature.lower_end >= -allowed:
                    return "second-order stationary"
                found = f"the curvature there is {curvature.value:.3g}, below −λ = {-allowed:.3g}"
                if curvature.value >= -allowed:
                    found = (
                        f"the curvature there is only known to be above {curvature.lower_end:.3g}"
                    )
        warnings.warn(
            f"the optimizer stopped by its own rule at step {len(self._columns['value']) - 1}, "
            f"but {found}: W need not be small there. "
            "PerturbedGradientDescent.for_objective chooses settings that fit the objective",
            stacklevel=4,
        )
        return "no decrease"

    def _advice(self, value: float) -> str:
        """The message of ``Diverged``: what happened and which setting to change."""
        step = len(self._columns["value"]) - 1
        if step == 0:
            return f"the objective is {value} at step 0, where the descent starts: check the loss"
        rate = self._optimizer.param_groups[0].get("lr")
        now = "" if rate is None else f", now {rate:g}"
        happened = "became" if not math.isfinite(value) else "rose far above its start, to"
        return f"the objective {happened} {value:g} at step {step}: lower the learning rate{now}"

    def _copies(self, *, cpu: bool = False) -> dict[str, Tensor]:
        named = [(name, p.detach()) for name, p in self._objective.named_parameters()]
        return {name: (p.cpu() if cpu else p).clone() for name, p in named}

    @torch.no_grad()
    def _restore(self, copies: Mapping[str, Tensor]) -> None:
        for name, parameter in self._objective.named_parameters():
            if name in copies:
                parameter.copy_(copies[name])

    def history(self) -> History:
        """What was recorded so far."""
        columns = {name: np.array(column) for name, column in self._columns.items()}
        perturbed = getattr(self._optimizer, "perturbation_steps", [])
        return History(
            value=columns.pop("value"),
            gradient_norm=columns.pop("gradient_norm"),
            weight_norm=columns.pop("weight_norm"),
            observations=columns,
            snapshots=self._snapshots,
            perturbation_steps=np.array(perturbed, dtype=np.int64),
            terminated=getattr(self._optimizer, "terminated", False),
            reason=self.reason,
            seconds=time.perf_counter() - self._started,
        )

    def state_dict(self) -> dict[str, Any]:
        """What another process needs to continue: plain types and tensors only.

        Randomness must come from a generator in the optimizer's ``state_dict``, as it does for
        ``PerturbedGradientDescent``, or be the extra state of a module of the objective, as it is
        for ``QuasiMonteCarlo``; the continued descent is then the same to the last bit.
        """
        optimizer = self._optimizer.state_dict()
        if self.ended:
            optimizer["state"] = {}
            self._best = {}
        return {
            "parameters": self._copies(cpu=True),
            "extra": {n: s for n, s in self._objective.state_dict().items() if EXTRA in n},
            "optimizer": optimizer,
            "columns": {n: torch.from_numpy(np.array(c)) for n, c in self._columns.items()},
            "snapshots": self._snapshots,
            "best": self._best,
            "numbers": {name: getattr(self, name) for name in _NUMBERS},
            "seconds": time.perf_counter() - self._started,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; ``ValueError`` if that was of other parameters."""
        kept = {name: parameter.shape for name, parameter in state["parameters"].items()}
        if kept != {name: p.shape for name, p in self._objective.named_parameters()}:
            raise ValueError("the state has other parameters than the objective")
        self._restore(state["parameters"])
        self._objective.load_state_dict(state["extra"], strict=False)
        self._optimizer.load_state_dict(state["optimizer"])
        self._columns = {name: column.tolist() for name, column in state["columns"].items()}
        self._snapshots, self._best = state["snapshots"], state["best"]
        for name in _NUMBERS:
            setattr(self, name, state["numbers"][name])
        self._started = time.perf_counter() - state["seconds"]
