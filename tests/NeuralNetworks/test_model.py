"""Teacher, student and the population risk as an instance of Eq. 1."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from derandomization import Expectation, GaussHermite
from derandomization.stationarity import Hessian
from NeuralNetworks.model import PopulationRisk, Student, Teacher, complete_basis


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def aligned(nodes: tuple[int, ...]) -> GaussHermite:
    return GaussHermite(nodes, basis=complete_basis(Teacher(len(nodes)).directions))


def population_risk(
    expectation: Expectation, width: int = 5, dimension: int = 2, regularization: float = 0.1
) -> PopulationRisk:
    """A student whose output weights are O(1) and whose first layer is narrow, |w| ≲ 1/2."""
    student = Student(dimension, width, generator(), train_output_layer=True)
    with torch.no_grad():
        student.weight.mul_(0.4)
        student.output.mul_(width)
        student.bias.mul_(width)
    return PopulationRisk(student, Teacher(dimension), expectation, regularization)


@settings(max_examples=25, deadline=None)
@given(dimension=st.integers(1, 6), indices=st.integers(1, 6), seed=st.integers(0, 1000))
def test_complete_basis_is_orthonormal_and_begins_with_the_given_rows(
    dimension: int, indices: int, seed: int
) -> None:
    noise = np.random.default_rng(seed).standard_normal((dimension, min(indices, dimension)))
    directions = torch.from_numpy(np.linalg.qr(noise)[0].T.copy())
    basis = complete_basis(directions)
    assert torch.equal(basis[: len(directions)], directions)
    identity = torch.eye(dimension, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.T, identity, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_teacher_sees_one_unit_direction_only(dimension: int) -> None:
    teacher = Teacher(dimension)
    x = torch.randn(7, dimension, generator=generator(), dtype=torch.float64)
    expected = np.tanh(x.numpy().sum(axis=1) / math.sqrt(dimension))
    assert teacher(x).numpy() == pytest.approx(expected, rel=1e-13)
    assert teacher.directions.norm().item() == pytest.approx(1, rel=1e-15)
    across = torch.eye(dimension, dtype=torch.float64) - teacher.directions.T @ teacher.directions
    torch.testing.assert_close(teacher(x + 3 * x @ across), teacher(x), rtol=1e-12, atol=1e-14)


def test_student_is_the_two_layer_network() -> None:
    student = Student(3, 4, generator(), sharpness=1.5)
    x = np.random.default_rng(0).standard_normal((6, 3))
    weight, bias, output = (
        p.detach().numpy() for p in (student.weight, student.bias, student.output)
    )
    expected = np.logaddexp(0, 1.5 * (x @ weight.T + bias)) / 1.5 @ output
    assert student(torch.from_numpy(x)).detach().numpy() == pytest.approx(expected, rel=1e-12)


def test_student_starts_with_the_variances_of_figure_3() -> None:
    width, dimension = 20_000, 2
    student = Student(dimension, width, generator())
    for tensor, deviation in [
        (student.weight, dimension**-0.5),
        (student.bias, 1 / width),
        (student.output, 1 / width),
    ]:
        scaled = tensor.detach().flatten() / deviation
        count = len(scaled)
        assert abs(scaled.mean().item()) < 4 / math.sqrt(count)
        assert abs(scaled.square().mean().item() - 1) < 4 * math.sqrt(2 / count)
    assert torch.equal(student.weight, Student(dimension, width, generator()).weight)
    assert not student.output.requires_grad
    assert Student(2, 3, generator(), train_output_layer=True).output.requires_grad


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 5), {}, "dimension is 0: it must be at least 1"),
        ((2, 0), {}, "width is 0: it must be at least 1"),
        ((2, 5), {"sharpness": 0.0}, r"sharpness is 0\.0: it must be a finite number above 0"),
    ],
)
def test_a_student_out_of_range_is_refused(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Student(*arguments, generator(), **options)


def test_a_teacher_of_no_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="dimension is 0"):
        Teacher(0)


@pytest.mark.parametrize("dimension", [2, 3])
def test_exact_risk_agrees_with_brute_force_sampling(dimension: int) -> None:
    objective = population_risk(aligned((64, 24, 24)[:dimension]), dimension=dimension)
    student = objective.student
    x = np.random.default_rng(1).standard_normal((400_000, dimension))
    weight, bias, output = (
        p.detach().numpy() for p in (student.weight, student.bias, student.output)
    )
    predicted = np.logaddexp(0, 2 * (x @ weight.T + bias)) / 2 @ output
    losses = (predicted - np.tanh(x.sum(axis=1) / math.sqrt(dimension))) ** 2
    error = losses.std() / math.sqrt(len(losses))
    assert abs(objective.risk().item() - losses.mean()) < 4 * error


@settings(max_examples=20, deadline=None)
@given(dimension=st.integers(2, 5), width=st.integers(1, 6), seed=st.integers(0, 1000))
def test_weights_split_orthogonally_into_what_the_teacher_sees_and_the_rest(
    dimension: int, width: int, seed: int
) -> None:
    student, teacher = Student(dimension, width, generator(seed)), Teacher(dimension)
    across = PopulationRisk(student, teacher, GaussHermite([2]), 0.1).random_weights()
    along = student.weight - across
    u = teacher.directions[0]
    assert (across @ u).abs().max() < 1e-14
    torch.testing.assert_close(along, torch.outer(student.weight @ u, u), rtol=0, atol=1e-14)
    squares = along.square().sum() + across.square().sum()
    assert squares.item() == pytest.approx(student.weight.square().sum().item(), rel=1e-13)


def test_f_is_the_risk_plus_lambda_times_the_squared_norm_of_all_weights() -> None:
    objective = population_risk(aligned((20, 8)), regularization=0.3)
    expected = objective.risk() + 0.3 * objective.student.weight.square().sum()
    assert objective().item() == pytest.approx(expected.item(), rel=1e-14)


def stein_gap(objective: PopulationRisk) -> float:
    """‖∂f/∂W_⊥ − (∂²f/∂b² + 2λI) W_⊥‖ / ‖∂f/∂W_⊥‖."""
    student, u = objective.student, objective.teacher.directions
    gradient = torch.autograd.grad(objective(), student.weight)[0]
    across = gradient - (gradient @ u.T) @ u
    hessian = Hessian(objective, [student.bias])
    rows = [hessian.product(row) for row in torch.eye(len(student.bias), dtype=torch.float64)]
    shifted = torch.stack(rows) + 2 * objective.regularization * torch.eye(len(rows)).double()
    gap = across - shifted @ objective.random_weights()
    return float((gap.norm() / across.norm()).detach())


def test_steins_identity_holds_as_the_quadrature_across_the_teacher_converges() -> None:
    gaps = [stein_gap(population_risk(aligned((64, nodes)))) for nodes in (4, 8, 16)]
    # An n-node rule integrates by parts up to its own error, which falls geometrically in n for
    # these narrow weights, down to the mass of the dropped nodes (1e-10 each).
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    assert gaps[2] < 1e-6


def test_steins_identity_is_exact_in_the_limit_of_small_irrelevant_weights() -> None:
    objective = population_risk(aligned((64, 8)))
    with torch.no_grad():
        objective.student.weight -= (1 - 1e-4) * objective.random_weights()
    assert stein_gap(objective) < 1e-8  # any two nodes across integrate what is linear in x_⊥


def test_no_irrelevant_weights_is_stationary_for_the_aligned_rule() -> None:
    objective = population_risk(aligned((12, 3)))
    with torch.no_grad():
        objective.student.weight -= objective.random_weights()
    gradient: Tensor = torch.autograd.grad(objective(), objective.student.weight)[0]
    u = objective.teacher.directions
    assert (gradient - (gradient @ u.T) @ u).abs().max() < 1e-14
    assert gradient.norm() > 1e-2
