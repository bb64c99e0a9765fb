"""A random embedding A = M + σZ, and the objectives that measure its distortion."""

import math
from abc import abstractmethod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_at_least, require_between, require_positive
from derandomization.expectations import standard_normal
from JohnsonLindenstrauss.chi_square import tail
from JohnsonLindenstrauss.pairs import Embedding, PairBlocks, Points, WorstPairs, near_parts

BATCH_SIZE = 20  # draws per step of the published code
LEAST_VARIANCE = 1e-12  # (1e-6)²: the smallest σ at which the χ² tails were checked
# Smaller softmax weights are as negligible, but denormal numbers make a step five times as long.
LEAST_LOG_WEIGHT = -60.0  # to base 2
LEAST_SQUARE = 1e-20  # lower limit of a squared root moment, whose root has no slope at 0


class RandomEmbedding(DerandomizationObjective):
    """A = M + σZ, Z k×d standard normal, read as Wx + b: b is M and W is σI on Z's kd entries.

    The parameters are M and s = ‖W‖_F = σ√(kd). They start at M = 0 and σ² = 1/k, the random
    Johnson–Lindenstrauss embedding. Subclasses define which expectation is minimised. A has k rows,
    1 ≤ k ≤ d, and is applied to the n points in R^d or to their differences.
    """

    def __init__(self, points: Points, num_components: int, regularization: float) -> None:
        dimension = points.shape[1]
        require_between("num_components", num_components, 1, dimension)
        super().__init__(regularization)
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

    def bias(self) -> Embedding:
        return self.mean

    def images(self) -> Float[Tensor, "points components"]:
        """Mx for every point x."""
        return self.points @ self.mean.T


class UnitVectorEmbedding(RandomEmbedding):
    """A random embedding whose objective depends on the lengths of the points u, unit vectors.

    λ is by default 1/(2kd), with which λ‖W‖_F² is the penalty σ²/2 of Tsikouras, Caramanis,
    Tzamos, *Optimization Can Learn Johnson Lindenstrauss Embeddings*, NeurIPS 2024 (arXiv
    2412.07242). Raises ``ValueError`` for points that are not unit vectors.
    """

    def __init__(
        self, points: Points, num_components: int, regularization: float | None = None
    ) -> None:
        if regularization is None:
            regularization = 1 / (2 * max(num_components, 1) * points.shape[1])
        super().__init__(points, num_components, regularization)
        error = float((points.norm(dim=1) - 1).abs().max())
        if error > 1e-6:
            raise ValueError(f"points have norms up to {error:.2g} away from 1: normalise them")


class LengthCosts(UnitVectorEmbedding):
    """f = Σ_u h(‖Mu‖², σ²) + λ‖W‖_F²: an expectation in closed form."""

    @abstractmethod
    def costs(self, q: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
        """h for each u, from q = ‖Mu‖²."""

    def squared_lengths(self) -> Float[Tensor, " points"]:
        """‖Mu‖² for each u."""
        return self.images().square().sum(dim=1)

    def expected_value(self) -> Float[Tensor, ""]:
        return self.costs(self.squared_lengths()).sum()

    def bias_hessian_times_weights(self) -> Float[Tensor, ""]:
        """HW for W = σI, along I: tr(H)·s/(kd), with tr ∂²h/∂M² = 2k·h′(q) + 4q·h″(q)."""
        q = self.squared_lengths().detach().requires_grad_()
        (first,) = torch.autograd.grad(self.costs(q).sum(), q, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), q)
        trace = (2 * self.num_components * first + 4 * q * second).sum().detach()
        return trace * self.scale.detach() / self.mean.numel()


