"""The theorem's own objective: the union bound on the probability of a distortion above ε."""

from jaxtyping import Float
from torch import Tensor

from derandomization.checks import require_positive
from JohnsonLindenstrauss.chi_square import tail
from JohnsonLindenstrauss.model import GaussianEmbedding, squared_norms

LEAST_VARIANCE = 1e-12  # (1e-6)²: the smallest σ at which the tails were checked


class ExceedanceProbability(GaussianEmbedding):
    """f = Σ_u Pr(|‖Au‖² − 1| > ε) + λ‖W‖_F², A = M + σZ (Theorem 5.5), in closed form.

    ‖Au‖²/σ² is noncentral χ² of k degrees, so with q = ‖Mu‖² the summand is
    F_k((1 − ε)/σ²; q/σ²) + 1 − F_k((1 + ε)/σ²; q/σ²). Where the sum is below 1 some matrix
    distorts no point by more than ε. Twice differentiable at σ > 0. A step costs O(nkd) and the
    tails of n points.

    Args:
        points: u, n unit vectors in R^d.
        num_components: k, from 1 to d.
        epsilon: ε > 0.
        regularization: λ > 0; by default 1/(4d), with which the penalty starts at 1/4: with an ε
            at which the bound starts at 1/2, f starts below 1, and where it ends lower at σ = 0,
            fewer than one point is beyond ε: none.

    Raises:
        ValueError: an argument out of its range, or points that are not unit vectors.
    """

    def __init__(
        self,
        points: Float[Tensor, "points dimension"],
        num_components: int,
        epsilon: float,
        regularization: float | None = None,
    ) -> None:
        default = 1 / (4 * points.shape[1])
        super().__init__(
            points, num_components, default if regularization is None else regularization
        )
        self.epsilon = require_positive("epsilon", epsilon)

    def union_bound(self) -> Float[Tensor, ""]:
        """Σ_u Pr(|‖Au‖² − 1| > ε), with no more to it."""
        return self.probabilities().sum()

    def probabilities(self) -> Float[Tensor, " points"]:
        """Pr(|‖Au‖² − 1| > ε) of each u."""
        q = squared_norms(self.mean, self.points)
        # At σ = 0 exactly χ² has no noncentrality; below 1e-6 nothing is left to be random.
        variance = self.variance().clamp(min=LEAST_VARIANCE)
        noncentrality = q / variance
        above = ((1 + self.epsilon) / variance).expand_as(q)
        found = tail(above, self.num_components, noncentrality, upper=True)
        if self.epsilon < 1:
            below = ((1 - self.epsilon) / variance).expand_as(q)
            found = found + tail(below, self.num_components, noncentrality, upper=False)
        return found

    def expected_value(self) -> Float[Tensor, ""]:
        return self.union_bound()
