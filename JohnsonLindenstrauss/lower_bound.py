"""A lower bound on the largest distortion of all pairs that holds for every map into R^k.

Every bound below is proven: the weights may be any numbers, good ones only make it larger.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization.checks import require_positive, require_whole
from derandomization.laboratory.threads import computing_threads
from JohnsonLindenstrauss.pairs import Points, distinct_points, span, squared_distances

MAX_POINTS = 2_000  # with more points, those of a sample: what holds for some pairs holds for all
MAX_PAIR_POINTS = 300  # points of largest weight whose pairs get multipliers: a step takes 40 ms
LEAST_WEIGHT = 1e-12  # of the largest, for a point to be among them
PAIR_STEPS, WEIGHT_RATE, PAIR_RATE, SHIFT_RATE = 120, 0.1, 0.05, 0.02
MAX_STEPS, LEAST_STEPS, POINT_RATE = 1_000, 5, 0.3
PATIENCE, LEAST_GAIN = 40, 1e-3
ADAM_MEAN, ADAM_SQUARE, ADAM_EPS = 0.9, 0.999, 1e-8  # Adam's usual constants
SMALLEST_UNIT = 1e-30  # its square does not underflow
LAST_RATE = 1e-3  # the learning rate at the end, of that at the start
WORK = 4e9  # operations of all steps on the weights of points: about two seconds
EXACT = 1e-12  # a distortion that is rounding alone
# Every sum below has at most n + d terms. Its relative error is at most (n + d)·2^-53, and no
# quantity is the result of more than ten such sums, one after the other.
ROUNDING = 20 * torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class BoundWeights:
    """The weights that prove a bound: any numbers of these shapes do."""

    points: Float[Tensor, " points"]  # s > 0
    pairs: Float[Tensor, "points points"]  # ν, symmetric
    shifts: Float[Tensor, " points"]  # t less its s-mean, in units of Σ s_i s_j D_ij


@computing_threads()
def distortion_lower_bound(
    points: Points | np.ndarray,
    num_components: int,
    *,
    max_steps: int | None = None,
    generator: torch.Generator | None = None,
) -> float:
    """A number that the largest distortion of no map of these points into R^k can be below.

    Every map f into R^k, linear or not, has a pair of points with
    |‖f(x) − f(y)‖²/‖x − y‖² − 1| at least this number, which lies in [0, 1]. The map f = 0 shows
    that no bound above 1 exists. With more than ``MAX_POINTS`` points the bound is that of a
    sample, which holds for all of them.

    Let D and E be the squared distances of the points and of their images, and δ the distortion,
    so that z = D − E has |z_ij| ≤ δ D_ij. With any probability weights s on the points, G and H are
    the Gram matrices of points and images, centred by s and scaled to √s_i G_ij √s_j. H has rank at
    most k, and Δ = G − H satisfies (Jensen's inequality for the diagonal, with any shifts t whose
    s-mean is 0)

        Σ s_i s_j z_ij² ≥ 4 (‖Δ‖² + (tr Δ)² + Σ t_i Δ_ii) − 2 Σ s_i t_i².

    With any symmetric u, Σ u_ij z_ij is twice the product of u's Laplacian and the unscaled G − H,
    and at most δ Σ |u_ij| D_ij. Let U be the Laplacian, divided by √(s_i s_j) and centred, plus
    diag(t). Adding twice that sum and minimising over all H of rank at most k gives

        δ² Σ s_i s_j D_ij² + 2δ Σ |u_ij| D_ij ≥ 4 (Σ_{i>k} μ_i² + (tr G − Σ_{i≤k} μ_i)²/(k + 1))
                                               − ‖U‖² − 2 Σ s_i t_i²

    where μ are the decreasing eigenvalues of G + U/2. By von Neumann's trace inequality the best H
    has the eigenvectors of the k largest ones. With u = 0 and t = 0 this is a statement on the
    eigenvalues beyond the k-th of the points' covariance. s, u = s_i s_j D_ij ν_ij and t are
    improved by gradient ascent in float32. The bound is evaluated once in float64 and rounding
    subtracted.

    Args:
        points: n in R^d; copies of a point are left out.
        num_components: k, at least 1.
        max_steps: the most steps of each of the two ascents; the usual number if None.
        generator: of the sample of points when there are many; seed 0 if None.

    Raises:
        ValueError: k or ``max_steps`` is below 1, or all points are equal.
    """
    steps = MAX_STEPS if max_steps is None else require_whole("max_steps", max_steps, 1)
    k = require_whole("num_components", num_components, 1)
    kept = _kept_points(points, generator)
    bound, weights = _bound_from_points(kept, _unit_coordinates(kept), k, steps)
    if bound == 0:
        return 0.0
    heaviest = weights.topk(min(len(weights), MAX_PAIR_POINTS)).indices
    heaviest = heaviest[weights[heaviest] > LEAST_WEIGHT * weights.max()]
    if len(heaviest) <= k + 1:  # these points alone fit into R^k
        return bound
    pairs = _ascend_pair_weights(_unit_coordinates(kept[heaviest]), k, weights[heaviest], steps)
    return max(bound, evaluate_bound(kept[heaviest], k, pairs))


@computing_threads()
def smallest_possible_components(
    points: Points | np.ndarray,
    eps: float,
    largest: int,
    *,
    max_steps: int | None = None,
    generator: torch.Generator | None = None,
) -> int:
    """The smallest k, at most ``largest``, that the lower bound does not exclude for ``eps``.

    No map into fewer dimensions has a largest distortion of at most ``eps``: where none into R^k
    has, none into a smaller space has. So the search, a bisection with the bound from point weights
    alone and then steps with the whole bound, needs no bound that falls with k.
    """
    require_positive("eps", eps)
    require_whole("largest", largest, 1)
    steps = MAX_STEPS if max_steps is None else require_whole("max_steps", max_steps, 1)
    kept = _kept_points(points, generator)
    coordinates = _unit_coordinates(kept)
    excluded, possible = 0, largest
    while possible - excluded > 1:
        k = (excluded + possible) // 2
        if _bound_from_points(kept, coordinates, k, steps)[0] > eps:
            excluded = k
        else:
            possible = k
    while possible < largest and distortion_lower_bound(kept, possible, max_steps=steps) > eps:
        possible += 1
    return possible


def proven_ratio(lower_bound: float, distortion: float, dtype: Any = np.float64) -> float:
    """How much of a map's distortion is unavoidable: bound/distortion; 1 if both are rounding.

    ``dtype`` is the floating type in which the map is stored.
    """
    rounding = max(EXACT, 32 * float(np.finfo(dtype).eps))
    return 1.0 if distortion <= rounding else lower_bound / distortion


def _no_pairs(weights: Float[Tensor, " points"]) -> BoundWeights:
    n = len(weights)
    return BoundWeights(weights, weights.new_zeros(n, n), weights.new_zeros(n))


def _ascend(
    value: Callable[[], Tensor], rates: Sequence[tuple[Tensor, float]], steps: int
) -> list[Tensor]:
    """The parameters at the largest value that Adam found with falling learning rates.

    It stops where ``PATIENCE`` steps improve the value by less than ``LEAST_GAIN`` of it. Adam is
    written out because ``torch.optim.Adam`` imports torch's compiler, a third of the whole time.
    """
    parameters = [parameter for parameter, _ in rates]
    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    largest, best = -math.inf, [parameter.detach().clone() for parameter in parameters]
    reference = 0.0
    for step in range(1, steps + 1):
        reached = value()
        if step == 1:  # in this unit, Adam's constant is small beside the slopes
            unit = max(abs(reached.item()), SMALLEST_UNIT)
        if reached.item() > largest:
            largest = reached.item()
            best = [parameter.detach().clone() for parameter in parameters]
        slopes = [slope / unit for slope in torch.autograd.grad(reached, parameters)]
        if not all(slope.isfinite().all() for slope in slopes):
            break
        remaining = 1 - (1 - LAST_RATE) * (step - 1) / steps
        for (parameter, rate), slope, mean, square in zip(
            rates, slopes, means, squares, strict=True
        ):
            mean.lerp_(slope, 1 - ADAM_MEAN)
            square.lerp_(slope.square(), 1 - ADAM_SQUARE)
            deviation = (square / (1 - ADAM_SQUARE**step)).sqrt_().add_(ADAM_EPS)
            with torch.no_grad():
                move = rate * remaining / (1 - ADAM_MEAN**step)
                parameter.addcdiv_(mean, deviation, value=move)
        if step % PATIENCE == 0:
            if largest < (1 + LEAST_GAIN) * reference:
                break
            reference = largest
    return best


def _distances_from_differences(points: Points) -> Float[Tensor, "points points"]:
    """‖x − y‖² without cancellation, over the largest."""
    squares = points.new_zeros(len(points), len(points))
    # One buffer: rows kept between freed differences would leave holes too small for the next.
    differences = torch.empty_like(points)
    for i, point in enumerate(points):
        torch.sub(points[i:], point, out=differences[i:])
        squares[i, i:] = differences[i:].square_().sum(dim=1)
    squares += squares.T.clone()
    return squares.div_(squares.max())


def _kept_points(
    points: Points | np.ndarray, generator: torch.Generator | None
) -> Float[Tensor, "kept dimension"]:
    """The distinct points, or a sample of ``MAX_POINTS`` of them."""
    if not isinstance(points, Tensor):
        points = torch.from_numpy(np.ascontiguousarray(points))  # torch has no negative strides
    distinct = distinct_points(points, "points").points.cpu()
    if len(distinct) <= MAX_POINTS:
        return distinct
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    return distinct[torch.randperm(len(distinct), generator=generator)[:MAX_POINTS]]


def _bound_from_points(
    points: Points, coordinates: Float[Tensor, "points rank"], k: int, max_steps: int
) -> tuple[float, Float[Tensor, " points"]]:
    """The bound without multipliers, and its weights s; 0 where the points fit into R^k."""
    if k >= coordinates.shape[1]:
        return 0.0, points.new_ones(len(points))
    weights = _ascend_point_weights(coordinates, k, max_steps)
    return evaluate_bound(points, k, _no_pairs(weights)), weights


def _unit_coordinates(points: Points) -> Float[Tensor, "points rank"]:
    """The centred points in a basis of their span, with a mean squared norm of 1."""
    coordinates = span(points).coordinates
    return coordinates / coordinates.square().sum(dim=1).mean().sqrt()


def evaluate_bound(points: Points, num_components: int, weights: BoundWeights) -> float:
    """The bound of these weights in float64, less what rounding may have added to it; in [0, 1]."""
    k, points = num_components, points.double()
    distances = _distances_from_differences(points)
    parts = _inequality(distances, weights)
    rounding = ROUNDING * sum(points.shape)
    # √tail is the distance of (G + U/2, tr G) from a fixed set, so it changes by at most as much as
    # these two do. LAPACK's eigenvalues are exact for a matrix within rounding of the given one.
    moved = rounding * (1 + len(points) ** 0.5) * parts.size
    eigenvalues = torch.linalg.eigvalsh(parts.gram + parts.multipliers / 2).flip(0)
    tail = (_tail(eigenvalues, parts.gram.trace(), k).sqrt() - moved).clamp(min=0).square()
    norm = parts.multipliers.norm() + rounding * parts.size
    at_most = replace(
        parts,
        quadratic=parts.quadratic * (1 + rounding),
        linear=parts.linear * (1 + rounding),
        shift_cost=parts.shift_cost * (1 + rounding),
    )
    bound = float(at_most.least_distortion(tail, norm)) * (1 - rounding)
    return min(1.0, bound) if bound > 0 else 0.0


@dataclass(frozen=True)
class _Inequality:
    """The terms of the inequality, functions of the weights."""

    gram: Float[Tensor, "points points"]  # G
    multipliers: Float[Tensor, "points points"]  # U, from pairs and shifts
    quadratic: Float[Tensor, ""]  # Σ s_i s_j D_ij²
    linear: Float[Tensor, ""]  # Σ |u_ij| D_ij
    shift_cost: Float[Tensor, ""]  # 2 Σ s_i t_i²
    size: float  # a bound on the norms of all matrices from which G and U are computed

    def least_distortion(self, tail: Tensor, norm: Tensor) -> Float[Tensor, ""]:
        """The δ at which the inequality is an equation, given the tail of G + U/2 and ‖U‖."""
        constant = 4 * tail - norm.square() - self.shift_cost
        # Above 0, where the square root has no gradient; this form does not cancel.
        squared = self.linear.square() + self.quadratic * constant
        positive = squared.clamp(min=torch.finfo(squared.dtype).tiny)
        return constant / (positive.sqrt() + self.linear)


def _inequality(distances: Float[Tensor, "points points"], weights: BoundWeights) -> _Inequality:
    s = weights.points / weights.points.sum()
    root = s.sqrt()
    unit = s @ distances @ s
    shifts = unit * (weights.shifts - s @ weights.shifts)
    pairs = distances * weights.pairs
    scaled = root[:, None] * root
    diagonal = pairs @ s + shifts
    gram = _centred(scaled * distances, root) / -2
    multipliers = _centred(torch.diag(diagonal) - scaled * pairs, root)
    squares = distances.square()
    with torch.no_grad():
        size = scaled.mul(distances).norm() + scaled.mul(pairs).norm() + diagonal.norm()
        size += (pairs.abs() @ s).norm() + unit * weights.shifts.norm()
    return _Inequality(
        gram,
        multipliers,
        s @ (squares @ s),
        s @ (squares * weights.pairs.abs()) @ s,
        2 * (s * shifts.square()).sum(),
        float(size),
    )


def _centred(matrix: Tensor, unit: Tensor) -> Tensor:
    """JAJ with J = I − rrᵀ for the unit vector r."""
    image = matrix @ unit
    image = image - (unit @ image) / 2 * unit
    return matrix - unit[:, None] * image - image[:, None] * unit


def _tail(eigenvalues: Tensor, trace: Tensor, k: int) -> Float[Tensor, ""]:
    """At most ‖A − H‖² + (trace − tr H)² for every positive semidefinite H of rank at most k."""
    left = trace - eigenvalues[:k].sum()
    return eigenvalues[k:].square().sum() + left**2 / (k + 1)


class _Spectrum(torch.autograd.Function):
    """``_tail`` of a symmetric matrix, with a gradient that needs no gaps between eigenvalues."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, trace: Tensor, k: int) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        values, vectors = values.flip(0), vectors.flip(1)
        slope = 2 * (trace - values[:k].sum()) / (k + 1)
        ctx.save_for_backward(torch.cat([-slope.expand(k), 2 * values[k:]]), vectors, slope)
        return _tail(values, trace, k)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        slopes, vectors, slope = ctx.saved_tensors
        return grads[0] * (vectors * slopes) @ vectors.T, grads[0] * slope, None


