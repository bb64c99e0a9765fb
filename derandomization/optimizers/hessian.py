"""Algorithm 2: Hessian descent, as a ``torch.optim.Optimizer``."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import scipy.sparse.linalg as spla
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import get_total_norm

from derandomization.checks import require_at_least, require_positive
from derandomization.eigenvalues import Eigenvalue, smallest_eigenvalue
from derandomization.optimizers.base import PlainOptimizer

Closure = Callable[[], Tensor]
Vector = Float[np.ndarray, " size"]

# λ_min is known to this fraction of √(Kρ): a step then still gains 94% of its guarantee.
CURVATURE_TOLERANCE = 1e-2


class HessianDescent(PlainOptimizer):
    """x ← x − ∇f/L; where ‖∇f‖ ≤ ρ, x ← x ± (2|λ_min|/K)·v along ∇²f's lowest eigenvector v.

    Where ‖∇f‖ ≤ ρ and λ_min minus Lanczos's residual is at least −√(Kρ), the point is kept and
    ``terminated`` becomes True: it is ρ-second-order stationary (Def. 2.2). A step along ±v takes
    the sign along which f does not increase to first order, and the length that minimises the bound
    f(x ± tv) ≤ f(x) − t²|λ_min|/2 + Kt³/6. A descent that starts Δ above the minimum of f therefore
    takes at most 2LΔ/ρ² gradient steps and 1.6Δ√(K/ρ³) curvature steps.

    Hessian-vector products are central differences of gradients, so any deterministic closure
    works. Their error, about 1e-10 of the Hessian's norm in float64 (recommended) and 1e-4 in
    float32, is measured and subtracted from λ_min. A gradient step costs one closure. Where
    ‖∇f‖ ≤ ρ, each product costs two more: one product per parameter up to 128 parameters, else
    one per Lanczos step, dozens to hundreds.

    Args:
        params: parameters or groups. L, K and ρ are for all of them jointly, not by group.
        smoothness, hessian_lipschitz: L and K > 0, Lipschitz constants of ∇f and ∇²f.
        accuracy: ρ > 0, on the scale of ‖∇f‖₂ over all parameters.
        seed: ≥ 0, of the start vector of Lanczos. Arguments out of range raise ``ValueError``.

    Attributes:
        num_steps, curvature_steps: the number of all steps; the steps along ±v, counted from 0.
        terminated: True at a ρ-second-order stationary point.

    References: Tsikouras et al., ICLR 2026 (arXiv 2510.19382), Algorithm 2; Nesterov and Polyak,
    *Cubic Regularization of Newton Method and Its Global Performance*, 2006, for the cubic bound.
    """

    saved = "smoothness hessian_lipschitz accuracy seed num_steps curvature_steps terminated"

    def __init__(
        self,
        params: Iterable[Any],
        *,
        smoothness: float,
        hessian_lipschitz: float,
        accuracy: float,
        seed: int = 0,
    ) -> None:
        self.smoothness = require_positive("smoothness", smoothness)
        self.hessian_lipschitz = require_positive("hessian_lipschitz", hessian_lipschitz)
        self.accuracy = require_positive("accuracy", accuracy)
        self.seed = require_at_least("seed", seed, 0)
        super().__init__(params, {})
        self.num_steps = 0
        self.curvature_steps: list[int] = []
        self.terminated = False

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """One step; returns f where the step began. Does nothing once ``terminated``.

        ``closure`` clears the gradients, evaluates f, calls ``backward`` and returns f. Raises
        ``ValueError`` if no parameter has a gradient, or λ_min is not known closely enough.
        """
        with torch.enable_grad():
            value = closure().detach()
        if self.terminated:
            return value
        every = [p for group in self.param_groups for p in group["params"]]
        variables = [p for p in every if p.requires_grad and p.grad is not None]
        if not variables:
            raise ValueError("no parameter has a gradient: the closure must call backward")
        gradients = [p.grad for p in variables]
        # A NaN norm takes a gradient step as well: ``descend`` then reports that f diverged.
        if not float(get_total_norm(gradients)) <= self.accuracy:
            torch._foreach_add_(variables, gradients, alpha=-1 / self.smoothness)
        else:
            self._follow_curvature(_DifferencedHessian(closure, variables))
        self.num_steps += not self.terminated
        return value

    def _follow_curvature(self, hessian: "_DifferencedHessian") -> None:
        """Move along ±v, or terminate where λ_min ≥ −√(Kρ) is certain."""
        allowed = math.sqrt(self.hessian_lipschitz * self.accuracy)
        curvature = hessian.smallest_eigenvalue(CURVATURE_TOLERANCE * allowed, self.seed)
        if curvature.lower_end >= -allowed:
            self.terminated = True
            return
        if curvature.value > -allowed / 2:
            raise ValueError(
                f"the smallest eigenvalue of the {hessian.size}×{hessian.size} Hessian is "
                f"{curvature.value:.3g} to {curvature.residual:.1g}, too rough beside "
                f"√(Kρ) = {allowed:.3g}: take a larger accuracy (it is {self.accuracy:g}) "
                "or parameters in float64"
            )
        length = 2 * abs(curvature.value) / self.hessian_lipschitz
        climbs = float(hessian.gradient @ curvature.vector) > 0
        hessian.displace(-length if climbs else length, curvature.vector)
        self.curvature_steps.append(self.num_steps)


class _DifferencedHessian:
    """∇²f·u ≈ (∇f(x + hu) − ∇f(x − hu)) / 2h for unit u, h = ϵ^⅓(1 + ‖x‖), ϵ the rounding unit.

    At this h the error of the formula, O(h²), is about as large as that of rounding, O(ϵ/h).
    Between calls the variables and their gradients are those at x, bit for bit.
    """

    def __init__(self, closure: Closure, variables: list[Tensor]) -> None:
        self._closure = closure
        self._variables = variables
        self._centre = [p.clone() for p in variables]
        self._gradients = [p.grad.clone() for p in variables if p.grad is not None]
        self.gradient = _flat(self._gradients)
        self.size = len(self.gradient)
        rounding = max(torch.finfo(p.dtype).eps for p in variables)
        self._width = rounding ** (1 / 3) * (1 + float(get_total_norm(variables)))

    def smallest_eigenvalue(self, tolerance: float, seed: int) -> Eigenvalue:
        """λ_min; the residual includes the change from doubling the width, three times O(h²)."""

        operator = spla.LinearOperator(  # it only ever multiplies unit vectors
            (self.size, self.size),
            matvec=lambda u: self._difference(u.reshape(-1), self._width),
            dtype=np.float64,
        )
        try:
            found = smallest_eigenvalue(operator, tolerance=tolerance, seed=seed)
            fine, coarse = (self._difference(found.vector, k * self._width) for k in (1, 2))
        finally:
            self._restore()
        error = float(np.linalg.norm(coarse - fine))
        return Eigenvalue(found.value, found.residual + error, found.vector)

    def displace(self, length: float, direction: Vector) -> None:
        """Put the variables at x + length · direction."""
        steps = torch.from_numpy(length * direction).split([p.numel() for p in self._variables])
        for variable, centre, step in zip(self._variables, self._centre, steps, strict=True):
            variable.copy_(centre + step.view_as(centre).to(centre))

    def _difference(self, direction: Vector, width: float) -> Vector:
        ahead, behind = (self._gradient_at(length, direction) for length in (width, -width))
        return (ahead - behind) / (2 * width)

    def _gradient_at(self, length: float, direction: Vector) -> Vector:
        self.displace(length, direction)
        with torch.enable_grad():
            self._closure()
        return _flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self._variables])

    def _restore(self) -> None:
        state = zip(self._variables, self._centre, self._gradients, strict=True)
        for variable, centre, gradient in state:
            variable.copy_(centre)
            variable.grad = gradient


def _flat(tensors: list[Tensor]) -> Vector:
    """A float64 copy on the CPU, where Lanczos works."""
    parts = [t.detach().cpu().double().reshape(-1) for t in tensors]
    return torch.cat(parts).numpy()
