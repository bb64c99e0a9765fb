"""The expected cut of randomly chosen signs: MAXCUT in the form of Eq. 1."""

import copy
import math
from collections.abc import Callable

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Int
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_at_least, require_positive
from derandomization.expectations import standard_normal
from MAXCUT.crossing import second_derivatives
from MAXCUT.cut_derivatives import (
    ExpectedCutHessian,
    cut_and_gradient,
    expected_cut,
    standardise,
)
from MAXCUT.edge_products import EdgeProducts
from MAXCUT.graph import Graph, Signs, Vectors

SMALLEST_SCALE = 1e-12  # of a vertex: K, which is in proportion to 1/scale, stays finite


class ExpectedCut(DerandomizationObjective):
    """f(V, μ) = −c·E_z[cut(sign(Vz + μ + ε·noise))] + λ‖V‖_F² (Section 5.1, Theorem 5.2).

    Vertex i takes the sign of v_i·z + μ_i plus independent noise from N(0, (ε t_i)²), which smooths
    the sign. W of Eq. 1 is V, which starts at ``vectors``, and b is μ, which starts at 0. The
    factor c = n/Σ|w| gives λ the same effect on every graph. The scales t_i are 1 by default. ε t_i
    is relative to ‖v_i‖: multiplying v_i, μ_i and t_i by one number leaves E[cut] as it is.

    E[cut] and its gradient are computed together, in one pass over the edges; second derivatives
    are ``bias_hessian`` and ``hessian_product``. ``evaluation`` replaces the exact E[cut]:
    ``ScoreFunction`` estimates it from samples. ``gradient_dtype`` is that of the gradients which
    ``backpropagate`` computes; float32 takes two thirds of the time on large graphs.
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
        self.gradient_dtype = torch.float64
        scales = np.ones(graph.num_vertices) if vertex_scales is None else vertex_scales
        self.noise = nn.Buffer(torch.from_numpy(self.smoothing * scales))  # ε t_i
        self.products = EdgeProducts(graph)
        self.weights = nn.Buffer(torch.from_numpy(graph.weights.copy()))

    def expected_value(self) -> Float[Tensor, ""]:
        return -self.scale * self.expected_cut()

    def expected_cut(self) -> Float[Tensor, ""]:
        """E[cut] = Σ w_ij Pr(i and j on different sides), in the units of the weights."""
        if self.evaluation is not None:
            return self.evaluation(self)
        return expected_cut(self.vectors, self.mean, self.noise, self.weights, self.products)

    def backpropagate(self) -> Float[Tensor, ""]:
        """f, and its gradient without autograd, which on small graphs takes as long as they do."""
        trained = self.vectors.requires_grad and self.mean.requires_grad
        if self.evaluation is not None or not trained:
            return super().backpropagate()
        with torch.no_grad():
            # Scaled first: float32 does not hold every weight, but every share of their sum.
            point = (self.vectors, self.mean, self.noise, -self.scale * self.weights)
            vectors, mean, noise, weights = (each.to(self.gradient_dtype) for each in point)
            value, *gradients = cut_and_gradient(vectors, mean, noise, weights, self.products)
            by_vectors, by_mean = (gradient.to(self.mean.dtype) for gradient in gradients)
            by_vectors.add_(self.vectors, alpha=2 * self.regularization)
            for parameter, gradient in ((self.vectors, by_vectors), (self.mean, by_mean)):
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
            return self.regularization * self.vectors.square().sum() + value

    @property
    def ends(self) -> Int[Tensor, "2 edges"]:
        """The vertices i and j of every edge."""
        return self.products.ends

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
        level = standardise(self.vectors, self.mean, self.noise).level
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
        """∂²f/∂μ², as sparse as the graph: a product costs O(edges)."""
        i, j = self.ends
        inverse, level, units = standardise(self.vectors, self.mean, self.noise)
        correlation = self.products.inner(units, units)
        by_first, by_second, _, across, _, _ = second_derivatives(level[self.ends], correlation)
        weights = -self.scale * self.weights
        diagonal = torch.zeros_like(level)
        diagonal.index_add_(0, i, weights * by_first).index_add_(0, j, weights * by_second)
        across.mul_(weights).mul_(inverse[i]).mul_(inverse[j])
        half = scipy.sparse.coo_array(
            (across.cpu().numpy(), tuple(self.ends.cpu().numpy())), shape=(len(diagonal),) * 2
        )
        own = scipy.sparse.diags_array((diagonal * inverse.square()).cpu().numpy())
        return aslinearoperator((half + half.T + own).tocsr())

    def hessian_product(self) -> Callable[[Tensor], Tensor] | None:
        """A function that multiplies ∇²f by a vector over (V, μ), flat in this order.

        A product costs O(edges · rank) time and O(vertices · rank + edges) memory.
        """
        if self.evaluation is not None:
            return None
        product = ExpectedCutHessian(
            self.vectors.detach(), self.mean.detach(), self.noise, self.weights, self.products
        )

        def of_objective(vector: Tensor) -> Tensor:
            curved = -self.scale * product(vector)
            size = self.vectors.numel()
            curved[:size].add_(vector[:size], alpha=2 * self.regularization)
            return curved

        return of_objective

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
