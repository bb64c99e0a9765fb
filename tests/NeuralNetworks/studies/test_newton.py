"""Newton's method with cubic regularization: where it ends, and that it leaves saddles."""

import numpy as np
import pytest
import torch

from derandomization import certify, descend
from NeuralNetworks.studies.newton import CubicNewton, _cubic_step
from NeuralNetworks.studies.saddles import saddle_risk


@pytest.mark.parametrize("lowest", [0.5, 0.0, -0.3])
def test_a_step_minimises_the_cubic_model(lowest: float) -> None:
    values, along, cubic = np.array([lowest, 1.0, 4.0]), np.array([0.2, -1.0, 0.3]), 2.0

    def model(step: np.ndarray) -> float:
        return float(along @ step + values @ step**2 / 2 + cubic / 6 * np.linalg.norm(step) ** 3)

    found = _cubic_step(values, along, cubic)
    rng = np.random.default_rng(0)
    others = found + 1e-2 * rng.standard_normal((200, 3))
    assert model(found) < min(model(each) for each in others)
    assert model(found) < min(model(each) for each in 2 * rng.standard_normal((200, 3)))


def test_it_leaves_a_strict_saddle_at_which_the_gradient_vanishes() -> None:
    """At W = 0, b = 0 the gradient in b is symmetric; the study saddles shows that GD stays."""
    objective = saddle_risk(2, 0.1, torch.Generator().manual_seed(0))
    optimizer = CubicNewton(objective, accuracy=1e-7)
    history = descend(objective, optimizer, max_steps=200)
    assert history.reason == "second-order stationary"
    assert (np.diff(history.value) <= 1e-12).all()
    certificate = certify(objective)
    assert certificate.gradient_norm <= 1e-7
    assert certificate.min_curvature >= -1.01e-7
    assert certificate.weight_norm <= 1e-6


def test_it_does_not_end_where_curvature_is_negative() -> None:
    objective = saddle_risk(2, 0.1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        objective.student.weight.zero_()  # a saddle: f falls along b
    start = float(objective().detach())
    assert certify(objective).gradient_norm == 0
    history = descend(objective, CubicNewton(objective, accuracy=1e-7), max_steps=200)
    assert history.num_steps > 1
    assert history.value[-1] < start - 0.1
