"""The toy neuron of figures 1 and 2, whose expectation has a closed form: a step costs O(1)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor, nn

from derandomization import DerandomizationObjective, PerturbedGradientDescent, descend
from NeuralNetworks.activations import rectified_moments

CUBIC_MOMENT = 2 * math.sqrt(2 / math.pi)  # c = 2·E[x₊³]
SEXTIC_MOMENT = 7.5  # E[x₊⁶]
VANISHED = 1e-3  # |w*| below which it counts as 0: at λ* it jumps from 0.376 to 0
PARTS = 512  # of the interval that holds λ*: the neurons at its inner ends descend together
Values = Float[np.ndarray, "*regularizations"]


class ToyNeurons(DerandomizationObjective):
    """f(w, b) = Σᵢ E(ReLU³(wᵢx + bᵢ) − 1)² + λᵢwᵢ², x ~ N(0, 1), from a start (figures 1 and 2).

    The neurons do not interact: f is at a second-order stationary point where each of them is. The
    smallest λᵢ is Eq. 1's λ, and what the others exceed it by counts to the expected value.

    Args:
        weights, biases, regularizations: wᵢ, bᵢ and λᵢ > 0, of one shape; numbers for one neuron.
        train_bias: whether b is trained.
    """

    def __init__(
        self, weights: ArrayLike, biases: ArrayLike, regularizations: ArrayLike, *, train_bias: bool
    ) -> None:
        super().__init__(float(np.min(regularizations)))
        w, b, regularization = (
            torch.from_numpy(np.array(each, dtype=np.float64))
            for each in (weights, biases, regularizations)
        )
        self.weight = nn.Parameter(w)
        self._bias = nn.Parameter(b, requires_grad=train_bias)
        self.regularizations: Tensor
        self.register_buffer("regularizations", regularization)

    def values(self) -> Float[Tensor, "*neurons"]:
        """Each neuron's own f."""
        return self._errors() + self.regularizations * self.weight.square()

    def expected_value(self) -> Float[Tensor, ""]:
        excess = self.regularizations - self.regularization
        return (self._errors() + excess * self.weight.square()).sum()

    def _errors(self) -> Float[Tensor, "*neurons"]:
        moments = rectified_moments(self._bias, self.weight, 6)
        return moments[6] - 2 * moments[3] + 1

    def random_weights(self) -> Float[Tensor, "*neurons"]:
        return self.weight

    def bias(self) -> Float[Tensor, "*neurons"]:
        return self._bias


def frozen_threshold() -> float:
    """λ* = (3/4)·c·(c/30)^{1/3} ≈ 0.4501: with b = 0 frozen, w* = 0 for every λ ≥ λ*.

    At λ* the value of 7.5w⁶ − cw³ + 1 + λw² at its nonzero minimiser equals 1, its value at 0.
    """
    return 0.75 * CUBIC_MOMENT * (CUBIC_MOMENT / 30) ** (1 / 3)


def frozen_minimizer(regularization: float) -> float:
    """The global minimiser w* ≥ 0 of 7.5w⁶ − cw³ + 1 + λw², from the roots of its derivative."""
    varying_part = np.poly1d([SEXTIC_MOMENT, 0, 0, -CUBIC_MOMENT, regularization, 0, 0])
    roots = varying_part.deriv().roots
    positive = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(min([*positive, 0.0], key=varying_part))


@dataclass(frozen=True)
class ToySweep:
    """The points where PGD ends for each λ, with b = 0 frozen and with b trained."""

    regularizations: Values
    frozen_weights: Values
    trained_weights: Values
    trained_biases: Values


def sweep(regularizations: Values, generator: torch.Generator) -> ToySweep:
    """Minimise the toy neuron's f by PGD for every λ.

    With b trained the start w = 0.5 is enough: by the lemma every second-order stationary point
    has w = 0.
    """
    trained = _descend(np.full(len(regularizations), 0.5), regularizations, True, generator)
    return ToySweep(
        regularizations=regularizations,
        frozen_weights=descend_frozen(regularizations, generator),
        trained_weights=trained.weight.detach().abs().numpy(),
        trained_biases=trained.bias().detach().numpy(),
    )


def descend_frozen(regularizations: Values, generator: torch.Generator) -> Values:
    """|w*| for every λ with b = 0 frozen, by PGD.

    w = 0 is a local minimiser for every λ > 0: PGD starts on both sides of the barrier, at w = 0
    and w = 0.5, and the end with the lower f is kept.
    """
    starts = np.repeat([[0.0], [0.5]], len(regularizations), axis=1)
    neurons = _descend(starts, np.tile(regularizations, (2, 1)), False, generator)
    with torch.no_grad():
        lower = neurons.values().argmin(dim=0, keepdim=True)
        return neurons.weight.gather(0, lower)[0].abs().numpy()


def bracket_threshold(
    ends: ToySweep, generator: torch.Generator, width: float = 5e-5
) -> tuple[float, float]:
    """An interval, at most ``width`` wide, of the λ where PGD's frozen minimiser becomes 0.

    Divides the interval between the largest λ of a sweep with w* ≠ 0 and the smallest with w* = 0.

    Raises ``ValueError`` where the sweep has no such pair.
    """
    stays = ends.frozen_weights > VANISHED
    if stays.all() or not stays.any():
        raise ValueError("regularizations are all on one side of λ*: the sweep must include both")
    low, high = ends.regularizations[stays].max(), ends.regularizations[~stays].min()
    while high - low > width:
        edges = np.linspace(low, high, PARTS + 1)
        vanished = descend_frozen(edges[1:-1], generator) <= VANISHED
        first = int(np.append(vanished, True).argmax())
        low, high = edges[first], edges[first + 1]
    return float(low), float(high)


def _descend(
    starts: Values, regularizations: Values, train_bias: bool, generator: torch.Generator
) -> ToyNeurons:
    """The neurons where one descent of all of them ends: one by one, torch's overhead dominates."""
    neurons = ToyNeurons(starts, np.zeros_like(starts), regularizations, train_bias=train_bias)
    optimizer = PerturbedGradientDescent(
        [p for p in neurons.parameters() if p.requires_grad],
        lr=0.03,  # stable: from w = 0.5 the curvature stays below 60
        momentum=0.7,
        gradient_threshold=1e-8,
        perturbation_radius=1e-3,
        perturbation_interval=30,
        decrease_threshold=1e-12,
        generator=generator,
    )
    descend(neurons, optimizer, max_steps=500)  # it terminates within about 200
    return neurons
