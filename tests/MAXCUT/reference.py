"""E[cut] by plain torch operations, which autograd differentiates any number of times."""

import math

import numpy as np
import torch
from torch import Tensor

from derandomization import DerandomizationObjective
from MAXCUT.expected_cut import ExpectedCut

NODES, WEIGHTS = map(torch.from_numpy, np.polynomial.legendre.leggauss(100))


def both_below(a: Tensor, b: Tensor, correlation: Tensor) -> Tensor:
    """Φ₂(a, b; r) = Φ(a)Φ(b) + ∫₀^r φ₂(a, b; t) dt with t = sin s, by 100 nodes."""
    half = torch.asin(correlation)[..., None] / 2
    angle = half * (1 + NODES)
    squares, product = (a.square() + b.square())[..., None] / 2, (a * b)[..., None]
    exponent = (squares - product * torch.sin(angle)) / torch.cos(angle).square()
    integral = (torch.exp(-exponent) @ WEIGHTS) * half[..., 0] / (2 * math.pi)
    return torch.special.ndtr(a) * torch.special.ndtr(b) + integral


def crossing(a: Tensor, b: Tensor, correlation: Tensor) -> Tensor:
    """The probability of different signs."""
    below = torch.special.ndtr(a) + torch.special.ndtr(b)
    return below - 2 * both_below(a, b, correlation)


class ByAutograd(DerandomizationObjective):
    """The objective of an ``ExpectedCut``, whose parameters it shares."""

    def __init__(self, cut: ExpectedCut) -> None:
        super().__init__(cut.regularization)
        self.cut, self.vectors, self.mean = cut, cut.vectors, cut.mean

    def expected_value(self) -> Tensor:
        i, j = self.cut.ends
        deviation = torch.sqrt(self.vectors.square().sum(dim=1) + self.cut.noise.square())
        level, units = self.mean / deviation, self.vectors / deviation[:, None]
        correlation = (units[i] * units[j]).sum(dim=1)
        return -self.cut.scale * self.cut.weights @ crossing(level[i], level[j], correlation)

    def random_weights(self) -> Tensor:
        return self.vectors

    def bias(self) -> Tensor:
        return self.mean
