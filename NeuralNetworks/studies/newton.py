"""Newton's method with cubic regularization: a second-order optimizer for small students."""

import math
from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from derandomization.checks import require_positive
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers.base import PlainOptimizer

Vector = Float[np.ndarray, " size"]
FIRST_CUBIC = 1e-3  # M at the start
SMALLEST_CUBIC, LARGEST_CUBIC = 1e-12, 1e20
SUFFICIENT, GOOD = 0.1, 0.3  # shares of the predicted decrease: to accept a step, and to lower M
LOWER, RAISE = 4, 2  # factors of M; the other way round a step in a curved valley is far too short
DESCENDING = 1e-3  # share of ‖∇f‖ that a step takes at least along a negative eigenvector
ROUNDING = 1e-14  # a relative rise of f below this may be a rounding error


class CubicNewton(PlainOptimizer):
    """x ← x + argmin_s ∇f·s + sᵀ∇²f·s/2 + (M/6)‖s‖³, with M adapted to the decrease of f.

    Sets ``terminated`` at the first point with ‖∇f‖ ≤ ``accuracy`` and λ_min(∇²f) ≥ −``accuracy``.
    A gradient method needs O(1/λ) steps along the directions in which f has no other curvature
    than 2λ; this one needs tens to hundreds at any λ. A step computes the whole Hessian and its
    eigenvectors: O(parameters³), for a few hundred parameters.

    Args:
        objective: an exact objective; its trainable parameters are optimized.
        accuracy: > 0, of the point where the descent ends.

    Reference: Nesterov and Polyak, *Cubic Regularization of Newton Method and Its Global
    Performance*, 2006.
    """

    saved = "cubic terminated"

    def __init__(self, objective: DerandomizationObjective, *, accuracy: float) -> None:
        self.objective = objective
        self.variables = [p for p in objective.parameters() if p.requires_grad]
        self.accuracy = require_positive("accuracy", accuracy)
        super().__init__(self.variables, {})
        self.cubic = FIRST_CUBIC
        self.terminated = False

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step; returns f where the step began. Does nothing once ``terminated``."""
        value = closure().detach()
        if self.terminated:
            return value
        gradient, hessian = self._derivatives()
        values, vectors = scipy.linalg.eigh(hessian)
        norm = float(np.linalg.norm(gradient))
        if norm <= self.accuracy and values[0] >= -self.accuracy:
            self.terminated = True
            return value
        along = vectors.T @ gradient
        if values[0] < 0 and abs(along[0]) <= DESCENDING * norm:
            # At a saddle ∇f has no part along the eigenvector: the step must have one.
            along[0] = math.copysign(max(DESCENDING * norm, self.accuracy * DESCENDING), along[0])
        centre = parameters_to_vector(self.variables).detach()
        while self.cubic < LARGEST_CUBIC:
            coordinates = _cubic_step(values, along, self.cubic)
            moved = centre + torch.from_numpy(vectors @ coordinates)
            vector_to_parameters(moved, self.variables)
            after = self.objective()
            decrease = float(value - after.detach())
            quadratic = float(along @ coordinates + values @ coordinates**2 / 2)
            predicted = -quadratic - self.cubic / 6 * float(np.linalg.norm(coordinates)) ** 3
            # Near a minimum the decrease drowns in rounding errors of f, and ‖∇f‖ decides.
            converges = values[0] > 0 and self._gradient_norm(after) <= norm / 2
            if converges or decrease >= GOOD * predicted:
                self.cubic = max(self.cubic / LOWER, SMALLEST_CUBIC)
                return value
            if decrease >= SUFFICIENT * predicted - ROUNDING * abs(float(value)):
                return value
            self.cubic *= RAISE
        vector_to_parameters(centre, self.variables)
        return value

    def _gradient_norm(self, value: Tensor) -> float:
        gradients = torch.autograd.grad(value, self.variables, materialize_grads=True)
        return float(parameters_to_vector(gradients).norm())

    def _derivatives(self) -> tuple[Vector, Float[np.ndarray, "size size"]]:
        """∇f and ∇²f."""
        first = torch.autograd.grad(
            self.objective(), self.variables, create_graph=True, materialize_grads=True
        )
        gradient = parameters_to_vector(first)
        size = len(gradient)
        rows = torch.autograd.grad(
            gradient,
            self.variables,
            torch.eye(size, dtype=gradient.dtype),
            is_grads_batched=True,
            create_graph=True,  # without it the smooth ReLU's backward writes in place
            materialize_grads=True,
        )
        hessian = torch.cat([r.detach().reshape(size, -1) for r in rows], dim=1)
        return gradient.detach().numpy(), ((hessian + hessian.T) / 2).numpy()


def _cubic_step(values: Vector, along: Vector, cubic: float) -> Vector:
    """The minimiser s = −(∇²f + νI)⁻¹∇f, ν = (M/2)‖s‖, in the coordinates of the eigenvectors.

    ν is the root of a decreasing function above max(0, −λ_min): found by bisection.
    """
    low = max(0.0, -float(values[0]))

    def length(shift: float) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.linalg.norm(np.nan_to_num(along / (values + shift), posinf=np.inf)))

    high = max(2 * low, 1e-16)
    while high < cubic / 2 * length(high):
        high *= 4
    while high - low > 1e-6 * high:
        middle = (low + high) / 2 if low > high / 4 else max(math.sqrt(low * high), high / 4)
        if middle < cubic / 2 * length(middle):
            low = middle
        else:
            high = middle
    return -along / (values + high)
