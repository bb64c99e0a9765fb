"""Losses, and the labels that each of them is made for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

LossFunction = Callable[[Tensor, Tensor], Tensor]


def _same(signal: Tensor) -> Tensor:
    return signal


@dataclass(frozen=True)
class Loss:
    """ℓ(ŷ, y) point by point, and E[y] for a teacher's signal h(Ux).

    Attributes:
        function: maps predictions and labels, ``[points]`` each, to losses ``[points]``.
        label: maps the teacher's signal to the label. Where ℓ is linear in y, the label's mean
            stands for the label: the randomness of y given x is integrated out, exactly.
        lowest_label: the smallest label allowed.
        highest_label: the largest label allowed.
    """

    function: LossFunction
    label: Callable[[Tensor], Tensor] = _same
    lowest_label: float = -math.inf
    highest_label: float = math.inf

    def require_labels(self, labels: Float[Tensor, " points"]) -> None:
        """Raise ``ValueError`` unless every label is one that the loss is made for."""
        low, high = float(labels.min()), float(labels.max())
        if low < self.lowest_label or high > self.highest_label:
            raise ValueError(
                f"labels lie between {low:g} and {high:g}: this loss takes labels from "
                f"{self.lowest_label:g} to {self.highest_label:g}"
            )


def squared(
    prediction: Float[Tensor, " points"], label: Float[Tensor, " points"]
) -> Float[Tensor, " points"]:
    """(ŷ − y)²."""
    return (prediction - label).square()


def log_cosh(
    prediction: Float[Tensor, " points"], label: Float[Tensor, " points"]
) -> Float[Tensor, " points"]:
    """log cosh(ŷ − y), written so that nothing overflows."""
    gap = prediction - label
    return gap + softplus(-2 * gap) - math.log(2)


def logistic(
    prediction: Float[Tensor, " points"], label: Float[Tensor, " points"]
) -> Float[Tensor, " points"]:
    """log(1 + e^{−yŷ}) for y = ±1, continued linearly to the mean labels between."""
    return softplus(prediction) - prediction * (1 + label) / 2


def poisson(
    prediction: Float[Tensor, " points"], label: Float[Tensor, " points"]
) -> Float[Tensor, " points"]:
    """e^ŷ − yŷ: the negative log-likelihood of counts y at rate e^ŷ, up to log y!."""
    return torch.exp(prediction) - label * prediction


LossName = Literal["squared", "log-cosh", "logistic", "poisson"]
LOSSES: dict[LossName, Loss] = {
    "squared": Loss(squared),
    "log-cosh": Loss(log_cosh),
    # y = ±1 with P(y = 1) = 1/(1 + e^{−h}), whose mean is tanh(h/2): the best ŷ is h.
    "logistic": Loss(logistic, lambda signal: torch.tanh(signal / 2), -1.0, 1.0),
    # y ~ Poisson(e^h): the best ŷ is again h.
    "poisson": Loss(poisson, torch.exp, 0.0),
}


def as_loss(loss: LossName | LossFunction | Loss) -> Loss:
    """A loss by its name, or one of the caller's own: ``(predictions, labels) -> losses``.

    Raises:
        ValueError: a name that is none of ``LOSSES``.
    """
    if isinstance(loss, Loss):
        return loss
    if callable(loss):
        return Loss(loss)
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}: it must be a function or one of {', '.join(LOSSES)}")
    return LOSSES[loss]
