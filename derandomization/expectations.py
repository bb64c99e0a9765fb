"""Expectations over x ~ N(0, I_d) as points and weights: fixed quadrature, or fresh batches."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from derandomization.checks import require_at_least, require_between

MAX_QUADRATURE_DIMENSION = 3
# Nodes of smaller weight lie six deviations out and change an O(1) risk by less than 1e-7.
NEGLIGIBLE_WEIGHT = 1e-8


def standard_normal(
    *shape: int, generator: torch.Generator | None, like: Tensor
) -> Float[Tensor, "..."]:
    """Independent N(0, 1) entries, with the dtype and on the device of ``like``.

    They are drawn on the generator's own device, so that one seed gives the same numbers on every
    device; without a generator, by torch's default one.
    """
    device = like.device if generator is None else generator.device
    drawn = torch.randn(shape, dtype=like.dtype, device=device, generator=generator)
    return drawn.to(like.device)


Points = tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]


class Expectation(nn.Module, ABC):
    """E[h(x)] ≈ Σ_k weights_k · h(points_k), x ~ N(0, I_d).

    A module, so that its tensors move with the objective that owns it.
    """

    @abstractmethod
    def forward(self) -> Points:
        """The points and their weights, which sum to one."""


class GaussHermite(Expectation):
    """Tensor-product Gauss–Hermite rule: exact for polynomials of degree < 2n along an n-node axis.

    Args:
        num_nodes: at least 2 on each of d axes, 1 ≤ d ≤ 3. Beyond three the product is too
            large: use ``MonteCarlo``.
        basis: orthonormal rows (d×d) along which the axes are laid; the standard ones by default.
            Axes along and across a teacher's subspace keep every reflection of the complement, so
            that W_⊥ = 0 is stationary for the rule exactly as it is for the Gaussian.
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

    def forward(self) -> Points:
        return self.points, self.weights


def _axis(count: int) -> tuple[np.ndarray, np.ndarray]:
    """One axis without its negligible nodes, scaled back to E[1] = E[x²] = 1.

    Stein's identity near W = 0 needs E[xxᵀ] = I given the other axes too, so nodes are dropped axis
    by axis and not by their weight in the product.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    kept = weights > NEGLIGIBLE_WEIGHT
    nodes, weights = nodes[kept], weights[kept] / weights[kept].sum()
    return nodes / np.sqrt(weights @ nodes**2), weights


class MonteCarlo(Expectation):
    """A fresh batch of standard normal points at every call: unbiased, any dimension d ≥ 1.

    The caller owns the generator, so that a run can be repeated.
    """

    def __init__(self, dimension: int, num_samples: int, generator: torch.Generator) -> None:
        super().__init__()
        self.dimension = require_at_least("dimension", dimension, 1)
        self.num_samples = require_at_least("num_samples", num_samples, 1)
        self.generator = generator
        self.weights: Tensor
        self.register_buffer("weights", torch.full((num_samples,), 1 / num_samples).double())

    def forward(self) -> Points:
        shape = (self.num_samples, self.dimension)
        points = standard_normal(*shape, generator=self.generator, like=self.weights)
        return points, self.weights


class QuasiMonteCarlo(Expectation):
    """The next points of one scrambled Sobol sequence at every call, through the normal quantile.

    Each point is standard normal, so a batch is unbiased; together the batches fill the space more
    evenly than independent draws (Owen, *Randomly Permuted (t,m,s)-Nets*, 1995), most of all if
    ``num_samples`` is a power of 2. At most 21 201 dimensions; the generator seeds the scrambling.
    """

    def __init__(self, dimension: int, num_samples: int, generator: torch.Generator) -> None:
        super().__init__()
        require_between("dimension", dimension, 1, SobolEngine.MAXDIM)
        require_at_least("num_samples", num_samples, 1)
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
        self.engine = SobolEngine(dimension, scramble=True, seed=seed)
        self.weights: Tensor
        self.register_buffer("weights", torch.full((num_samples,), 1 / num_samples).double())

    def forward(self) -> Points:
        uniform = self.engine.draw(len(self.weights), dtype=torch.float64)
        # Sobol points are multiples of 2^-MAXBIT, 0 included: half a step more keeps them from it.
        points = torch.special.ndtri(uniform + 0.5**SobolEngine.MAXBIT / 2)
        return points.to(self.weights), self.weights

    def get_extra_state(self) -> int:
        """How many points were drawn, as part of ``state_dict``."""
        return int(self.engine.num_generated)

    def set_extra_state(self, state: int) -> None:
        """Draw on after so many points."""
        self.engine.reset()
        if state:
            self.engine.fast_forward(state)
