"""Computing one sample at a time gives the same estimate as computing all at once."""

import numpy as np
import torch

from benchmarks.maxcut import DrawByDraw
from MAXCUT.expected_cut import ExpectedCut, ScoreFunction
from MAXCUT.graph import Graph
from MAXCUT.sdp import solve_sdp
from MAXCUT.utilities import random_graph


def estimate(estimator: type[ScoreFunction]) -> tuple[float, list[torch.Tensor | None]]:
    graph = Graph.from_networkx(random_graph(10, 0.5, seed=1))
    vectors = solve_sdp(graph, np.random.default_rng(0)).vectors
    objective = ExpectedCut(graph, vectors, smoothing=0.5, regularization=0.01)
    objective.evaluation = estimator(30, torch.Generator().manual_seed(3))
    value = objective()
    value.backward()
    return float(value.detach()), [parameter.grad for parameter in objective.parameters()]


def test_draw_by_draw_is_the_same_estimate() -> None:
    (value, gradients), (expected, its_gradients) = estimate(DrawByDraw), estimate(ScoreFunction)
    assert value == expected
    for gradient, its_gradient in zip(gradients, its_gradients, strict=True):
        torch.testing.assert_close(gradient, its_gradient)
