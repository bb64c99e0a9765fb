"""Balance many sets at once: discrepancy with colours ±1, derandomized with the lemma alone.

Give each of n elements a colour x_i = ±1 so that in each of m sets the two colours nearly cancel.
The discrepancy is the largest |Σ_{i∈S} x_i| over the sets S. Random colours have a discrepancy of
about √(n ln m); here they become one deterministic colouring that does better.
"""

import argparse
import math

import numpy as np
import torch
from torch import Tensor, nn

from derandomization import DerandomizationObjective, PerturbedGradientDescent, descend

SMOOTHING = 0.3  # ε of the sign; the random part starts at w = 1
REGULARIZATION = 1e-2  # at b = 0 it alone shrinks w, until a perturbation leaves the saddle


class ExpectedImbalance(DerandomizationObjective):
    """The expected imbalance of random colours, summed over the sets.

    f(w, b) = c·E Σ_S 2cosh(t·Σ_{i∈S} x_i) + λ‖w‖², with x_i = sign(w_i·z_i + b_i + ε·noise).
    The colours are independent, so the expectation is a product over each set, from the mean
    colours m_i = 2Φ(b_i/√(w_i² + ε²)) − 1: E e^{±t·x_i} = cosh t ± m_i·sinh t. At the start, w = 1
    and b = 0, the colours are uniformly random; this is a saddle. There c makes the expectation 1.
    The sets are given as 0 and 1, (sets, elements).
    """

    def __init__(self, sets: np.ndarray) -> None:
        super().__init__(REGULARIZATION)
        self.sets = torch.from_numpy(sets.astype(np.float64))
        self.rate = math.sqrt(2 * math.log(2 * len(sets)) / max(1, sets.sum(axis=1).max()))
        self.w = nn.Parameter(torch.ones(sets.shape[1], dtype=torch.float64))
        self.b = nn.Parameter(torch.zeros(sets.shape[1], dtype=torch.float64))
        self.log_sizes = self.sets.sum(dim=1) * math.log(math.cosh(self.rate))
        # ln Σ_S 2·cosh(t)^|S|, the logarithm of a uniformly random colouring's mean.
        self.log_start = math.log(2) + float(torch.logsumexp(self.log_sizes, 0))

    def expected_value(self) -> Tensor:
        means = torch.erf(self.b / torch.sqrt(2 * (self.w**2 + SMOOTHING**2)))
        slope = math.tanh(self.rate) * means
        logs = [self.log_sizes + self.sets @ torch.log1p(sign * slope) for sign in (1, -1)]
        return torch.exp(torch.cat(logs) - self.log_start).sum()

    def random_weights(self) -> Tensor:
        return torch.diag(self.w)

    def bias(self) -> Tensor:
        return self.b

    def proven_discrepancy(self) -> float:
        """Bound the discrepancy of colourings with Σ_S 2cosh(t·Σx) at most a random one's mean."""
        return self.log_start / self.rate


def discrepancy(sets: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return max_S |Σ_{i∈S} x_i| for every row of colours."""
    return np.abs(colours @ sets.T).max(axis=-1)


def colour(sets: np.ndarray, seed: int = 0) -> tuple[np.ndarray, ExpectedImbalance]:
    """Return one deterministic colouring, and the objective at the end of the descent."""
    objective = ExpectedImbalance(sets)
    generator = torch.Generator().manual_seed(seed)
    optimizer = PerturbedGradientDescent.for_objective(
        objective, accuracy=1e-4, generator=generator
    )
    descend(objective, optimizer, max_steps=3_000)
    return np.where(objective.b.detach().numpy() >= 0, 1, -1), objective


def main() -> None:
    """Compare one colouring with random ones, on random sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--elements", 64), ("--sets", 64), ("--seed", 0)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    sets = (rng.random((options.sets, options.elements)) < 0.5).astype(int)
    colours, objective = colour(sets, options.seed)
    random = discrepancy(sets, rng.choice([-1, 1], size=(1000, options.elements)))
    print(f"random colours, mean of 1000  {random.mean():.2f}")
    print(f"random colours, best of 1000  {random.min()}")
    print(f"derandomized, proven bound    {objective.proven_discrepancy():.2f}")
    print(f"derandomized                  {discrepancy(sets, colours)}")
    print(f"randomness left, ‖w‖          {objective.weight_norm():.2g}")


if __name__ == "__main__":
    main()
