"""smallest_eigenvalue against numpy's dense solver, on both of its paths."""

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given, settings
from hypothesis import strategies as st

from derandomization.eigenvalues import DENSE_SIZE, Eigenvalue, smallest_eigenvalue

DENSE, LANCZOS = 30, DENSE_SIZE + 60
TOLERANCE = 1e-6


def with_spectrum(spectrum: np.ndarray, seed: int = 0) -> np.ndarray:
    size = len(spectrum)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]
    matrix = (rotation * spectrum) @ rotation.T
    return (matrix + matrix.T) / 2


def found(matrix: np.ndarray, **options: float) -> Eigenvalue:
    operator = spla.aslinearoperator(matrix)
    return smallest_eigenvalue(operator, **({"tolerance": TOLERANCE} | options))


@pytest.mark.parametrize("size", [1, DENSE, DENSE_SIZE, DENSE_SIZE + 1, LANCZOS])
def test_indefinite(size: int) -> None:
    matrix = with_spectrum(np.linspace(-1, 3, size) if size > 1 else np.array([-1.0]))
    result = found(matrix)
    exact = np.linalg.eigvalsh(matrix)[0]
    assert abs(result.value - exact) <= min(result.residual, 2 * TOLERANCE) + 1e-14


@pytest.mark.parametrize("size", [DENSE, LANCZOS])
def test_singular_positive_semidefinite_has_zero(size: int) -> None:
    spectrum = np.concatenate([np.zeros(size // 2), np.linspace(0.1, 5, size - size // 2)])
    result = found(with_spectrum(spectrum))
    assert abs(result.value) <= 2 * TOLERANCE
    assert result.lower_end <= 1e-12


@pytest.mark.parametrize("size", [DENSE, LANCZOS])
def test_negative_definite(size: int) -> None:
    result = found(with_spectrum(-np.geomspace(1e-3, 10, size)))
    assert result.value == pytest.approx(-10, abs=2 * TOLERANCE)


@pytest.mark.parametrize("size", [DENSE, LANCZOS])
@pytest.mark.parametrize("scale", [0.0, 2.0, -2.0])
def test_a_multiple_of_the_identity(size: int, scale: float) -> None:
    assert found(scale * np.eye(size)).value == pytest.approx(scale, abs=2 * TOLERANCE)


def test_a_negative_eigenvalue_far_below_the_largest_is_not_missed() -> None:
    matrix = with_spectrum(np.concatenate([[-1e-4], np.linspace(1e-3, 1, LANCZOS - 1)]))
    assert found(matrix).value == pytest.approx(-1e-4, abs=2 * TOLERANCE)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    size=st.sampled_from([2, 17, DENSE_SIZE + 40]),
    tolerance=st.sampled_from([1e-2, 1e-5, 1e-9]),
)
def test_an_exact_eigenvalue_lies_within_the_residual(
    seed: int, size: int, tolerance: float
) -> None:
    noise = np.random.default_rng(seed).standard_normal((size, size))
    matrix = (noise + noise.T) / 2
    exact = np.linalg.eigvalsh(matrix)
    result = found(matrix, tolerance=tolerance)
    rounding = 1e-14 * size
    assert np.abs(exact - result.value).min() <= result.residual + rounding
    assert result.value >= exact[0] - result.residual - rounding
    assert result.residual <= 2 * tolerance + rounding


def test_the_same_seed_gives_the_same_bits_and_the_residual_shrinks_with_the_tolerance() -> None:
    matrix = with_spectrum(np.linspace(-1, 3, LANCZOS))
    assert found(matrix, seed=3) == found(matrix, seed=3)
    assert found(matrix, tolerance=1e-9).residual <= 2e-9


def test_lower_end_subtracts_the_residual() -> None:
    assert Eigenvalue(value=1.5, residual=0.25).lower_end == 1.25


def test_lanczos_that_does_not_converge_is_a_value_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object, **__: object) -> None:
        raise spla.ArpackNoConvergence("No convergence (99 iterations)", np.array([]), np.array([]))

    monkeypatch.setattr(spla, "eigsh", give_up)
    with pytest.raises(ValueError, match=f"{LANCZOS}×{LANCZOS} operator to 1e-06: .*99 iter"):
        found(np.eye(LANCZOS))
