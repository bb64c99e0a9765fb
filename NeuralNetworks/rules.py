"""Points and weights that make a teacher's risk exact, or exact as W_⊥ → 0."""

import torch

from derandomization import Expectation, GaussHermite, QuasiMonteCarlo, SimplexAcross
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
