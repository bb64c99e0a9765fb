"""The expected smoothed cut in closed form: MAXCUT as Eq. 1."""

import math
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_at_least, require_positive
from derandomization.expectations import standard_normal
from MAXCUT.graph import Graph

NUM_NODES = 20
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(NUM_NODES)


class _BivariateNormalCDF(torch.autograd.Function):
    """Φ₂(a, b; r); only the value needs quadrature, the derivatives are closed form."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, correlation: Tensor) -> Tensor:
        ctx.save_for_backward(a, b, correlation)
        nodes = torch.as_tensor(_NODES, dtype=a.dtype, device=a.device)
        weights = torch.as_tensor(_WEIGHTS, dtype=a.dtype, device=a.device)
        half_angle = torch.asin(correlation)[..., None] / 2
        angle = half_angle * (1 + nodes)
        square, product = (a.square() + b.square())[..., None], (a * b)[..., None]
        exponent = (square / 2 - product * torch.sin(angle)) / torch.cos(angle).square()
        integral = (torch.exp(-exponent) @ weights) * half_angle[..., 0]
        return torch.special.ndtr(a) * torch.special.ndtr(b) + integral / (2 * math.pi)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, b, correlation = ctx.saved_tensors
        complement = torch.sqrt(1 - correlation.square())

        def partial(x: Tensor, y: Tensor) -> Tensor:
            return _density(x) * torch.special.ndtr((y - correlation * x) / complement)

        joint = _density(a) * _density((b - correlation * a) / complement) / complement
        return gradient * partial(a, b), gradient * partial(b, a), gradient * joint


def bivariate_normal_cdf(
    a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"], correlation: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Φ₂(a, b; r) = Pr(x ≤ a, y ≤ b) for standard normals of correlation r, |r| < 1.

    Φ(a)Φ(b) + (1/2π) ∫₀^{asin r} exp(−(a² + b² − 2ab sin t)/(2cos² t)) dt by 20 Gauss–Legendre
    nodes: error below 1e-9 for |r| ≤ 0.99. Differentiable twice and more.
    """
    return _BivariateNormalCDF.apply(a, b, correlation)


