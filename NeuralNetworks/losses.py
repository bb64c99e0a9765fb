"""Loss functions, and the labels that each of them allows."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from NeuralNetworks.settings import LossName

LossFunction = Callable[[Tensor, Tensor], Tensor]
Points = Float[Tensor, " points"]


@dataclass(frozen=True)
class Loss:
    """ℓ(ŷ, y) for each point: ``function`` of predictions and labels, ``[points]`` each.

    ``label`` maps a teacher's signal h(Ux) to the label. Where ℓ is linear in y it is the mean
    E[y | x], which integrates out the randomness of y given x exactly.
    """

    function: LossFunction
    label: Callable[[Tensor], Tensor] = torch.positive  # the signal itself
    lowest_label: float = -math.inf
    highest_label: float = math.inf

    def require_labels(self, labels: Points) -> None:
        """Raise ``ValueError`` unless every label is within the range allowed."""
        low, high = float(labels.min()), float(labels.max())
        if low < self.lowest_label or high > self.highest_label:
            raise ValueError(
                f"labels lie between {low:g} and {high:g}: this loss takes labels from "
                f"{self.lowest_label:g} to {self.highest_label:g}"
            )


def squared(prediction: Points, label: Points) -> Points:
    """(ŷ − y)²."""
    return (prediction - label).square()


def log_cosh(prediction: Points, label: Points) -> Points:
    """log cosh(ŷ − y), computed without overflow."""
    gap = prediction - label
    return gap + softplus(-2 * gap) - math.log(2)


def logistic(prediction: Points, label: Points) -> Points:
    """log(1 + e^{−yŷ}) for y = ±1, linear in y for mean labels between −1 and 1."""
    return softplus(prediction) - prediction * (1 + label) / 2


def poisson(prediction: Points, label: Points) -> Points:
    """e^ŷ − yŷ: the negative log-likelihood of counts y at rate e^ŷ, without log y!."""
    return torch.exp(prediction) - label * prediction


LOSSES: dict[LossName, Loss] = {
    "squared": Loss(squared),
    "log-cosh": Loss(log_cosh),
    # y = ±1 with P(y = 1) = 1/(1 + e^{−h}) has the mean tanh(h/2), and the best ŷ is h.
    "logistic": Loss(logistic, lambda signal: torch.tanh(signal / 2), -1.0, 1.0),
    # y ~ Poisson(e^h); the best ŷ is again h.
    "poisson": Loss(poisson, torch.exp, 0.0),
}


def as_loss(loss: LossName | LossFunction | Loss) -> Loss:
    """The loss with a name, or one made from a function ``(predictions, labels) -> losses``."""
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(loss)
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}: it must be a function or one of {', '.join(LOSSES)}")
    return LOSSES[loss]
