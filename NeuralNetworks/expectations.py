"""Expectations for a teacher's risk: fixed points that make it exact, and mirrored batches."""

import torch
from jaxtyping import Float
from torch import Tensor

from derandomization import Expectation, GaussHermite, QuasiMonteCarlo
from derandomization.expectations import MAX_QUADRATURE_DIMENSION
from NeuralNetworks.model import Teacher, complete_basis

# Along the teacher 64 nodes give the risk to 1e-7; across it any number is exact as W_⊥ → 0.
NODES = (64, 8)
MAX_NODES_ALONG = {1: 64, 2: 24, 3: 12}  # per axis, by the number of axes along the teacher
SOBOL_POINTS_ALONG = 256  # where labels depend on three directions or more, beyond d = 3
# Most numbers that the points of a rule, or the units' values there, may hold: 80 MB each.
MAX_RULE_NUMBERS = 10**7


def exact_expectation(
    teacher: Teacher, num_units: int, nodes: tuple[int, int] = NODES
) -> Expectation | None:
    """A ``quadrature`` up to three dimensions; beyond, a rule that is exact at W_⊥ = 0.

    None where the rule has too many points for a student with so many units.
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
    """A Gauss–Hermite rule, at most ``nodes`` on each axis along and across the teacher, d ≤ 3."""
    directions = teacher.sample_directions().cpu()
    seen, dimension = directions.shape
    along = min(nodes[0], MAX_NODES_ALONG[seen])
    counts = (along,) * seen + (nodes[1],) * (dimension - seen)
    return GaussHermite(counts, basis=complete_basis(directions))


def gaussian_points(teacher: Teacher, num_points: int = 2**14, seed: int = 0) -> "FixedPoints":
    """Scrambled Sobol points and their reflections across the teacher's directions.

    They check the rule of ``exact_expectation`` beyond three dimensions: expectations over them
    are Gaussian ones for every W, with an error that falls nearly as 1/num_points.
    """
    generator = torch.Generator().manual_seed(seed)
    points = QuasiMonteCarlo(teacher.sample_dimension, num_points // 2, generator)
    return FixedPoints(*Antithetic(points, teacher.sample_directions().cpu())())


class Antithetic(Expectation):
    """Every point twice: unchanged, and with its part orthogonal to ``directions`` reversed.

    The reflection keeps N(0, I) and every function of the subspace that these orthonormal rows
    span. For a teacher that depends on it only, W_⊥ = 0 is therefore stationary for every batch:
    sampling leaves no noise there, and a descent with constant steps can reach it.
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
    first order in W_⊥, Stein's identity needs no more: the rule is exact at W_⊥ = 0, in any
    dimension. Away from there Stein's identity has a defect, 20% to 90% of ∂f/∂W_⊥ at the start of
    a training in 20 dimensions, which the bounds of the certificate contain. Every second simplex
    is reversed, which cancels the third moments of neighbours. ``along``, evaluated once, has as
    axes the first k rows of the orthonormal ``basis``.
    """

    def __init__(self, along: Expectation, basis: Float[Tensor, "dimension dimension"]) -> None:
        centres, masses = along()
        vertices = len(basis) - centres.shape[1] + 1
        # A scaled basis of the complement of (1, …, 1): mean 0, mean of vvᵀ = I.
        ones = torch.ones(vertices, 1, dtype=torch.float64)
        simplex = vertices**0.5 * torch.linalg.qr(ones, mode="complete")[0][:, 1:]
        signs = 1 - 2 * (torch.arange(len(centres)) % 2)
        across = (signs[:, None, None] * simplex).flatten(0, 1)
        points = torch.cat([centres.repeat_interleave(vertices, 0), across], dim=1)
        weights = masses.repeat_interleave(vertices) / vertices
        super().__init__(points @ basis.to(points), weights)
