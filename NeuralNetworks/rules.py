"""Points and weights that make a teacher's risk exact, or exact as W_⊥ → 0."""

import torch
from jaxtyping import Float
from torch import Tensor

from derandomization import Expectation, GaussHermite, QuasiMonteCarlo
from derandomization.expectations import MAX_QUADRATURE_DIMENSION
from NeuralNetworks.model import Teacher, complete_basis

# Along the teacher 64 nodes give the risk to 1e-7, where 24 leave 2e-5; across it 8 are enough
# while W_⊥ is on its way to 0, where any number is exact.
NODES = (64, 8)
MAX_NODES_ALONG = {1: 64, 2: 24, 3: 12}  # an axis, by the number of axes along
SOBOL_POINTS_ALONG = 256  # beyond the input's third dimension, where labels see three and more
# Numbers that the points of a rule and a student's units may fill: 80 MB each.
MAX_RULE_NUMBERS = 10**7


def exact_rule(
    teacher: Teacher, num_units: int, nodes: tuple[int, int] = NODES
) -> Expectation | None:
    """An expectation that never changes, laid along the teacher; None where it is too large.

    Args:
        teacher: k + [noise] coordinates that matter of d + [noise].
        num_units: hidden units of the student, for the size of what is computed at the points.
        nodes: of a quadrature, on each axis along the teacher (less if there are several) and
            across it. Beyond three dimensions a simplex stands across.
    """
    directions = teacher.sample_directions().cpu()
    seen, dimension = directions.shape
    basis = complete_basis(directions)
    if dimension <= MAX_QUADRATURE_DIMENSION:
        along_nodes = min(nodes[0], MAX_NODES_ALONG[seen])
        return GaussHermite((along_nodes,) * seen + (nodes[1],) * (dimension - seen), basis=basis)
    along: GaussHermite | QuasiMonteCarlo
    if seen < MAX_QUADRATURE_DIMENSION:
        along = GaussHermite((min(nodes[0], MAX_NODES_ALONG[seen]),) * seen)
    else:
        along = QuasiMonteCarlo(seen, SOBOL_POINTS_ALONG, torch.Generator().manual_seed(0))
    num_points = len(along.weights) * (dimension - seen + 1)
    if num_points * (dimension + num_units) > MAX_RULE_NUMBERS:
        return None
    return SimplexAcross(along, basis)


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
