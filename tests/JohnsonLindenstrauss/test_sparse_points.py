"""Sparse points with more features than points, against the same points made dense."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
import torch

from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.lower_bound import distortion_lower_bound
from JohnsonLindenstrauss.pairs import exact_ratio_range
from JohnsonLindenstrauss.sparse_points import distinct_rows, embedding_space

WIDE = scipy.sparse.random_array((40, 300), density=0.05, rng=np.random.default_rng(0)).tocsr()


def test_the_space_has_the_distances_and_lifts_embeddings() -> None:
    rows = distinct_rows(WIDE, "X").rows
    assert scipy.sparse.issparse(rows)
    space = embedding_space(rows)
    dense = torch.from_numpy(WIDE.toarray())
    assert space.points.shape == (40, 39)
    torch.testing.assert_close(torch.cdist(space.points, space.points), torch.cdist(dense, dense))
    embedding = torch.randn(3, 39, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lifted = space.lift(embedding)
    centred = dense - dense.mean(dim=0)
    torch.testing.assert_close(centred @ lifted.T, space.points @ embedding.T)
    # Nothing outside the span of the centred points: the lifted rows are combinations of these.
    back = torch.linalg.lstsq(centred.T, lifted.T, driver="gelsd").solution
    torch.testing.assert_close(centred.T @ back, lifted.T)


@pytest.mark.parametrize(
    ("dtype", "scale"), [(np.float64, 1e-300), (np.float64, 1e300), (np.float32, 1.0)]
)
def test_sparse_points_are_embedded_as_dense_ones(dtype: type, scale: float) -> None:
    points = (WIDE * scale).astype(dtype)
    projection = LearnedProjection(8, max_iter=400, random_state=0).fit(points)
    dense = LearnedProjection(8, max_iter=400, random_state=0).fit(points.toarray())
    assert projection.max_distortion_ == pytest.approx(dense.max_distortion_, rel=0.15)
    components = torch.from_numpy(projection.components_).double()
    exact = exact_ratio_range(components, torch.from_numpy(points.toarray())).distortion
    assert projection.max_distortion_ == pytest.approx(exact, rel=1e-9)
    assert -projection.score(points) == pytest.approx(exact, rel=1e-12)
    np.testing.assert_allclose(projection.mean_, dense.mean_, rtol=1e-6)
    images = projection.transform(points)
    assert images.dtype == dtype
    tolerance = 1e-5 * np.abs(images).max() if dtype == np.float32 else 1e-12 * scale
    np.testing.assert_allclose(images, projection.transform(points.toarray()), atol=tolerance)


def test_copies_are_left_out_and_near_rows_are_made_dense() -> None:
    rounded = WIDE[:3] * (1 + 2.0**-52)
    both = scipy.sparse.vstack([WIDE, WIDE[[5]], rounded]).tocsr()
    found = distinct_rows(both, "X")
    assert found.copies == 4
    assert scipy.sparse.issparse(found.rows)
    np.testing.assert_array_equal(found.rows.toarray(), WIDE.toarray())
    near = WIDE[[0]].copy()
    near.data[0] *= 1 + 1e-9
    with_near = scipy.sparse.vstack([WIDE, near]).tocsr()
    assert isinstance(distinct_rows(with_near, "X").rows, torch.Tensor)
    projection = LearnedProjection(20, max_iter=600, random_state=0).fit(with_near)
    assert projection.max_distortion_ < 0.5
    for empty in (scipy.sparse.csr_array((3, 9)), WIDE[[2, 2]], WIDE[[2]] * 0):
        with pytest.raises(ValueError, match="X: all points are equal"):
            distinct_rows(empty, "X")


def test_no_dense_copy_is_made() -> None:
    points = scipy.sparse.random_array((200, 200_000), density=1e-4, rng=np.random.default_rng(0))
    tracemalloc.start()
    LearnedProjection(5, max_iter=2, random_state=0).fit(points).transform(points)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 5 * 200_000 * 8  # five copies of the components; a dense copy is 320 MB


def test_sparse_points_have_a_random_complement_too() -> None:
    rng = np.random.default_rng(0)
    sparse = scipy.sparse.random_array((12, 300), density=0.1, rng=rng, format="csr")
    new = scipy.sparse.random_array((400, 300), density=0.1, rng=rng, format="csr").toarray()
    fits = [
        LearnedProjection(8, complement=each, max_iter=20, random_state=0).fit(sparse)
        for each in ("zero", "random")
    ]
    zero, random = (fit.transform(sparse.toarray()) for fit in fits)
    np.testing.assert_allclose(random, zero, atol=1e-12)
    inside = np.linalg.svd(sparse.toarray() - sparse.toarray().mean(axis=0))[2][:11]
    outside = (new - new @ inside.T @ inside) @ fits[1].components_.T
    lengths = np.square(outside).sum(axis=1) / np.square(new - new @ inside.T @ inside).sum(axis=1)
    assert 0.8 < lengths.mean() < 1.2
    assert np.abs((new - new @ inside.T @ inside) @ fits[0].components_.T).max() < 1e-12


@pytest.mark.parametrize("length", [1e4, 1e6, 1e8])
def test_one_long_row_costs_no_precision(length: float) -> None:
    dense = WIDE.toarray()
    dense[0] *= length
    options = {"n_components": 3, "max_iter": 10, "random_state": 0, "complement": "zero"}
    sparse = LearnedProjection(**options).fit(scipy.sparse.csr_array(dense))
    plain = LearnedProjection(**options).fit(dense)
    assert sparse.max_distortion_ == pytest.approx(plain.max_distortion_, rel=0.05)


@pytest.mark.parametrize("apart", [1.0, 3e-4])
def test_the_error_of_the_coordinates_is_charged_to_the_bound(apart: float) -> None:
    dense = WIDE.toarray()
    dense[1] = dense[0]
    dense[1, 5] += apart * np.linalg.norm(dense[0])
    space = embedding_space(distinct_rows(scipy.sparse.csr_array(dense), "X").rows)

    def squares(points: np.ndarray) -> np.ndarray:
        first, second = np.triu_indices(len(points), 1)
        wide = points.astype(np.longdouble)
        return np.square(wide[first] - wide[second]).sum(axis=1)

    share = float(np.abs(squares(space.points.numpy()) / squares(dense) - 1).max())
    assert 2 * share / (1 - share) <= space.error < 1e-4
    rows = scipy.sparse.csr_array(dense)
    projection = LearnedProjection(3, max_iter=4, random_state=0).fit(rows)
    uncharged = distortion_lower_bound(space.points, 3, max_steps=4)
    assert projection.lower_bound_ == pytest.approx(uncharged - space.error, abs=1e-15)
