"""Teacher and student, against numpy."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from derandomization import GaussHermite
from derandomization.hessian import Hessian
from NeuralNetworks.activations import Quadratic
from NeuralNetworks.model import Hidden, LowRankStudent, Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def orthonormal(indices: int, dimension: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.linalg.qr(normal(dimension, indices, seed=seed))[0].T.copy())


def trained(student: Student) -> set[str]:
    return {name for name, p in student.named_parameters() if p.requires_grad}


@settings(max_examples=25, deadline=None)
@given(dimension=st.integers(1, 6), indices=st.integers(1, 6), seed=st.integers(0, 1000))
def test_complete_basis_is_orthonormal_and_begins_with_the_given_rows(
    dimension: int, indices: int, seed: int
) -> None:
    directions = orthonormal(min(indices, dimension), dimension, seed)
    basis = complete_basis(directions)
    assert torch.equal(basis[: len(directions)], directions)
    identity = torch.eye(dimension, dtype=torch.float64)
    torch.testing.assert_close(basis @ basis.T, identity, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("dimension", "indices"), [(1, 1), (2, 1), (5, 1), (3, 2), (6, 6)])
def test_a_teacher_sees_its_directions_only(dimension: int, indices: int) -> None:
    teacher = Teacher(dimension, indices)
    u = teacher.directions.numpy()
    assert u[0].tolist() == pytest.approx([dimension**-0.5] * dimension, rel=1e-15)
    assert u @ u.T == pytest.approx(np.eye(indices), abs=1e-14)
    assert np.array_equal(u, Teacher(dimension, indices).directions.numpy())
    x = normal(7, dimension)
    expected = np.tanh(x @ u.T).sum(axis=1) / math.sqrt(indices)
    assert teacher(torch.from_numpy(x)).numpy() == pytest.approx(expected, rel=1e-13)
    across = x @ (np.eye(dimension) - u.T @ u)
    moved = teacher(torch.from_numpy(x + 3 * across))
    assert moved.numpy() == pytest.approx(expected, rel=1e-12, abs=1e-14)
    assert (teacher.sample_dimension, teacher.noise) == (dimension, 0)
    assert torch.equal(teacher.sample_directions(), teacher.directions)


def test_noise_is_one_coordinate_more_that_the_label_sees() -> None:
    quiet, noisy = Teacher(3, 2), Teacher(3, 2, noise=0.4)
    sample = torch.from_numpy(normal(9, 4))
    assert noisy.sample_dimension == 4
    torch.testing.assert_close(noisy(sample), quiet(sample[:, :3]) + 0.4 * sample[:, 3])
    seen = noisy.sample_directions()
    assert torch.equal(seen[:2, :3], noisy.directions)
    assert torch.equal(seen[2], torch.tensor([0, 0, 0, 1.0], dtype=torch.float64))
    assert seen[:2, 3].tolist() == [0, 0]
    torch.testing.assert_close(noisy(sample @ seen.T @ seen), noisy(sample))


def test_link_and_directions_may_be_ones_own() -> None:
    directions = orthonormal(2, 4)
    teacher = Teacher(4, 2, link=lambda z: z[:, 0] * z[:, 1].sin(), directions=directions)
    assert torch.equal(teacher.directions, directions)
    x = normal(6, 4)
    z = x @ directions.numpy().T
    found = teacher(torch.from_numpy(x)).numpy()
    assert found == pytest.approx(z[:, 0] * np.sin(z[:, 1]), rel=1e-12)


def test_directions_in_single_precision_become_double() -> None:
    assert Teacher(2, directions=torch.tensor([[0.0, 1.0]])).directions.dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "dimension is 0: it must be at least 1"),
        ((3, 0), {}, "indices is 0: it must lie between 1 and 3"),
        ((3, 4), {}, "indices is 4: it must lie between 1 and 3"),
        ((2,), {"noise": -0.1}, r"noise is -0\.1: it must lie between 0 and inf"),
        ((2,), {"noise": math.nan}, "noise is nan"),
        (
            (3, 2),
            {"directions": orthonormal(1, 3)},
            r"directions has shape \(1, 3\): it must be \(2, 3\)",
        ),
        (
            (2, 1),
            {"directions": orthonormal(1, 3)},
            r"directions has shape \(1, 3\): it must be \(1, 2\)",
        ),
        (
            (2, 1),
            {"directions": torch.tensor([[1.0, 1e-4]])},
            "directions are not orthonormal: their Gram matrix must be I to 1e-9",
        ),
        ((2, 2), {"directions": torch.tensor([[1.0, 0.0], [1.0, 0.0]])}, "not orthonormal"),
    ],
)
def test_a_teacher_out_of_range_is_refused(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Teacher(*arguments, **options)


def test_a_hidden_layer_scales_by_the_width_below() -> None:
    layer = Hidden(9, 4, generator())
    assert not layer.bias.any()
    with torch.no_grad():
        layer.bias.copy_(torch.arange(4))
    z = normal(5, 9)
    expected = z @ layer.weight.detach().numpy().T / 3 + np.arange(4)
    assert layer(torch.from_numpy(z)).detach().numpy() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("widths", [4, (4,), (4, 3), (2, 5, 3, 4)])
def test_a_student_is_the_network_written_out(widths: int | tuple[int, ...]) -> None:
    student = Student(3, widths, generator(), frozen=())
    nn.init.normal_(student.bias, generator=generator(1))
    for layer in student.hidden:
        nn.init.normal_(layer.bias, generator=generator(2))
    x = normal(6, 3)
    named = {name: p.detach().numpy() for name, p in student.named_parameters()}
    z = np.logaddexp(0, 2 * (x @ named["weight"].T + named["bias"])) / 2
    sizes = (widths,) if isinstance(widths, int) else widths
    assert student.widths == sizes
    assert len(student.hidden) == len(sizes) - 1
    for i, (below, width) in enumerate(itertools.pairwise(sizes)):
        weight = named[f"hidden.{i}.weight"]
        assert weight.shape == (width, below)
        z = z @ weight.T / math.sqrt(below) + named[f"hidden.{i}.bias"]
        z = np.logaddexp(0, 2 * z) / 2
    expected = z @ named["output"] / sizes[-1]
    assert student(torch.from_numpy(x)).detach().numpy() == pytest.approx(expected, rel=1e-12)


def test_every_layer_uses_the_activation_given() -> None:
    student = Student(2, (3, 2), generator(), activation=Quadratic())
    x = normal(5, 2)
    layer = student.hidden[0]
    first = (x @ student.weight.detach().numpy().T + student.bias.detach().numpy()) ** 2
    second = (first @ layer.weight.detach().numpy().T / math.sqrt(3)) ** 2
    expected = second @ student.output.detach().numpy() / 2
    assert student(torch.from_numpy(x)).detach().numpy() == pytest.approx(expected, rel=1e-12)


def test_a_student_starts_with_the_variances_of_figure_3() -> None:
    widths, dimension = (20_000, 60, 300), 3
    student = Student(dimension, widths, generator())
    deviations = {
        "weight": dimension**-0.5,
        "bias": 1 / widths[0],
        "output": 1.0,
        "hidden.0.weight": 1.0,
        "hidden.1.weight": 1.0,
    }
    for name, deviation in deviations.items():
        scaled = student.get_parameter(name).detach().flatten() / deviation
        assert abs(scaled.mean().item()) < 4 / math.sqrt(len(scaled))
        assert abs(scaled.square().mean().item() - 1) < 4 * math.sqrt(2 / len(scaled))
    assert not student.hidden[0].bias.any()
    again = Student(dimension, widths, generator())
    for name, parameter in student.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
    assert not torch.equal(student.weight, Student(dimension, widths, generator(1)).weight)
    # A deeper student begins with the first layer of a shallow one.
    assert torch.equal(student.weight, Student(dimension, widths[0], generator()).weight)


EVERY = {"weight", "bias", "output", "hidden.0.weight", "hidden.0.bias"}
PARTS = {
    "weight": {"weight"},
    "bias": {"bias"},
    "output": {"output"},
    "hidden": {"hidden.0.weight", "hidden.0.bias"},
}


@pytest.mark.parametrize(
    "frozen", [(), ("output",), ("weight",), ("bias", "output"), ("hidden",), ("weight", "hidden")]
)
def test_the_parts_named_are_frozen_and_no_other(frozen: Sequence[str]) -> None:
    student = Student(2, (4, 3), generator(), frozen=frozen)
    assert trained(student) == EVERY - set().union(*(PARTS[part] for part in frozen))


def test_by_default_the_output_weights_are_frozen_as_the_papers_are() -> None:
    assert trained(Student(2, 5, generator())) == {"weight", "bias"}


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, 5), {}, "dimension is 0: it must be at least 1"),
        ((2, 0), {}, "width is 0: it must be at least 1"),
        ((2, (4, 0)), {}, "width is 0: it must be at least 1"),
        ((2, ()), {}, "number of hidden layers is 0: it must be at least 1"),
        (
            (2, 5),
            {"frozen": ("output", "outputs")},
            "frozen names 'outputs': its parts are weight, bias, hidden, output",
        ),
        ((2, 5), {"frozen": ("activation",)}, "frozen names 'activation'"),
    ],
)
def test_a_student_out_of_range_is_refused(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Student(*arguments, generator(), **options)


def test_hidden_units_and_gradients_scale_as_the_docstring_says_whatever_the_width() -> None:
    scales = np.array([_scales((width, width, width)) for width in (30, 120, 480)])
    for column in scales.T:
        assert column.max() < 2 * column.min(), scales


def _scales(widths: tuple[int, ...]) -> list[float]:
    """Of hidden units, √h·ŷ, √h·‖∇f‖ layer by layer, and h·λ_max, over some initialisations."""
    rows = []
    for seed in range(3):
        student = Student(2, widths, generator(seed), frozen=())
        expectation = GaussHermite((6, 4))
        objective = PopulationRisk(student, Population(Teacher(2), expectation), 1e-9)
        points, weights = expectation()
        units = student.activation(torch.addmm(student.bias, points, student.weight.T))
        for layer in student.hidden:
            units = layer(student.activation(units))
        output = (weights @ student(points).square()).sqrt()
        root = widths[0] ** 0.5
        parameters = list(student.parameters())
        hessian = Hessian(objective, parameters)
        image = torch.randn(hessian.gradient.shape, generator=generator()).double()
        for _ in range(12):
            image = hessian.product(image / image.norm())
        norms = [p.norm() for p in torch.autograd.grad(objective(), parameters)]
        sizes = [units.std(), root * output, *(root * norm for norm in norms)]
        rows.append([float(size.detach()) for size in (*sizes, root**2 * image.norm())])
    return np.mean(rows, axis=0).tolist()


def test_a_student_may_have_several_outputs() -> None:
    generator = torch.Generator().manual_seed(0)
    student = Student(3, 5, generator, outputs=2)
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    hidden = student.activation(x @ student.weight.T + student.bias)
    torch.testing.assert_close(student(x), hidden @ student.output.T / 5)
    with pytest.raises(ValueError, match="outputs is 0: it must be at least 1"):
        Student(3, 5, generator, outputs=0)


def test_a_low_rank_student_sees_its_directions_only() -> None:
    generator = torch.Generator().manual_seed(0)
    frame = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    network = LowRankStudent(Student(2, 5, generator), frame)
    x = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    weight, before = network.weight.detach().clone(), network(x)
    network.orthonormalize()
    identity = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(network.frame @ network.frame.T, identity)
    torch.testing.assert_close(network.weight, weight)
    torch.testing.assert_close(network(x), before)
    full = Student(4, 5, generator)
    for name in ("bias", "output"):
        getattr(full, name).data = getattr(network, name).data
    full.weight.data = weight
    torch.testing.assert_close(full(x), before)
