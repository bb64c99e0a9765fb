"""The toy neuron of figures 1 and 2, whose expectation has a closed form: a step costs O(1)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import DerandomizationObjective, PerturbedGradientDescent, descend
from NeuralNetworks.activations import rectified_moments

CUBIC_MOMENT = 2 * math.sqrt(2 / math.pi)  # c = 2·E[x₊³]
SEXTIC_MOMENT = 7.5  # E[x₊⁶]
VANISHED = 1e-3  # |w*| below which it counts as 0: at λ* it jumps from 0.376 to 0
Values = Float[np.ndarray, " regularizations"]


class ToyNeuron(DerandomizationObjective):
    """f(w, b) = E(ReLU³(wx + b) − 1)² + λw², x ~ N(0, 1), from a start (w, b) (figures 1 and 2)."""

    def __init__(
        self, weight: float, bias: float, regularization: float, *, train_bias: bool
    ) -> None:
        super().__init__(regularization)
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
        self._bias = nn.Parameter(torch.tensor(bias, dtype=torch.float64), requires_grad=train_bias)

    def expected_value(self) -> Float[Tensor, ""]:
        moments = rectified_moments(self._bias, self.weight, 6)
        return moments[6] - 2 * moments[3] + 1

    def random_weights(self) -> Float[Tensor, ""]:
        return self.weight

    def bias(self) -> Float[Tensor, ""]:
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
    trained = [_descend(0.5, value, True, generator) for value in regularizations]
    return ToySweep(
        regularizations=regularizations,
        frozen_weights=np.array([descend_frozen(value, generator) for value in regularizations]),
        trained_weights=np.array([abs(neuron.weight.item()) for neuron in trained]),
        trained_biases=np.array([neuron.bias().item() for neuron in trained]),
    )


def descend_frozen(regularization: float, generator: torch.Generator) -> float:
    """|w*| with b = 0 frozen, by PGD.

    w = 0 is a local minimiser for every λ > 0: PGD starts on both sides of the barrier, at w = 0
    and w = 0.5, and the end with the lower f is kept.
    """
    ends = [_descend(start, regularization, False, generator) for start in (0.0, 0.5)]
    return abs(min(ends, key=lambda neuron: float(neuron().detach())).weight.item())


def bisect_threshold(
    ends: ToySweep, generator: torch.Generator, width: float = 5e-5
) -> tuple[float, float]:
    """An interval, at most ``width`` wide, of the λ where PGD's frozen minimiser becomes 0.

    Bisects between the largest λ of a sweep with w* ≠ 0 and the smallest with w* = 0.

    Raises ``ValueError`` where the sweep has no such pair.
    """
    stays = ends.frozen_weights > VANISHED
    if stays.all() or not stays.any():
        raise ValueError("regularizations are all on one side of λ*: the sweep must include both")
    low, high = ends.regularizations[stays].max(), ends.regularizations[~stays].min()
    while high - low > width:
        middle = (low + high) / 2
        if descend_frozen(middle, generator) > VANISHED:
            low = middle
        else:
            high = middle
    return float(low), float(high)


def _descend(
    start: float, regularization: float, train_bias: bool, generator: torch.Generator
) -> ToyNeuron:
    neuron = ToyNeuron(start, 0.0, regularization, train_bias=train_bias)
    optimizer = PerturbedGradientDescent(
        [p for p in neuron.parameters() if p.requires_grad],
        lr=0.03,  # stable: from w = 0.5 the curvature stays below 60
        momentum=0.7,
        gradient_threshold=1e-8,
        perturbation_radius=1e-3,
        perturbation_interval=30,
        decrease_threshold=1e-12,
        generator=generator,
    )
    descend(neuron, optimizer, max_steps=500)  # it terminates within about 200
    return neuron
