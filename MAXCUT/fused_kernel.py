"""The expected cut and its gradient computed together, for descents on large graphs."""

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from MAXCUT.expected_cut import ExpectedCut, InnerProducts, NeighbourSums, is_dense
from MAXCUT.graph import Graph, csr_tensor

# Gauss–Legendre rules by the largest correlation that each is used for: their error is below 1e-12
# up to 0.2 and 1e-8 at 0.9. Correlations shrink with V, and only the value needs quadrature.
RULES = {
    limit: tuple(torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    for limit, count in ((0.2, 4), (math.inf, 8))
}
SERIES = 0.004  # the correlation up to which three terms of a power series are exact to 1e-11
BLOCK = 2**14  # edges whose quadrature fits into the cache
# Much smaller exponents underflow once V has vanished, which makes exp forty times as slow.
SMALLEST_EXPONENT = -60.0
PEAK = 1 / math.sqrt(2 * math.pi)  # φ(0)


class FusedKernel(nn.Module):
    """Evaluate E[cut] and its gradient in one pass; it can be differentiated once.

    Value and gradient share all numbers that an edge needs. Sums over neighbours are sparse
    products, or dense ones in a dense graph. A step takes O(edges · (rank + quadrature nodes)) time
    and O(edges + vertices · rank) memory.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.dense = is_dense(graph.num_vertices, len(graph.weights))
        if not self.dense:
            # Matrices of the edges' numbers, from 1: for each entry, the edge that it belongs to.
            numbers = np.arange(1, len(graph.weights) + 1)
            upper = scipy.sparse.csr_array((numbers, graph.ends.T), (graph.num_vertices,) * 2)
            self.upper = nn.Buffer(csr_tensor(upper))
            self.symmetric = nn.Buffer(csr_tensor((upper + upper.T).tocsr()))
            self.zeros = nn.Buffer(csr_tensor(0.0 * upper))

    def forward(self, cut: ExpectedCut) -> Float[Tensor, ""]:
        return _ValueAndGradient.apply(cut.vectors, cut.mean, cut, self)

    def inner_products(
        self, rows: Float[Tensor, "vertices rank"], ends: Int[Tensor, "2 edges"]
    ) -> Float[Tensor, " edges"]:
        """x_i·x_j for every edge (i, j)."""
        if self.dense:
            return InnerProducts.apply(rows, rows, ends)
        products = torch.sparse.sampled_addmm(self.zeros, rows, rows.T).values()
        return torch.empty_like(products).index_copy_(0, self.upper.values() - 1, products)

    def neighbour_sum(
        self,
        coefficients: Float[Tensor, " edges"],
        rows: Float[Tensor, "vertices rank"],
        ends: Int[Tensor, "2 edges"],
    ) -> Float[Tensor, "vertices rank"]:
        """Σ_j c_ij x_j for every vertex i."""
        if self.dense:
            below = NeighbourSums.apply(coefficients, rows, ends.flip(0))
            return NeighbourSums.apply(coefficients, rows, ends).add_(below)
        starts, columns = self.symmetric.crow_indices(), self.symmetric.col_indices()
        entries = coefficients.index_select(0, self.symmetric.values() - 1)
        size = self.symmetric.shape
        return (
            torch.sparse_csr_tensor(starts, columns, entries, size, check_invariants=False) @ rows
        )


class _ValueAndGradient(torch.autograd.Function):
    """Σ w_ij P_ij, where P_ij is the probability that edge (i, j) is cut."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, mean: Tensor, cut: ExpectedCut, kernel: FusedKernel
    ) -> Tensor:
        inverse = torch.rsqrt(vectors.square().sum(dim=1).add_(cut.noise.square()))
        level, units = mean * inverse, vectors * inverse[:, None]
        by_correlation = kernel.inner_products(units, cut.ends)  # r_ij, replaced block by block
        by_level, value = torch.zeros_like(mean), mean.new_zeros(())
        blocks = (by_correlation.split(BLOCK), cut.weights.split(BLOCK), cut.ends.split(BLOCK, 1))
        for correlation, weights, (i, j) in zip(*blocks, strict=True):
            a, b = level.index_select(0, i), level.index_select(0, j)
            value += weights @ _crossing_probabilities(a, b, correlation)
            by_first, by_second, derivative = _derivatives(a, b, correlation, weights)
            by_level.index_add_(0, i, by_first).index_add_(0, j, by_second)
            correlation.copy_(derivative)
        # P depends on v_i through a_i = μ_i/s_i and u_i = v_i/s_i, and ds_i/dv_i = u_i.
        pull = kernel.neighbour_sum(by_correlation, units, cut.ends)
        inward = torch.linalg.vecdot(pull, units).add_(by_level * level)
        by_vectors = (pull - inward[:, None] * units).mul_(inverse[:, None])
        ctx.save_for_backward(by_vectors, by_level * inverse)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        if torch.is_grad_enabled():  # another derivative was asked for: it would be taken as 0
            raise ValueError("FusedKernel can be differentiated once: use evaluation None")
        by_vectors, by_mean = ctx.saved_tensors
        return gradient * by_vectors, gradient * by_mean, None, None


def _derivatives(a: Tensor, b: Tensor, r: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """∂(wP)/∂a = −wφ(a)·erf((b − ra)/√(2(1−r²))), ∂(wP)/∂b by symmetry, and ∂(wP)/∂r."""
    narrowing = torch.rsqrt(1 - r * r)
    at_first, at_second = (b - r * a).mul_(narrowing), (a - r * b).mul_(narrowing)
    weighted, mirrored = weights * _density(a), weights * _density(b)
    joint = _density(at_first).mul_(-2).mul_(narrowing)
    return (
        weighted * torch.erf(at_first.mul_(-(0.5**0.5))),
        mirrored * torch.erf(at_second.mul_(-(0.5**0.5))),
        joint.mul_(weighted),
    )


def _crossing_probabilities(a: Tensor, b: Tensor, correlation: Tensor) -> Tensor:
    """P = Φ(a) + Φ(b) − 2Φ₂(a, b; r), of the shape of r."""
    above, below = torch.special.ndtr(a), torch.special.ndtr(b)
    independent = above + below - 2 * above * below
    largest = float(correlation.abs().max())
    if largest <= SERIES:
        # ∂Φ₂/∂r = φ₂, and ∂φ₂/∂r = ∂²φ₂/∂a∂b: the terms are r^k/k! times derivatives of φ.
        second, third = a * b / 2, (a.square() - 1) * (b.square() - 1) / 6
        terms = (correlation * third).add_(second).mul_(correlation).add_(1).mul_(correlation)
        return independent - terms.mul_(_density(a)).mul_(_density(b)).mul_(2)
    nodes, weights = next((x.to(a), w.to(a)) for limit, (x, w) in RULES.items() if largest <= limit)
    half_angle = torch.asin(correlation) / 2
    sine = torch.tensordot(1 + nodes, half_angle, dims=0).sin_()
    exponent = (a * b * sine).sub_((a.square() + b.square()).mul_(0.5))
    exponent.div_(1 - sine.square_()).clamp_(min=SMALLEST_EXPONENT).exp_()
    integral = torch.tensordot(weights, exponent, dims=1).mul_(half_angle).div_(math.pi)
    return independent - integral


def _density(x: Tensor) -> Tensor:
    """φ(x)."""
    return x.square().mul_(-0.5).clamp_(min=SMALLEST_EXPONENT).exp_().mul_(PEAK)
