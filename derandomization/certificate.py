"""Whether a point is second-order stationary, and what the lemma then says about ‖W‖_F there."""

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg as spla
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from derandomization.eigenvalues import Eigenvalue, smallest_eigenvalue
from derandomization.objective import DerandomizationObjective

# Eigenvalues are computed to this fraction of 2λ, and the residual is charged to the bounds.
CURVATURE_TOLERANCE = 1e-3
LIPSCHITZ_ITERATIONS = 12
LIPSCHITZ_STARTS = 2


@dataclass(frozen=True)
class Certificate:
    """Second-order information at one point and the bounds on ‖W‖_F, computed in float64.

    Attributes:
        gradient_norm, min_curvature: ‖∇f‖₂ and λ_min(∇²f) over all parameters.
        min_curvature_residual: an exact eigenvalue lies within this of ``min_curvature``.
        hessian_lipschitz: K: if proven, of ∇²g everywhere; if estimated, of ∇²f near this point.
            The lemma holds with either, but ρ depends on which.
        hessian_lipschitz_is_estimate: True if K was estimated near this point, False if proven.
        rho: the smallest ρ for which the point is a ρ-SOSP (Def. 2.2), the residual included.
        weight_bound: ρ / (2λ − √(Kρ)) (Lemma 3.1); None where λ ≤ √(Kρ)/2: no bound follows.
        sharp_weight_bound: ‖∂f/∂W‖_F / (2λ + λ_min(∂²f/∂b²)), which follows from Stein's
            identity without K; None where the denominator is not positive.
        weight_norm: ‖W‖_F.
    """

    gradient_norm: float
    min_curvature: float
    min_curvature_residual: float
    hessian_lipschitz: float
    hessian_lipschitz_is_estimate: bool
    rho: float
    weight_bound: float | None
    sharp_weight_bound: float | None
    weight_norm: float


def certify(objective: DerandomizationObjective, *, seed: int = 0) -> Certificate:
    """Certify the current point of an objective, which is left unchanged.

    A sampled objective is certified through its exact counterpart. The seed is that of the start
    vectors of Lanczos and of the estimate of K.

    Raises:
        ValueError: the objective is sampled, or Lanczos does not converge.
    """
    objective = _exact_float64_copy(objective)
    hessian = Hessian(objective, _trainable(objective))
    gradient = hessian.gradient.detach()
    curvature = hessian.smallest_eigenvalue(tolerance=_tolerance(objective), seed=seed)
    sharp_bound = _sharp_weight_bound(objective, gradient, seed)
    weight_norm = objective.weight_norm()
    proven = objective.hessian_lipschitz()
    lipschitz = proven if proven is not None else _estimate_hessian_lipschitz(objective, seed)
    rho = smallest_rho(float(gradient.norm()), curvature.lower_end, lipschitz)
    return Certificate(
        gradient_norm=float(gradient.norm()),
        min_curvature=curvature.value,
        min_curvature_residual=curvature.residual,
        hessian_lipschitz=lipschitz,
        hessian_lipschitz_is_estimate=proven is None,
        rho=rho,
        weight_bound=lemma_bound(rho, lipschitz, objective.regularization),
        sharp_weight_bound=sharp_bound,
        weight_norm=weight_norm,
    )


def smallest_rho(gradient_norm: float, min_curvature: float, hessian_lipschitz: float) -> float:
    """The smallest ρ with ‖∇f‖ ≤ ρ and λ_min ≥ −√(Kρ) (Def. 2.2)."""
    if min_curvature >= 0:
        return gradient_norm
    if hessian_lipschitz == 0:
        return math.inf
    return max(gradient_norm, min_curvature**2 / hessian_lipschitz)


def lemma_bound(rho: float, hessian_lipschitz: float, regularization: float) -> float | None:
    """Lemma 3.1's bound on ‖W‖_F at a ρ-SOSP, ρ / (2λ − √(Kρ)); None where λ ≤ √(Kρ)/2."""
    margin = 2 * regularization - math.sqrt(hessian_lipschitz * rho)
    return rho / margin if margin > 0 else None


def sharp_weight_bound(objective: DerandomizationObjective, *, seed: int = 0) -> float | None:
    """‖∂f/∂W‖_F / (2λ + λ_min(∂²f/∂b²)) at the current point, None if that is not positive.

    It holds at every point: ∂f/∂W = (∂²f/∂b² + 2λI) W by Stein's lemma (proof of Lemma 3.1). A
    margin for rounding is added. Errors are those of ``certify``.
    """
    objective = _exact_float64_copy(objective)
    gradients = torch.autograd.grad(objective(), _trainable(objective), materialize_grads=True)
    return _sharp_weight_bound(objective, parameters_to_vector(gradients), seed)


