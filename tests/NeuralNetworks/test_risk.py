"""The risk of a student as an instance of Eq. 1, over a population."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from derandomization import (
    Expectation,
    GaussHermite,
    MonteCarlo,
    QuasiMonteCarlo,
)
from derandomization.hessian import Hessian
from NeuralNetworks.activations import ACTIVATIONS
from NeuralNetworks.expectations import Antithetic, SimplexAcross
from NeuralNetworks.losses import LOSSES, Loss, squared
from NeuralNetworks.model import LowRankStudent, Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.settings import ActivationName, LossName

NETWORKS = [(5,), (5, 3), (4, 3, 3)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def aligned(nodes: tuple[int, ...]) -> GaussHermite:
    return GaussHermite(nodes, basis=complete_basis(Teacher(len(nodes)).directions))


def population_risk(
    expectation: Expectation,
    teacher: Teacher,
    *,
    widths: tuple[int, ...] = (5,),
    loss: LossName = "squared",
    regularization: float = 0.1,
) -> PopulationRisk:
    """A student whose outputs are O(1) and whose first layer is narrow, |w| ≲ 1/2."""
    student = Student(len(teacher.directions[0]), widths, generator(), frozen=())
    with torch.no_grad():
        student.weight.mul_(0.4)
        student.output.mul_(2)
        student.bias.mul_(widths[0])
    chosen = LOSSES[loss]
    return PopulationRisk(student, Population(teacher, expectation, chosen), regularization, chosen)


def shrink_across(objective: PopulationRisk, factor: float) -> None:
    """W_⊥ ← factor · W_⊥."""
    with torch.no_grad():
        objective.student.weight -= (1 - factor) * objective.random_weights()


def across(objective: PopulationRisk, rows: Tensor) -> Tensor:
    u = objective.examples.directions
    return rows - (rows @ u.T) @ u


def stein_gap(objective: PopulationRisk) -> float:
    """‖∂f/∂W_⊥ − (∂²f/∂b² + 2λI) W_⊥‖ / ‖∂f/∂W_⊥‖."""
    student = objective.student
    gradient = across(objective, torch.autograd.grad(objective(), student.weight)[0])
    hessian = Hessian(objective, [student.bias])
    rows = [hessian.product(row) for row in torch.eye(len(student.bias), dtype=torch.float64)]
    shifted = torch.stack(rows) + 2 * objective.regularization * torch.eye(len(rows)).double()
    gap = gradient - shifted @ objective.random_weights()
    return float((gap.norm() / gradient.norm()).detach())


@pytest.mark.parametrize("loss", LOSSES)
def test_a_population_is_a_teachers_labels_under_the_expectation(loss: LossName) -> None:
    teacher, expectation = Teacher(2, noise=0.3), GaussHermite((5, 4, 3))
    population = Population(teacher, expectation, LOSSES[loss])
    inputs, labels, weights = population()
    sample, expected_weights = expectation()
    assert torch.equal(inputs, sample[:, :2])  # the noise is no input
    assert torch.equal(weights, expected_weights)
    signal = np.tanh(sample[:, :2].numpy().sum(axis=1) / math.sqrt(2)) + 0.3 * sample[:, 2].numpy()
    label = {"logistic": np.tanh(signal / 2), "poisson": np.exp(signal)}.get(loss, signal)
    assert labels.numpy() == pytest.approx(label, rel=1e-13, abs=1e-14)
    assert population.directions is teacher.directions


def test_without_a_loss_the_labels_are_the_signal() -> None:
    teacher, expectation = Teacher(2), GaussHermite((5, 4))
    assert torch.equal(Population(teacher, expectation)()[1], teacher(expectation()[0]))


def test_a_sampled_population_is_fresh_at_every_call() -> None:
    population = Population(Teacher(2), MonteCarlo(2, 5, generator()))
    assert not torch.equal(population()[0], population()[0])


@pytest.mark.parametrize("dimension", [2, 3])
def test_exact_risk_agrees_with_brute_force_sampling(dimension: int) -> None:
    teacher = Teacher(dimension)
    objective = population_risk(aligned((64, 24, 24)[:dimension]), teacher)
    student = objective.student
    x = np.random.default_rng(1).standard_normal((400_000, dimension))
    weight, bias, output = (
        p.detach().numpy() for p in (student.weight, student.bias, student.output)
    )
    predicted = np.logaddexp(0, 2 * (x @ weight.T + bias)) / 2 @ output / 5
    losses = (predicted - np.tanh(x.sum(axis=1) / math.sqrt(dimension))) ** 2
    error = losses.std() / math.sqrt(len(losses))
    assert abs(objective.risk().item() - losses.mean()) < 4 * error


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("widths", NETWORKS)
def test_the_risk_of_any_student_is_the_mean_of_any_loss(
    widths: tuple[int, ...], loss: LossName
) -> None:
    teacher, expectation = Teacher(2), aligned((8, 4))
    objective = population_risk(expectation, teacher, widths=widths, loss=loss)
    points, weights = expectation()
    chosen = LOSSES[loss]
    losses = chosen.function(objective.student(points), chosen.label(teacher(points)))
    expected = float((losses @ weights).detach())
    assert objective.risk().item() == pytest.approx(expected, rel=1e-14)


def test_the_loss_may_be_ones_own_and_is_squared_by_default() -> None:
    teacher, expectation = Teacher(2), aligned((8, 4))
    student = Student(2, 3, generator())
    points, weights = expectation()
    gaps = student(points) - teacher(points)
    population = Population(teacher, expectation)
    quartic = Loss(lambda prediction, label: (prediction - label) ** 4)
    risks = [
        PopulationRisk(student, population, 0.1, quartic),
        PopulationRisk(student, population, 1),
    ]
    for risk, power in zip(risks, (4, 2), strict=True):
        expected = float((weights @ gaps**power).detach())
        assert risk.risk().item() == pytest.approx(expected, rel=1e-12)
    assert risks[1].loss.function is squared


def test_noise_on_the_labels_adds_its_variance_to_the_squared_risk() -> None:
    quiet = population_risk(aligned((24, 6)), Teacher(2))
    teacher = Teacher(2, noise=0.3)
    rule = GaussHermite(
        (24, 6, 4),
        basis=torch.block_diag(complete_basis(Teacher(2).directions), torch.ones(1, 1).double()),
    )
    noisy = population_risk(rule, teacher)
    assert noisy.risk().item() == pytest.approx(quiet.risk().item() + 0.09, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    dimension=st.integers(2, 5),
    indices=st.integers(1, 4),
    width=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_weights_split_orthogonally_into_what_the_labels_see_and_the_rest(
    dimension: int, indices: int, width: int, seed: int
) -> None:
    student = Student(dimension, width, generator(seed))
    teacher = Teacher(dimension, min(indices, dimension - 1))
    objective = PopulationRisk(student, Population(teacher, GaussHermite([2])), 0.1)
    w, u = student.weight.detach().numpy(), teacher.directions.numpy()
    rest = objective.random_weights().detach().numpy()
    assert np.abs(rest @ u.T).max() < 1e-14
    assert w - rest == pytest.approx(w @ u.T @ u, abs=1e-14)
    assert objective.weight_norm() == pytest.approx(np.linalg.norm(rest), rel=1e-14)
    assert objective.bias() is student.bias


@pytest.mark.parametrize("widths", NETWORKS)
def test_f_is_eq_1_and_the_risk_plus_lambda_times_all_of_w_squared(
    widths: tuple[int, ...],
) -> None:
    objective = population_risk(aligned((20, 8)), Teacher(2), widths=widths, regularization=0.3)
    rest = objective.random_weights().square().sum()
    along = objective.student.weight.square().sum() - rest
    risk, expected, value = objective.risk(), objective.expected_value(), objective()
    close = {"rtol": 1e-14, "atol": 0}
    torch.testing.assert_close(value, expected + 0.3 * rest, **close)
    torch.testing.assert_close(expected, risk + 0.3 * along, **close)
    torch.testing.assert_close(value, risk + 0.3 * objective.student.weight.square().sum(), **close)


@pytest.mark.parametrize("widths", NETWORKS)
def test_steins_identity_holds_as_the_quadrature_across_the_teacher_converges(
    widths: tuple[int, ...],
) -> None:
    rules = [aligned((64, nodes)) for nodes in (4, 8, 16)]
    gaps = [stein_gap(population_risk(rule, Teacher(2), widths=widths)) for rule in rules]
    # An n-node rule integrates by parts up to its own error, which falls geometrically in n for
    # these narrow weights, down to the mass of the dropped nodes (1e-8 each).
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    assert gaps[2] < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("widths", NETWORKS)
def test_steins_identity_becomes_exact_in_twenty_dimensions_as_the_weights_across_vanish(
    widths: tuple[int, ...], loss: LossName
) -> None:
    teacher = Teacher(20, 2)
    rule = SimplexAcross(GaussHermite((12, 12)), complete_basis(teacher.directions))
    objective = population_risk(rule, teacher, widths=widths, loss=loss)
    gaps = []
    for _ in range(3):
        shrink_across(objective, 0.1)
        gaps.append(stein_gap(objective))
    # The gap is a third moment times ‖W_⊥‖², divided by ‖W_⊥‖: first order at the least.
    assert gaps[1] < 0.2 * gaps[0]
    assert gaps[2] < 0.2 * gaps[1] < 1e-3
    shrink_across(objective, 1e-4)
    assert stein_gap(objective) < 1e-6


def test_steins_identity_becomes_exact_for_quadrature_too() -> None:
    objective = population_risk(aligned((64, 8)), Teacher(2))
    shrink_across(objective, 1e-4)
    assert stein_gap(objective) < 1e-8  # any two nodes across integrate what is linear in x_⊥


@pytest.mark.parametrize("widths", NETWORKS)
@pytest.mark.parametrize("kind", ["quadrature", "simplex", "antithetic"])
def test_no_weights_across_are_stationary_for_every_rule_that_knows_the_teacher(
    kind: str, widths: tuple[int, ...]
) -> None:
    teacher = Teacher(5, 2) if kind != "quadrature" else Teacher(2)
    rules: dict[str, Expectation] = {
        "quadrature": aligned((12, 3)),
        "simplex": SimplexAcross(GaussHermite((6, 6)), complete_basis(Teacher(5, 2).directions)),
        "antithetic": Antithetic(QuasiMonteCarlo(5, 16, generator()), Teacher(5, 2).directions),
    }
    objective = population_risk(rules[kind], teacher, widths=widths)
    shrink_across(objective, 0.0)
    for _ in range(3):  # batches differ where there are any
        gradient = torch.autograd.grad(objective(), objective.student.weight)[0]
        assert across(objective, gradient).abs().max() < 1e-14
        assert gradient.norm() > 1e-2


def test_plain_batches_leave_noise_there() -> None:
    objective = population_risk(MonteCarlo(5, 16, generator()), Teacher(5, 2))
    shrink_across(objective, 0.0)
    gradient = torch.autograd.grad(objective(), objective.student.weight)[0]
    assert across(objective, gradient).norm() > 1e-3


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "relu"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.filterwarnings("ignore:activation ReLU")
def test_the_closed_form_of_the_bias_hessian_is_autograds(
    loss: LossName, activation: ActivationName | Literal["relu"]
) -> None:
    objective = population_risk(aligned((9, 8)), Teacher(2), loss=loss)
    student = objective.student
    with torch.no_grad():
        student.bias.add_(torch.linspace(-1, 1, 5).double())
    student.activation = nn.ReLU() if activation == "relu" else ACTIVATIONS[activation]()
    operator = objective.bias_hessian()
    assert operator is not None

    def value(bias: Tensor) -> Tensor:
        return torch.func.functional_call(objective, {"student.bias": bias}, ())

    expected = torch.autograd.functional.hessian(value, student.bias.detach()).numpy()
    assert np.abs(expected).max() > 1e-3
    assert operator @ np.eye(5) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_students_of_several_layers_or_outputs_leave_the_bias_hessian_to_autograd() -> None:
    teacher, expectation = Teacher(2), aligned((3, 3))
    examples = Population(teacher, expectation)
    students = [
        Student(2, (4, 3), generator()),
        Student(2, 4, generator(), outputs=2),
        LowRankStudent(Student(1, 4, generator()), teacher.directions),
    ]
    for student in students:
        assert PopulationRisk(student, examples, 0.1).bias_hessian() is None
