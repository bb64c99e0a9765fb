"""smallest_eigenvalue against numpy's dense solver, on both of its paths."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse.linalg as spla
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import diags_array

from derandomization import eigenvalues
from derandomization.eigenvalues import (
    DENSE_SIZE,
    Eigenvalue,
    LanczosError,
    smallest_eigenvalue,
)

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


@pytest.mark.parametrize("size", [1, DENSE, DENSE_SIZE, DENSE_SIZE + 1])
def test_the_vector_is_of_unit_length_and_an_eigenvector_to_the_residual(size: int) -> None:
    matrix = with_spectrum(np.linspace(-1, 3, size) if size > 1 else np.array([-1.0]))
    result = found(matrix)
    assert result.vector.shape == (size,)
    assert np.linalg.norm(result.vector) == pytest.approx(1, rel=1e-14)
    error = np.linalg.norm(matrix @ result.vector - result.value * result.vector)
    assert error <= result.residual
    assert result.vector @ matrix @ result.vector == pytest.approx(-1, abs=2 * TOLERANCE)


@pytest.mark.parametrize("size", [DENSE, LANCZOS])
def test_every_unit_vector_is_an_eigenvector_of_zero(size: int) -> None:
    result = found(np.zeros((size, size)))
    assert (result.value, result.residual) == (0.0, 0.0)
    assert np.linalg.norm(result.vector) == pytest.approx(1, rel=1e-14)


def test_what_a_product_is_off_by_counts_in_the_residual() -> None:
    # Products that are not quite linear, as those by differences are: the last vector's is off.
    matrix, error = with_spectrum(np.linspace(-1, 3, DENSE)), np.full(DENSE, 1e-3)
    axes = np.eye(DENSE).tolist()
    operator = spla.LinearOperator(
        (DENSE, DENSE), lambda v: matrix @ v + (0 if v.ravel().tolist() in axes else error)
    )
    result = smallest_eigenvalue(operator, tolerance=TOLERANCE)
    assert result.value != pytest.approx(-1, abs=1e-9)
    assert abs(result.value + 1) <= result.residual + abs(error @ result.vector)
    assert result.residual == pytest.approx(
        np.linalg.norm(error - (error @ result.vector) * result.vector), rel=1e-6
    )


def test_a_dense_solve_sees_the_symmetric_part_and_says_how_far_off_the_rest_is() -> None:
    result = found(np.array([[0.0, 2.0], [0.0, 0.0]]))
    assert result.value == pytest.approx(-1, abs=1e-12)
    assert result.residual == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [DENSE, LANCZOS])
def test_the_residual_is_never_less_than_rounding(size: int) -> None:
    rounding = size * np.finfo(float).eps * 2
    assert rounding <= found(2 * np.eye(size)).residual <= size * rounding + TOLERANCE


def test_a_dense_solve_multiplies_by_unit_vectors_one_a_dimension_and_one_more() -> None:
    def counted(size: int) -> list[float]:
        norms = []
        matrix = with_spectrum(np.linspace(-1, 3, size))
        operator = spla.LinearOperator(
            (size, size), lambda v: (norms.append(np.linalg.norm(v)), matrix @ v)[1], dtype=float
        )
        smallest_eigenvalue(operator, tolerance=TOLERANCE)
        np.testing.assert_allclose(norms, 1, rtol=1e-12)
        return norms

    assert len(counted(DENSE_SIZE)) == DENSE_SIZE + 1
    assert len(counted(DENSE_SIZE + 1)) != DENSE_SIZE + 2


def test_an_eigenvalue_is_compared_and_shown_without_its_vector() -> None:
    plain, with_vector = Eigenvalue(1.5, 0.25), Eigenvalue(1.5, 0.25, np.ones(3))
    assert plain == with_vector
    assert repr(with_vector) == "Eigenvalue(value=1.5, residual=0.25)"


def test_lower_end_subtracts_the_residual() -> None:
    assert Eigenvalue(value=1.5, residual=0.25).lower_end == 1.25


def test_a_tolerance_that_takes_too_long_leaves_a_larger_residual_that_is_true(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eigenvalues, "MAX_STEPS", 25)
    result = found(with_spectrum(np.linspace(-1, 3, LANCZOS)))
    assert TOLERANCE < result.residual < 4
    assert result.lower_end <= -1 <= result.value
    monkeypatch.setattr(eigenvalues, "MAX_STEPS", 3)
    assert found(with_spectrum(np.linspace(-1, 3, LANCZOS))).lower_end < -1


def test_a_product_that_is_not_finite_is_an_error() -> None:
    matrix = np.full((LANCZOS, LANCZOS), np.nan)
    with pytest.raises(LanczosError, match="not finite"):
        found(matrix)


@pytest.mark.parametrize("vectors", [20, 21, 40])
def test_restarts_find_the_same_eigenvalue(monkeypatch: pytest.MonkeyPatch, vectors: int) -> None:
    monkeypatch.setattr(eigenvalues, "MOST_VECTORS", vectors)
    spectrum = np.concatenate([[-1e-4], np.zeros(LANCZOS // 2), np.geomspace(1e-3, 1, 94)])
    matrix = with_spectrum(spectrum)
    result = found(matrix, tolerance=1e-9)
    assert result.value == pytest.approx(-1e-4, abs=1e-12)
    assert result.residual <= 2e-9


@pytest.mark.parametrize("error", [0.0, 1e-9, 1e-3])
def test_rough_products_are_refined_where_they_are_not_enough(error: float) -> None:
    matrix = with_spectrum(np.linspace(-1, 3, LANCZOS))
    noise = error * with_spectrum(np.linspace(-1, 1, LANCZOS), seed=1)
    exact: list[int] = []
    accurate = spla.LinearOperator(
        matrix.shape, lambda v: (exact.append(1), matrix @ v)[1], dtype=float
    )
    rough = spla.aslinearoperator((matrix + noise).astype(np.float32))
    result = smallest_eigenvalue(accurate, tolerance=1e-4, rough=rough)
    assert abs(result.value + 1) <= result.residual <= 1e-4 + 1e-12
    assert (len(exact) == 3) == (error < 1e-4)


@pytest.mark.parametrize("outliers", [10, 30, 60])
@pytest.mark.parametrize("depth", [0.01, 0.03, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_a_negative_eigenvalue_among_zeros_is_not_missed_at_a_residual_below_the_tolerance(
    outliers: int, depth: float, seed: int
) -> None:
    # The Ritz vector mixes it with the zeros: its residual is depth/√n.
    zeros = np.zeros(1_000 - outliers)
    diagonal = np.concatenate([[-depth], zeros, np.geomspace(0.1, 1e3, outliers)])
    operator = spla.aslinearoperator(diags_array(diagonal))
    result = smallest_eigenvalue(operator, tolerance=2e-3, seed=seed)
    assert result.lower_end <= -depth <= result.value + 1e-12


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tolerance", [1e-3, 1e-10])
def test_a_krylov_space_that_ends_is_the_end(seed: int, tolerance: float) -> None:
    size = 2_000
    part = np.random.default_rng(0).standard_normal((size, 3)) / size**0.5
    operator = spla.LinearOperator((size, size), lambda v: v + part @ (part.T @ v), dtype=float)
    result = smallest_eigenvalue(operator, tolerance=tolerance, seed=seed)
    assert result.value == pytest.approx(1, abs=1e-12)
    assert result.residual <= tolerance


@pytest.mark.parametrize("tolerance", [1e-3, 1e-4, 1e-5])
def test_many_eigenvalues_close_to_the_smallest(tolerance: float) -> None:
    diagonal = np.linspace(0, 1, 3_000) ** 2 - 0.5
    operator = spla.aslinearoperator(diags_array(diagonal))
    result = smallest_eigenvalue(operator, tolerance=tolerance)
    assert result.lower_end <= -0.5 <= result.value <= -0.5 + tolerance
    assert result.residual <= tolerance + 1e-12


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_units_do_not_matter(scale: float) -> None:
    diagonal = np.linspace(0, 1, 1_000) ** 2 - 0.5
    unit, other = (
        smallest_eigenvalue(spla.aslinearoperator(diags_array(s * diagonal)), tolerance=1e-4 * s)
        for s in (1.0, scale)
    )
    assert other.value / scale == pytest.approx(unit.value, rel=1e-9)
    assert other.residual / scale == pytest.approx(unit.residual, rel=1e-6)


def test_the_basis_takes_no_more_memory_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eigenvalues, "BASIS_BYTES", 2**22)
    operator = spla.aslinearoperator(diags_array(np.linspace(0, 1, 20_000)))
    tracemalloc.start()
    smallest_eigenvalue(operator, tolerance=1e-2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 2**22
