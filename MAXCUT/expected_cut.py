"""The expected cut of randomly chosen signs: MAXCUT in the form of Eq. 1."""

import copy
import math
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_at_least, require_positive
from derandomization.expectations import standard_normal
from MAXCUT.graph import Graph, Signs, Vectors

SMALLEST_SCALE = 1e-12  # of a vertex: K, which is in proportion to 1/scale, stays finite
DENSE = 6  # times the edges: beyond the squared vertices, dense products take less time
BLOCK = 2**14  # edges that are computed together
_QUADRATURE = np.polynomial.legendre.leggauss(20)  # nodes and weights


class ExpectedCut(DerandomizationObjective):
    """f(V, μ) = −c·E_z[cut(sign(Vz + μ + ε·noise))] + λ‖V‖_F² (Section 5.1, Theorem 5.2).

    Vertex i takes the sign of v_i·z + μ_i plus independent noise from N(0, (ε t_i)²), which smooths
    the sign. W of Eq. 1 is V, which starts at ``vectors``, and b is μ, which starts at 0. The
    factor c = n/Σ|w| gives λ the same effect on every graph. The scales t_i are 1 by default. ε t_i
    is relative to ‖v_i‖: multiplying v_i, μ_i and t_i by one number leaves E[cut] as it is.

    The attribute ``evaluation`` computes E[cut] and can be replaced at any time. None, the default,
    is the closed form, which autograd can differentiate twice. ``FusedKernel`` is faster and can be
    differentiated once; ``ScoreFunction`` estimates from samples.
    """

    def __init__(
        self,
        graph: Graph,
        vectors: Vectors,
        *,
        smoothing: float,
        regularization: float,
        vertex_scales: Float[np.ndarray, " vertices"] | None = None,
    ) -> None:
        super().__init__(regularization)
        require_at_least("number of edges", len(graph.weights), 1)
        self.smoothing = require_positive("smoothing", smoothing)
        self.scale = graph.num_vertices / require_positive("Σ|w|", float(abs(graph.weights).sum()))
        self.vectors = nn.Parameter(torch.from_numpy(vectors.copy()))
        self.mean = nn.Parameter(torch.zeros(graph.num_vertices, dtype=torch.float64))
        self.evaluation: nn.Module | None = None
        scales = np.ones(graph.num_vertices) if vertex_scales is None else vertex_scales
        self.noise = nn.Buffer(torch.from_numpy(self.smoothing * scales))  # ε t_i
        self.ends = nn.Buffer(torch.from_numpy(graph.ends.T.copy()))
        self.weights = nn.Buffer(torch.from_numpy(graph.weights.copy()))

    def expected_value(self) -> Float[Tensor, ""]:
        return -self.scale * self.expected_cut()

    def expected_cut(self) -> Float[Tensor, ""]:
        """E[cut] = Σ w_ij Pr(i and j on different sides), in the units of the weights."""
        if self.evaluation is not None:
            return self.evaluation(self)
        level = self.mean / self.deviation()
        return self.weights @ crossing_probabilities(level, self.correlation(), self.ends)

    def deviation(self) -> Float[Tensor, " vertices"]:
        """s_i = √(‖v_i‖² + (ε t_i)²), the standard deviation of each vertex's random part."""
        return torch.sqrt(self.vectors.square().sum(dim=1) + self.noise.square())

    def correlation(self) -> Float[Tensor, " edges"]:
        """r_ij = v_i·v_j/(s_i s_j)."""
        i, j = self.ends
        deviation = self.deviation()
        products = InnerProducts.apply(self.vectors, self.vectors, self.ends)
        return products / (deviation[i] * deviation[j])

    def random_weights(self) -> Float[Tensor, "vertices rank"]:
        return self.vectors

    def bias(self) -> Float[Tensor, " vertices"]:
        return self.mean

    def signs(self) -> Signs:
        """sign(μ), the deterministic cut; +1 where μ is 0."""
        return np.where(self.mean.detach().cpu().numpy() >= 0, 1.0, -1.0)

    @torch.no_grad()
    def mean_signs(self) -> Float[np.ndarray, " vertices"]:
        """The expected sign of each vertex, 2Φ(μ_i/s_i) − 1."""
        level = self.mean / self.deviation()
        return (2 * torch.special.ndtr(level) - 1).cpu().numpy()

    @torch.no_grad()
    def guaranteed_cut(self, start: Vectors) -> float | None:
        """A lower bound on the cut that ``conditional_rounding`` makes of ``mean_signs``.

        If f is not larger here than at (V₀, μ = 0), where V₀ is ``start``, E[cut] here is at least
        E[cut] there less λ(‖V₀‖² − ‖V‖²)/c; None if it is larger. The rounding starts from
        independent signs with the same means. Where V has not vanished, their expected cut may be
        below E[cut], and the difference is subtracted too.
        """
        first = copy.deepcopy(self)
        first.evaluation = None
        first.vectors.copy_(torch.from_numpy(start))
        first.mean.zero_()
        if float(self()) > float(first()):
            return None
        penalty = self.regularization * (first.weight_norm() ** 2 - self.weight_norm() ** 2)
        (i, j), means = self.ends, torch.from_numpy(self.mean_signs()).to(self.mean)
        independent = float(self.weights @ (1 - means[i] * means[j])) / 2
        lost = max(0.0, float(self.expected_cut()) - independent)
        return float(first.expected_cut()) - penalty / self.scale - lost

    @torch.no_grad()
    def bias_hessian(self) -> LinearOperator:
        """∂²f/∂μ², as sparse as the graph: a product costs O(edges).

        ∂²P/∂a_i∂a_j = −2φ₂(a_i, a_j; r) and ∂²P/∂a_i² = −a_i ∂P/∂a_i + 2r φ₂ with a_i = μ_i/s_i.
        """
        (i, j), r, deviation = self.ends, self.correlation(), self.deviation()
        level = self.mean / deviation
        a, b, complement = level[i], level[j], torch.sqrt(1 - r.square())
        joint = _density(a) * _density((b - r * a) / complement) / complement  # φ₂(a, b; r)
        weights = -self.scale * self.weights

        def second_derivative(x: Tensor, y: Tensor) -> Tensor:
            slope = _density(x) * (1 - 2 * torch.special.ndtr((y - r * x) / complement))
            return weights * (2 * r * joint - x * slope)

        diagonal = torch.zeros_like(level)
        diagonal.index_add_(0, i, second_derivative(a, b))
        diagonal.index_add_(0, j, second_derivative(b, a))
        across = -2 * weights * joint / (deviation[i] * deviation[j])
        half = scipy.sparse.coo_array(
            (across.cpu().numpy(), tuple(self.ends.cpu().numpy())), shape=(len(level),) * 2
        )
        own = scipy.sparse.diags_array((diagonal / deviation.square()).cpu().numpy())
        return aslinearoperator((half + half.T + own).tocsr())

    @torch.no_grad()
    def hessian_lipschitz(self) -> float:
        """K ≤ c·φ(0)·max_i Σ_j |w_ij| (1/ε_i³ + 6φ(1)/(ε_i² ε_j)), where ε_i is ε t_i.

        With q_i(y) = 2Φ(y/ε_i) − 1, the third derivative of g along u is (c/2)Σ w_ij(q_i‴q_j u_i³ +
        3q_i″q_j′u_i²u_j + …), and |q_i′| ≤ 2φ(0)/ε_i, |q_i″| ≤ 2φ(1)/ε_i², |q_i‴| ≤ 2φ(0)/ε_i³. If
        ‖u‖ = 1, each |u_i|³ and u_i²|u_j| is at most u_i².
        """
        peak, slope = (math.exp(-x * x / 2) / math.sqrt(2 * math.pi) for x in (0.0, 1.0))
        (i, j), noise = self.ends, self.noise
        sizes, sums = self.weights.abs(), torch.zeros_like(noise)
        for one, other in ((i, j), (j, i)):
            inverse = noise[one].reciprocal()
            terms = inverse.pow(3) + 6 * slope * inverse.square() / noise[other]
            sums.index_add_(0, one, sizes * terms)
        return self.scale * peak * float(sums.max())


