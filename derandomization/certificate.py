"""Whether a point is second-order stationary, and what the lemma then says about ‖W‖_F there.

The lemma rests on Stein's identity ∂f/∂W = (H + 2λI) W with H = ∂²f/∂b², which holds if x is
Gaussian and g twice differentiable. Here it is not assumed: the Stein defect
δ = ∂f/∂W − (H + 2λI) W is computed and added in both bounds, which then hold at every point of
every objective. For an exact Gaussian expectation δ is rounding, and the bounds are the lemma's.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import scipy.sparse.linalg as spla
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from derandomization.eigenvalues import Eigenvalue, smallest_eigenvalue
from derandomization.hessian import Hessian, as_operator
from derandomization.objective import DerandomizationObjective, require_exact

# Eigenvalues are computed to this fraction of 2λ, and the residual is charged to the bounds.
CURVATURE_TOLERANCE = 1e-3
LIPSCHITZ_ITERATIONS, LIPSCHITZ_STARTS = 12, 2
LIPSCHITZ_TOLERANCE = 1e-5  # relative change at which the iteration ends
ISOMETRY_DIGITS = 0.375  # the part of the digits that must agree: 1e-6 in float64
# From here on products in float32 are worth a copy: below, their overhead is most of the time.
FLOAT32_PARAMETERS = 20_000


@dataclass(frozen=True)
class Bounds:
    """What the derivatives in W and b say about ‖W‖_F at one point, computed in float64.

    Attributes:
        weight_norm, weight_gradient_norm: ‖W‖_F and ‖∂f/∂W‖_F.
        stein_defect: ‖δ‖_F, which measures how far Stein's identity is from holding.
        bias_curvature: λ_min(H) less the residual to which it is known; with more than 128 entries
            in b it is a lower bound with a probability of 99.9% over the start of Lanczos.
        sharp_weight_bound: (‖∂f/∂W‖_F + ‖δ‖_F) / (2λ + λ_min(H)) plus a bound on rounding errors.
            It needs neither K nor stationarity; None where the denominator is not positive.
        gaussian_sharp_bound: the same without ‖δ‖_F: what Stein's identity says. It may be false
            where that fails.
    """

    weight_norm: float
    weight_gradient_norm: float
    stein_defect: float
    bias_curvature: float
    sharp_weight_bound: float | None
    gaussian_sharp_bound: float | None


@dataclass(frozen=True)
class Certificate(Bounds):
    """Second-order information at one point, and the lemma's own bound.

    Attributes:
        gradient_norm, min_curvature: ‖∇f‖₂ and λ_min(∇²f) over all trainable parameters.
        min_curvature_residual: the exact λ_min lies within this of ``min_curvature``; with more
            than 128 parameters with a probability of 99.9% over the start of Lanczos.
        hessian_lipschitz: K, a Lipschitz constant: of ∇²g everywhere if the objective defines
            ``hessian_lipschitz``, else an estimate for ∇²f near this point. An estimate may be too
            small, which changes ρ and ``weight_bound``, not ``sharp_weight_bound``.
        hessian_lipschitz_is_estimate: True if K was estimated near this point, False if proven.
        rho: the smallest ρ for which the point is a ρ-SOSP (Def. 2.2), the residual included.
        weight_bound: (ρ + ‖δ‖_F) / (2λ − √(Kρ)) (Lemma 3.1); None where that is not positive, or
            where W or b is frozen.
        gaussian_bound: the same without ‖δ‖_F, Lemma 3.1 for Gaussian x.
    """

    gradient_norm: float
    min_curvature: float
    min_curvature_residual: float
    hessian_lipschitz: float
    hessian_lipschitz_is_estimate: bool
    rho: float
    weight_bound: float | None
    gaussian_bound: float | None


def certify(objective: DerandomizationObjective, *, seed: int = 0) -> Certificate:
    """Certify the current point of an objective, which is left unchanged.

    The seed is that of the start vectors of Lanczos and of the estimate of K.

    Raises:
        ValueError: f is not finite, or sampled (certify the exact f); ``random_weights`` or
            ``bias`` is no isometric linear image of the parameters.
    """
    exact = _exact_copy(objective)
    if not exact.trainable:
        raise ValueError("every parameter is frozen: a certificate needs one that is trained")
    rough = _float32_copy(exact)
    objective = exact.objective
    free = objective.random_weights().requires_grad and _flat(objective.bias()).requires_grad
    bounds = _stein_bounds(exact, rough, seed)
    hessian = exact.hessian()
    gradient_norm = float(hessian.gradient.detach().norm())
    curvature = hessian.smallest_eigenvalue(
        tolerance=_tolerance(objective), seed=seed, rough=rough.hessian() if rough else None
    )
    proven = objective.hessian_lipschitz()
    lipschitz = proven
    if lipschitz is None:
        lipschitz = _estimate_hessian_lipschitz(exact, seed)
    lower_end = curvature.lower_end
    if lipschitz == 0 and curvature.value + curvature.residual >= 0:
        lower_end = 0.0  # the Hessian is constant, and not negative to within rounding
    rho = smallest_rho(gradient_norm, lower_end, lipschitz)
    margin = (lipschitz, objective.regularization)
    gaussian = lemma_bound(rho, *margin)
    weight_bound = lemma_bound(rho, *margin, bounds.stein_defect, bounds.bias_curvature)
    return Certificate(
        **vars(bounds),
        gradient_norm=gradient_norm,
        min_curvature=curvature.value,
        min_curvature_residual=curvature.residual,
        hessian_lipschitz=lipschitz,
        hessian_lipschitz_is_estimate=proven is None,
        rho=rho,
        weight_bound=weight_bound if free else None,
        gaussian_bound=gaussian if free else None,
    )


def stein_bounds(objective: DerandomizationObjective, *, seed: int = 0) -> Bounds:
    """The part of ``certify`` that needs no eigenvalue over all parameters; same errors."""
    exact = _exact_copy(objective)
    return _stein_bounds(exact, _float32_copy(exact), seed)


def smallest_curvature(objective: DerandomizationObjective, *, tolerance: float) -> Eigenvalue:
    """λ_min(∇²f) over the trainable parameters, as ``certify`` computes it, to a tolerance."""
    return _exact_copy(objective).hessian().smallest_eigenvalue(tolerance=tolerance)


def smallest_rho(gradient_norm: float, min_curvature: float, hessian_lipschitz: float) -> float:
    """The smallest ρ with ‖∇f‖ ≤ ρ and λ_min ≥ −√(Kρ) (Def. 2.2)."""
    if min_curvature >= 0:
        return gradient_norm
    if hessian_lipschitz == 0:
        return math.inf
    return max(gradient_norm, min_curvature**2 / hessian_lipschitz)


def lemma_bound(
    rho: float,
    hessian_lipschitz: float,
    regularization: float,
    stein_defect: float = 0.0,
    bias_curvature: float = 0.0,
) -> float | None:
    """(ρ + ‖δ‖) / (2λ − √(Kρ)) (Lemma 3.1), or None where λ ≤ √(Kρ)/2.

    If ``bias_curvature``, λ_min(H), is below −√(Kρ), it is used instead of −√(Kρ), because an
    estimated K may be too small.
    """
    margin = 2 * regularization + min(-math.sqrt(hessian_lipschitz * rho), bias_curvature)
    return (rho + stein_defect) / margin if margin > 0 else None


class _Copy:
    """A copy of an objective in another dtype, and the parameters that are to be trained."""

    def __init__(self, objective: DerandomizationObjective, dtype: torch.dtype) -> None:
        self.objective = copy.deepcopy(objective).to(dtype)
        for parameter in self.objective.parameters():  # flat vectors of parameters need this
            parameter.data = parameter.data.contiguous()
        self.trainable = [p for p in self.objective.parameters() if p.requires_grad]

    def hessian(self) -> Hessian:
        """∇²f over the trainable parameters, at the current point."""
        return Hessian(self.objective, self.trainable)


def _exact_copy(objective: DerandomizationObjective) -> _Copy:
    """A copy in float64; an objective that is sampled or not finite is refused."""
    exact = _Copy(objective, torch.float64)
    require_exact(exact.objective)
    return exact


def _float32_copy(exact: _Copy) -> _Copy | None:
    """A copy for cheaper products; None where it would not pay, or f needs float64."""
    if sum(p.numel() for p in exact.objective.parameters()) < FLOAT32_PARAMETERS:
        return None
    rough = _Copy(exact.objective, torch.float32)
    try:
        value = float(rough.objective().detach())
    except RuntimeError:  # f holds float64 numbers that are neither parameters nor buffers
        return None
    return rough if math.isfinite(value) else None


def _stein_bounds(exact: _Copy, rough: _Copy | None, seed: int) -> Bounds:
    """The bounds of an exact copy, whose frozen parameters may become trainable."""
    objective = exact.objective
    weights = _Image("random_weights", exact, objective.random_weights)
    matrix = weights.value.detach()
    slopes = torch.autograd.grad(objective(), weights.parameters, materialize_grads=True)
    gradient = weights.push(parameters_to_vector(slope.contiguous() for slope in slopes))
    operator = _bias_hessian(exact)
    curvature = smallest_eigenvalue(
        operator,
        tolerance=_tolerance(objective),
        seed=seed,
        rough=_bias_hessian(rough) if rough else None,
    )
    curved = objective.bias_hessian_times_weights()
    if curved is None:
        curved = weights.push(weights.pull(_columns_product(operator, matrix)))
    defect = float((gradient - curved - 2 * objective.regularization * matrix).norm())
    margin = 2 * objective.regularization + curvature.lower_end
    norms = float(matrix.norm()), float(gradient.norm())
    if margin <= 0:
        return Bounds(*norms, defect, curvature.lower_end, None, None)
    # Near W = 0 both sides of the bound are limited by rounding: ‖W‖ by that of the parameters,
    # its gradient by that of terms as large as f.
    flat = parameters_to_vector(p.detach().contiguous() for p in objective.parameters())
    sizes = float(flat.norm()) + abs(float(objective().detach())) / margin
    gaussian = norms[1] / margin + torch.finfo(matrix.dtype).eps * sizes
    bound = gaussian + defect / margin
    return Bounds(*norms, defect, curvature.lower_end, bound, gaussian)


def _bias_hessian(subject: _Copy) -> spla.LinearOperator:
    """H = ∂²f/∂b², by the objective's own products or by autograd's."""
    objective = subject.objective
    bias = _Image("bias", subject, lambda: _flat(objective.bias()))
    own = objective.bias_hessian()
    if own is not None:
        return own
    hessian = Hessian(objective, bias.parameters)
    return as_operator(lambda v: bias.push(hessian.product(bias.pull(v))), bias.value)


class _Image:
    """W or b as an isometric linear image Jp of the parameters p, and products with J and Jᵀ.

    p are all parameters or, if the image is not linear in the frozen ones, the trainable ones.
    """

    def __init__(self, name: str, subject: _Copy, compute: Callable[[], Tensor]) -> None:
        self._compute = compute
        objective = subject.objective.requires_grad_(True)
        self.value = compute()
        if not self.value.requires_grad:
            raise ValueError(f"{name} does not depend on the parameters")
        for candidates in (list(objective.parameters()), subject.trainable):
            gradients = torch.autograd.grad(
                self.value.sum(), candidates, allow_unused=True, retain_graph=True
            )
            pairs = zip(candidates, gradients, strict=True)
            self.parameters = [each for each, gradient in pairs if gradient is not None]
            if self.parameters and self._is_isometric():
                return
        raise ValueError(
            f"{name} must be an isometric linear image of the parameters, such as a parameter, a "
            "part of one or a projection: factors belong into expected_value"
        )

    def pull(self, cotangent: Tensor, *, create_graph: bool = False) -> Tensor:
        """Jᵀ · cotangent, flat over the parameters on which the image depends."""
        pulled = torch.autograd.grad(
            (self.value * cotangent).sum(),
            self.parameters,
            retain_graph=True,
            create_graph=create_graph,
            materialize_grads=True,
        )
        return parameters_to_vector(p.contiguous() for p in pulled)

    def push(self, vector: Tensor) -> Tensor:
        """J · vector."""
        cotangent = torch.zeros_like(self.value, requires_grad=True)
        along = torch.dot(self.pull(cotangent, create_graph=True), vector)
        return torch.autograd.grad(along, cotangent)[0]

    def _is_isometric(self) -> bool:
        """Whether JJᵀ is the identity on the image and on the value, and J is constant."""
        centre, here = parameters_to_vector(self.parameters).detach(), self.value
        noise = torch.randn(len(centre), generator=torch.Generator().manual_seed(0)).to(centre)
        probe = self.push(noise)
        pulled = self.pull(probe)
        projected = self.push(self.pull(here.detach()))
        differences = [self.push(pulled) - probe, projected - here.detach()]
        vector_to_parameters(centre + noise, self.parameters)
        self.value = self._compute()
        differences.append(self.pull(probe) - pulled)
        vector_to_parameters(centre, self.parameters)
        self.value = here
        tolerance = torch.finfo(here.dtype).eps ** ISOMETRY_DIGITS
        size = float(probe.norm()) + float(here.detach().norm()) + tolerance
        return all(float(each.norm()) <= tolerance * size for each in differences)


def _columns_product(operator: spla.LinearOperator, weights: Tensor) -> Tensor:
    """H W, with one product for each column of W."""
    size = operator.shape[0]
    if weights.numel() % size:
        raise ValueError(
            f"random_weights has {weights.numel()} entries and bias {size}: W must have one row "
            "for each entry of b, or the objective must define bias_hessian_times_weights"
        )
    columns = weights.reshape(size, -1).cpu().numpy()
    return torch.from_numpy(operator @ columns).to(weights).reshape(weights.shape)


def _flat(bias: Tensor | Sequence[Tensor]) -> Tensor:
    """b as one vector."""
    parts = [bias] if isinstance(bias, Tensor) else bias
    return torch.cat([part.reshape(-1) for part in parts])


def _estimate_hessian_lipschitz(exact: _Copy, seed: int) -> float:
    """max ‖∇³f[u, u]‖ over unit u near this point: the norm of the third derivative.

    A symmetric tensor attains its norm on the diagonal (Banach 1938), to which the higher-order
    power iteration u ← ∇³f[u, u] converges. ∇³f[u, u] is a second difference of gradients, in
    float64: in float32 rounding hides it. It is 0 where the Hessian is the same elsewhere: f is
    quadratic.
    """
    objective, parameters = exact.objective, exact.trainable
    centre = parameters_to_vector(parameters).detach()
    width = 1e-3 * (1 + float(centre.norm()))
    generator = torch.Generator().manual_seed(seed)

    def random_direction() -> Tensor:
        direction = torch.randn(len(centre), dtype=torch.float64, generator=generator).to(centre)
        return direction / direction.norm()

    def gradient(point: Tensor) -> Tensor:
        vector_to_parameters(point, parameters)
        slopes = torch.autograd.grad(objective(), parameters, materialize_grads=True)
        return parameters_to_vector(slope.contiguous() for slope in slopes)

    direction = random_direction()
    product = exact.hessian().product(direction)
    vector_to_parameters(centre + direction, parameters)
    is_quadratic = torch.equal(product, exact.hessian().product(direction))
    here = gradient(centre)
    largest = 0.0
    for _ in range(0 if is_quadratic else LIPSCHITZ_STARTS):
        direction, norm = random_direction(), 0.0
        for _ in range(LIPSCHITZ_ITERATIONS):
            step = width * direction
            image = (gradient(centre + step) - 2 * here + gradient(centre - step)) / width**2
            before, norm = norm, float(image.norm())
            largest = max(largest, norm)
            if abs(norm - before) <= LIPSCHITZ_TOLERANCE * norm:
                break
            direction = image / norm
    vector_to_parameters(centre, parameters)
    return largest


def _tolerance(objective: DerandomizationObjective) -> float:
    return CURVATURE_TOLERANCE * 2 * objective.regularization
