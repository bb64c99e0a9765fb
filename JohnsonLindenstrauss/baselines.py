"""Random Gaussian embeddings: what the learned one starts from, and what is proven of them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from derandomization.checks import require_at_least
from JohnsonLindenstrauss.model import BATCH_SIZE, gaussian_images, span_coordinates

NUM_BASELINE_DRAWS = 1_000  # the paper's


@dataclass(frozen=True)
class GaussianBaselines:
    """Largest distortions of Gaussian embeddings A ~ N(0, 1/k), ``[1000]`` each.

    Attributes:
        single: of one draw each: what a user of the random embedding gets.
        worst_of_20: of the worst of 20 draws each, the baseline in the published figure.
    """

    single: Float[np.ndarray, " draws"]
    worst_of_20: Float[np.ndarray, " draws"]


def gaussian_baselines(
    points: Float[Tensor, "points dimension"], num_components: int, generator: torch.Generator
) -> GaussianBaselines:
    """max_u |‖Au‖² − 1| over 1000 batches of 20 draws A ~ N(0, 1/k): the first of each, the worst.

    In float32: the draws spread by 0.1, rounding moves them by 1e-6 and takes a quarter of the
    time. O(20 000 · nk·min(n, d)): 0.4 s at n = 100, k = 30.

    Args:
        points: u, n unit vectors in R^d.
        num_components: k ≥ 1.
        generator: of the draws.
    """
    require_at_least("num_components", num_components, 1)
    coordinates = span_coordinates(points.cpu()).float()
    distortions = np.empty((NUM_BASELINE_DRAWS, BATCH_SIZE))
    for batch in distortions:
        images = gaussian_images(coordinates, num_components, BATCH_SIZE, generator)
        ratios = images.square().sum(dim=-1) / num_components
        batch[:] = (ratios - 1).abs().amax(dim=1).numpy()
    return GaussianBaselines(distortions[:, 0].copy(), distortions.max(axis=1))


def guaranteed_distortion(num_points: int, num_components: int) -> float:
    """The ε with n·Pr(|χ²_k/k − 1| > ε) = 1: from here on Theorem 5.5 speaks.

    It is where the union bound for the random embedding, M = 0 and σ² = 1/k, falls below 1.
    0 for a single point, where it is below 1 at every ε > 0.

    Args:
        num_points: n ≥ 1.
        num_components: k ≥ 1.
    """
    from scipy import optimize  # a tenth of a second, which --help need not wait for

    n = require_at_least("num_points", num_points, 1)
    k = require_at_least("num_components", num_components, 1)

    def excess(epsilon: float) -> float:
        below = special.chdtr(k, k * max(0.0, 1 - epsilon))
        return n * float(below + special.chdtrc(k, k * (1 + epsilon))) - 1

    # Past ε = 1 only the upper tail is left, and here it is at most 1/(2n).
    enough = max(1.0, float(special.chdtri(k, 0.5 / n)) / k - 1)
    return float(optimize.brentq(excess, 0.0, enough)) if n > 1 else 0.0
