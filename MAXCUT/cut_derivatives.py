"""The expected cut of correlated Gaussian signs, with its gradient and products of its Hessian.

Vertex i has the sign of v_i·z + μ_i + noise of deviation n_i. Let s_i = √(‖v_i‖² + n_i²),
a_i = μ_i/s_i, u_i = v_i/s_i and r_ij = u_i·u_j. Then E[cut] = Σ w_ij P(a_i, a_j, r_ij), and
∂E/∂μ_i = A_i/s_i and ∂E/∂v_i = (p_i − (p_i·u_i + A_i a_i) u_i)/s_i with A_i = Σ_j w_ij ∂P/∂a_i and
p_i = Σ_j w_ij ∂P/∂r_ij u_j.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from MAXCUT.crossing import density, dependence, first_derivatives, second_derivatives
from MAXCUT.edge_products import EdgeProducts

BLOCK_BYTES = 2**17  # of one number per edge: the quadrature of a block fits into the cache


class Standardised(NamedTuple):
    """(V, μ) in units of the standard deviations s_i: 1/s_i, a_i = μ_i/s_i and u_i = v_i/s_i."""

    inverse: Float[Tensor, " vertices"]
    level: Float[Tensor, " vertices"]
    units: Float[Tensor, "vertices rank"]


def standardise(
    vectors: Float[Tensor, "vertices rank"],
    mean: Float[Tensor, " vertices"],
    noise: Float[Tensor, " vertices"],
) -> Standardised:
    """V and μ, divided by s_i = √(‖v_i‖² + n_i²)."""
    inverse = torch.rsqrt(vectors.square().sum(dim=1).add_(noise.square()))
    return Standardised(inverse, mean * inverse, vectors * inverse[:, None])


def expected_cut(
    vectors: Float[Tensor, "vertices rank"],
    mean: Float[Tensor, " vertices"],
    noise: Float[Tensor, " vertices"],
    weights: Float[Tensor, " edges"],
    products: EdgeProducts,
) -> Float[Tensor, ""]:
    """E[cut], which can be differentiated once by V and μ; see ``cut_and_gradient``."""
    return _CutAndGradient.apply(vectors, mean, noise, weights, products)


def cut_and_gradient(
    vectors: Float[Tensor, "vertices rank"],
    mean: Float[Tensor, " vertices"],
    noise: Float[Tensor, " vertices"],
    weights: Float[Tensor, " edges"],
    products: EdgeProducts,
) -> tuple[Float[Tensor, ""], Float[Tensor, "vertices rank"], Float[Tensor, " vertices"]]:
    """E[cut] and its gradient by V and by μ, which share what an edge needs.

    They take O(edges · (rank + quadrature nodes)) time and O(edges + vertices · rank) memory, and
    are computed in the dtype of the arguments; the sum over the edges is always in float64.
    """
    inverse, level, units = standardise(vectors, mean, noise)
    # The probability of a positive sign is Φ(a_i).
    vertices = torch.stack([level, torch.special.ndtr(level), density(level)])
    by_correlation = products.inner(units, units)  # r_ij, replaced block by block
    by_level, value = torch.zeros_like(mean), mean.new_zeros((), dtype=torch.float64)
    size = BLOCK_BYTES // weights.element_size()
    blocks = (by_correlation.split(size), weights.split(size), products.ends.split(size, 1))
    for correlation, weight, ends in zip(*blocks, strict=True):
        flat = ends.reshape(-1)
        levels, positive, densities = vertices.index_select(1, flat).view(3, 2, -1)
        first, second = positive
        both = dependence(levels, densities, correlation).addcmul_(first, second)
        value += weight.double() @ (first + second).sub_(both, alpha=2).double()
        by_levels, derivative = first_derivatives(levels, densities, correlation)
        by_level.index_add_(0, flat, by_levels.mul_(weight).view(-1))
        torch.mul(derivative, weight, out=correlation)
    pull = products.neighbour_sum(by_correlation, units)
    inward = torch.linalg.vecdot(pull, units).add_(by_level * level)
    by_vectors = (pull - inward[:, None] * units).mul_(inverse[:, None])
    return value, by_vectors, by_level.mul_(inverse)


class _CutAndGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *point: Any) -> Tensor:
        value, *gradient = cut_and_gradient(*point)
        ctx.save_for_backward(*gradient)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        if torch.is_grad_enabled():  # another derivative was asked for: it would be taken as 0
            raise ValueError("E[cut] can be differentiated once: see ExpectedCut.hessian_product")
        by_vectors, by_mean = ctx.saved_tensors
        return gradient * by_vectors, gradient * by_mean, None, None, None


class ExpectedCutHessian:
    """Products of E[cut]'s Hessian in (V, μ), flat in this order, at one point.

    A product is the derivative of the gradient along a vector: what it needs of every edge is
    computed once. It takes O(edges · rank) time.
    """

    def __init__(
        self,
        vectors: Float[Tensor, "vertices rank"],
        mean: Float[Tensor, " vertices"],
        noise: Float[Tensor, " vertices"],
        weights: Float[Tensor, " edges"],
        products: EdgeProducts,
    ) -> None:
        self.products = products
        self.inverse, self.level, self.units = standardise(vectors, mean, noise)
        correlation = products.inner(self.units, self.units)
        levels, ends = self.level[products.ends], products.ends.view(-1)
        by_levels, joint = first_derivatives(levels, density(levels), correlation)
        self.second = [weights * each for each in second_derivatives(levels, correlation)]
        self.by_correlation = weights * joint
        by_levels = by_levels.mul_(weights).view(-1)
        self.by_level = torch.zeros_like(mean).index_add_(0, ends, by_levels)
        self.pull = products.neighbour_sum(self.by_correlation, self.units)
        self.inward = torch.linalg.vecdot(self.pull, self.units).add_(self.by_level * self.level)

    def __call__(self, vector: Float[Tensor, " parameters"]) -> Float[Tensor, " parameters"]:
        """∂²E[cut] · vector."""
        units, level, inverse = self.units, self.level, self.inverse
        along_vectors = vector[: units.numel()].view_as(units)
        # d of each name is its derivative along the vector, in the order in which they depend.
        d_deviation = torch.linalg.vecdot(units, along_vectors)
        d_units = (along_vectors - d_deviation[:, None] * units).mul_(inverse[:, None])
        d_level = (vector[units.numel() :] - d_deviation * level).mul_(inverse)
        d_inverse = -inverse.square() * d_deviation
        d_by_level, d_by_correlation = self._along(d_level, d_units)
        d_pull = self.products.neighbour_sum(d_by_correlation, units)
        d_pull += self.products.neighbour_sum(self.by_correlation, d_units)
        d_inward = torch.linalg.vecdot(d_pull, units) + torch.linalg.vecdot(self.pull, d_units)
        d_inward += d_by_level * level + self.by_level * d_level
        by_mean = d_by_level * inverse + self.by_level * d_inverse
        by_vectors = d_pull.sub_(d_inward[:, None] * units).sub_(self.inward[:, None] * d_units)
        by_vectors.mul_(inverse[:, None])
        by_vectors += (self.pull - self.inward[:, None] * units).mul_(d_inverse[:, None])
        return torch.cat([by_vectors.reshape(-1), by_mean])

    def _along(
        self, d_level: Float[Tensor, " vertices"], d_units: Float[Tensor, "vertices rank"]
    ) -> tuple[Float[Tensor, " vertices"], Float[Tensor, " edges"]]:
        """The derivatives of A_i and of w_ij ∂P/∂r_ij."""
        i, j = self.products.ends
        first_first, second_second, both_r, first_second, first_r, second_r = self.second
        d_correlation = self.products.inner(d_units, self.units)
        d_correlation += self.products.inner(self.units, d_units)
        d_first, d_second = d_level.index_select(0, i), d_level.index_select(0, j)
        by_level = torch.zeros_like(d_level)
        by_level.index_add_(
            0, i, first_first * d_first + first_second * d_second + first_r * d_correlation
        )
        by_level.index_add_(
            0, j, first_second * d_first + second_second * d_second + second_r * d_correlation
        )
        return by_level, first_r * d_first + second_r * d_second + both_r * d_correlation