class Hessian:
    """Products of ∇²f, in chosen tensors, with vectors; each costs about two gradients."""

    def __init__(self, objective: DerandomizationObjective, variables: Iterable[Tensor]) -> None:
        self._variables = list(variables)
        gradients = torch.autograd.grad(
            objective(), self._variables, create_graph=True, materialize_grads=True
        )
        self.gradient = parameters_to_vector(gradients)

    def product(self, vector: Tensor) -> Tensor:
        """∇²f · vector, both flat."""
        # Not as autograd's third argument, whose first use in a process imports sympy: 0.5 s.
        along = torch.dot(self.gradient, vector)
        products = torch.autograd.grad(
            along, self._variables, retain_graph=True, materialize_grads=True
        )
        return parameters_to_vector(p.contiguous() for p in products)

    def spectral_norm(
        self, scales: Tensor | None = None, *, iterations: int = 20, seed: int = 0
    ) -> float:
        """A lower estimate of ‖S∇²fS‖₂ by power iteration, accurate enough to set a step size.

        S is diagonal with ``scales``, flat, on the diagonal; the identity if None.
        """
        scales = torch.ones_like(self.gradient) if scales is None else scales
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(len(scales), generator=generator).to(scales)
        for _ in range(iterations):
            length = image.norm()
            if not length:  # the zero operator
                return 0.0
            image = scales * self.product(scales * image / length)
        return float(image.norm())

    def smallest_eigenvalue(self, *, tolerance: float, seed: int = 0) -> Eigenvalue:
        """λ_min(∇²f) by Lanczos, to a residual of ``tolerance``."""
        size = self.gradient.numel()

        def matvec(vector: np.ndarray) -> np.ndarray:
            flat = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1)))
            return self.product(flat.to(self.gradient)).cpu().numpy()

        operator = spla.LinearOperator((size, size), matvec=matvec, dtype=np.float64)
        return smallest_eigenvalue(operator, tolerance=tolerance, seed=seed)


def random_gradient(objective: DerandomizationObjective, gradient: Tensor) -> Tensor:
    """∂f/∂W: the linear map ``random_weights`` applied to the flat gradient."""
    parameters = _trainable(objective)
    weights = objective.random_weights()
    cotangent = torch.zeros_like(weights, requires_grad=True)
    pulled_back = torch.autograd.grad(
        (weights * cotangent).sum(), parameters, create_graph=True, materialize_grads=True
    )
    along = torch.dot(parameters_to_vector(pulled_back), gradient.detach())
    return torch.autograd.grad(along, cotangent)[0]


def _sharp_weight_bound(
    objective: DerandomizationObjective, gradient: Tensor, seed: int
) -> float | None:
    if not objective.bias().requires_grad:
        return None  # with a frozen bias ∂²f/∂b² has no lower bound
    tolerance, known = _tolerance(objective), objective.bias_hessian()
    if known is not None:
        curvature = smallest_eigenvalue(known, tolerance=tolerance, seed=seed)
    else:
        hessian = Hessian(objective, [objective.bias()])
        curvature = hessian.smallest_eigenvalue(tolerance=tolerance, seed=seed)
    margin = 2 * objective.regularization + curvature.lower_end
    if margin <= 0:
        return None
    # Near W = 0 both sides of the bound are limited by rounding: ‖W‖ by that of the parameters,
    # its gradient by that of terms as large as f.
    parameters = parameters_to_vector(_trainable(objective)).detach()
    with torch.no_grad():
        sizes = float(parameters.norm()) + abs(float(objective())) / margin
    rounding = torch.finfo(parameters.dtype).eps * sizes
    return float(random_gradient(objective, gradient).norm()) / margin + rounding


def _estimate_hessian_lipschitz(objective: DerandomizationObjective, seed: int) -> float:
    """max ‖∇³f[u, u]‖ over unit u near this point: the norm of the third derivative.

    A symmetric tensor attains its norm on the diagonal (Banach 1938), to which the higher-order
    power iteration u ← ∇³f[u, u] converges; ∇³f is a central difference of Hessians.
    """
    parameters = _trainable(objective)
    centre = parameters_to_vector(parameters).detach()
    width = 1e-3 * (1 + float(centre.norm()))
    generator = torch.Generator().manual_seed(seed)
    largest = 0.0

    def hessian_product(point: Tensor, direction: Tensor) -> Tensor:
        vector_to_parameters(point, parameters)
        return Hessian(objective, parameters).product(direction)

    for _ in range(LIPSCHITZ_STARTS):
        image = torch.randn(len(centre), dtype=torch.float64, generator=generator).to(centre)
        for _ in range(LIPSCHITZ_ITERATIONS):
            direction = image / image.norm()
            ahead = hessian_product(centre + width * direction, direction)
            behind = hessian_product(centre - width * direction, direction)
            image = (ahead - behind) / (2 * width)
            largest = max(largest, float(image.norm()))
            if float(image.norm()) == 0:
                break
    vector_to_parameters(centre, parameters)
    return largest


def _tolerance(objective: DerandomizationObjective) -> float:
    return CURVATURE_TOLERANCE * 2 * objective.regularization


def _trainable(objective: DerandomizationObjective) -> list[Tensor]:
    return [p for p in objective.parameters() if p.requires_grad]


def _exact_float64_copy(objective: DerandomizationObjective) -> DerandomizationObjective:
    """A copy in float64, refused where two evaluations at one point differ."""
    objective = copy.deepcopy(objective).double()
    with torch.no_grad():
        if not torch.equal(objective(), objective()):
            raise ValueError(
                "the objective changes between two evaluations at one point: "
                "certify its exact counterpart"
            )
    return objective
