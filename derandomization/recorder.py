"""Evaluates f for an optimizer, step by step, and keeps what its history is made of."""

import math
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from derandomization.checkpoints import Content
from derandomization.history import Diverged, History
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers.plain import total_norm

# A descent has gone wrong where f is above its start by so many times what it had there or has
# gained, so many steps on end. Noise of a sampled f, a perturbation, momentum: none comes near.
GROWTH, PATIENCE = 10.0, 10
BEST_EVERY = 10  # steps between two looks at the best point: a copy every step would cost a tenth
NUMBERS = ("_best_value", "_lowest", "_reference", "_risen", "complaint", "ended")


class Recorder:
    """The rows, snapshots and best point of one descent.

    Args:
        objective: f.
        optimizer: over its parameters.
        observe: numbers to record beside f, its gradient and ‖W‖_F.
    """

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
        self._best: dict[str, Tensor] = {}
        self._best_value = self._lowest = math.inf
        self._reference = -math.inf  # the highest f where the descent or a perturbation set out
        self._risen = 0
        self._started = time.perf_counter()
        self._candidate: dict[str, Tensor] = {}
        self.rows: list[dict[str, float]] = []
        self.complaint = ""
        self.ended = False

    def closure(self) -> Tensor:
        """f and its gradients, as an optimizer wants them."""
        self._optimizer.zero_grad()
        value = self._objective()
        value.backward()
        norm = total_norm([p.grad for p in self._parameters if p.grad is not None])
        self._evaluations.append({"value": float(value.detach()), "gradient_norm": norm})
        return value.detach()

    def measure(self) -> dict[str, float]:
        """The other numbers of the point that a step sets out from."""
        if len(self.rows) % BEST_EVERY == 0:
            self._candidate = {n: p.detach().clone() for n, p in self._named()}
        observed = self._observe() if self._observe else {}
        return {"weight_norm": self._objective.weight_norm(), **observed}

    def record(self, before: Mapping[str, float]) -> None:
        """Keep the row of the point before a step.

        Raises:
            Diverged: f is not finite there, or has risen; the parameters are the best point's.
        """
        # A step may evaluate f again where it perturbed to; the first time is the point before.
        row = {**self._evaluations[0], **before}
        value = row["value"]
        if not self.rows or len(self._evaluations) > 1:
            self._reference = max(self._reference, self._evaluations[-1]["value"])
        self._evaluations.clear()
        if len(self.rows) % BEST_EVERY == 0 and value < self._best_value:
            self._best_value, self._best = value, self._candidate
        self.rows.append(row)
        self._lowest = min(self._lowest, value)
        gained = self._reference - self._lowest
        far = value > self._reference + GROWTH * max(abs(self._reference), gained)
        self._risen = self._risen + 1 if far else 0
        if not math.isfinite(value) or self._risen >= PATIENCE:
            self._diverge(value)

    def _diverge(self, value: float) -> None:
        """Go back to the best point and say what to change."""
        history = self.history()
        if len(self.rows) == 1:
            complaint = (
                f"the objective is {value} at step 0, where the descent starts: check the loss"
            )
        else:
            rate = self._optimizer.param_groups[0].get("lr")
            now = "" if rate is None else f", now {rate:g}"
            happened = "became" if not math.isfinite(value) else "rose far above its start, to"
            complaint = (
                f"the objective {happened} {value:g} at step {len(self.rows) - 1}: "
                f"lower the learning rate{now}"
            )
        self._restore(self._best)
        self.complaint, self.ended = complaint, True
        raise Diverged(complaint, history)

    def record_end(self) -> None:
        """Keep the row and the parameters of the point where the descent ends.

        Raises:
            Diverged: as ``record``.
        """
        self._evaluations.clear()
        self.closure()
        self.snapshot()
        self.record(self.measure())
        self.ended = True

    def snapshot(self) -> None:
        """Keep the parameters as they are."""
        self._snapshots[len(self.rows)] = self._copies()

    def _copies(self) -> dict[str, Tensor]:
        return {n: p.detach().cpu().clone() for n, p in self._named()}

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self._objective.named_parameters()

    def _restore(self, copies: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._named():
                if name in copies:
                    parameter.copy_(copies[name])

    def history(self) -> History:
        """What was recorded so far."""
        columns = self._columns()
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

    def _columns(self) -> dict[str, np.ndarray]:
        return {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}

    def content(self) -> Content:
        """Everything that another process needs to go on from here, as plain types and tensors."""
        optimizer = self._optimizer.state_dict()
        if self.ended:
            optimizer["state"] = {}
        return {
            "parameters": self._copies(),
            "optimizer": optimizer,
            "columns": {n: torch.from_numpy(column) for n, column in self._columns().items()},
            "snapshots": self._snapshots,
            "best": self._best,
            "numbers": {name: getattr(self, name) for name in NUMBERS},
            "seconds": time.perf_counter() - self._started,
        }

    def load(self, content: Content) -> None:
        """Go on from what ``content`` returned.

        Raises:
            Diverged: that descent had ended so.
        """
        self._restore(content["parameters"])
        self._optimizer.load_state_dict(content["optimizer"])
        columns = {name: column.tolist() for name, column in content["columns"].items()}
        self.rows = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        self._snapshots, self._best = content["snapshots"], content["best"]
        for name, value in content["numbers"].items():
            setattr(self, name, value)
        self._started = time.perf_counter() - content["seconds"]
        if self.complaint:
            raise Diverged(self.complaint, self.history())
