"""Training collapses the first layer onto what the labels see, and the certificate says so."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from derandomization import certify
from derandomization.laboratory.trace import sharp_bounds_along
from NeuralNetworks import expectations
from NeuralNetworks.losses import LOSSES
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset, PopulationRisk
from NeuralNetworks.settings import LossName
from NeuralNetworks.train import Training, train

WIDTH, REGULARIZATION, STEPS = 40, 1e-3, 400
Run = tuple[Training, Student, Student]


def run(
    data: Teacher | Dataset | int = 2,
    *,
    width: int | tuple[int, ...] = WIDTH,
    frozen: tuple[str, ...] = ("output",),
    **options: object,
) -> Run:
    """A training, its student, and the student as it began; a number is a teacher's dimension."""
    teacher = Teacher(data) if isinstance(data, int) else data
    dimension = teacher.directions.shape[1]
    student, start = (
        Student(dimension, width, torch.Generator().manual_seed(7), frozen=frozen) for _ in range(2)
    )
    settings = {"regularization": REGULARIZATION, "max_steps": STEPS} | options
    training = train(student, teacher, generator=torch.Generator().manual_seed(0), **settings)
    return training, student, start


def across(rows: Tensor, directions: Tensor) -> Tensor:
    return rows - (rows @ directions.T) @ directions


@pytest.fixture(scope="module")
def exact() -> Run:
    return run()


def test_the_exact_run_collapses_onto_the_teacher(exact: Run) -> None:
    training, student, start = exact
    relative = training.history.weight_norm / training.history.observations["total_weight_norm"]
    assert relative[0] > 0.5
    assert relative[-1] == training.relative_orthogonal_norm <= 1e-6
    rest = across(student.weight.detach(), Teacher(2).directions)
    assert training.history.weight_norm[-1] == pytest.approx(rest.norm().item(), rel=1e-6)
    assert training.history.observations["total_weight_norm"][-1] == student.weight.norm().item()
    assert training.history.value[-1] < 0.5 * training.history.value[0]
    assert torch.equal(student.output, start.output)


def test_the_certificate_at_the_end_respects_both_bounds(exact: Run) -> None:
    training, _, _ = exact
    certificate = training.certificate
    assert certificate == certify(training.exact_objective)
    assert certificate.weight_norm <= min(certificate.weight_bound, certificate.sharp_weight_bound)
    assert 0 < certificate.weight_norm <= certificate.weight_bound < 1
    assert certificate.weight_norm <= certificate.sharp_weight_bound < 1e-6
    assert training.risk == training.exact_objective.risk().item()


def test_the_sharp_bound_holds_along_the_whole_trajectory(exact: Run) -> None:
    training, _, _ = exact
    steps, bounds = sharp_bounds_along(training.exact_objective, training.history.snapshots)
    speaks = ~np.isnan(bounds)
    assert speaks.sum() >= 3
    # Up to the quadrature across the teacher, exact only as W_⊥ → 0: eight nodes.
    assert (training.history.weight_norm[steps][speaks] <= bounds[speaks] * (1 + 1e-3)).all()


@pytest.mark.parametrize("estimator", ["exact", "antithetic", "sampled"])
def test_the_same_generators_give_the_same_training(estimator: str) -> None:
    first, second = (run(width=5, max_steps=30, estimator=estimator) for _ in range(2))
    assert np.array_equal(first[0].history.value, second[0].history.value)
    assert torch.equal(first[1].weight, second[1].weight)


def test_a_sampled_run_shrinks_the_irrelevant_weights_and_is_certified_exactly() -> None:
    training, _, _ = run(estimator="sampled", max_steps=300, regularization=1e-2)
    norm = training.history.weight_norm
    # Steps of 0.014 h on λ‖W‖² alone: exp(−2λ · 0.014 h · t), and batches of 50 leave noise.
    assert norm[-1] < 3 * norm[0] * math.exp(-2 * 1e-2 * 0.014 * 40 * 300)
    assert not training.history.terminated
    assert training.certificate == certify(training.exact_objective)
    assert training.exact_objective.risk().item() == training.risk


@pytest.mark.parametrize("dimension", [2, 20])
def test_mirrored_batches_reach_what_sampled_ones_do_not(dimension: int) -> None:
    options = {"width": 10, "max_steps": 400, "regularization": 1e-2}
    mirrored, _, _ = run(dimension, estimator="antithetic", **options)
    sampled, _, _ = run(dimension, estimator="sampled", **options)
    assert mirrored.relative_orthogonal_norm < 1e-8
    assert sampled.relative_orthogonal_norm > 1e-3
    assert not mirrored.history.terminated
    values = mirrored.history.value[-50:]
    assert len(np.unique(values)) == 50  # the batches are fresh all the same
    assert mirrored.certificate == certify(mirrored.exact_objective)