class ExpectedCut(DerandomizationObjective):
    """f(V, μ) = −c·E_z[cut(sign(Vz + μ + ε·noise))] + λ‖V‖_F² (Section 5.1, Theorem 5.2).

    Vertex i takes the sign of v_i·z + μ_i after N(0, ε²) is added independently: the smoothed
    sign. W of Eq. 1 is V, b is μ. c = n/Σ|w| makes λ mean the same on every graph.
    A step costs O(edges · (rank + quadrature nodes)).

    Args:
        graph: the graph to cut; at least one edge of nonzero weight.
        vectors: V at the start, e.g. the SDP's; μ starts at 0.
        smoothing: ε > 0, in the units of ‖v_i‖ = 1.
        regularization: λ > 0.

    Raises:
        ValueError: no weight to cut, or a parameter out of range.
    """

    def __init__(
        self,
        graph: Graph,
        vectors: Float[np.ndarray, "vertices rank"],
        *,
        smoothing: float,
        regularization: float,
    ) -> None:
        super().__init__(regularization)
        require_at_least("number of edges", len(graph.weights), 1)
        self.smoothing = require_positive("smoothing", smoothing)
        self.scale = graph.num_vertices / require_positive("Σ|w|", float(abs(graph.weights).sum()))
        self.vectors = nn.Parameter(torch.from_numpy(vectors.copy()))
        self.mean = nn.Parameter(torch.zeros(graph.num_vertices, dtype=torch.float64))
        self.ends: Tensor
        self.weights: Tensor
        self.register_buffer("ends", torch.from_numpy(graph.ends.T.copy()))
        self.register_buffer("weights", torch.from_numpy(graph.weights.copy()))
        degrees = np.bincount(
            graph.ends.ravel(), np.repeat(abs(graph.weights), 2), graph.num_vertices
        )
        self.largest_degree = float(degrees.max())

    def deviation(self) -> Float[Tensor, " vertices"]:
        """s_i = √(‖v_i‖² + ε²), of the smoothed vertex's random part."""
        return torch.sqrt(self.vectors.square().sum(dim=1) + self.smoothing**2)

    def level(self) -> Float[Tensor, " vertices"]:
        """a_i = μ_i/s_i."""
        return self.mean / self.deviation()

    def correlation(self) -> Float[Tensor, " edges"]:
        """r_ij = v_i·v_j/(s_i s_j)."""
        i, j = self.ends
        deviation = self.deviation()
        return (self.vectors[i] * self.vectors[j]).sum(dim=1) / (deviation[i] * deviation[j])

    def crossing_probabilities(self) -> Float[Tensor, " edges"]:
        """Pr(i, j on different sides) = Φ(a_i) + Φ(a_j) − 2Φ₂(a_i, a_j; r_ij) for every edge."""
        level = self.level()
        i, j = self.ends
        both = bivariate_normal_cdf(level[i], level[j], self.correlation())
        side = torch.special.ndtr(level)
        return side[i] + side[j] - 2 * both

    def expected_cut(self) -> Float[Tensor, ""]:
        """E[cut], in the units of the weights."""
        return self.weights @ self.crossing_probabilities()

    def expected_value(self) -> Float[Tensor, ""]:
        return -self.scale * self.expected_cut()

    def random_weights(self) -> Float[Tensor, "vertices rank"]:
        return self.vectors

    def bias(self) -> Float[Tensor, " vertices"]:
        return self.mean

    def signs(self) -> Float[np.ndarray, " vertices"]:
        """sign(μ), the deterministic cut; +1 where μ is 0."""
        return np.where(self.mean.detach().cpu().numpy() >= 0, 1.0, -1.0)

    @torch.no_grad()
    def bias_hessian(self) -> LinearOperator:
        """∂²f/∂μ²: ∂²P/∂a_i∂a_j = −2φ₂(a_i, a_j; r), ∂²P/∂a_i² = −a_i ∂P/∂a_i + 2r φ₂.

        Sparse as the graph: a product costs O(edges).
        """
        (i, j), level, r = self.ends, self.level(), self.correlation()
        a, b, rest = level[i], level[j], torch.sqrt(1 - r.square())
        joint = _density(a) * _density((b - r * a) / rest) / rest  # φ₂(a, b; r)
        weights, deviation = -self.scale * self.weights, self.deviation()

        def own(x: Tensor, y: Tensor) -> Tensor:
            slope = _density(x) * (1 - 2 * torch.special.ndtr((y - r * x) / rest))
            return weights * (2 * r * joint - x * slope)

        diagonal = torch.zeros_like(level).index_add_(0, i, own(a, b)).index_add_(0, j, own(b, a))
        across = -2 * weights * joint / (deviation[i] * deviation[j])
        n = len(level)
        half = scipy.sparse.coo_array(
            (across.cpu().numpy(), tuple(self.ends.cpu().numpy())), shape=(n, n)
        )
        own_terms = scipy.sparse.diags_array((diagonal / deviation.square()).cpu().numpy())
        return aslinearoperator((half + half.T + own_terms).tocsr())

    def hessian_lipschitz(self) -> float:
        """K ≤ c·D·φ(0)(1 + 6φ(1))/ε³, D the largest weighted degree.

        g = −(c/2)Σ w_ij(1 − q(y_i)q(y_j)), q(y) = 2Φ(y/ε) − 1, has third derivative
        (c/2)Σ w_ij(q‴u_i³q + 3q″q′u_i²u_j + …) along u, and |q′| ≤ 2φ(0)/ε, |q″| ≤ 2φ(1)/ε²,
        |q‴| ≤ 2φ(0)/ε³; each edge's |u_i|³ or u_i²|u_j| is at most u_i² when ‖u‖ = 1.
        """
        peak, slope = _gauss(0.0), _gauss(1.0)
        return self.scale * self.largest_degree * peak * (1 + 6 * slope) / self.smoothing**3


class SampledCut(ExpectedCut):
    """The same f, its gradient estimated by the score function, as in the published code.

    y = Vz + μ + ε·noise has density N(Vz + μ, ε²I) given z, so ∇E[cut(sign y)] is the mean of
    cut(sign y)·∇log density; the mean of the other samples' cuts is subtracted to tame it.

    Args:
        graph, vectors, smoothing, regularization: as for ``ExpectedCut``.
        num_samples: draws a step, at least 2.
        generator: source of the draws.
    """

    def __init__(
        self,
        graph: Graph,
        vectors: Float[np.ndarray, "vertices rank"],
        *,
        smoothing: float,
        regularization: float,
        num_samples: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(graph, vectors, smoothing=smoothing, regularization=regularization)
        self.num_samples = require_at_least("num_samples", num_samples, 2)
        self.generator = generator

    def expected_cut(self) -> Float[Tensor, ""]:
        centre = self._normal(self.vectors.shape[1]) @ self.vectors.T + self.mean
        sample = centre.detach() + self.smoothing * self._normal(len(self.mean))
        i, j = self.ends
        cuts = ((sample[:, i] > 0) != (sample[:, j] > 0)).to(self.weights) @ self.weights
        advantage = (cuts - cuts.mean()) * self.num_samples / (self.num_samples - 1)
        log_density = -(sample - centre).square().sum(dim=1) / (2 * self.smoothing**2)
        score = (advantage * log_density).mean()
        return cuts.mean() + score - score.detach()

    def _normal(self, size: int) -> Float[Tensor, "samples size"]:
        return standard_normal(self.num_samples, size, generator=self.generator, like=self.mean)


def _density(x: Tensor) -> Tensor:
    return torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)


def _gauss(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
