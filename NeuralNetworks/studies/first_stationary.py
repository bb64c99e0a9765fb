"""Where a descent is first stationary to ρ: by its gradient alone, and by its curvature too."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm, parameters_to_vector

from derandomization import DerandomizationObjective, HessianDescent, PerturbedGradientDescent
from derandomization.certificate import Hessian
from derandomization.checks import require_at_least


@dataclass(frozen=True)
class FirstStationary:
    """Steps made before the first point of each kind, and ‖W‖_F there; NaN where there was none.

    Attributes:
        first_order_step, first_order_norm: the first with ‖∇f‖ ≤ ρ.
        second_order_step, second_order_norm: the first with λ_min ≥ −√(Kρ) as well (Def. 2.2).
    """

    first_order_step: float = math.nan
    first_order_norm: float = math.nan
    second_order_step: float = math.nan
    second_order_norm: float = math.nan


def descend_to_second_order(
    objective: DerandomizationObjective,
    optimizer: PerturbedGradientDescent | HessianDescent,
    *,
    accuracy: float,
    hessian_lipschitz: float,
    max_steps: int,
) -> FirstStationary:
    """Descend until a point is ρ-second-order stationary, which the optimizer need not notice.

    Ends without one where the optimizer terminates or the steps run out.

    Args:
        objective: f, exact; changed in place.
        optimizer: over all of the objective's trainable parameters.
        accuracy: ρ.
        hessian_lipschitz: K, valid where the path leads: it saves most eigenvalues on the way.
        max_steps: the most steps to make, at least 1.

    Raises:
        ValueError: ``max_steps`` below 1.
    """
    require_at_least("max_steps", max_steps, 1)
    watch = _Watch(objective, accuracy, hessian_lipschitz)
    for _ in range(max_steps):
        watch.at_path = True
        optimizer.step(watch.closure)
        if watch.found_second_order or optimizer.terminated:
            break
    return FirstStationary(*watch.first_order, *watch.second_order)


class _Watch:
    """Evaluates f for the optimizer, and judges the points of its path until one is second-order.

    Attributes:
        at_path: whether the next evaluation is at a point of the path; later ones of the same step
            are where the optimizer looks around.
        first_order, second_order: step and ‖W‖_F of the first such point.
    """

    def __init__(
        self, objective: DerandomizationObjective, accuracy: float, hessian_lipschitz: float
    ) -> None:
        self._objective = objective
        self._params = [p for p in objective.parameters() if p.requires_grad]
        self._accuracy = accuracy
        self._hessian_lipschitz = hessian_lipschitz
        self._allowed = math.sqrt(hessian_lipschitz * accuracy)
        self._judged: tuple[Tensor, float] | None = None
        self._num_points = 0
        self.at_path = False
        self.first_order = (math.nan, math.nan)
        self.second_order = (math.nan, math.nan)

    @property
    def found_second_order(self) -> bool:
        return not math.isnan(self.second_order[0])

    def closure(self) -> Tensor:
        for parameter in self._params:
            parameter.grad = None
        value = self._objective()
        value.backward()
        if self.at_path:
            self.at_path = False
            self._look()
            self._num_points += 1
        return value.detach()

    def _look(self) -> None:
        gradients = [p.grad for p in self._params if p.grad is not None]
        if float(get_total_norm(gradients)) > self._accuracy:
            return
        if math.isnan(self.first_order[0]):
            self.first_order = (float(self._num_points), self._objective.weight_norm())
        if self._is_second_order():
            self.second_order = (float(self._num_points), self._objective.weight_norm())

    def _is_second_order(self) -> bool:
        """λ_min ≥ −√(Kρ); not computed where K and the last λ_min already say no."""
        here = parameters_to_vector(self._params).detach()
        if self._judged is not None:
            there, curvature = self._judged
            moved = float(torch.linalg.vector_norm(here - there))
            if curvature + self._hessian_lipschitz * moved < -self._allowed:
                return False
        hessian = Hessian(self._objective, self._params)
        curvature = hessian.smallest_eigenvalue(tolerance=self._allowed).lower_end
        self._judged = here, curvature
        return curvature >= -self._allowed
