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
PerEnd: TypeAlias = Float[Tensor, "2 edges"]  # a and b, or a function of each

SINE_TERMS = 10  # of the power series of the sine, which has an error of 3e-16 up to π/2


def _rule(count: int) -> tuple[Tensor, Tensor]:
    """A Gauss–Legendre rule: weights, and coefficients of sin((1 + x)h) in h, h³, …"""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    odd = np.arange(1, 2 * SINE_TERMS, 2)
    factors = np.array([(-1) ** (n // 2) / math.factorial(n) for n in odd])
    return torch.from_numpy(weights), torch.from_numpy((1 + nodes[:, None]) ** odd * factors)


# Each rule is used between two of the correlations; see ``_integral``.
LIMITS = torch.tensor([0.2, 0.9, 0.99], dtype=torch.float64)
RULES = [_rule(count) for count in (4, 9, 20, 40)]
FEW_EDGES = 1_000  # for which one rule takes less time than several
SERIES = 0.004  # the correlation up to which three terms of a power series are exact to 1e-11
# Where a level is larger than this, the signs are independent to 1e-14: φ₂ is below exp(−32).
DECIDED = 8.0
# Much smaller exponents underflow once V has vanished, which makes exp forty times as slow.
SMALLEST_EXPONENT = -60.0
PEAK = 1 / math.sqrt(2 * math.pi)  # φ(0)


def crossing_probability(levels: PerEnd, correlation: PerEdge) -> PerEdge:
    """P for every edge, |r| < 1; see ``_integral`` for its error, 1e-8 at most up to 0.999."""
    above, below = torch.special.ndtr(levels)
    dependent = dependence(levels, density(levels), correlation)
    return above + below - 2 * (above * below + dependent)


def dependence(levels: PerEnd, densities: PerEnd, correlation: PerEdge) -> PerEdge:
    """Φ₂(a, b; r) − Φ(a)Φ(b), which is 0 where the signs are independent, from a, b, φ(a), φ(b)."""
    sizes = correlation.abs()
    if not len(sizes) or float(sizes.max()) <= SERIES:
        return _series(levels, densities, correlation)
    numbers = torch.bucketize(sizes, LIMITS.to(sizes))  # of the rule for each edge
    if len(sizes) <= FEW_EDGES:
        numbers.fill_(numbers.max())
    numbers.masked_fill_(levels.abs().amax(dim=0) >= DECIDED, len(RULES))
    found = torch.zeros_like(correlation)
    for number, rule in enumerate(RULES):
        chosen = (numbers == number).nonzero()[:, 0]
        if len(chosen):
            a, b = levels.index_select(1, chosen)
            found.index_copy_(0, chosen, _integral(a, b, correlation[chosen], rule))
    return found


def _series(levels: PerEnd, densities: PerEnd, r: PerEdge) -> PerEdge:
    """``dependence`` near r = 0, where ∂Φ₂/∂r = φ₂ and ∂φ₂/∂r = ∂²φ₂/∂a∂b.

    The terms are r^k/k! times derivatives of φ.
    """
    second, third = levels.prod(dim=0) / 2, levels.square().sub_(1).prod(dim=0) / 6
    return third.mul_(r).add_(second).mul_(r).add_(1).mul_(r).mul_(densities.prod(dim=0))


def _integral(a: PerEdge, b: PerEdge, r: PerEdge, rule: tuple[Tensor, Tensor]) -> PerEdge:
    """∫₀^r φ₂(a, b; t) dt = Φ₂(a, b; r) − Φ(a)Φ(b).

    With t = sin s, φ₂ dt is exp(−(a² + b² − 2ab sin s)/(2cos² s)) ds/2π. The error of the rules is
    below 1e-12 up to |r| = 0.2, 1e-8 up to 0.9, 1e-9 up to 0.99, 1e-10 up to 0.999 and 1e-7 at
    0.9999, from where it grows.
    """
    weights, sines = (each.to(r) for each in rule)
    half_angle = torch.asin(r) / 2
    # A product of matrices instead of one sine per node and edge.
    powers = torch.stack([half_angle, *[half_angle.square()] * (SINE_TERMS - 1)]).cumprod_(dim=0)
    sine = sines @ powers
    exponent = torch.addcmul((a.square() + b.square()).mul_(-0.5), a * b, sine)
    exponent.div_(1 - sine.square_()).clamp_(min=SMALLEST_EXPONENT).exp_()
    return (weights @ exponent).mul_(half_angle).div_(2 * math.pi)


def first_derivatives(
    levels: PerEnd, densities: PerEnd, correlation: PerEdge
) -> tuple[PerEnd, PerEdge]:
    """∂P/∂a and ∂P/∂b, and ∂P/∂r = −2φ₂(a, b; r), from a, b, φ(a) and φ(b).

    ∂P/∂a = φ(a)(1 − 2Φ((b − ra)/√(1−r²))), and ∂P/∂b by symmetry.
    """
    narrowing = torch.rsqrt(1 - correlation * correlation)
    opposite = (levels.flip(0) - correlation * levels).mul_(narrowing)
    joint = density(opposite[0]).mul_(-2).mul_(narrowing).mul_(densities[0])
    # 1 − 2Φ(x) = −erf(x/√2)
    return opposite.mul_(-(0.5**0.5)).erf_().mul_(densities), joint


def second_derivatives(
    levels: PerEnd, correlation: PerEdge
) -> tuple[PerEdge, PerEdge, PerEdge, PerEdge, PerEdge, PerEdge]:
    """∂²P by (a, a), (b, b), (r, r), (a, b), (a, r) and (b, r).

    ∂²P/∂a² = −a ∂P/∂a + 2rφ₂ and ∂²P/∂a∂b = −2φ₂; the others follow from
    ∂log φ₂/∂a = (rb − a)/(1−r²) and ∂log φ₂/∂r = (r + (b − ra)(a − rb)/(1−r²))/(1−r²).
    """
    a, b = levels
    (by_first, by_second), joint = first_derivatives(levels, density(levels), correlation)
    inverse = 1 / (1 - correlation * correlation)
    at_first, at_second = b - correlation * a, a - correlation * b
    return (
        -a * by_first - correlation * joint,  # joint is −2φ₂
        -b * by_second - correlation * joint,
        joint * inverse * (correlation + at_first * at_second * inverse),
        joint,
        -joint * inverse * at_second,
        -joint * inverse * at_first,
    )


def density(x: Tensor) -> Tensor:
    """φ(x), the standard normal density."""
    return x.square().mul_(-0.5).clamp_(min=SMALLEST_EXPONENT).exp_().mul_(PEAK)
