"""Activations that satisfy the lemma: twice differentiable, with a Lipschitz second derivative."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from NeuralNetworks.settings import ActivationName


class SmoothReLU(nn.Module):
    """ReLU_ι(z) = log(1 + e^{ιz}) / ι with sharpness ι, within log(2)/ι of ReLU (Section 4)."""

    def __init__(self, sharpness: float = 2.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return _SmoothReLU.apply(z, self.sharpness)


class _SmoothReLU(torch.autograd.Function):
    """Softplus with a sigmoid as derivative: torch's own backward pass takes twice as long."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, sharpness: float) -> Tensor:
        ctx.save_for_backward(z)
        ctx.sharpness = sharpness
        # No overflow of e^{ιz}: past ιz = 40 the linear branch of softplus is exact in float64.
        return nn.functional.softplus(z, beta=sharpness, threshold=40)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (z,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # Hessian-vector products differentiate this again
            return gradient * torch.sigmoid(ctx.sharpness * z), None
        return (ctx.sharpness * z).sigmoid_().mul_(gradient), None


class Elementwise(nn.Module):
    """A function of each entry, as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return self.function(z)


Quadratic = partial(Elementwise, torch.square)
ACTIVATIONS: dict[ActivationName, Callable[[], nn.Module]] = {
    "smooth-relu": SmoothReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "erf": partial(Elementwise, torch.erf),
    "softplus": lambda: SmoothReLU(1.0),
    "quadratic": Quadratic,
    "cubic-relu": partial(Elementwise, lambda z: torch.relu(z).pow(3)),  # the toy neuron's
}


def rectified_moments(
    bias: Float[Tensor, "*shape"], deviation: Float[Tensor, "*shape"], order: int
) -> list[Float[Tensor, "*shape"]]:
    """E[ReLU(wx + b)^p] for p = 0 … order ≥ 1, x ~ N(0, 1), by entry, with w of either sign.

    Integration by parts gives I₀ = Φ(b/|w|), I₁ = bI₀ + |w|φ(b/|w|), I_p = bI_{p−1} +
    (p−1)w²I_{p−2}. At w = 0 they are ReLU(b)^p, with correct derivatives for b ≠ 0.
    """
    # Not abs, whose second derivative imports torch's compiler in 2 s.
    spread = torch.where(deviation < 0, -deviation, deviation)
    # Beyond 38 deviations Φ is 0 or 1 and φ is 0 in float64; dividing there would give NaN.
    spans_zero = bias.abs() < 38 * spread
    z = bias / torch.where(spans_zero, spread, torch.ones_like(spread))
    mass = torch.where(spans_zero, torch.special.ndtr(z), (bias > 0).to(z))
    density = torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5
    edge = torch.where(spans_zero, spread * density, torch.zeros_like(z))
    moments = [mass, bias * mass + edge]
    for p in range(2, order + 1):
        moments.append(bias * moments[-1] + (p - 1) * deviation.square() * moments[-2])
    return moments
