"""The expected cut with its gradient in one pass: what large graphs descend on."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from torch import Tensor, nn

from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.sparse import csr_tensor

# The value is only watched; the gradient, which is closed form, is what the descent follows. As V
# shrinks so do the correlations, and with them the interval of the quadrature: nodes by the
# largest correlation, for an error below 1e-12 up to 0.2, of 1e-8 at 0.9.
RULES = {
    limit: tuple(torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(count))
    for limit, count in ((0.02, 2), (0.2, 4), (math.inf, 8))
}
BLOCK = 2**14  # edges whose quadrature fits into the cache
# Beside 1 e^−60 is nothing. Further out exp underflows, and takes forty times as long: once V has
# vanished most edges are there.
FAINTEST = -60.0
PEAK = 1 / math.sqrt(2 * math.pi)  # φ(0)


class FusedCut(ExpectedCut):
    """The same f as ``ExpectedCut``, differentiable once.

    Value and gradient share all that is computed for an edge, and neighbours are summed by a
    sparse product. A step costs O(edges · (rank + quadrature nodes)) time and O(edges + vertices ·
    rank) memory.

    Args:
        graph, vectors, smoothing, regularization: as for ``ExpectedCut``.
    """

    def __init__(
        self,
        graph: Graph,
        vectors: Float[np.ndarray, "vertices rank"],
        *,
        smoothing: float,
        regularization: float,
    ) -> None:
        super().__init__(graph, vectors, smoothing=smoothing, regularization=regularization)
        above = scipy.sparse.csr_array(
            (np.arange(1, len(graph.weights) + 1), graph.ends.T), shape=(graph.num_vertices,) * 2
        )
        self.above, self.both_ways = _Pattern(above), _Pattern((above + above.T).tocsr())
        self.unfilled: Tensor
        self.register_buffer(
            "unfilled", self.above.filled(torch.zeros_like(self.weights)), persistent=False
        )

    def expected_cut(self) -> Float[Tensor, ""]:
        return _FusedCut.apply(self.vectors, self.mean, self)

    def row_products(self, rows: Float[Tensor, "vertices rank"]) -> Float[Tensor, " edges"]:
        """x_i·x_j for every edge (i, j)."""
        products = torch.sparse.sampled_addmm(self.unfilled, rows, rows.T).values()
        return torch.empty_like(products).index_copy_(0, self.above.edge_of, products)

    def neighbour_sum(
        self, coefficients: Float[Tensor, " edges"], rows: Float[Tensor, "vertices rank"]
    ) -> Float[Tensor, "vertices rank"]:
        """Σ_j c_ij x_j for every vertex i."""
        return self.both_ways.filled(coefficients) @ rows


class _Pattern(nn.Module):
    """Where a sparse matrix has its entries, and of which edge each is.

    Args:
        numbered: a matrix whose entries are the edges' numbers, from 1.
    """

    def __init__(self, numbered: scipy.sparse.csr_array) -> None:
        super().__init__()
        self.size = numbered.shape
        self.row_starts: Tensor
        self.columns: Tensor
        self.edge_of: Tensor
        self.register_buffer("row_starts", torch.from_numpy(numbered.indptr.astype(np.int64)))
        self.register_buffer("columns", torch.from_numpy(numbered.indices.astype(np.int64)))
        self.register_buffer("edge_of", torch.from_numpy(numbered.data.astype(np.int64) - 1))

    def filled(self, coefficients: Float[Tensor, " edges"]) -> Tensor:
        """The matrix whose entries are those of their edges."""
        entries = coefficients.index_select(0, self.edge_of)
        return csr_tensor(self.row_starts, self.columns, entries, self.size)


class _FusedCut(torch.autograd.Function):
    """Σ w_ij P_ij and its gradient in (V, μ)."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, mean: Tensor, cut: FusedCut) -> Tensor:
        edges, by_vectors, by_mean = _edges_and_slopes(vectors, mean, cut)
        ctx.save_for_backward(by_vectors, by_mean)
        return cut.weights @ edges.crossing()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        by_vectors, by_mean = ctx.saved_tensors
        return gradient * by_vectors, gradient * by_mean, None