def _ascend_point_weights(
    coordinates: Float[Tensor, "points rank"], k: int, max_steps: int
) -> Float[Tensor, " points"]:
    """s that makes the bound without multipliers large, from the covariance: O(nr² + n²) a step."""
    n, rank = coordinates.shape
    # In float32, since reading it takes most of a step.
    squares = squared_distances(coordinates, coordinates).clamp_(min=0).square_().float()
    logits = torch.zeros_like(coordinates[:, 0]).requires_grad_()

    def squared_bound() -> Tensor:
        s = torch.softmax(logits, dim=0)
        centred = (coordinates - s @ coordinates) * s.sqrt()[:, None]
        covariance = centred.T @ centred
        tail = _Spectrum.apply(covariance, covariance.trace(), k)
        single = s.float()
        return 4 * tail / (single @ (squares @ single))

    affordable = int(WORK / (4 * n * rank**2 + 10 * rank**3 + 4 * n**2))
    steps = min(max_steps, max(LEAST_STEPS, affordable))
    (best,) = _ascend(squared_bound, [(logits, POINT_RATE)], steps)
    return torch.softmax(best, dim=0)


def _ascend_pair_weights(
    coordinates: Float[Tensor, "points rank"],
    k: int,
    weights: Float[Tensor, " points"],
    max_steps: int,
) -> BoundWeights:
    """All weights improved together, from those of the points: O(n³) a step."""
    distances = squared_distances(coordinates, coordinates).clamp_(min=0).fill_diagonal_(0).float()
    start = _no_pairs(weights.float())
    # Multipliers and shifts at the optimum are about as large as the bound.
    unit = float(evaluate_bound(coordinates, k, _no_pairs(weights)))
    logits = weights.float().log().requires_grad_()
    pairs, shifts = start.pairs.requires_grad_(), start.shifts.requires_grad_()

    def bound() -> Tensor:
        found = BoundWeights(torch.softmax(logits, dim=0), (pairs + pairs.T) / 2, shifts)
        parts = _inequality(distances, found)
        tail = _Spectrum.apply(parts.gram + parts.multipliers / 2, parts.gram.trace(), k)
        return parts.least_distortion(tail, parts.multipliers.norm())

    rates = [(logits, WEIGHT_RATE), (pairs, PAIR_RATE * unit), (shifts, SHIFT_RATE * unit)]
    found = _ascend(bound, rates, min(max_steps, PAIR_STEPS))
    logits, pairs, shifts = (parameter.double() for parameter in found)
    return BoundWeights(torch.softmax(logits, dim=0), (pairs + pairs.T) / 2, shifts)