def degree_scales(graph: Graph) -> Float[np.ndarray, " vertices"]:
    """t_i = √(d_i / mean d), d_i the sum of |w| at vertex i: 1 for all if the degrees are equal.

    With v_i, μ_i and the noise of vertex i in proportion to t_i, f has about the same curvature at
    every vertex, whatever its degree: a descent with one step size then moves all of them.
    """
    degrees = graph.weighted_degrees()
    relative = degrees / degrees.mean()
    return np.sqrt(np.where(degrees > 0, relative, 1.0).clip(min=SMALLEST_SCALE**2))


def conditional_rounding(graph: Graph, mean_signs: Float[np.ndarray, " vertices"]) -> Signs:
    """Fix the independent random signs of the vertices one after another, by conditional
    expectations.

    E[cut] = Σ w_ij (1 − m_i m_j)/2 is linear in every expected sign m_i, so that −1 or +1 does not
    decrease it. The cut is therefore worth at least E[cut]. If both are equally good, m_i's own
    sign is taken.

    References:
        Alon, Spencer, *The Probabilistic Method*, 4th edition, 2016, chapter 16.
    """
    adjacency = graph.adjacency()
    starts, neighbours, weights = adjacency.indptr, adjacency.indices, adjacency.data
    signs = mean_signs.copy()
    for vertex in range(graph.num_vertices):
        row = slice(starts[vertex], starts[vertex + 1])
        field = weights[row] @ signs[neighbours[row]]
        signs[vertex] = -np.sign(field) or np.sign(signs[vertex]) or 1.0
    return signs


