"""Expectations for a teacher's risk: fixed points that make it exact, and mirrored batches."""

import torch
from jaxtyping import Float
from torch import Tensor

from derandomization import Expectation, GaussHermite, QuasiMonteCarlo
from derandomization.expectations import MAX_QUADRATURE_DIMENSION
from NeuralNetworks.model import Teacher, complete_basis

# Along the teacher 64 nodes give the risk to 1e-7, where 24 give it to 2e-5. Across it 8 are
# enough while W_⊥ tends to 0, where any number is exact.
NODES = (64, 8)
MAX_NODES_ALONG = {1: 64, 2: 24, 3: 12}  # per axis, by the number of axes along the teacher
SOBOL_POINTS_ALONG = 256  # where labels depend on three directions or more, beyond d = 3
# Most numbers that the points of a rule, or the units' values there, may hold: 80 MB each.
MAX_RULE_NUMBERS = 10**7


def exact_expectation(
    teacher: Teacher, num_units: int, nodes: tuple[int, int] = NODES
) -> Expectation | None:
    """Fixed points and weights whose axes lie along the teacher; None where they are too many.

    Exact up to three dimensions; beyond, exact as W_⊥ → 0.

    Args:
        teacher: its label depends on k + [noise] of d + [noise] coordinates.
        num_units: hidden units of the student, which determine the size of the computation.
        nodes: of the quadrature, on each axis along the teacher (fewer if there are several) and
            across it. Beyond three dimensions a simplex replaces the axes across.
    """
    directions = teacher.sample_directions().cpu()
    seen, dimension = directions.shape
    if dimension <= MAX_QUADRATURE_DIMENSION:
        return quadrature(teacher, nodes)
    along: GaussHermite | QuasiMonteCarlo
    if seen < MAX_QUADRATURE_DIMENSION:
        along = GaussHermite((min(nodes[0], MAX_NODES_ALONG[seen]),) * seen)
    else:
        along = QuasiMonteCarlo(seen, SOBOL_POINTS_ALONG, torch.Generator().manual_seed(0))
    num_points = len(along.weights) * (dimension - seen + 1)
    if num_points * (dimension + num_units) > MAX_RULE_NUMBERS:
        return None
    return SimplexAcross(along, complete_basis(directions))


def quadrature(teacher: Teacher, nodes: tuple[int, int] = NODES) -> GaussHermite:
    """A Gauss–Hermite rule with its axes along and across the teacher, up to three dimensions.

    Args:
        teacher: as for ``exact_expectation``.
        nodes: on each axis along the teacher (fewer if there are several) and across it.
    """
    directions = teacher.sample_directions().cpu()
    seen, dimension = directions.shape
    along = min(nodes[0], MAX_NODES_ALONG[seen])
    counts = (along,) * seen + (nodes[1],) * (dimension - seen)
    return GaussHermite(counts, basis=complete_basis(directions))


class Antithetic(Expectation):
    """Every point twice: unchanged, and with its part orthogonal to a subspace reversed.

    The reflection keeps N(0, I) and every function of the subspace alone. For a teacher that
    depends on the subspace only, W_⊥ = 0 is therefore stationary for every batch, as it is for the
    Gaussian: sampling leaves no noise there, and a descent with constant steps can reach it.

    Args:
        expectation: its points are reflected.
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


class FixedPoints(Expectation):
    """The same points and weights at every call."""

    def __init__(
        self, points: Float[Tensor, "points dimension"], weights: Float[Tensor, " points"]
    ) -> None:
        super().__init__()
        self.points: Tensor
        self.weights: Tensor
        self.register_buffer("points", points)
        self.register_buffer("weights", weights)

    def forward(self) -> tuple[Float[Tensor, "points dimension"], Float[Tensor, " points"]]:
        return self.points, self.weights


class SimplexAcross(FixedPoints):
    """A rule along k axes, and at each of its points the vertices of a simplex across them.

    The d − k + 1 vertices of a regular simplex have E[x_⊥] = 0 and E[x_⊥x_⊥ᵀ] = I given x_∥. To
    first order in W_⊥, Stein's identity needs no more: the rule is exact as W_⊥ → 0, in any
    dimension. Every second simplex is reversed, which cancels the third moments of neighbours.

    Args:
        along: a rule in k dimensions; evaluated once.
        basis: orthonormal rows (d×d), the k axes of ``along`` first.
    """

    def __init__(self, along: Expectation, basis: Float[Tensor, "dimension dimension"]) -> None:
        centres, masses = along()
        simplex = _regular_simplex(len(basis) - centres.shape[1])
        signs = 1 - 2 * (torch.arange(len(centres)) % 2)
        across = (signs[:, None, None] * simplex).flatten(0, 1)
        points = torch.cat([centres.repeat_interleave(len(simplex), 0), across], dim=1)
        weights = masses.repeat_interleave(len(simplex)) / len(simplex)
        super().__init__(points @ basis.to(points), weights)


def _regular_simplex(dimension: int) -> Float[Tensor, "vertices dimension"]:
    """d + 1 points with mean 0 and mean vvᵀ = I: a basis of the complement of (1, …, 1), scaled."""
    ones = torch.ones(dimension + 1, 1, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(ones, mode="complete")
    return (dimension + 1) ** 0.5 * rotation[:, 1:]
