"""The largest distortion over pairs, softened so that it has a gradient, in closed form."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import DerandomizationObjective
from derandomization.checks import require_between, require_positive
from JohnsonLindenstrauss.pairs import PairBlocks, WorstPairs

# e^−60 beside 1 is nothing in any floating type, and keeps float32 clear of denormal numbers, which
# made a step at sharpness 320 five times as long.
FAINTEST = -60.0
LEAST_SQUARE = 1e-20  # of a root moment: at σ = 0 it is |q − 1|, which has no slope at 0


class PairDistortion(DerandomizationObjective):
    """f = (1/β) log Σ exp(β √E(‖Au‖² − 1)²) + λ‖W‖_F² over unit differences u, A = M + σZ.

    With q = ‖Mu‖² the moment is (q + (k+2)σ² − 1)² + 4σ² − (2k+4)σ⁴. f is never below the largest
    root moment, and exceeds it by at most log(pairs)/β. It is a function of expectations, no
    expectation itself; at fixed softmax weights it is one, so ∂f/∂W = (H + 2λI)W holds with H the
    weighted sum of Hessians, and M = 0 is a saddle as for ``ExpectedDistortion``.

    Over all pairs a step costs O(n²k) time and O(block_size·n) memory beside the distances that
    ``PairBlocks`` keeps; over a list of pairs, O(pairs·k + nkr).

    Args:
        coordinates: what M's coordinates multiply, ``[points, rank]``: those of the points, or
            rescaled column by column, which rescales M's columns the other way.
        num_components: k ≥ 1, rows of A.
        pairs: all of them in blocks, or a list.
        sharpness: β > 0.
        regularization: λ > 0; by default 1/rank, with which λ‖W‖² is kσ². At M = 0 the noise
            rests near σ² = 1/(k+2), where M's curvature is of the order of λ: the 1/(2kd) of
            single points would leave that saddle k times as slowly, and at σ = 0 both are the same.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        coordinates: Float[Tensor, "points rank"],
        num_components: int,
        pairs: PairBlocks | WorstPairs,
        sharpness: float,
        regularization: float | None = None,
    ) -> None:
        rank = coordinates.shape[1]
        super().__init__(1 / rank if regularization is None else regularization)
        require_between("num_components", num_components, 1, math.inf)
        self.num_components = num_components
        self.pairs = pairs
        self.sharpness = require_positive("sharpness", sharpness)
        self.coordinates: Tensor
        self.register_buffer("coordinates", coordinates)
        self.mean = nn.Parameter(coordinates.new_zeros(num_components, rank))
        self.scale = nn.Parameter(coordinates.new_tensor(math.sqrt(rank)))

    def variance(self) -> Float[Tensor, ""]:
        """σ² = s²/(k·rank)."""
        return self.scale.square() / self.mean.numel()

    def random_weights(self) -> Float[Tensor, ""]:
        return self.scale

    def bias(self) -> Float[Tensor, "components rank"]:
        return self.mean

    def images(self) -> Float[Tensor, "points components"]:
        """Mx for every point."""
        return self.coordinates @ self.mean.T

    def expected_value(self) -> Float[Tensor, ""]:
        function = _AllPairs if isinstance(self.pairs, PairBlocks) else _ListedPairs
        return function.apply(self.images(), self.variance(), self.pairs, self.sharpness)


class _Tally:
    """log Σ exp(βr) and its slopes, from batches of q, rescaled whenever the largest r grows."""

    def __init__(self, num_components: int, variance: float, sharpness: float) -> None:
        k = num_components
        self.offset = (k + 2) * variance - 1
        self.floor = 4 * variance - (2 * k + 4) * variance**2
        self.floor_slope = 2 - (2 * k + 4) * variance
        self.offset_slope = k + 2
        self.sharpness = sharpness
        self.largest = -math.inf
        self.total = 0.0
        self.by_variance = 0.0

    def add(self, ratios: Tensor, triangle: int = 0) -> tuple[float, Tensor]:
        """Count these q, overwriting them; of the first columns only what is above the diagonal.

        Returns:
            What earlier slopes must be multiplied by, and exp(β(r − largest))·∂r/∂q.
        """
        excess = ratios.add_(self.offset)
        excess[:, :triangle].triu_(1)
        root = excess.square().add_(self.floor).clamp_(min=LEAST_SQUARE).sqrt_()
        largest = max(self.largest, float(root.max()))
        shrink = math.exp(self.sharpness * (self.largest - largest))
        weights = root.sub(largest).mul_(self.sharpness).clamp_(min=FAINTEST).exp_()
        weights[:, :triangle].triu_(1)
        self.largest = largest
        self.total = self.total * shrink + float(weights.sum())
        weights.div_(root)
        by_floor = self.floor_slope * float(weights.sum())
        weights.mul_(excess)
        by_offset = self.offset_slope * float(weights.sum())
        self.by_variance = self.by_variance * shrink + by_floor + by_offset
        return shrink, weights

    def value(self) -> float:
        return self.largest + math.log(self.total) / self.sharpness


class _Softened(torch.autograd.Function):
    """Value and gradient in one pass; subclasses say over which pairs."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        by_images, by_variance = ctx.saved_tensors
        return gradient * by_images, gradient * by_variance, None, None


def _finish(ctx: Any, tally: _Tally, by_images: Tensor, variance: Tensor) -> Tensor:
    ctx.save_for_backward(
        by_images.div_(tally.total), variance.new_tensor(tally.by_variance / tally.total)
    )
    return variance.new_tensor(tally.value())


class _AllPairs(_Softened):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, variance: Tensor, blocks: PairBlocks, sharpness: float
    ) -> Tensor:
        tally = _Tally(images.shape[1], float(variance), sharpness)
        # Σ c_ij |y_i − y_j|² has the gradient 2(D − C)y, with C symmetric and D its row sums.
        pulled, degree = torch.zeros_like(images), torch.zeros_like(images[:, 0])
        for start, inverse, ratios in blocks.ratios(images):
            stop = start + len(inverse)
            shrink, slopes = tally.add(ratios, triangle=len(inverse))
            slopes.mul_(inverse)
            if shrink != 1:
                pulled.mul_(shrink)
                degree.mul_(shrink)
            pulled[start:stop].addmm_(slopes, images[start:])
            pulled[start:].addmm_(slopes.T, images[start:stop])
            degree[start:stop] += slopes.sum(dim=1)
            degree[start:] += slopes.sum(dim=0)
        by_images = (degree[:, None] * images).sub_(pulled).mul_(2)
        return _finish(ctx, tally, by_images, variance)


class _ListedPairs(_Softened):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, variance: Tensor, pairs: WorstPairs, sharpness: float
    ) -> Tensor:
        tally = _Tally(images.shape[1], float(variance), sharpness)
        differences = images.index_select(0, pairs.first)
        differences.sub_(images.index_select(0, pairs.second))
        ratios = differences.square().sum(dim=1).mul_(pairs.inverse)
        _, slopes = tally.add(ratios[:, None])
        differences.mul_(slopes.mul_(2 * pairs.inverse[:, None]))
        by_images = torch.zeros_like(images).index_add_(0, pairs.first, differences)
        by_images.index_add_(0, pairs.second, differences, alpha=-1)
        return _finish(ctx, tally, by_images, variance)
