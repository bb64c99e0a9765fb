"""E over x ~ N(0, I_d) as points and weights: exact quadrature, or a fresh batch per call."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from derandomization.checks import require_at_least, require_between
from derandomization.noise import standard_normal

MAX_QUADRATURE_DIMENSION = 3
# Nodes of an axis this light lie six deviations out and move an O(1) risk by less than 1e-7.
NEGLIGIBLE_WEIGHT = 1e-8


class Expectation(nn.Module, ABC):
    """E[h(x)] ≈ Σ_k weights_k · h(points_k), x ~ N(0, I_d).

    A module, so that its tensors move with the objective that owns it.
    """

    @abstractmethod
    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        """The points and their weights, which sum to one."""


class GaussHermite(Expectation):
    """Tensor-product Gauss–Hermite rule: exact for polynomials of degree < 2n along an n-node axis.

    Args:
        num_nodes: nodes on each axis; their count is d, 1 to 3. Beyond, the tensor product is too
            large: use ``MonteCarlo``.
        basis: orthonormal rows (d×d) along which the axes are laid; the standard ones by default.
            Axes laid along and across a teacher's subspace keep every reflection of the
            complement: W_⊥ = 0 is stationary for the rule exactly as it is for the Gaussian.

    Raises:
        ValueError: more than 3 axes, or fewer than 2 nodes on one.
    """

    def __init__(
        self,
        num_nodes: Sequence[int],
        basis: Float[Tensor, "dimension dimension"] | None = None,
    ) -> None:
        super().__init__()
        require_between("dimension of a quadrature", len(num_nodes), 1, MAX_QUADRATURE_DIMENSION)
        axes = [_axis(require_at_least("num_nodes", count, 2)) for count in num_nodes]
        points = torch.tensor(list(product(*(nodes for nodes, _ in axes))), dtype=torch.float64)
        weights = np.array([np.prod(each) for each in product(*(mass for _, mass in axes))])
        if basis is not None:
            points = points @ basis.to(points)
        self.points: Tensor
        self.weights: Tensor
        self.register_buffer("points", points)
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        return self.points, self.weights


def _axis(count: int) -> tuple[np.ndarray, np.ndarray]:
    """One axis without its negligible nodes, scaled back to E[1] = E[x²] = 1.

    Stein's identity near W = 0 rests on E[xxᵀ] = I, given the other axes too: so nodes are dropped
    axis by axis, not by their weight in the product.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    kept = weights > NEGLIGIBLE_WEIGHT
    nodes, weights = nodes[kept], weights[kept] / weights[kept].sum()
    return nodes / np.sqrt(weights @ nodes**2), weights


class MonteCarlo(Expectation):
    """A fresh batch of standard normal points at every call: unbiased, any dimension.

    Args:
        dimension: d ≥ 1.
        num_samples: points per batch.
        generator: source of the draws; owned by the caller, so a run can be repeated.

    Raises:
        ValueError: a dimension or a batch below 1.
    """

    def __init__(self, dimension: int, num_samples: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dimension = require_at_least("dimension", dimension, 1)
        self.num_samples = require_at_least("num_samples", num_samples, 1)
        self.generator = generator
        self.weights: Tensor
        self.register_buffer("weights", torch.full((num_samples,), 1 / num_samples).double())

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        shape = (self.num_samples, self.dimension)
        points = standard_normal(*shape, generator=self.generator, like=self.weights)
        return points, self.weights


class QuasiMonteCarlo(Expectation):
    """The next points of one scrambled Sobol sequence at every call, through the normal quantile.

    Each point is standard normal, so a batch is unbiased; together the batches fill the space more
    evenly than independent draws.

    Args:
        dimension: d, 1 to 21 201.
        num_samples: points per batch; powers of 2 are the most even.
        generator: draws the seed of the scrambling.

    Raises:
        ValueError: a dimension out of range or a batch below 1.

    References:
        Owen, *Randomly Permuted (t,m,s)-Nets and (t,s)-Sequences*, 1995.
    """

    def __init__(self, dimension: int, num_samples: int, generator: torch.Generator) -> None:
        super().__init__()
        require_between("dimension", dimension, 1, SobolEngine.MAXDIM)
        require_at_least("num_samples", num_samples, 1)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        self.engine = SobolEngine(dimension, scramble=True, seed=seed)
        self.weights: Tensor
        self.register_buffer("weights", torch.full((num_samples,), 1 / num_samples).double())

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        uniform = self.engine.draw(len(self.weights), dtype=torch.float64)
        # Sobol points are multiples of 2^-MAXBIT, 0 among them: half a step up none is at an end.
        points = torch.special.ndtri(uniform + 0.5**SobolEngine.MAXBIT / 2)
        return points.to(self.weights), self.weights


class Antithetic(Expectation):
    """Every point twice: as it is, and with its part across a subspace reversed.

    The reflection keeps N(0, I) and whatever depends on the subspace alone. So for a teacher that
    sees only the subspace, W_⊥ = 0 is stationary for every batch, as it is for the Gaussian: the
    sampling leaves no noise there, and a descent with constant steps can reach it.

    Args:
        expectation: of the points reflected.
        directions: orthonormal rows that span the subspace, k×d.
    """

    def __init__(
        self, expectation: Expectation, directions: Float[Tensor, "indices dimension"]
    ) -> None:
        super().__init__()
        self.expectation = expectation
        self.directions: Tensor
        self.register_buffer("directions", directions)

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        points, weights = self.expectation()
        reflected = 2 * (points @ self.directions.T) @ self.directions - points
        return torch.cat([points, reflected]), torch.cat([weights, weights]) / 2


class SimplexAcross(Expectation):
    """A rule along k axes, and at each of its points the vertices of a simplex across them.

    The d − k + 1 vertices of a regular simplex have E[x_⊥] = 0 and E[x_⊥x_⊥ᵀ] = I given x_∥, which
    is what Stein's identity rests on to first order in W_⊥: the rule is exact as W_⊥ → 0, in any
    dimension. Every second simplex is reversed, which cancels the third moments between neighbours.

    Args:
        along: a rule in k dimensions whose points never change.
        basis: orthonormal rows (d×d), the k axes of ``along`` first.
    """

    def __init__(self, along: Expectation, basis: Float[Tensor, "dimension dimension"]) -> None:
        super().__init__()
        centres, masses = along()
        simplex = _regular_simplex(len(basis) - centres.shape[1])
        signs = 1 - 2 * (torch.arange(len(centres)) % 2)
        across = (signs[:, None, None] * simplex).flatten(0, 1)
        points = torch.cat([centres.repeat_interleave(len(simplex), 0), across], dim=1)
        self.points: Tensor
        self.weights: Tensor
        self.register_buffer("points", points @ basis.to(points))
        self.register_buffer("weights", masses.repeat_interleave(len(simplex)) / len(simplex))

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        return self.points, self.weights


def _regular_simplex(dimension: int) -> Float[Tensor, "vertices dimension"]:
    """d + 1 points around 0 with mean vvᵀ = I: rows of an orthonormal basis of ones' complement."""
    ones = torch.ones(dimension + 1, 1, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(ones, mode="complete")
    return (dimension + 1) ** 0.5 * rotation[:, 1:]
