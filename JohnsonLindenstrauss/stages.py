"""Descents on a softened maximum, stage after stage of growing sharpness, and their record."""

import copy
import math
from typing import Any

import numpy as np
import torch

from derandomization import History, PerturbedGradientDescent
from derandomization.descent import Diverged, StepCallback
from derandomization.laboratory.checkpoints import Checkpoints, resumable_descend
from JohnsonLindenstrauss.softmax import PairDistortion

# Stages of constant β, each with steps of pace·√(k·rank)/β: curvature grows with β, and falls as
# the pairs spread over more directions of M. On pairs of the paper's points, digits and 1 000
# Gaussian points the best constant rates were 10, 10 and 100 over β; a pace that falls where a step
# had to be halved and grows elsewhere finds each. Adam, on digits, ends within 1% of this.
MOMENTUM = 0.98
LEARNING_RATE, GROWTH, SHRINKAGE = 0.2, 1.2, 0.85
MAX_ATTEMPTS = 12  # to halve the pace until a stage ends below where it began
PERTURBATION_RADIUS = 1e-2  # 1% of the length of every M(x − y) at the end, as for single points
MAX_STEPS = 3_400  # of all stages


class StagedDescent:
    """Perturbed gradient descents one after the other, and what they recorded."""

    def __init__(
        self,
        generator: torch.Generator,
        progress: StepCallback | None,
        max_steps: int | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.generator = generator
        self._max_steps = MAX_STEPS if max_steps is None else max_steps
        self._progress = progress
        self._checkpoints = checkpoints
        self._pace = 1.0
        self._steps = 0
        self._values: list[np.ndarray] = []
        self._deviations: list[np.ndarray] = []
        self._rounds: list[tuple[int, float]] = []

    def run(
        self, objective: PairDistortion, sharpness: float, steps: int, *, perturb: bool = False
    ) -> None:
        """Descend at one β; where that ended higher than it began, again at half the pace."""
        shortened = math.ceil(steps * min(1.0, self._max_steps / MAX_STEPS))
        objective.sharpness = float(sharpness)
        before = copy.deepcopy(objective.state_dict())
        for _ in range(MAX_ATTEMPTS):
            steps = min(shortened, self._max_steps - self._steps)
            if steps < 1:
                return
            optimizer = self._optimizer(objective, steps, perturb)
            rate = optimizer.param_groups[0]["lr"]
            try:
                history = resumable_descend(
                    objective,
                    optimizer,
                    max_steps=steps,
                    progress=self._report,
                    checkpoints=self._checkpoints,
                )
            except Diverged as stop:
                history = stop.history
            self._keep(history, objective)
            if history.value[-1] <= history.value[0]:
                self._pace *= GROWTH if optimizer.param_groups[0]["lr"] == rate else SHRINKAGE
                return
            objective.load_state_dict(before)
            self._pace /= 2

    def _optimizer(
        self, objective: PairDistortion, steps: int, perturb: bool
    ) -> PerturbedGradientDescent:
        size, k = objective.mean.numel(), objective.num_components
        rate = self._pace * LEARNING_RATE * math.sqrt(size) / objective.sharpness
        groups: list[dict[str, Any]] = [
            {"params": [objective.mean]},
            {"params": [objective.scale], "lr": 0.1 * rate * size / (k + 3)},
        ]
        return PerturbedGradientDescent(
            groups,
            lr=rate,
            momentum=MOMENTUM,
            nesterov=True,
            restart=True,
            gradient_threshold=math.inf if perturb else 0.0,
            perturbation_radius=PERTURBATION_RADIUS,
            perturbation_interval=steps + 1,
            decrease_threshold=-math.inf,
            generator=self.generator,
        )

    def _keep(self, history: History, objective: PairDistortion) -> None:
        self._steps += history.num_steps
        self._values.append(history.value[:-1])
        self._deviations.append(history.weight_norm[:-1] / objective.mean.numel() ** 0.5)

    def _report(self, step: int, value: float, norm: float) -> None:
        if self._progress:
            self._progress(self._steps + step, value, norm)

    def saw(self, distortion: float) -> None:
        self._rounds.append((self._steps, distortion))

    def slower(self) -> None:
        self._pace /= 2

    def record(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        rounds = np.array([step for step, _ in self._rounds], dtype=np.int64)
        distortion = np.array([found for _, found in self._rounds])
        none = [np.zeros(0)]
        return (
            np.concatenate(self._values or none),
            np.concatenate(self._deviations or none),
            rounds,
            distortion,
        )
