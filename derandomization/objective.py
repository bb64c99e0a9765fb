"""The objective of the lemma, Eq. 1 of the paper, as a torch module."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from derandomization.checks import require_positive


class DerandomizationObjective(nn.Module, ABC):
    """f(W, b; θ) = E_x[g_θ(Wx + b)] + λ‖W‖_F², x ~ N(0, I) (Eq. 1).

    A subclass defines the expectation and says which of its parameters are W and b; every
    parameter is an ``nn.Parameter``. ``descend`` minimises any subclass, ``certify`` certifies it.

    Args:
        regularization: λ > 0, the weight of ‖W‖_F², on the scale of g; else a ``ValueError``.

    Reference: Tsikouras, Pantis, Mitliagkas, Tzamos, *A Derandomization Framework for Structure
    Discovery*, ICLR 2026 (arXiv 2510.19382), Eq. 1 and Lemma 3.1.
    """

    def __init__(self, regularization: float) -> None:
        super().__init__()
        self.regularization = require_positive("regularization", regularization)

    @abstractmethod
    def expected_value(self) -> Float[Tensor, ""]:
        """E_x[g_θ(Wx + b)]: exact where a formula exists, else an unbiased estimate."""

    @abstractmethod
    def random_weights(self) -> Float[Tensor, "..."]:
        """W, which the lemma drives to zero, as a *linear isometric* image of the parameters.

        Linear: the same map applied to a gradient gives the gradient in W. Isometric: where there
        are fewer parameters than entries of W, the norm returned is still ‖W‖_F.
        """

    @abstractmethod
    def bias(self) -> Float[Tensor, "..."] | Sequence[Tensor]:
        """b, to which the random part Wx is added: isometric and linear like W, or a list of parts.

        W has one row for each entry of b, in the same order.
        """

    def hessian_lipschitz(self) -> float | None:
        """K, a Lipschitz constant of ∇²g valid everywhere; None where no formula is known."""
        return None

    def bias_hessian(self) -> LinearOperator | None:
        """∂²f/∂b² at the current point; None where autograd has to compute it."""
        return None

    def bias_hessian_times_weights(self) -> Tensor | None:
        """(∂²f/∂b²) W, projected on the image of the parameters; None where W has a row per b."""
        return None

    def hessian_product(self) -> Callable[[Tensor], Tensor] | None:
        """Multiplies vectors by ∇²f at the current point; None where autograd has to.

        Vectors and products are flat over ``parameters()``.
        """
        return None

    def forward(self) -> Float[Tensor, ""]:
        """f: the expected value plus λ‖W‖_F²."""
        return self.expected_value() + self.regularization * self.random_weights().square().sum()

    def backpropagate(self) -> Float[Tensor, ""]:
        """f, detached; its gradient is added to the parameters' ``grad``, which may be None."""
        value = self()
        value.backward()
        return value.detach()

    @torch.no_grad()
    def weight_norm(self) -> float:
        """‖W‖_F at the current point."""
        return float(self.random_weights().norm())


@torch.no_grad()
def require_exact(objective: DerandomizationObjective) -> None:
    """Raise ``ValueError`` where f is not finite, or two evaluations at one point differ."""
    first, second = float(objective()), float(objective())
    if not math.isfinite(first):
        raise ValueError(f"the objective is {first} at this point: it must be finite")
    if first != second:
        raise ValueError(
            "the objective changes between two evaluations at one point: it must be exact; "
            "certify the exact counterpart of a sampled one"
        )
