"""The one loop: steps, a stopping rule, and a record of what happened.

A step costs one value and gradient of f, or two where it perturbs, one ‖∇f‖ and one ‖W‖.
"""

import contextlib
import math
from collections.abc import Callable, Collection, Mapping

import numpy as np
from torch.optim import Optimizer

from derandomization.checkpoints import Checkpoints
from derandomization.checks import require_at_least
from derandomization.history import History
from derandomization.memory import keep_freed_memory
from derandomization.objective import DerandomizationObjective
from derandomization.recorder import Recorder

ProgressCallback = Callable[[int, float, float], None]


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
    checkpoints: Checkpoints | None = None,
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
        checkpoints: where to keep the descent, and to go on from bit for bit. Randomness must
            come from the generator in the optimizer's ``state_dict``, as PGD's does.

    Raises:
        ValueError: ``max_steps`` below 1.
        Diverged: f is no longer finite, or far above its start; names the step and holds the
            history up to there. The parameters are the best point's that was looked at.
        Interrupted: a signal asked to stop, the checkpoint is written.
    """
    require_at_least("max_steps", max_steps, 1)
    keep_freed_memory()
    recorder = Recorder(objective, optimizer, observe)
    slot = checkpoints.slot() if checkpoints else None
    if slot and slot.content:
        recorder.load(slot.content)
    if recorder.ended:
        return recorder.history()
    with checkpoints.deferring_signals() if checkpoints else contextlib.nullcontext():
        try:
            for step in range(len(recorder.rows), max_steps):
                if step in snapshot_steps:
                    recorder.snapshot()
                before = recorder.measure()
                optimizer.step(recorder.closure)  # type: ignore[arg-type]
                if getattr(optimizer, "terminated", False):
                    break
                recorder.record(before)
                if progress:
                    progress(step, recorder.rows[-1]["value"], before["weight_norm"])
                if slot:
                    slot.keep_if_due(recorder.content)
            recorder.record_end()
        finally:
            if slot and recorder.ended:
                slot.keep(recorder.content())
        if checkpoints:
            checkpoints.write_if_due()
    return recorder.history()