class ExpectedDistortion(LengthCosts):
    """f = (1/n) Σ_u E(‖Au‖² − 1)² + λ‖W‖_F² (Theorem 5.5), in closed form.

    ‖Au‖²/σ² is noncentral χ² with k degrees of freedom, so with q = ‖Mu‖² the summand is
    (q + kσ² − 1)² + 2kσ⁴ + 4σ²q. By Markov's inequality, the union bound on the probability that
    the distortion |‖Au‖² − 1| of some point exceeds ε is at most n/ε² times the first term of f.
    A step costs O(nkd). Arguments as for ``UnitVectorEmbedding``.
    """

    def costs(self, q: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
        variance, k = self.variance(), self.num_components
        moments = (q + k * variance - 1).square() + 4 * variance * q + 2 * k * variance.square()
        return moments / len(q)


class SampledDistortion(UnitVectorEmbedding):
    """f = max over u and 20 draws of |‖Au‖² − 1|, plus λ‖W‖_F²: the published code's loss.

    An unbiased estimate of the expectation of that maximum, from fresh draws of ``generator`` at
    every call. This expectation differs from ``ExpectedDistortion``, which certifies the point
    where it ends. A step costs O(nkd + 20·nk·min(n, d)).
    """

    def __init__(self, points: Points, num_components: int, generator: torch.Generator) -> None:
        super().__init__(points, num_components)
        self.generator = generator
        self.coordinates: Tensor
        self.register_buffer("coordinates", span_coordinates(points), persistent=False)

    def expected_value(self) -> Float[Tensor, ""]:
        images = self.images()
        deviation = self.scale / math.sqrt(self.mean.numel())
        with torch.no_grad():
            k = self.num_components
            noise = gaussian_images(self.coordinates, k, BATCH_SIZE, self.generator)
            distortions = ((images + deviation * noise).square().sum(dim=-1) - 1).abs()
            draw, worst = divmod(int(distortions.argmax()), len(self.points))
        # The derivative of a maximum is that of its maximiser: the other draws need no graph.
        return ((images[worst] + deviation * noise[draw, worst]).square().sum() - 1).abs()


class ExceedanceProbability(LengthCosts):
    """f = Σ_u Pr(|‖Au‖² − 1| > ε) + λ‖W‖_F² (Theorem 5.5's union bound), in closed form.

    ‖Au‖²/σ² is noncentral χ² with k degrees of freedom, so with q = ‖Mu‖² the summand is
    F_k((1 − ε)/σ²; q/σ²) + 1 − F_k((1 + ε)/σ²; q/σ²). Where the sum is below 1, some matrix
    distorts no point by more than ε. Twice differentiable at σ > 0.

    λ is 1/(4d), with which the penalty starts at 1/4. With an ε at which the union bound starts at
    1/2, f then starts below 1; at σ = 0, f < 1 means that no point is distorted by more than ε.
    """

    def __init__(self, points: Points, num_components: int, epsilon: float) -> None:
        super().__init__(points, num_components, 1 / (4 * points.shape[1]))
        self.epsilon = require_positive("epsilon", epsilon)

    def costs(self, q: Float[Tensor, " points"]) -> Float[Tensor, " points"]:
        """Pr(|‖Au‖² − 1| > ε) for each u."""
        # χ² needs σ > 0; below 1e-6 the embedding is deterministic for every purpose.
        variance = self.variance().clamp(min=LEAST_VARIANCE)
        noncentrality = q / variance
        above = ((1 + self.epsilon) / variance).expand_as(q)
        probabilities = tail(above, self.num_components, noncentrality, upper=True)
        if self.epsilon < 1:
            below = ((1 - self.epsilon) / variance).expand_as(q)
            return probabilities + tail(below, self.num_components, noncentrality, upper=False)
        return probabilities


class PairDistortion(RandomEmbedding):
    """f = (1/β) log Σ exp(β √E(‖Au‖² − 1)²) + λ‖W‖_F², u the unit differences of pairs of points.

    A softened maximum over the pairs, in closed form: with q = ‖Mu‖² the moment is
    (q + (k+2)σ² − 1)² + 4σ² − (2k+4)σ⁴. f exceeds the largest root moment by at most log(pairs)/β.
    It is a function of expectations and not itself one; with the softmax weights held fixed it is
    one, so ∂f/∂W = (H + 2λI)W holds with H the weighted sum of Hessians.

    λ is 1/rank, with which λ‖W‖² is kσ². With the 1/(2kd) of unit vectors the descent would leave
    the saddle at M = 0 k times as slowly; at σ = 0 both choices are the same.

    The points are given by coordinates, to whose columns M's columns belong; ``pairs`` are all in
    blocks, or a list of some; ``sharpness`` is β > 0.
    """

    def __init__(
        self,
        coordinates: Float[Tensor, "points rank"],
        num_components: int,
        pairs: PairBlocks | WorstPairs,
        sharpness: float,
    ) -> None:
        super().__init__(coordinates, num_components, 1 / coordinates.shape[1])
        self.pairs = pairs
        self.sharpness = require_positive("sharpness", sharpness)

    def expected_value(self) -> Float[Tensor, ""]:
        return _SoftMaximum.apply(self.images(), self.variance(), self.pairs, self.sharpness)


class _SoftMaximum(torch.autograd.Function):
    """The softened maximum of ``PairDistortion``, with its gradient computed in the same pass."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, variance: Tensor, pairs: PairBlocks | WorstPairs, sharpness: float
    ) -> Tensor:
        total = _SoftmaxSum(images.shape[1], float(variance), sharpness)
        if isinstance(pairs, PairBlocks):
            slope_in_images = _add_blocks(total, images, pairs)
        else:
            slope_in_images = _add_listed_pairs(total, images, pairs)
        slope_in_variance = variance.new_tensor(total.slope_in_variance / total.weight)
        ctx.save_for_backward(slope_in_images.div_(total.weight), slope_in_variance)
        # (1/β) log Σ exp(βr)
        return variance.new_tensor(total.largest + math.log(total.weight) / sharpness)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        if torch.is_grad_enabled():  # another derivative was asked for: it would be taken as 0
            raise ValueError("PairDistortion can be differentiated once")
        slope_in_images, slope_in_variance = ctx.saved_tensors
        return gradient * slope_in_images, gradient * slope_in_variance, None, None


class _SoftmaxSum:
    """Σ exp(β(r − largest r)) over root moments r, and its slope in σ², from batches of pairs.

    At σ = 0 a root moment is |q − 1|, and the slope in σ² is not computed.
    """

    def __init__(self, num_components: int, variance: float, sharpness: float) -> None:
        k = num_components
        self.random = variance > 0
        self.offset = (k + 2) * variance - 1
        self.floor = 4 * variance - (2 * k + 4) * variance**2
        self.floor_slope = 2 - (2 * k + 4) * variance
        self.offset_slope = k + 2
        self.sharpness = sharpness
        self.largest = -math.inf
        self.weight = 0.0
        self.slope_in_variance = 0.0

    def add(self, excess: Tensor, triangle: int = 0) -> tuple[float, Tensor]:
        """Add pairs by q + ``offset``; of ``triangle`` columns only those above i = j.

        Returns the factor by which to multiply slopes of earlier batches, because the largest r
        has grown, and exp(β(r − largest))·∂r/∂q for every pair. ``excess`` is overwritten.
        """
        excess[:, :triangle].triu_(1)
        if self.random:
            root = excess.square().add_(self.floor).clamp_(min=LEAST_SQUARE).sqrt_()
        else:
            root = excess.abs()
        largest = max(self.largest, float(root.amax()))
        shrink = math.exp(self.sharpness * (self.largest - largest))
        # 2^x takes half the time of e^x.
        weights = torch.add(root.new_tensor(-self._rate * largest), root, alpha=self._rate)
        weights.clamp_(min=LEAST_LOG_WEIGHT).exp2_()
        weights[:, :triangle].triu_(1)
        self.largest = largest
        self.weight = self.weight * shrink + float(weights.sum())
        if not self.random:
            return shrink, torch.copysign(weights, excess, out=weights)
        weights.div_(root)
        self.slope_in_variance *= shrink
        self.slope_in_variance += self.floor_slope * float(weights.sum())
        weights.mul_(excess)
        self.slope_in_variance += self.offset_slope * float(weights.sum())
        return shrink, weights

    @property
    def _rate(self) -> float:
        """The exponent of 2 for one of r."""
        return self.sharpness / math.log(2)


class _SquareSum:
    """Σ (q − 1)² over pairs with the ratios q, from batches of pairs."""

    offset = -1.0

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, excess: Tensor, triangle: int = 0) -> tuple[float, Tensor]:
        """Add pairs as ``_SoftmaxSum.add`` does; returns 1 and the slope 2(q − 1) of every pair."""
        excess[:, :triangle].triu_(1)
        self.value += float(excess.square().sum())
        return 1.0, excess.mul_(2)


@torch.no_grad()
def mean_square_distortion(
    images: Float[Tensor, "points components"], blocks: PairBlocks
) -> tuple[float, Float[Tensor, "points components"]]:
    """The mean of (‖y_i − y_j‖²/‖x_i − x_j‖² − 1)² over all pairs, and its slope in the images y.

    This is ``ExpectedDistortion`` of the unit differences of all pairs, at σ = 0.
    """
    total = _SquareSum()
    slope = _add_blocks(total, images, blocks)
    return total.value / blocks.num_pairs, slope / blocks.num_pairs


def _add_blocks(total: _SoftmaxSum | _SquareSum, images: Tensor, blocks: PairBlocks) -> Tensor:
    """Add all pairs; returns the slope of the sum in the images."""
    # Σ c_ij |y_i − y_j|² has the gradient 2(D − C)y, with C symmetric and D its row sums. The
    # images are held by columns, of which products with C take two thirds of the time.
    by_column = images.T.contiguous()
    pulled, degree = torch.zeros_like(by_column), torch.zeros_like(images[:, 0])
    of_near = torch.zeros_like(images)  # whose c_ij are so large that Dy − Cy would cancel
    for (start, column, inverse, near), excess in blocks.excesses(images, total.offset):
        rows = slice(start, start + inverse.shape[0])
        columns = slice(column, column + inverse.shape[1])
        shrink, slopes = total.add(excess, triangle=len(inverse) if start == column else 0)
        slopes.mul_(inverse)
        if shrink != 1:
            pulled.mul_(shrink)
            degree.mul_(shrink)
            of_near.mul_(shrink)
        for i, j in near_parts(near, images.shape[1]):
            differences = images[start + i] - images[column + j]
            differences.mul_(slopes[i, j, None])
            of_near.index_add_(0, start + i, differences)
            of_near.index_add_(0, column + j, differences, alpha=-1)
            slopes[i, j] = 0
        pulled[:, rows].addmm_(by_column[:, columns], slopes.T)
        pulled[:, columns].addmm_(by_column[:, rows], slopes)
        degree[rows] += slopes.sum(dim=1)
        degree[columns] += slopes.sum(dim=0)
    return (degree[:, None] * images).sub_(pulled.T).add_(of_near).mul_(2)


def _add_listed_pairs(total: _SoftmaxSum, images: Tensor, pairs: WorstPairs) -> Tensor:
    """Add the pairs of a list; returns the slope of the sum in the images."""
    differences = images.index_select(0, pairs.first)
    differences.sub_(images.index_select(0, pairs.second))
    excess = differences.square().sum(dim=1).mul_(pairs.inverse).add_(total.offset)
    _, slopes = total.add(excess[:, None])
    differences.mul_(slopes.mul_(2 * pairs.inverse[:, None]))
    return pairs.incidence @ differences


def cube_points(num_points: int, dimension: int, generator: torch.Generator) -> Points:
    """u = x/‖x‖, x uniform in [0, 1]^d: the points of figure 6.

    The paper says "the cube". Of [0, 1]^d and [−1, 1]^d only the first gives its baselines.
    """
    require_at_least("num_points", num_points, 1)
    require_at_least("dimension", dimension, 1)
    cube = torch.rand(num_points, dimension, generator=generator, dtype=torch.float64)
    return cube / cube.norm(dim=1, keepdim=True)


@torch.no_grad()
def max_distortion(embedding: Embedding, points: Points) -> float:
    """max_u |‖Mu‖² − 1|."""
    return float(((points @ embedding.T).square().sum(dim=1) - 1).abs().max())


def span_coordinates(points: Points) -> Float[Tensor, "points rank"]:
    """C with CCᵀ = UUᵀ: the points in an orthonormal basis of their span, rank at most min(n, d).

    A Gaussian matrix is Gaussian in every orthonormal basis, so Zu may be drawn as Z'c.
    """
    return torch.linalg.qr(points.T).R.T.contiguous()


def gaussian_images(
    coordinates: Points, num_components: int, num_draws: int, generator: torch.Generator
) -> Float[Tensor, "draws points components"]:
    """Zu for each u, given by its ``span_coordinates``, and each of many standard normal Z."""
    shape = (num_draws * num_components, coordinates.shape[1])
    images = standard_normal(*shape, generator=generator, like=coordinates) @ coordinates.T
    return images.view(num_draws, num_components, -1).transpose(1, 2)
