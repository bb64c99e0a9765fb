"""Random embeddings A = M + σZ and their distortion."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_at_least, require_between
from derandomization.expectations import standard_normal

BATCH_SIZE = 20  # draws per step of the published code


class GaussianEmbedding(DerandomizationObjective):
    """A = M + σZ, Z k×d standard normal, read as Wx + b: b is M and W is σI on Z's kd entries.

    The parameters are M, from 0, and s = ‖W‖_F = σ√(kd), from σ² = 1/k: the random embedding.
    Subclasses say what is expected of A.

    Args:
        points: u, n unit vectors in R^d.
        num_components: k, rows of A, from 1 to d.
        regularization: λ > 0; by default 1/(2kd), with which λ‖W‖_F² is the penalty σ²/2 of
            Tsikouras, Caramanis, Tzamos.

    Raises:
        ValueError: k outside its range, or points that are not unit vectors.

    References:
        Tsikouras, Caramanis, Tzamos, *Optimization Can Learn Johnson Lindenstrauss Embeddings*,
        NeurIPS 2024 (arXiv 2412.07242); Theorem 5.5 of the paper.
    """

    def __init__(
        self,
        points: Float[Tensor, "points dimension"],
        num_components: int,
        regularization: float | None = None,
    ) -> None:
        dimension = points.shape[1]
        require_between("num_components", num_components, 1, dimension)
        size = num_components * dimension
        super().__init__(1 / (2 * size) if regularization is None else regularization)
        error = float((points.norm(dim=1) - 1).abs().max())
        if error > 1e-6:
            raise ValueError(f"points have norms up to {error:.2g} away from 1: normalise them")
        self.num_components = num_components
        self.points: Tensor
        self.register_buffer("points", points)
        self.mean = nn.Parameter(points.new_zeros(num_components, dimension))
        self.scale = nn.Parameter(points.new_tensor(math.sqrt(dimension)))

    def variance(self) -> Float[Tensor, ""]:
        """σ² = s²/(kd)."""
        return self.scale.square() / self.mean.numel()

    def random_weights(self) -> Float[Tensor, ""]:
        return self.scale

    def bias(self) -> Float[Tensor, "components dimension"]:
        return self.mean


class ExpectedDistortion(GaussianEmbedding):
    """f = (1/n) Σ_u E(‖Au‖² − 1)² + λ‖W‖_F², A = M + σZ (Theorem 5.5), in closed form.

    ‖Au‖²/σ² is noncentral χ² of k degrees, so with q = ‖Mu‖² the summand is
    (q + kσ² − 1)² + 2kσ⁴ + 4σ²q. By Markov, the union bound on the probability that some point's
    distortion |‖Au‖² − 1| exceeds ε is at most n/ε² times the first term of f.
    A step costs O(nkd). Arguments as for ``GaussianEmbedding``.
    """

    def expected_value(self) -> Float[Tensor, ""]:
        variance = self.variance()
        q = squared_norms(self.mean, self.points)
        excess = q + self.num_components * variance - 1
        moments = excess.square() + 4 * variance * q
        return moments.mean() + 2 * self.num_components * variance.square()


class SampledDistortion(GaussianEmbedding):
    """f = max over u and 20 draws of |‖Au‖² − 1|, plus λ‖W‖_F²: the published code's loss.

    An unbiased estimate of the expectation of that maximum, from fresh draws at every call. It
    differs from ``ExpectedDistortion``, which is where its end is certified.
    A step costs O(nkd + 20·nk·min(n, d)).

    Args:
        points: u, n unit vectors in R^d.
        num_components: k, from 1 to d.
        generator: source of the draws; owned by the caller, so a run can be repeated.
        regularization: as for ``GaussianEmbedding``.
    """

    def __init__(
        self,
        points: Float[Tensor, "points dimension"],
        num_components: int,
        generator: torch.Generator,
        regularization: float | None = None,
    ) -> None:
        super().__init__(points, num_components, regularization)
        self.generator = generator
        self.coordinates: Tensor
        self.register_buffer("coordinates", span_coordinates(points), persistent=False)

    def expected_value(self) -> Float[Tensor, ""]:
        images = self.points @ self.mean.T
        deviation = self.scale / math.sqrt(self.mean.numel())
        with torch.no_grad():
            noise = gaussian_images(
                self.coordinates, self.num_components, BATCH_SIZE, self.generator
            )
            distortions = ((images + deviation * noise).square().sum(dim=-1) - 1).abs()
            draw, worst = divmod(int(distortions.argmax()), len(self.points))
        # The derivative of a maximum is that of its maximiser: the other draws need no graph.
        return ((images[worst] + deviation * noise[draw, worst]).square().sum() - 1).abs()


def cube_points(
    num_points: int, dimension: int, generator: torch.Generator
) -> Float[Tensor, "points dimension"]:
    """u = x/‖x‖, x uniform in [0, 1]^d: the points of figure 6.

    The paper says "the cube"; of [0, 1]^d and [−1, 1]^d only the first has its baselines, 0.58
    mean and 0.31 best of 1000 draws at n = 100, d = 500, k = 30 (the second: 0.77 and 0.47).

    Args:
        num_points: n ≥ 1.
        dimension: d ≥ 1.
        generator: source of the points.
    """
    require_at_least("num_points", num_points, 1)
    require_at_least("dimension", dimension, 1)
    cube = torch.rand(num_points, dimension, generator=generator, dtype=torch.float64)
    return cube / cube.norm(dim=1, keepdim=True)


def squared_norms(
    embedding: Float[Tensor, "components dimension"], points: Float[Tensor, "points dimension"]
) -> Float[Tensor, " points"]:
    """q = ‖Mu‖² for each u."""
    return (points @ embedding.T).square().sum(dim=1)


@torch.no_grad()
def max_distortion(
    embedding: Float[Tensor, "components dimension"], points: Float[Tensor, "points dimension"]
) -> float:
    """max_u |‖Mu‖² − 1|."""
    return float((squared_norms(embedding, points) - 1).abs().max())


def span_coordinates(
    points: Float[Tensor, "points dimension"],
) -> Float[Tensor, "points rank"]:
    """C with CCᵀ = UUᵀ: the points in an orthonormal basis of their span, at most min(n, d) long.

    A Gaussian matrix is Gaussian in every orthonormal basis, so Zu may be drawn as Z'c.
    """
    return torch.linalg.qr(points.T).R.T.contiguous()


def gaussian_images(
    coordinates: Float[Tensor, "points rank"],
    num_components: int,
    num_draws: int,
    generator: torch.Generator,
) -> Float[Tensor, "draws points components"]:
    """Zu for each u and fresh standard normal Z.

    Args:
        coordinates: of the points, from ``span_coordinates``.
        num_components: k ≥ 1.
        num_draws: how many Z.
        generator: of the draws, which are made on its device: one seed, one result everywhere.
    """
    shape = (num_draws * num_components, coordinates.shape[1])
    images = standard_normal(*shape, generator=generator, like=coordinates) @ coordinates.T
    return images.view(num_draws, num_components, -1).transpose(1, 2)
