"""Parameters, and the loop that steps an optimizer over a function of them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

Function = Callable[[list[Tensor]], Tensor]


@pytest.fixture(scope="session")
def tensors() -> Callable[..., list[Tensor]]:
    def build(*values: object, dtype: torch.dtype = torch.float64) -> list[Tensor]:
        return [torch.tensor(v, dtype=dtype, requires_grad=True) for v in values]

    return build


@pytest.fixture(scope="session")
def flat() -> Callable[[list[Tensor]], np.ndarray]:
    """A copy of all parameters, one after the other."""

    def joined(params: list[Tensor]) -> np.ndarray:
        return torch.cat([p.detach().flatten() for p in params]).numpy().copy()

    return joined


@pytest.fixture(scope="session")
def run(flat: Callable[[list[Tensor]], np.ndarray]) -> Callable[..., np.ndarray]:
    def steps_over(
        optimizer: torch.optim.Optimizer, function: Function, params: list[Tensor], steps: int
    ) -> np.ndarray:
        """All parameters, flat, after each step."""

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = function(params)
            value.backward()
            return value

        path = []
        for _ in range(steps):
            optimizer.step(closure)
            path.append(flat(params))
        return np.array(path)

    return steps_over
