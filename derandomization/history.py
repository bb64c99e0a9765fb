"""What a descent did, step by step, and the error of one that went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor


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
    """f is no longer finite, or far above where it began.

    Attributes:
        history: what was measured up to there; its last row is the one that was too much.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it travel back from another process, message and history."""
        return type(self), (str(self), self.history)