@pytest.mark.parametrize(
    ("teacher", "frozen", "regularization"),
    [
        (Teacher(3), ("output",), 1e-2),
        (Teacher(2, noise=0.3), ("output",), 1e-2),
        (Teacher(8, noise=0.2), (), 1e-2),
        (Teacher(3, 2), (), 1e-3),
        (Teacher(20, 2), (), 2e-3),
        (Teacher(6, 4), (), 2e-3),
    ],
    ids=["d=3", "noise", "noise, d=8", "two of three", "two of twenty", "four of six"],
)
def test_an_exact_run_collapses_for_every_teacher_onto_all_it_sees(
    teacher: Teacher, frozen: tuple[str, ...], regularization: float
) -> None:
    training, student, _ = run(
        teacher, width=20, frozen=frozen, nodes=(12, 4), regularization=regularization
    )
    assert training.relative_orthogonal_norm < 1e-7
    certificate = training.certificate
    assert certificate.weight_norm <= certificate.sharp_weight_bound < 1e-6
    values = torch.linalg.svdvals(student.weight.detach())
    indices = len(teacher.directions)
    assert values[indices - 1] > 1e-2 * values[0]
    assert (values[indices:] < 1e-6 * values[0]).all()


def test_all_layers_of_a_deep_student_collapse_with_the_first() -> None:
    training, student, start = run(width=(10, 8, 6), frozen=(), max_steps=800, regularization=1e-2)
    assert training.relative_orthogonal_norm < 1e-7
    assert training.certificate.weight_norm <= training.certificate.sharp_weight_bound < 1e-6
    assert training.risk < 0.02
    for name, parameter in student.named_parameters():
        moved = (parameter - start.get_parameter(name)).detach().norm()
        assert moved > 1e-3, name


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_collapses_the_first_layer_and_learns(loss: LossName) -> None:
    training, _, _ = run(width=10, loss=loss, max_steps=400, regularization=1e-2)
    assert training.relative_orthogonal_norm < 1e-7
    value = training.history.value
    assert value[-1] < value[0]
    assert (np.diff(value) <= 0).mean() > 0.8


def test_a_function_of_ones_own_is_a_loss_like_any_other() -> None:
    options = {"width": 6, "max_steps": 60}
    named, _, _ = run(**options)
    own, _, _ = run(loss=lambda prediction, label: (prediction - label).square(), **options)
    assert np.array_equal(named.history.value, own.history.value)
    quartic, student, _ = run(loss=lambda prediction, label: (prediction - label) ** 4, **options)
    inputs, labels, weights = quartic.exact_objective.examples()
    expected = float((weights @ (student(inputs) - labels) ** 4).detach())
    assert quartic.risk == pytest.approx(expected, rel=1e-12)
    assert quartic.certificate == certify(quartic.exact_objective)


PARTS = ("weight", "bias", "hidden", "output")


@pytest.mark.parametrize(
    "frozen", [(), ("output",), ("hidden",), ("bias", "output"), ("bias", "hidden", "output")]
)
def test_frozen_parts_stay_and_all_others_move(frozen: tuple[str, ...]) -> None:
    training, student, start = run(width=(6, 5), frozen=frozen, max_steps=5)
    for name, parameter in student.named_parameters():
        part = name.split(".")[0]
        assert torch.equal(parameter, start.get_parameter(name)) == (part in frozen), name
    assert training.history.value[-1] < training.history.value[0]
    assert "student.output" in training.history.snapshots[0]


def test_what_is_trained_beside_the_first_layer_helps() -> None:
    fixed, _, _ = run(width=20, max_steps=200)
    trained, student, start = run(width=20, max_steps=200, frozen=())
    assert (student.output - start.output).detach().norm() > 0.1 * start.output.norm()
    assert trained.history.value[-1] < fixed.history.value[-1]


@pytest.mark.parametrize(("dimension", "width"), [(2, 1), (2, 2), (3, 2), (5, 2)])
def test_the_sharp_bound_holds_where_it_is_tight(dimension: int, width: int) -> None:
    # With few units ∂²f/∂b² is nearly a multiple of I: bound and norm agree to 1e-9, and the
    # rule must keep Stein's identity to that.
    training, _, _ = run(dimension, width=width, max_steps=600)
    norm, bound = training.certificate.weight_norm, training.certificate.sharp_weight_bound
    assert bound is not None
    assert 0 < norm <= bound < 1e-5


def test_where_no_rule_is_small_enough_sampling_goes_on_without_a_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expectations, "MAX_RULE_NUMBERS", 100)
    options = {"width": 20, "max_steps": 400, "regularization": 1e-2}
    for estimator in ("sampled", "antithetic"):
        training, _, start = run(6, estimator=estimator, **options)
        assert training.certificate is None
        assert training.exact_objective is None
        assert 0 < training.risk < 0.2
        initial = across(start.weight.detach(), Teacher(6).directions).norm().item()
        norm = training.history.weight_norm
        assert norm[0] == pytest.approx(initial, rel=1e-12)
        assert norm[-1] < 0.5 * norm[0]


