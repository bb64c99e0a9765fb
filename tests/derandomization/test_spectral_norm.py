"""The norm that bounds a step against the dense Hessian's."""

from collections.abc import Callable

import pytest
import torch

from derandomization import DerandomizationObjective
from derandomization.hessian import Hessian

Build = Callable[..., DerandomizationObjective]


def test_the_spectral_norm_is_that_of_the_dense_hessian(cosine_saddle: Build) -> None:
    objective = cosine_saddle()
    hessian = Hessian(objective, objective.parameters())
    identity = torch.eye(len(hessian.gradient), dtype=torch.float64)
    dense = torch.stack([hessian.product(row) for row in identity])
    largest = float(torch.linalg.matrix_norm(dense, ord=2))
    assert hessian.spectral_norm(iterations=500) == pytest.approx(largest, rel=1e-6)
    scales = torch.linspace(0.5, 2, len(identity), dtype=torch.float64)
    scaled = float(torch.linalg.matrix_norm(scales[:, None] * dense * scales, ord=2))
    assert hessian.spectral_norm(scales, iterations=500) == pytest.approx(scaled, rel=1e-6)
    assert hessian.spectral_norm(0 * scales) == 0
