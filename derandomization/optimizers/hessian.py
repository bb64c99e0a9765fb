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
from derandomization.eigenvalues import Eigenvalue, LanczosError, smallest_eigenvalue
from derandomization.optimizers.base import PlainOptimizer

Closure = Callable[[], Tensor]

# Lanczos may stop this fraction of √(Kρ) short: a step is then worth 94% of what ρ promises.
CURVATURE_TOLERANCE = 1e-2
STATE = (
    "smoothness",
    "hessian_lipschitz",
    "accuracy",
    "seed",
    "num_steps",
    "curvature_steps",
    "terminated",
)


class HessianDescent(PlainOptimizer):
    """x ← x − ∇f/L; where ‖∇f‖ ≤ ρ, x ← x ± (2|λ_min|/K)·v along ∇²f's lowest eigenvector v.

    Where ‖∇f‖ ≤ ρ and λ_min ≥ −√(Kρ), Lanczos's residual counted against it, the point stays and
    ``terminated`` becomes True: a ρ-second-order stationary point (Def. 2.2). The sign of a step
    along v is the one that does not climb the gradient, and its length minimises the cubic bound
    f(x ± tv) ≤ f(x) − t²|λ_min|/2 + Kt³/6. So a gradient step lowers f by at least ρ²/(2L), one
    along v by 2|λ_min|³/(3K²) ≈ ⅔√(ρ³/K) or more: from Δ above its minimum, f is done after at
    most 2LΔ/ρ² steps of the one kind and 1.6Δ√(K/ρ³) of the other.

    Hessian-vector products are central differences of gradients, so that the closure may be
    anybody's: it need not keep its graph, nor f be differentiable twice by autograd. It must be
    deterministic. The differences are right to about 1e-10 of the Hessian's norm in float64, which
    is recommended, and 1e-4 in float32; their error is measured and counted against λ_min.

    A gradient step costs one closure. Where ‖∇f‖ ≤ ρ a product costs two more: one product a
    parameter up to 128 of them, beyond that one a Lanczos step, dozens to hundreds.

    Args:
        params: parameters or groups. L, K, ρ belong to all of them jointly: no option by group.
        smoothness: L > 0, a Lipschitz constant of ∇f: 1/L is the length of a gradient step.
        hessian_lipschitz: K > 0, a Lipschitz constant of ∇²f.
        accuracy: ρ > 0, on the scale of ‖∇f‖₂ over all parameters.
        seed: ≥ 0, of Lanczos's start vector.

    Attributes:
        num_steps: steps made.
        curvature_steps: those of them along ±v, numbered from 0.
        terminated: True at a ρ-second-order stationary point.

    Raises:
        ValueError: an argument out of its range.

    References:
        Tsikouras, Pantis, Mitliagkas, Tzamos, *A Derandomization Framework for Structure
        Discovery*, ICLR 2026 (arXiv 2510.19382), Algorithm 2.
        Nesterov, Polyak, *Cubic Regularization of Newton Method and Its Global Performance*,
        Mathematical Programming 108, 2006: the cubic bound.
    """

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

        Args:
            closure: clears the gradients, evaluates f, calls ``backward`` and returns f.

        Raises:
            ValueError: no parameter has a gradient, or λ_min can't be told closely enough.
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
        # Where the norm is not a number there is no curvature to ask for, and f shows the trouble.
        if not float(get_total_norm(gradients)) <= self.accuracy:
            torch._foreach_add_(variables, gradients, alpha=-1 / self.smoothness)
        else:
            self._follow_curvature(_DifferencedHessian(closure, variables))
        self.num_steps += not self.terminated
        return value

    def _follow_curvature(self, hessian: "_DifferencedHessian") -> None:
        """Move along ±v, or terminate where λ_min ≥ −√(Kρ) for certain."""
        allowed = math.sqrt(self.hessian_lipschitz * self.accuracy)
        try:
            curvature = hessian.smallest_eigenvalue(CURVATURE_TOLERANCE * allowed, self.seed)
        except LanczosError as failure:
            raise ValueError(
                f"{failure}: a larger accuracy (it is {self.accuracy:g}) asks Lanczos for less"
            ) from failure
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

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, L, K, ρ and the seed included."""
        own = {name: getattr(self, name) for name in STATE}
        return {**super().state_dict(), **own, "curvature_steps": list(self.curvature_steps)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        for name in STATE:
            setattr(self, name, state_dict[name])
        self.curvature_steps = list(self.curvature_steps)


class _DifferencedHessian:
    """∇²f·u ≈ (∇f(x + hu) − ∇f(x − hu)) / 2h for unit u, h = ϵ^⅓(1 + ‖x‖), ϵ the rounding unit.

    At this h the error of the formula, O(h²), is about that of rounding, O(ϵ/h). Between calls
    the variables are at x and their gradients those at x, to the bit.
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
        """λ_min; a residual that counts what doubling the width changes, thrice O(h²)."""
        operator = spla.LinearOperator(  # which is given unit vectors, and none else
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

    def displace(self, length: float, direction: Float[np.ndarray, " size"]) -> None:
        """Put the variables at x + length · direction."""
        steps = torch.from_numpy(length * direction).split([p.numel() for p in self._variables])
        for variable, centre, step in zip(self._variables, self._centre, steps, strict=True):
            variable.copy_(centre + step.view_as(centre).to(centre))

    def _difference(
        self, direction: Float[np.ndarray, " size"], width: float
    ) -> Float[np.ndarray, " size"]:
        ahead, behind = (self._gradient_at(length, direction) for length in (width, -width))
        return (ahead - behind) / (2 * width)

    def _gradient_at(
        self, length: float, direction: Float[np.ndarray, " size"]
    ) -> Float[np.ndarray, " size"]:
        self.displace(length, direction)
        with torch.enable_grad():
            self._closure()
        return _flat([torch.zeros_like(p) if p.grad is None else p.grad for p in self._variables])

    def _restore(self) -> None:
        for variable, centre in zip(self._variables, self._centre, strict=True):
            variable.copy_(centre)
        for variable, gradient in zip(self._variables, self._gradients, strict=True):
            variable.grad = gradient


def _flat(tensors: list[Tensor]) -> Float[np.ndarray, " size"]:
    """A float64 copy on the CPU, where Lanczos works."""
    parts = [t.detach().cpu().double().reshape(-1) for t in tensors]
    return torch.cat(parts).numpy()
