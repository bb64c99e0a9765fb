"""Training collapses the first layer onto the teacher, and the certificate says so."""

import math

import numpy as np
import pytest
import torch

from derandomization import certify
from derandomization.stationarity import sharp_bounds_along
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.train import Training, train

WIDTH, REGULARIZATION, STEPS = 40, 1e-3, 400


def run(
    dimension: int = 2, *, train_output_layer: bool = False, width: int = WIDTH, **options: object
) -> tuple[Training, Student, Student]:
    """A training, its student, and the student as it began."""
    generator = torch.Generator().manual_seed(0)
    student, start = (
        Student(
            dimension,
            width,
            torch.Generator().manual_seed(7),
            train_output_layer=train_output_layer,
        )
        for _ in range(2)
    )
    settings = {"regularization": REGULARIZATION, "max_steps": STEPS} | options
    training = train(student, Teacher(dimension), generator=generator, **settings)
    return training, student, start


@pytest.fixture(scope="module")
def exact() -> tuple[Training, Student, Student]:
    return run()


def test_the_exact_run_collapses_onto_the_teacher(
    exact: tuple[Training, Student, Student],
) -> None:
    training, student, start = exact
    relative = training.history.weight_norm / training.history.observations["total_weight_norm"]
    assert relative[0] > 0.5
    assert relative[-1] <= 1e-6
    u = Teacher(2).directions[0]
    across = student.weight.detach() - torch.outer(student.weight.detach() @ u, u)
    assert training.history.weight_norm[-1] == pytest.approx(across.norm().item(), rel=1e-6)
    assert training.history.value[-1] < 0.5 * training.history.value[0]
    assert torch.equal(student.output, start.output)


def test_the_certificate_at_the_end_respects_both_bounds(
    exact: tuple[Training, Student, Student],
) -> None:
    training, _, _ = exact
    certificate = training.certificate
    assert certificate == certify(training.exact_objective)
    assert certificate.lemma_holds
    assert 0 < certificate.weight_norm <= certificate.weight_bound < 1
    assert certificate.weight_norm <= certificate.sharp_weight_bound < 1e-6
    assert training.risk == training.exact_objective.risk().item()


def test_the_sharp_bound_holds_along_the_whole_trajectory(
    exact: tuple[Training, Student, Student],
) -> None:
    training, _, _ = exact
    steps, bounds = sharp_bounds_along(training.exact_objective, training.history.snapshots)
    speaks = ~np.isnan(bounds)
    assert speaks.sum() >= 3
    # Up to the quadrature across the teacher, exact only as W_⊥ → 0: eight nodes.
    assert (training.history.weight_norm[steps][speaks] <= bounds[speaks] * (1 + 1e-3)).all()


def test_the_same_generators_give_the_same_training() -> None:
    for options in ({"estimator": "sampled"}, {}):
        first, second = (run(width=5, max_steps=30, **options) for _ in range(2))
        assert np.array_equal(first[0].history.value, second[0].history.value)
        assert torch.equal(first[1].weight, second[1].weight)


def test_a_sampled_run_shrinks_the_irrelevant_weights_and_is_certified_exactly() -> None:
    training, _, _ = run(estimator="sampled", width=40, max_steps=300, regularization=1e-2)
    norm = training.history.weight_norm
    # Steps of 0.014 h on λ‖W‖² alone: exp(−2λ · 0.014 h · t), and batches of 50 leave noise.
    assert norm[-1] < 3 * norm[0] * math.exp(-2 * 1e-2 * 0.014 * 40 * 300)
    assert not training.history.terminated
    assert training.certificate == certify(training.exact_objective)
    assert training.exact_objective.risk().item() == training.risk


def test_the_output_layer_is_trained_when_asked_for_and_helps() -> None:
    fixed, _, _ = run(width=20, max_steps=200)
    trained, student, start = run(width=20, max_steps=200, train_output_layer=True)
    assert (student.output - start.output).detach().norm() > 0.1 * start.output.norm()
    assert trained.history.value[-1] < fixed.history.value[-1]
    assert "student.output" in trained.history.snapshots[0]


def test_exact_in_three_dimensions_collapses_too() -> None:
    training, _, _ = run(3, width=20, max_steps=400, regularization=3e-3)
    history = training.history
    assert history.weight_norm[-1] <= 1e-6 * history.observations["total_weight_norm"][-1]


@pytest.mark.parametrize(("dimension", "width"), [(2, 1), (2, 2), (3, 2)])
def test_the_sharp_bound_holds_where_it_is_tight(dimension: int, width: int) -> None:
    # With few units ∂²f/∂b² is nearly a multiple of I: bound and norm agree to 1e-9, and the
    # quadrature must keep Stein's identity to that.
    training, _, _ = run(dimension, width=width, max_steps=600, regularization=1e-3)
    certificate = training.certificate
    assert certificate.sharp_weight_bound is not None
    assert 1e-12 < certificate.weight_norm <= certificate.sharp_weight_bound


def test_exact_in_four_dimensions_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^dimension is 4: exact quadrature reaches 3; use .*$"):
        run(4, width=3, max_steps=1)


def test_sampling_goes_where_quadrature_cannot_and_is_not_certified() -> None:
    training, _, start = run(6, estimator="sampled", width=20, max_steps=400, regularization=1e-2)
    assert training.certificate is None
    assert training.exact_objective is None
    u = Teacher(6).directions[0]
    initial = start.weight.detach() - torch.outer(start.weight.detach() @ u, u)
    assert training.history.weight_norm[0] == pytest.approx(initial.norm().item(), rel=1e-12)
    assert training.history.weight_norm[-1] < 0.5 * training.history.weight_norm[0]