def _edges_and_slopes(
    vectors: Tensor, mean: Tensor, cut: FusedCut
) -> tuple["_Edges", Tensor, Tensor]:
    """What P is made of, and the gradient of Σ w_ij P_ij in V and in μ."""
    inverse = torch.rsqrt(vectors.square().sum(dim=1).add_(cut.smoothing**2))
    level, units = mean * inverse, vectors * inverse[:, None]
    i, j = cut.ends
    edges = _Edges(
        level.index_select(0, i),
        level.index_select(0, j),
        cut.row_products(units),
    )
    by_first, by_second, by_correlation = edges.slopes(cut.weights)
    by_level = torch.zeros_like(mean).index_add_(0, i, by_first).index_add_(0, j, by_second)
    # P depends on v_i through a_i = μ_i/s_i and u_i = v_i/s_i, and ds_i/dv_i = u_i.
    pull = cut.neighbour_sum(by_correlation, units)
    inward = torch.linalg.vecdot(pull, units).add_(by_level * level)
    by_vectors = (pull - inward[:, None] * units).mul_(inverse[:, None])
    return edges, by_vectors, by_level * inverse


@dataclass(frozen=True)
class _Edges:
    """For every edge (i, j) the levels a_i, a_j and the correlation r_ij."""

    first: Float[Tensor, " edges"]
    second: Float[Tensor, " edges"]
    correlation: Float[Tensor, " edges"]

    def slopes(self, weights: Float[Tensor, " edges"]) -> tuple[Tensor, Tensor, Tensor]:
        """∂(w P)/∂a_i = −wφ(a_i)·erf((a_j − r a_i)/√(2(1−r²))), its mirror image, and ∂(w P)/∂r."""
        a, b, r = self.first, self.second, self.correlation
        narrowing = torch.rsqrt(1 - r * r)
        at_first, at_second = (b - r * a).mul_(narrowing), (a - r * b).mul_(narrowing)
        weighted = weights * _gauss(a)
        mirrored = weights * _gauss(b)
        joint = _gauss(at_first).mul_(-2).mul_(narrowing)
        return (
            weighted * torch.erf(at_first.mul_(-(0.5**0.5))),
            mirrored * torch.erf(at_second.mul_(-(0.5**0.5))),
            joint.mul_(weighted),
        )

    def crossing(self) -> Float[Tensor, " edges"]:
        """P = Φ(a) + Φ(b) − 2Φ₂(a, b; r), Φ₂ by Gauss–Legendre in the angle."""
        a, b, correlation = self.first, self.second, self.correlation
        largest = float(correlation.abs().max())
        nodes, weights = next(
            (x.to(a), w.to(a)) for limit, (x, w) in RULES.items() if largest <= limit
        )
        blocks = zip(a.split(BLOCK), b.split(BLOCK), correlation.split(BLOCK), strict=True)
        integral = torch.cat([_angle_integral(x, y, r, nodes, weights) for x, y, r in blocks])
        above, below = torch.special.ndtr(a), torch.special.ndtr(b)
        return above + below - 2 * above * below - integral


def _gauss(x: Tensor) -> Tensor:
    """φ(x)."""
    return x.square().mul_(-0.5).clamp_(min=FAINTEST).exp_().mul_(PEAK)


def _angle_integral(
    a: Tensor, b: Tensor, correlation: Tensor, nodes: Tensor, weights: Tensor
) -> Float[Tensor, " edges"]:
    """2(Φ₂(a, b; r) − Φ(a)Φ(b)) of every edge of a block."""
    half_angle = torch.asin(correlation) / 2
    sine = torch.outer(1 + nodes, half_angle).sin_()
    exponent = (a * b * sine).sub_((a.square() + b.square()).mul_(0.5))
    exponent.div_(1 - sine.square_()).clamp_(min=FAINTEST).exp_()
    return (weights @ exponent).mul_(half_angle).div_(math.pi)
