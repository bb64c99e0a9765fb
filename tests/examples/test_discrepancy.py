"""The example's expectation is exact, and its colouring beats the random one it starts from."""

import itertools

import numpy as np
import pytest
import torch

from examples.discrepancy import SMOOTHING, ExpectedImbalance, colour, discrepancy


def some_sets(num_sets: int, num_elements: int) -> np.ndarray:
    return (np.random.default_rng(0).random((num_sets, num_elements)) < 0.5).astype(int)


def test_the_expectation_is_the_sum_over_all_colourings() -> None:
    sets = some_sets(5, 6)
    objective = ExpectedImbalance(sets)
    with torch.no_grad():
        objective.w.copy_(torch.linspace(0.2, 1, 6))
        objective.b.copy_(torch.linspace(-1, 1, 6))
    deviations = np.sqrt(objective.w.detach().numpy() ** 2 + SMOOTHING**2)
    plus = torch.special.ndtr(objective.b.detach() / torch.from_numpy(deviations)).numpy()
    total = 0.0
    for signs in itertools.product((-1, 1), repeat=6):
        colours = np.array(signs)
        probability = np.where(colours == 1, plus, 1 - plus).prod()
        total += probability * 2 * np.cosh(objective.rate * (sets @ colours)).sum()
    expected = total / np.exp(objective.log_start)
    assert objective.expected_value().item() == pytest.approx(expected, rel=1e-12)


def test_it_starts_at_the_random_colouring() -> None:
    assert ExpectedImbalance(some_sets(7, 9)).expected_value().item() == pytest.approx(1)


def test_one_colouring_balances_better_than_random_ones_and_within_its_bound() -> None:
    sets = some_sets(40, 30)
    colours, objective = colour(sets)
    random = np.random.default_rng(1).choice([-1, 1], size=(1000, 30))
    assert objective.weight_norm() < 1e-6
    assert set(colours) <= {-1, 1}
    assert np.cosh(objective.rate * (sets @ colours)).sum() * 2 < np.exp(objective.log_start)
    found = discrepancy(sets, colours)
    assert found <= objective.proven_discrepancy()
    assert found < 0.8 * discrepancy(sets, random).mean()