class ScoreFunction(nn.Module):
    """Estimate E[cut] from samples and its gradient by the score function, as the published code.

    y = Vz + μ + ε·noise has density N(Vz + μ, ε²I) given z, so ∇E[cut(sign y)] is the mean of
    cut(sign y)·∇log density. Subtracting the mean cut of the other samples reduces the variance.
    """

    def __init__(self, num_samples: int, generator: torch.Generator) -> None:
        super().__init__()
        self.num_samples = require_at_least("num_samples", num_samples, 2)
        self.generator = generator

    def forward(self, cut: ExpectedCut) -> Float[Tensor, ""]:
        centre = self.draw(cut.vectors.shape[1], cut.mean) @ cut.vectors.T + cut.mean
        sample = centre.detach() + cut.noise * self.draw(len(cut.mean), cut.mean)
        i, j = cut.ends
        values = ((sample[:, i] > 0) != (sample[:, j] > 0)).to(cut.weights) @ cut.weights
        advantage = (values - values.mean()) * self.num_samples / (self.num_samples - 1)
        log_density = -((sample - centre) / cut.noise).square().sum(dim=1) / 2
        score = (advantage * log_density).mean()
        return values.mean() + score - score.detach()

    def draw(self, size: int, like: Tensor) -> Float[Tensor, "samples size"]:
        """Standard normal numbers of the type and on the device of ``like``."""
        return standard_normal(self.num_samples, size, generator=self.generator, like=like)


def crossing_probabilities(
    level: Float[Tensor, " vertices"],
    correlation: Float[Tensor, " edges"],
    ends: Int[Tensor, "2 edges"],
) -> Float[Tensor, " edges"]:
    """Pr(i, j on different sides) = Φ(a_i) + Φ(a_j) − 2Φ₂(a_i, a_j; r_ij) for every edge.

    ``level`` holds a_i, the mean of each vertex's random number over its standard deviation.
    """
    i, j = ends
    both = bivariate_normal_cdf(level[i], level[j], correlation)
    side = torch.special.ndtr(level)
    return side[i] + side[j] - 2 * both