def dataset(batch_size: int | None = None) -> Dataset:
    """200 rows in 4 dimensions, whose labels see a direction that is not of unit length."""
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.standard_normal((200, 4)))
    direction = torch.tensor([[2.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    labels = torch.tanh(inputs @ direction[0])
    generator = torch.Generator().manual_seed(1)
    return Dataset(inputs, labels, direction, batch_size=batch_size, generator=generator)


def test_a_dataset_is_trained_on_as_it_is_and_its_bound_contains_what_the_sample_leaves() -> None:
    data = dataset()
    training, student, _ = run(data, width=8, max_steps=600, regularization=1e-2)
    certificate = training.certificate
    assert certificate is not None
    assert certificate.stein_defect > 1e-5
    assert certificate.sharp_weight_bound is not None
    assert training.orthogonal_norm == pytest.approx(certificate.weight_norm, rel=1e-12)
    assert certificate.weight_norm <= certificate.sharp_weight_bound < 10 * certificate.weight_norm
    mean = (student(data.inputs) - data.labels).square().mean().item()
    assert training.risk == pytest.approx(mean, rel=1e-12)
    assert training.history.value[-1] < 0.5 * training.history.value[0]
    # A sample is not mirrored: W_⊥ falls to the size of its noise, 1/√200, and no further.
    assert 1e-4 < training.relative_orthogonal_norm < 0.3


def test_batches_of_a_dataset_are_certified_on_the_whole_of_it() -> None:
    training, student, _ = run(dataset(20), width=8, max_steps=300, regularization=1e-2)
    data = dataset()
    mean = (student(data.inputs) - data.labels).square().mean().item()
    assert training.risk == pytest.approx(mean, rel=1e-12)
    whole = certify(PopulationRisk(student, data, 1e-2))
    assert training.certificate == whole
    assert training.history.value[-30:].mean() < 0.7 * training.history.value[:10].mean()
    assert training.relative_orthogonal_norm < 0.5


def test_the_objective_left_behind_is_where_the_student_ended(exact: Run) -> None:
    training, student, _ = exact
    assert isinstance(training.exact_objective, PopulationRisk)
    assert training.exact_objective.student is student
    assert training.exact_objective.regularization == REGULARIZATION
    assert training.exact_objective().item() == pytest.approx(training.history.value[-1], rel=1e-12)


def test_a_lower_gradient_threshold_is_descended_to() -> None:
    """Frozen biases stop at the default threshold; W_⊥ goes on shrinking below it."""
    teacher = Teacher(2, 1)
    left = []
    for threshold in (None, 1e-11):
        generator = torch.Generator().manual_seed(0)
        student = Student(2, [20], generator, frozen=("output", "bias"))
        training = train(
            student,
            teacher,
            regularization=1e-2,
            generator=generator,
            gradient_threshold=threshold,
            max_steps=600,
        )
        assert training.certificate is not None
        assert training.certificate.gradient_norm <= (threshold or 1e-6)
        left.append(training.relative_orthogonal_norm)
    assert left[1] < 1e-3 * left[0]


def test_a_gradient_threshold_must_be_positive() -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=r"gradient_threshold is 0"):
        train(
            Student(2, [3], generator),
            Teacher(2, 1),
            regularization=1e-2,
            generator=generator,
            gradient_threshold=0.0,
        )


def test_the_norms_say_so_where_all_of_w_vanished() -> None:
    data = dataset()
    data.labels.fill_(0.5)
    training, student, _ = run(data, width=8, max_steps=300, regularization=10.0)
    assert training.weight_norm < 1e-4
    assert training.weight_norm == pytest.approx(student.weight.detach().norm().item(), rel=1e-12)
    squares = training.orthogonal_norm**2 + training.parallel_norm**2
    assert squares == pytest.approx(training.weight_norm**2, rel=1e-9)


def test_without_known_directions_the_first_layer_says_which_they_are() -> None:
    known = dataset()
    data = Dataset(known.inputs, known.labels)
    assert data.directions.shape == (0, 4)
    training, student, _ = run(data, width=8, max_steps=600, regularization=1e-2)
    assert training.certificate is None
    assert training.exact_objective is None
    assert training.orthogonal_norm == training.weight_norm  # no direction counts as one of U's
    assert training.risk == pytest.approx(
        (student(data.inputs) - data.labels).square().mean().item(), rel=1e-12
    )
    expected = torch.linalg.svdvals(student.weight.detach())
    torch.testing.assert_close(training.singular_values, expected)
    assert training.singular_values[0] > 5 * training.singular_values[1]
    found = training.estimated_directions(1)
    assert float((found @ known.directions.T).abs()) > 0.99
    with pytest.raises(ValueError, match="num_components is 5: it must lie between 1 and 4"):
        training.estimated_directions(5)


@pytest.mark.parametrize(("scale", "shift"), [(30.0, 0.0), (1.0, 5.0), (0.01, 0.0)])
def test_inputs_far_from_standardised_are_warned_about_once(scale: float, shift: float) -> None:
    known = dataset()
    data = Dataset(scale * known.inputs + shift, known.labels)
    with pytest.warns(UserWarning, match="inputs have means up to") as warned:
        run(data, width=3, max_steps=1)
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(known, width=3, max_steps=1)
