"""Two instances of Eq. 1 whose expectation, derivatives and K are known on paper."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from derandomization import DerandomizationObjective


class CosineObjective(DerandomizationObjective):
    """g(y) = cos(c·y): f = exp(−‖Wᵀc‖²/2) cos(c·b) + λ‖W‖².

    Its minimum is W = 0, c·b = π. At b = 0 it has a saddle with W ≠ 0 (see ``saddle``).
    """

    def __init__(self, weight: Tensor, bias: Tensor, regularization: float, c: Tensor) -> None:
        super().__init__(regularization)
        self.weight = nn.Parameter(weight.clone())
        self._bias = nn.Parameter(bias.clone())
        self.register_buffer("c", c.clone())

    @classmethod
    def saddle(cls, regularization: float = 0.1) -> "CosineObjective":
        """The first-order point with b = 0 and exp(−‖Wᵀc‖²/2)·‖c‖² = 2λ, so that ∇f = 0."""
        c = torch.tensor([1.0, 0.5], dtype=torch.float64)
        spread = -2 * math.log(2 * regularization / float(c @ c))  # ‖Wᵀc‖²
        row = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
        weight = c[:, None] * row * math.sqrt(spread) / float(c @ c)
        return cls(weight, torch.zeros(2, dtype=torch.float64), regularization, c)

    def expected_value(self) -> Tensor:
        damping = torch.exp(-(self.c @ self.weight).square().sum() / 2)
        return damping * torch.cos(self.c @ self._bias)

    def random_weights(self) -> Tensor:
        return self.weight

    def bias(self) -> Tensor:
        return self._bias

    def hessian_lipschitz(self) -> float:
        """Along a unit (dW, db), |f'''| ≤ E|c·(dW x + db)|³ ≤ (E(·)⁴)^{3/4} ≤ 3^{3/4}‖c‖³."""
        return 3**0.75 * float(self.c.norm()) ** 3


class CubicObjective(DerandomizationObjective):
    """g(y) = κy³/6, W and b scalars: f = κ(b³ + 3bw²)/6 + λw².

    The third derivative is constant, κ(u_b³ + 3u_b u_w²) along u; its norm is κ√2, at 45°.
    """

    def __init__(self, weight: float, bias: float, regularization: float, kappa: float) -> None:
        super().__init__(regularization)
        self.weight = nn.Parameter(torch.tensor([weight], dtype=torch.float64))
        self._bias = nn.Parameter(torch.tensor([bias], dtype=torch.float64))
        self.kappa = kappa

    def expected_value(self) -> Tensor:
        cubic = self._bias**3 + 3 * self._bias * self.weight**2
        return (self.kappa * cubic / 6).sum()

    def random_weights(self) -> Tensor:
        return self.weight

    def bias(self) -> Tensor:
        return self._bias


@pytest.fixture(scope="module")
def cosine_saddle() -> Callable[..., CosineObjective]:
    return CosineObjective.saddle


@pytest.fixture(scope="module")
def cosine_objective() -> Callable[..., CosineObjective]:
    """Build one from W and b given as nested lists, c = (1, ½)."""

    def build(weight: list, bias: list, regularization: float = 0.1) -> CosineObjective:
        tensors = (torch.tensor(values, dtype=torch.float64) for values in (weight, bias))
        return CosineObjective(
            *tensors, regularization, torch.tensor([1.0, 0.5], dtype=torch.float64)
        )

    return build


@pytest.fixture(scope="module")
def cubic_objective() -> Callable[..., CubicObjective]:
    return CubicObjective


@pytest.fixture(scope="module")
def quantities() -> Callable[..., tuple[float, float, float]]:
    """f, ‖∇f‖ and ‖W‖_F of an objective at a snapshot, computed anew."""

    def compute(
        objective: DerandomizationObjective, snapshot: dict[str, Tensor]
    ) -> tuple[float, float, float]:
        objective.load_state_dict(snapshot, strict=False)
        objective.zero_grad()
        value = objective()
        value.backward()
        squares = sum(float(p.grad.square().sum()) for p in objective.parameters())
        return value.item(), math.sqrt(squares), objective.weight_norm()

    return compute