def bivariate_normal_cdf(
    a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"], correlation: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Φ₂(a, b; r) = Pr(x ≤ a, y ≤ b) for standard normal x, y with correlation r, |r| < 1.

    Φ(a)Φ(b) + (1/2π) ∫₀^{asin r} exp(−(a² + b² − 2ab sin t)/(2cos² t)) dt by 20 Gauss–Legendre
    nodes; the error is below 1e-9 for |r| ≤ 0.99. It can be differentiated any number of times.
    """
    return _BivariateNormalCDF.apply(a, b, correlation)


class _BivariateNormalCDF(torch.autograd.Function):
    """Φ₂(a, b; r): its value needs quadrature, its derivatives have closed forms."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, correlation: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, correlation)
        nodes, weights = (torch.as_tensor(x, dtype=a.dtype, device=a.device) for x in _QUADRATURE)
        blocks = (each.reshape(-1).split(BLOCK) for each in (a, b, correlation))
        integrals = []
        for x, y, r in zip(*blocks, strict=True):  # in blocks, so that the nodes fit into memory
            half_angle = torch.asin(r)[:, None] / 2
            angle = half_angle * (1 + nodes)
            square, product = (x.square() + y.square())[:, None], (x * y)[:, None]
            exponent = (square / 2 - product * torch.sin(angle)) / torch.cos(angle).square()
            integrals.append((torch.exp(-exponent) @ weights) * half_angle[:, 0])
        integral = torch.cat(integrals).reshape(a.shape)
        return torch.special.ndtr(a) * torch.special.ndtr(b) + integral / (2 * math.pi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, correlation = ctx.saved_tensors
        complement = torch.sqrt(1 - correlation.square())

        def partial(x: Tensor, y: Tensor) -> Tensor:
            return _density(x) * torch.special.ndtr((y - correlation * x) / complement)

        joint = _density(a) * _density((b - correlation * a) / complement) / complement
        return gradient * partial(a, b), gradient * partial(b, a), gradient * joint


class InnerProducts(torch.autograd.Function):
    """x_i·y_j for every edge (i, j).

    In blocks, since all x_i and y_j at once may not fit into memory, or by one dense product.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, ends: Tensor) -> Tensor:
        ctx.save_for_backward(x, y, ends)
        if is_dense(len(x), ends.shape[1]):
            return (x @ y.T)[tuple(ends)]
        blocks = ends.split(BLOCK, dim=1)
        return torch.cat([torch.linalg.vecdot(x[i], y[j]) for i, j in blocks])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y, ends = ctx.saved_tensors
        return (
            NeighbourSums.apply(gradient, y, ends),
            NeighbourSums.apply(gradient, x, ends.flip(0)),
            None,
        )


class NeighbourSums(torch.autograd.Function):
    """Σ c_e y_j over the edges e = (i, j) of every vertex i."""

    @staticmethod
    def forward(ctx: Any, coefficients: Tensor, y: Tensor, ends: Tensor) -> Tensor:
        ctx.save_for_backward(coefficients, y, ends)
        if is_dense(len(y), ends.shape[1]):
            return y.new_zeros((len(y),) * 2).index_put_(tuple(ends), coefficients) @ y
        sums = torch.zeros_like(y)
        blocks = zip(coefficients.split(BLOCK), ends.split(BLOCK, dim=1), strict=True)
        for each, (i, j) in blocks:
            sums.index_add_(0, i, each[:, None] * y[j])
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        coefficients, y, ends = ctx.saved_tensors
        return (
            InnerProducts.apply(gradient, y, ends),
            NeighbourSums.apply(coefficients, gradient, ends.flip(0)),
            None,
        )


def is_dense(num_vertices: int, num_edges: int) -> bool:
    """Whether operations on all pairs of vertices take less time than on the edges alone."""
    return DENSE * num_edges >= num_vertices**2


def _density(x: Tensor) -> Tensor:
    return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
