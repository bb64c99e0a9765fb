"""What else embeds pairwise distances: random matrices and principal components."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization.checks import require_between
from derandomization.expectations import standard_normal
from JohnsonLindenstrauss.pair_train import span
from JohnsonLindenstrauss.pairs import BLOCK_SIZE, PairBlocks, ratio_range

# Pairs looked at for all random draws together: about 15 s on one core.
MAX_DRAWN_PAIRS = 2_000_000_000
NUM_DRAWS = 1_000


def gaussian_matrix(
    num_components: int, dimension: int, generator: torch.Generator
) -> Float[Tensor, "components dimension"]:
    """Entries N(0, 1/k)."""
    like = torch.zeros(0, dtype=torch.float64)
    drawn = standard_normal(num_components, dimension, generator=generator, like=like)
    return drawn / num_components**0.5


def rademacher_matrix(
    num_components: int, dimension: int, generator: torch.Generator
) -> Float[Tensor, "components dimension"]:
    """Entries √(3/k) times +1, 0, −1 with probabilities 1/6, 2/3, 1/6.

    References:
        Achlioptas, *Database-friendly random projections*, JCSS 2003, Theorem 1.1.
    """
    shape = (num_components, dimension)
    die = torch.randint(6, shape, generator=generator)
    return ((die == 0).double() - (die == 1).double()) * (3 / num_components) ** 0.5


def principal_components(
    points: Float[Tensor, "points dimension"], num_components: int
) -> Float[Tensor, "components dimension"]:
    """The k orthonormal directions along which the points spread most; 0 past their span.

    Raises:
        ValueError: k is not from 1 to d.
    """
    require_between("num_components", num_components, 1, points.shape[1])
    basis = span(points).basis[:num_components]
    missing = num_components - len(basis)
    return torch.cat([basis, basis.new_zeros(missing, points.shape[1])])


def random_distortions(
    points: Float[Tensor, "points dimension"],
    num_components: int,
    draw: Callable[[int, int, torch.Generator], Tensor],
    generator: torch.Generator,
    *,
    num_draws: int = NUM_DRAWS,
    block_size: int = BLOCK_SIZE,
) -> Float[np.ndarray, " draws"]:
    """The largest pairwise distortion of each of many random embeddings, in float32.

    At most ``num_draws``, fewer (but two) where together they would look at more than
    ``MAX_DRAWN_PAIRS`` pairs.

    Args:
        points: n, all different.
        num_components: k ≥ 1.
        draw: makes a k×d matrix.
        generator: of the draws.
        num_draws: how many, at most.
        block_size: rows of the n×n matrices held at a time.
    """
    centred = points - points.mean(dim=0)
    blocks = PairBlocks(centred, block_size, torch.float32)
    single = centred.float()
    count = max(2, min(num_draws, MAX_DRAWN_PAIRS // blocks.num_pairs))
    found = np.empty(count)
    for i in range(count):
        matrix = draw(num_components, points.shape[1], generator)
        low, high = ratio_range(single @ matrix.float().T, blocks)
        found[i] = max(high - 1, 1 - low)
    return found
