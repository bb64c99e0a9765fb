"""Batches drawn whole have the law of the library's own."""

import torch

from benchmarks.johnson_lindenstrauss import DrawnWhole
from JohnsonLindenstrauss.model import SampledDistortion, cube_points


def test_drawn_whole_it_is_the_same_expectation() -> None:
    points = cube_points(5, 12, torch.Generator().manual_seed(0))
    means = []
    for kind in (DrawnWhole, SampledDistortion):
        objective = kind(points, 4, torch.Generator().manual_seed(1))
        with torch.no_grad():
            drawn = torch.stack([objective.expected_value() for _ in range(600)])
        means.append((float(drawn.mean()), float(drawn.std()) / len(drawn) ** 0.5))
    (first, error), (second, its_error) = means
    assert abs(first - second) < 5 * (error + its_error)


def test_it_can_be_differentiated() -> None:
    points = cube_points(5, 12, torch.Generator().manual_seed(0))
    objective = DrawnWhole(points, 4, torch.Generator().manual_seed(1))
    objective().backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
