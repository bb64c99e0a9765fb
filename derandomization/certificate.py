"""Is this a second-order stationary point, and what does the lemma then say about ‖W‖_F?"""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg as spla
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from derandomization.eigenvalues import Eigenvalue, smallest_eigenvalue
from derandomization.objective import DerandomizationObjective

# Curvature matters beside 2λ: to this fraction of it, and the rest is charged to the bounds.
CURVATURE_TOLERANCE = 1e-3
LIPSCHITZ_ITERATIONS = 12
LIPSCHITZ_STARTS = 2


@dataclass(frozen=True)
class Certificate:
    """What second-order information says at one point, computed in float64.

    Attributes:
        gradient_norm: ‖∇f‖₂ over all parameters.
        min_curvature: λ_min(∇²f) over all parameters.
        min_curvature_residual: an exact eigenvalue lies within this of ``min_curvature``.
        hessian_lipschitz: K: where proven, of ∇²g everywhere; where estimated, of ∇²f near this
            point. The lemma holds with either, but ρ depends on which.
        hessian_lipschitz_is_estimate: True if K was estimated near this point, False if proven.
        rho: the smallest ρ for which the point is a ρ-SOSP (Def. 2.2), the residual counted
            against it.
        weight_bound: ρ / (2λ − √(Kρ)) (Lemma 3.1); None where λ ≤ √(Kρ)/2 and the lemma is silent.
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

    @property
    def lemma_holds(self) -> bool:
        """Lemma 3.1 speaks here, and both of its bounds are respected."""
        bounds = (self.weight_bound, self.sharp_weight_bound)
        return all(bound is not None and self.weight_norm <= bound for bound in bounds)


class Hessian:
    """∇²f in chosen tensors, as products with vectors: the gradient is differentiated once more.

    Holds the graph of one gradient; a product costs about two gradients.
    """

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
        """‖S∇²fS‖₂ from below, by power iteration: enough to choose a step size by.

        Args:
            scales: the diagonal of S, flat; the identity if None.
            iterations: a product each.
            seed: of the start vector.
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


def certify(objective: DerandomizationObjective, *, seed: int = 0) -> Certificate:
    """Certify the point an objective stands at; the objective itself is left untouched.

    Args:
        objective: an exact one. A sampled objective is certified through its exact counterpart.
        seed: of the start vectors of Lanczos and of the estimate of K.

    Raises:
        ValueError: the objective is sampled, or Lanczos does not converge.
    """
    objective = _float64_copy(objective)
    _require_exact(objective)
    hessian = Hessian(objective, _trainable(objective))
    gradient_norm = float(hessian.gradient.detach().norm())
    curvature = hessian.smallest_eigenvalue(tolerance=_tolerance(objective), seed=seed)
    sharp_bound = _sharp_weight_bound(objective, hessian.gradient.detach(), seed)
    weight_norm = objective.weight_norm()
    proven = objective.hessian_lipschitz()
    lipschitz = proven if proven is not None else _estimate_hessian_lipschitz(objective, seed)
    rho = smallest_rho(gradient_norm, curvature.lower_end, lipschitz)
    return Certificate(
        gradient_norm=gradient_norm,
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
    negative = max(0.0, -min_curvature)
    if negative == 0:
        return gradient_norm
    if hessian_lipschitz == 0:
        return math.inf
    return max(gradient_norm, negative**2 / hessian_lipschitz)


def lemma_bound(rho: float, hessian_lipschitz: float, regularization: float) -> float | None:
    """ρ / (2λ − √(Kρ)) (Lemma 3.1), or None where λ ≤ √(Kρ)/2."""
    margin = 2 * regularization - math.sqrt(hessian_lipschitz * rho)
    return rho / margin if margin > 0 else None


def sharp_weight_bound(objective: DerandomizationObjective, *, seed: int = 0) -> float | None:
    """‖∂f/∂W‖_F / (2λ + λ_min(∂²f/∂b²)) where the objective stands, None if not positive.

    It holds at every point: ∂f/∂W = (∂²f/∂b² + 2λI) W by Stein's lemma (proof of Lemma 3.1).
    Rounding is added.

    Raises:
        ValueError: the objective is sampled, or Lanczos does not converge.
    """
    objective = _float64_copy(objective)
    _require_exact(objective)
    gradients = torch.autograd.grad(objective(), _trainable(objective), materialize_grads=True)
    return _sharp_weight_bound(objective, parameters_to_vector(gradients), seed)


def sharp_bounds_along(
    objective: DerandomizationObjective, snapshots: Mapping[int, Mapping[str, Tensor]]
) -> tuple[np.ndarray, np.ndarray]:
    """Steps and sharp bounds at the snapshots of a descent; NaN where the bound is silent."""
    objective = copy.deepcopy(objective)
    bounds = []
    for parameters in snapshots.values():
        objective.load_state_dict(dict(parameters), strict=False)
        bound = sharp_weight_bound(objective)
        bounds.append(math.nan if bound is None else bound)
    return np.array(list(snapshots)), np.array(bounds)


def random_gradient(objective: DerandomizationObjective, gradient: Tensor) -> Tensor:
    """∂f/∂W from the flat gradient over the trainable parameters.

    ``random_weights`` is linear, so its derivative along the gradient is the map itself.
    """
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
        return None  # a frozen bias may sit where ∂²f/∂b² is as negative as it likes
    tolerance, known = _tolerance(objective), objective.bias_hessian()
    if known is not None:
        curvature = smallest_eigenvalue(known, tolerance=tolerance, seed=seed)
    else:
        hessian = Hessian(objective, [objective.bias()])
        curvature = hessian.smallest_eigenvalue(tolerance=tolerance, seed=seed)
    margin = 2 * objective.regularization + curvature.lower_end
    if margin <= 0:
        return None
    # Near W = 0 the bound is as tight as both its sides are known: W to the rounding of the
    # parameters, its gradient to the rounding of terms the size of f.
    parameters = parameters_to_vector(_trainable(objective)).detach()
    with torch.no_grad():
        sizes = float(parameters.norm()) + abs(float(objective())) / margin
    rounding = torch.finfo(parameters.dtype).eps * sizes
    return float(random_gradient(objective, gradient).norm()) / margin + rounding


def _estimate_hessian_lipschitz(objective: DerandomizationObjective, seed: int) -> float:
    """max ‖∇³f[u, u]‖ over unit u near this point: the norm of the third derivative.

    A symmetric tensor's norm is attained on the diagonal (Banach 1938), so higher-order power
    iteration u ← ∇³f[u, u] climbs to it; ∇³f is a central difference of Hessians.
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


def _float64_copy(objective: DerandomizationObjective) -> DerandomizationObjective:
    return copy.deepcopy(objective).double()


def _trainable(objective: DerandomizationObjective) -> list[Tensor]:
    return [p for p in objective.parameters() if p.requires_grad]


def _require_exact(objective: DerandomizationObjective) -> None:
    with torch.no_grad():
        if not torch.equal(objective(), objective()):
            raise ValueError(
                "the objective changes between two evaluations at one point: "
                "certify its exact counterpart"
            )
