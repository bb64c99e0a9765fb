"""The toy neuron: its threshold, its minimisers, and what PGD finds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from derandomization import certify
from NeuralNetworks import toy

GRID = np.linspace(0, 1.2, 1_200_001)


def frozen_objective(w: np.ndarray | float, regularization: float) -> np.ndarray | float:
    """E(ReLU³(wx) − 1)² + λw² with the moments E[x₊³] = √(2/π), E[x₊⁶] = 15/2."""
    return 7.5 * w**6 - 2 * math.sqrt(2 / math.pi) * w**3 + 1 + regularization * w**2


def test_threshold_is_where_the_two_minima_tie() -> None:
    def gap(regularization: float) -> float:
        nonzero = optimize.minimize_scalar(
            lambda w: frozen_objective(w, regularization),
            bounds=(0.25, 0.8),
            method="bounded",
            options={"xatol": 1e-12},
        )
        return nonzero.fun - 1.0

    tie = optimize.brentq(gap, 0.3, 0.5, xtol=1e-13)
    assert toy.frozen_threshold() == pytest.approx(tie, abs=1e-9)
    assert round(toy.frozen_threshold(), 4) == 0.4501


@settings(max_examples=25, deadline=None)
@given(regularization=st.floats(0.005, 1.0).filter(lambda r: abs(r - 0.45012) > 1e-4))
def test_frozen_minimizer_is_the_lowest_point_of_a_fine_grid(regularization: float) -> None:
    found = toy.frozen_minimizer(regularization)
    lowest = GRID[np.argmin(frozen_objective(GRID, regularization))]
    assert found == pytest.approx(lowest, abs=1e-6)  # the grid's own spacing


def test_frozen_minimizer_jumps_to_zero_at_the_threshold() -> None:
    threshold = toy.frozen_threshold()
    # Subtracting f = 1 from f' = 0 there leaves 30w³ = c.
    jump = (2 * math.sqrt(2 / math.pi) / 30) ** (1 / 3)
    assert toy.frozen_minimizer(threshold - 1e-6) == pytest.approx(jump, abs=1e-5)
    assert toy.frozen_minimizer(threshold + 1e-6) == 0.0


@pytest.mark.parametrize(("weight", "bias"), [(0.5, 0.0), (-0.7, 0.4), (0.3, -0.2), (0.0, 0.6)])
def test_objective_is_the_expectation_it_stands_for(weight: float, bias: float) -> None:
    neuron = toy.ToyNeurons(weight, bias, 0.2, train_bias=True)
    exact, _ = integrate.quad(
        lambda x: (max(weight * x + bias, 0) ** 3 - 1) ** 2 * stats.norm.pdf(x),
        -12,
        12,
        points=[-bias / weight] if weight else [],
        epsabs=1e-12,
        limit=200,
    )
    assert neuron.expected_value().item() == pytest.approx(exact, abs=1e-10)
    assert neuron().item() == pytest.approx(exact + 0.2 * weight**2, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(weight=st.floats(0.02, 1.5), bias=st.floats(-1, 1.5), regularization=st.floats(0.01, 1))
def test_steins_identity_holds_for_the_closed_form(
    weight: float, bias: float, regularization: float
) -> None:
    neuron = toy.ToyNeurons(weight, bias, regularization, train_bias=True)
    slope_w, slope_b = torch.autograd.grad(
        neuron(), (neuron.weight, neuron.bias()), create_graph=True
    )
    (curvature,) = torch.autograd.grad(slope_b, neuron.bias())
    expected = (curvature.item() + 2 * regularization) * weight
    assert slope_w.item() == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_frozen_zero_is_a_local_minimum_the_lemma_does_not_forbid_to_lose() -> None:
    zero = toy.ToyNeurons(0.0, 0.0, 0.1, train_bias=False)
    certificate = certify(zero)
    assert certificate.gradient_norm == 0
    assert certificate.min_curvature == pytest.approx(0.2, rel=1e-12)
    assert certificate.weight_bound is None  # the lemma needs a trained bias
    assert certificate.sharp_weight_bound < 1e-12  # W is 0
    assert frozen_objective(toy.frozen_minimizer(0.1), 0.1) < zero().item()


def test_sweep_finds_the_frozen_minimizer_and_the_trained_bias_at_zero_and_one() -> None:
    regularizations = np.array([0.05, 0.25, 0.44, 0.46, 0.7])
    ends = toy.sweep(regularizations, torch.Generator().manual_seed(0))
    lowest = [GRID[np.argmin(frozen_objective(GRID, r))] for r in regularizations]
    assert ends.frozen_weights == pytest.approx(np.array(lowest), abs=1.1e-6)
    assert (ends.frozen_weights[:3] > 0.376).all()
    assert (ends.frozen_weights[3:] < 1e-9).all()
    assert ends.trained_weights == pytest.approx(np.zeros(5), abs=1e-7)
    assert ends.trained_biases == pytest.approx(np.ones(5), abs=1e-7)
    assert np.array_equal(ends.regularizations, regularizations)


def test_neurons_in_one_objective_do_not_interact() -> None:
    weights, biases, regularizations = np.array([[0.5, -0.3, 0.0], [0.1, 0.0, 0.7], [0.2, 0.4, 1]])
    together = toy.ToyNeurons(weights, biases, regularizations, train_bias=True)
    together().backward()
    alone = [
        toy.ToyNeurons(*each, train_bias=True)
        for each in zip(weights, biases, regularizations, strict=True)
    ]
    for number, neuron in enumerate(alone):
        neuron().backward()
        assert together.values()[number].item() == pytest.approx(neuron().item(), rel=1e-14)
        for parts, part in zip(together.parameters(), neuron.parameters(), strict=True):
            assert parts.grad[number].item() == pytest.approx(part.grad.item(), rel=1e-13)
    assert together().item() == pytest.approx(sum(n().item() for n in alone), rel=1e-14)


def test_a_sweep_ends_where_descents_one_by_one_end() -> None:
    regularizations = np.array([0.05, 0.7])
    ends = toy.sweep(regularizations, torch.Generator().manual_seed(0))
    for number, regularization in enumerate(regularizations):
        one = toy.sweep(np.array([regularization]), torch.Generator().manual_seed(1))
        assert ends.frozen_weights[number] == pytest.approx(one.frozen_weights[0], abs=1e-8)
        assert ends.trained_biases[number] == pytest.approx(one.trained_biases[0], abs=1e-8)


def test_the_bracket_contains_the_threshold_and_is_narrow() -> None:
    generator = torch.Generator().manual_seed(0)
    ends = toy.sweep(np.array([0.449, 0.451]), generator)
    low, high = toy.bracket_threshold(ends, generator)
    assert low < toy.frozen_threshold() < high
    assert 0 < high - low <= 5e-5


def test_the_bracket_needs_a_sweep_on_both_sides_of_the_threshold() -> None:
    one_sided = toy.ToySweep(np.array([0.5]), np.zeros(1), np.zeros(1), np.ones(1))
    with pytest.raises(ValueError, match="all on one side"):
        toy.bracket_threshold(one_sided, torch.Generator())
