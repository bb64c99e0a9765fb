"""Other embeddings to compare with: random matrices, with their guarantee, and PCA."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from derandomization.checks import require_at_least, require_between
from derandomization.expectations import standard_normal
from JohnsonLindenstrauss.model import BATCH_SIZE, gaussian_images, span_coordinates
from JohnsonLindenstrauss.pairs import (
    Embedding,
    PairBlocks,
    Points,
    ratio_range,
    span,
    working_precision,
)
from JohnsonLindenstrauss.settings import BLOCK_SIZE

NUM_DRAWS = 1_000  # the paper's
MAX_DRAWN_PAIRS = 2_000_000_000  # pairs of all random draws together: about 15 s on one core


class GaussianBaselines(NamedTuple):
    """Largest distortions of single Gaussian embeddings, and of the published worst of 20."""

    single: Float[np.ndarray, " draws"]
    worst_of_20: Float[np.ndarray, " draws"]


def gaussian_baselines(
    points: Points, num_components: int, generator: torch.Generator
) -> GaussianBaselines:
    """max_u |‖Au‖² − 1| over 1000 batches of 20 draws A ~ N(0, 1/k): first and worst of each.

    In float32, which moves the draws by 1e-6 and takes a quarter of the time.
    """
    require_at_least("num_components", num_components, 1)
    coordinates = span_coordinates(points.cpu()).float()
    distortions = np.empty((NUM_DRAWS, BATCH_SIZE))
    for batch in distortions:
        images = gaussian_images(coordinates, num_components, BATCH_SIZE, generator)
        ratios = images.square().sum(dim=-1) / num_components
        batch[:] = (ratios - 1).abs().amax(dim=1).numpy()
    return GaussianBaselines(distortions[:, 0].copy(), distortions.max(axis=1))


def guaranteed_distortion(num_points: int, num_components: int) -> float:
    """The ε with n·Pr(|χ²_k/k − 1| > ε) = 1, above which Theorem 5.5 applies.

    At this ε the union bound for the random embedding, M = 0 and σ² = 1/k, falls below 1. Returns 0
    for a single point.
    """
    from scipy import optimize  # imported here because it takes 0.1 s, which --help does not need

    n = require_at_least("num_points", num_points, 1)
    k = require_at_least("num_components", num_components, 1)

    def excess(epsilon: float) -> float:
        below = special.chdtr(k, k * max(0.0, 1 - epsilon))
        return n * float(below + special.chdtrc(k, k * (1 + epsilon))) - 1

    # Past ε = 1 only the upper tail is left, and at this ε it is at most 1/(2n).
    enough = max(1.0, float(special.chdtri(k, 0.5 / n)) / k - 1)
    return float(optimize.brentq(excess, 0.0, enough)) if n > 1 else 0.0


def gaussian_matrix(num_components: int, dimension: int, generator: torch.Generator) -> Embedding:
    """A matrix with entries N(0, 1/k)."""
    like = torch.zeros(0, dtype=torch.float64)
    normal = standard_normal(num_components, dimension, generator=generator, like=like)
    return normal / num_components**0.5


def rademacher_matrix(num_components: int, dimension: int, generator: torch.Generator) -> Embedding:
    """A matrix with entries √(3/k) times +1, 0, −1, with probabilities 1/6, 2/3, 1/6.

    Achlioptas, *Database-friendly random projections*, JCSS 2003, Theorem 1.1.
    """
    die = torch.randint(6, (num_components, dimension), generator=generator)
    return ((die == 0).double() - (die == 1).double()) * (3 / num_components) ** 0.5


def add_random_complement(
    embedding: Embedding, part_in_span: Callable[[Embedding], Embedding], generator: torch.Generator
) -> Embedding:
    """A + G(I − VVᵀ), G Gaussian as in ``gaussian_matrix``; ``part_in_span`` maps G to GVVᵀ.

    Vectors in the span of V have the same images as before. To vectors orthogonal to it, on which
    a fitted A is 0, the sum is a random projection.
    """
    components, dimension = embedding.shape
    gaussian = gaussian_matrix(components, dimension, generator).to(embedding)
    for _ in range(2):  # the second time removes what rounding left of the first
        gaussian -= part_in_span(gaussian)
    return embedding + gaussian


def principal_components(points: Points, num_components: int) -> Embedding:
    """The k orthonormal directions of largest spread; rows beyond the points' rank are 0."""
    require_between("num_components", num_components, 1, points.shape[1])
    basis = span(points).basis[:num_components]
    missing = num_components - len(basis)
    return torch.cat([basis, basis.new_zeros(missing, points.shape[1])])


def random_pair_distortions(
    points: Points,
    num_components: int,
    draw_matrix: Callable[[int, int, torch.Generator], Tensor],
    generator: torch.Generator,
    *,
    num_draws: int = NUM_DRAWS,
    block_size: int = BLOCK_SIZE,
) -> Float[np.ndarray, " draws"]:
    """The largest pairwise distortion of each of ``num_draws`` random embeddings.

    The points are distinct. There are fewer draws, but at least two, if together they would look
    at more than ``MAX_DRAWN_PAIRS`` pairs. In float32 where that resolves the closest pair.
    """
    centred = points - points.mean(dim=0)
    dtype = working_precision(centred, block_size)
    blocks = PairBlocks(centred, block_size, dtype)
    working = centred.to(dtype)
    distortions = np.empty(max(2, min(num_draws, MAX_DRAWN_PAIRS // blocks.num_pairs)))
    for i in range(len(distortions)):
        matrix = draw_matrix(num_components, points.shape[1], generator)
        distortions[i] = ratio_range(working @ matrix.to(dtype).T, blocks).distortion
    return distortions
