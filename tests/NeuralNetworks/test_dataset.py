"""Dataset: a fixed sample in the place of a population."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from NeuralNetworks.model import Student
from NeuralNetworks.risk import Dataset, PopulationRisk


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sample(count: int = 6, dimension: int = 3) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    inputs = torch.from_numpy(rng.standard_normal((count, dimension)))
    return inputs, torch.from_numpy(rng.standard_normal(count))


ONE = torch.tensor([[3.0, 0.0, 4.0]], dtype=torch.float64)


def test_all_rows_come_every_time_with_equal_weights() -> None:
    inputs, labels = sample()
    dataset = Dataset(inputs, labels, ONE)
    for _ in range(2):
        x, y, weights = dataset()
        assert torch.equal(x, inputs)
        assert torch.equal(y, labels)
        assert weights.tolist() == [1 / 6] * 6


def test_its_risk_is_the_empirical_one() -> None:
    inputs, labels = sample()
    student = Student(3, 4, generator())
    objective = PopulationRisk(student, Dataset(inputs, labels, ONE), 0.1)
    mean = (student(inputs) - labels).square().mean()
    assert objective.risk().item() == pytest.approx(mean.item(), rel=1e-14)
    unit = np.array([0.6, 0.0, 0.8])
    weight = student.weight.detach().numpy()
    rest = weight - np.outer(weight @ unit, unit)
    assert objective.random_weights().detach().numpy() == pytest.approx(rest, abs=1e-14)


def test_directions_are_made_orthonormal_and_span_the_same() -> None:
    inputs, labels = sample(dimension=4)
    rows = torch.tensor([[1.0, 2, 0, -1], [1, 2, 1e-3, 0.5]])
    found = Dataset(inputs, labels, rows).directions
    assert found.shape == (2, 4)
    identity = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(found @ found.T, identity, rtol=0, atol=1e-12)
    torch.testing.assert_close(rows.double() @ found.T @ found, rows.double(), rtol=0, atol=1e-12)


def test_single_precision_becomes_double() -> None:
    inputs, labels = sample()
    dataset = Dataset(inputs.float(), labels.float(), ONE.float())
    assert {tensor.dtype for tensor in (*dataset(), dataset.directions)} == {torch.float64}


def test_arrays_columns_and_single_directions_are_accepted() -> None:
    inputs, labels = sample()
    expected = Dataset(inputs, labels, ONE)
    for found in (
        Dataset(inputs.numpy(), labels.numpy(), ONE.numpy()),
        Dataset(inputs.tolist(), labels[:, None], [3, 0, 4]),
        Dataset(inputs.numpy()[::-1][::-1], labels.numpy().astype(">f8"), ONE.numpy()),
    ):
        assert all(torch.equal(a, b) for a, b in zip(found(), expected(), strict=True))
        assert torch.equal(found.directions, expected.directions)


def test_it_keeps_its_numbers_when_the_arrays_change() -> None:
    inputs, labels = (each.numpy().copy() for each in sample())
    dataset = Dataset(inputs, labels, ONE)
    inputs[:], labels[:] = 0, 0
    assert all(bool(each.any(dim=0).all()) for each in dataset())


def test_directions_of_very_different_lengths_are_independent() -> None:
    rows = np.array([[1e12, 0, 0], [0, 1, 0]])
    assert Dataset(*sample(), rows).directions.shape == (2, 3)


def test_batches_are_drawn_afresh_from_all_rows_and_repeat_with_the_generator() -> None:
    inputs, labels = sample()
    first, second = (
        Dataset(inputs, labels, ONE, batch_size=4, generator=generator(3)) for _ in range(2)
    )
    seen: list[int] = []
    batches = []
    for _ in range(200):
        x, y, weights = first()
        assert all(torch.equal(a, b) for a, b in zip((x, y, weights), second(), strict=True))
        assert weights.tolist() == [0.25] * 4
        rows = (x[:, None] == inputs).all(dim=2).float().argmax(dim=1)
        assert torch.equal(x, inputs[rows])
        assert torch.equal(y, labels[rows])  # each row with its own label
        batches.append(tuple(rows.tolist()))
        seen += rows.tolist()
    counts = np.bincount(seen, minlength=6)
    assert len(set(batches)) > 150
    expected = 800 / 6
    assert np.abs(counts - expected).max() < 4 * math.sqrt(expected)


def test_a_batch_may_be_larger_than_the_sample() -> None:
    inputs, labels = sample()
    x, _, weights = Dataset(inputs, labels, ONE, batch_size=50, generator=generator())()
    assert x.shape == (50, 3)
    assert float(weights.sum()) == pytest.approx(1)


def test_its_tensors_move_with_the_objective() -> None:
    objective = PopulationRisk(Student(3, 2, generator()), Dataset(*sample(), ONE), 0.1)
    assert objective.float()().dtype == torch.float32


def with_bad(tensor: Tensor, value: float) -> Tensor:
    bad = tensor.clone()
    bad.flatten()[1] = value
    return bad


X, Y = sample()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((with_bad(X, math.nan), Y, ONE), {}, "inputs holds a NaN or an infinity: every number"),
        ((X, with_bad(Y, math.inf), ONE), {}, "labels holds a NaN or an infinity"),
        ((X, Y, with_bad(ONE, -math.inf)), {}, "directions holds a NaN or an infinity"),
        ((X, Y[:5], ONE), {}, "6 inputs and 5 labels: as many of each, at least one"),
        ((X[:0], Y[:0], ONE), {}, "0 inputs and 0 labels: as many of each, at least one"),
        (
            (X[:, :2], Y, ONE),
            {},
            r"directions has shape \(1, 3\): it must be k×2, with as many columns as inputs",
        ),
        ((X, Y, ONE), {"batch_size": 0}, "batch_size is 0: it must be at least 1"),
        ((X, Y, torch.cat([ONE, -2 * ONE])), {}, "directions are linearly dependent: give rows"),
        ((X, Y, 0 * ONE), {}, "directions are linearly dependent"),
        ((X, Y, torch.eye(4, 3)), {}, "directions are linearly dependent"),
        ((X[0], Y, ONE), {}, r"inputs has shape \(3,\): it must be n×d"),
        ((X, torch.stack([Y, Y], dim=1), ONE), {}, r"labels has shape \(6, 2\): it must be one"),
        ((X, Y, ONE[None]), {}, r"directions has shape \(1, 1, 3\): it must be k×3"),
        ((X, np.array(["a"] * 6), ONE), {}, "labels must be a tensor or an array of real numbers"),
        ((X, [None] * 6, ONE), {}, "labels"),
        ((X, 1j * Y.numpy(), ONE), {}, "labels must be a tensor or an array of real numbers"),
        ((X, 3.0, ONE), {}, r"labels has shape \(\): it must be one number per input"),
        ((X, Y, np.zeros((0, 3))), {}, r"directions has shape \(0, 3\)"),
    ],
)
def test_what_does_not_fit_is_named(
    arguments: tuple, options: dict, message: str, unchecked: Callable[..., Callable]
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        unchecked(Dataset)(*arguments, **options)
