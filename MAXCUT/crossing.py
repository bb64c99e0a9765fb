"""The probability that an edge is cut, as a function of two levels and a correlation.

Let x and y be standard normal with correlation r. The ends of an edge have the signs of x + a and
y + b, and P(a, b, r) = Φ(a) + Φ(b) − 2Φ₂(a, b; r) is the probability that they differ. Its
derivatives have closed forms; P itself needs quadrature.
"""

import math
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

PerEdge: TypeAlias = Float[Tensor, " edges"]

# Gauss–Legendre rules by the largest correlation that each is used for; see ``_integral``.
RULES = {
    limit: tuple(torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    for limit, count in ((0.2, 4), (0.9, 8), (0.99, 20), (math.inf, 40))
}
SERIES = 0.004  # the correlation up to which three terms of a power series are exact to 1e-11
# Where a level is larger than this, the signs are independent to 1e-14: φ₂ is below exp(−32).
DECIDED = 8.0
# Much smaller exponents underflow once V has vanished, which makes exp forty times as slow.
SMALLEST_EXPONENT = -60.0
PEAK = 1 / math.sqrt(2 * math.pi)  # φ(0)


def crossing_probability(a: PerEdge, b: PerEdge, correlation: PerEdge) -> PerEdge:
    """P for every edge, |r| < 1; see ``_integral`` for its error, 1e-8 at most up to 0.999."""
    above, below = torch.special.ndtr(a), torch.special.ndtr(b)
    return above + below - 2 * (above * below + dependence(a, b, correlation))


def dependence(a: PerEdge, b: PerEdge, correlation: PerEdge) -> PerEdge:
    """Φ₂(a, b; r) − Φ(a)Φ(b), which is 0 where the signs are independent."""
    open_edges = (torch.maximum(a.abs(), b.abs()) < DECIDED).nonzero()[:, 0]
    if len(open_edges) == len(a):
        return _integral(a, b, correlation)
    chosen = (each.index_select(0, open_edges) for each in (a, b, correlation))
    return torch.zeros_like(a).index_copy_(0, open_edges, _integral(*chosen))


def _integral(a: PerEdge, b: PerEdge, r: PerEdge) -> PerEdge:
    """∫₀^r φ₂(a, b; t) dt = Φ₂(a, b; r) − Φ(a)Φ(b).

    With t = sin s, φ₂ dt is exp(−(a² + b² − 2ab sin s)/(2cos² s)) ds/2π. The error of the rules is
    below 1e-12 up to |r| = 0.2, 1e-8 up to 0.9, 1e-9 up to 0.99, 1e-10 up to 0.999 and 1e-7 at
    0.9999, from where it grows.
    """
    largest = float(r.abs().max()) if len(r) else 0.0
    if largest <= SERIES:
        # ∂Φ₂/∂r = φ₂, and ∂φ₂/∂r = ∂²φ₂/∂a∂b: the terms are r^k/k! times derivatives of φ.
        second, third = a * b / 2, (a.square() - 1) * (b.square() - 1) / 6
        terms = (r * third).add_(second).mul_(r).add_(1).mul_(r)
        return terms.mul_(density(a)).mul_(density(b))
    nodes, weights = next((x.to(a), w.to(a)) for limit, (x, w) in RULES.items() if largest <= limit)
    half_angle = torch.asin(r) / 2
    sine = torch.tensordot(1 + nodes, half_angle, dims=0).sin_()
    exponent = (a * b * sine).sub_((a.square() + b.square()).mul_(0.5))
    exponent.div_(1 - sine.square_()).clamp_(min=SMALLEST_EXPONENT).exp_()
    return torch.tensordot(weights, exponent, dims=1).mul_(half_angle).div_(2 * math.pi)


def first_derivatives(
    a: PerEdge, b: PerEdge, correlation: PerEdge
) -> tuple[PerEdge, PerEdge, PerEdge]:
    """∂P/∂a = φ(a)(1 − 2Φ((b − ra)/√(1−r²))), ∂P/∂b by symmetry, and ∂P/∂r = −2φ₂(a, b; r)."""
    narrowing = torch.rsqrt(1 - correlation * correlation)
    at_first = (b - correlation * a).mul_(narrowing)
    at_second = (a - correlation * b).mul_(narrowing)
    first, second = density(a), density(b)
    joint = density(at_first).mul_(-2).mul_(narrowing).mul_(first)
    # 1 − 2Φ(x) = −erf(x/√2)
    return (
        first.mul_(at_first.mul_(-(0.5**0.5)).erf_()),
        second.mul_(at_second.mul_(-(0.5**0.5)).erf_()),
        joint,
    )


def second_derivatives(
    a: PerEdge, b: PerEdge, correlation: PerEdge
) -> tuple[PerEdge, PerEdge, PerEdge, PerEdge, PerEdge, PerEdge]:
    """∂²P by (a, a), (b, b), (r, r), (a, b), (a, r) and (b, r).

    ∂²P/∂a² = −a ∂P/∂a + 2rφ₂ and ∂²P/∂a∂b = −2φ₂; the others follow from
    ∂log φ₂/∂a = (rb − a)/(1−r²) and ∂log φ₂/∂r = (r + (b − ra)(a − rb)/(1−r²))/(1−r²).
    """
    by_first, by_second, joint = first_derivatives(a, b, correlation)  # joint is −2φ₂
    inverse = 1 / (1 - correlation * correlation)
    at_first, at_second = b - correlation * a, a - correlation * b
    return (
        -a * by_first - correlation * joint,
        -b * by_second - correlation * joint,
        joint * inverse * (correlation + at_first * at_second * inverse),
        joint,
        -joint * inverse * at_second,
        -joint * inverse * at_first,
    )


def density(x: Tensor) -> Tensor:
    """φ(x), the standard normal density."""
    return x.square().mul_(-0.5).clamp_(min=SMALLEST_EXPONENT).exp_().mul_(PEAK)
