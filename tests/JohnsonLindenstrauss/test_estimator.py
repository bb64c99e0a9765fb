"""scikit-learn's own checks, and what they do not look at."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.lower_bound import distortion_lower_bound
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pairs import exact_ratio_range

POINTS = np.random.default_rng(0).normal(size=(40, 12))
POINTS_TENSOR = torch.tensor(POINTS)


def fitted(**options: object) -> LearnedProjection:
    arguments = {"n_components": 5, "max_iter": 300, "random_state": 0} | options
    return LearnedProjection(**arguments).fit(POINTS)


@pytest.fixture(scope="module")
def projection() -> LearnedProjection:
    """The one with default options; a test that changes it clones it."""
    return fitted()


@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_checks_pass() -> None:
    check_estimator(LearnedProjection(n_components=1, max_iter=10))


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dense_and_sparse_points_of_either_type(kind: type, dtype: type) -> None:
    points = kind(POINTS.astype(dtype))
    projection = LearnedProjection(3, max_iter=200, random_state=0)
    images = projection.fit_transform(points)
    assert isinstance(images, np.ndarray)
    assert images.dtype == projection.components_.dtype == dtype
    assert images.shape == (40, 3)
    centred = POINTS - POINTS.mean(axis=0)
    np.testing.assert_allclose(images, centred @ projection.components_.T, rtol=1e-3, atol=1e-4)


def test_the_distortion_is_that_of_all_pairs(projection: LearnedProjection) -> None:
    exact = exact_ratio_range(torch.tensor(projection.components_), torch.tensor(POINTS)).distortion
    assert projection.max_distortion_ == pytest.approx(exact, rel=1e-12)
    assert projection.n_features_in_ == 12
    assert projection.n_components_ == 5
    assert 1 <= projection.n_iter_ <= 300


@pytest.mark.parametrize(
    ("points", "complement", "checks"),
    [
        (POINTS, "random", 0),  # spans the space, so that nothing is added
        (POINTS.astype(np.float32), "random", 1),
        (POINTS[:8], "random", 1),
        (POINTS[:8], "zero", 0),
        (scipy.sparse.csr_array(POINTS[:8]), "zero", 1),
    ],
)
def test_only_a_matrix_that_changed_since_its_training_is_checked_again(
    points: object, complement: str, checks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    check = LearnedProjection._distortion

    def counted(self: LearnedProjection, rows: object) -> float:
        seen.append(rows)
        return check(self, rows)

    monkeypatch.setattr(LearnedProjection, "_distortion", counted)
    options = {"complement": complement, "max_iter": 20, "random_state": 0}
    projection = LearnedProjection(3, **options).fit(points)
    assert len(seen) == checks
    assert projection.max_distortion_ == pytest.approx(-projection.score(points), rel=1e-12)


def test_the_inverse_is_the_pseudo_inverse(projection: LearnedProjection) -> None:
    images = projection.transform(POINTS)
    back = projection.inverse_transform(images)
    assert back.shape == POINTS.shape
    np.testing.assert_allclose(projection.transform(back), images, atol=1e-10)
    shortest = images @ np.linalg.pinv(projection.components_).T
    np.testing.assert_allclose(back, shortest + POINTS.mean(axis=0))
    with pytest.raises(ValueError, match="it needs 5 columns"):
        projection.inverse_transform(POINTS)


def test_random_state_repeats_and_differs() -> None:
    states = (np.random.RandomState(0), np.random.RandomState(0), 1, 1)
    drawn = [fitted(random_state=state, max_iter=40).components_ for state in states]
    np.testing.assert_array_equal(drawn[2], drawn[3])
    assert not np.array_equal(drawn[0], drawn[2])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert fitted(random_state=None, max_iter=100).max_distortion_ < 1


def test_the_random_complement_keeps_fitted_pairs_and_does_not_shrink_new_points() -> None:
    fitted_points, new = cube_points(60, 300, torch.Generator().manual_seed(0)).split(30)
    kept = {
        complement: LearnedProjection(10, complement=complement, max_iter=100, random_state=0).fit(
            fitted_points.numpy()
        )
        for complement in ("random", "zero")
    }
    images = [each.transform(fitted_points.numpy()) for each in kept.values()]
    moved = images[0] - images[1]
    np.testing.assert_allclose(moved, moved[[0] * 30], rtol=0, atol=1e-12)  # by the same vector
    assert kept["random"].max_distortion_ == pytest.approx(kept["zero"].max_distortion_, abs=1e-12)
    root_mean_squares = {
        name: float((ratios(torch.tensor(each.components_), new) - 1).square().mean().sqrt())
        for name, each in kept.items()
    }
    gaussian = (2 / 10) ** 0.5  # √(2/k) of every pair, in expectation
    assert root_mean_squares["random"] < 1.15 * gaussian < 0.6 < root_mean_squares["zero"]
    both = [fitted(complement=name, max_iter=20).components_ for name in ("random", "zero")]
    np.testing.assert_array_equal(*both)  # these points span the space


def ratios(embedding: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    before, after = torch.pdist(points), torch.pdist(points @ embedding.T)
    return (after / before).square()


def test_the_mean_square_objective_is_fitted(projection: LearnedProjection) -> None:
    embeddings = {"largest": projection, "mean_square": fitted(objective="mean_square")}
    images = {
        objective: ratios(torch.tensor(each.components_), POINTS_TENSOR) - 1
        for objective, each in embeddings.items()
    }
    assert images["mean_square"].square().mean() < 0.9 * images["largest"].square().mean()
    assert images["mean_square"].abs().max() > images["largest"].abs().max()


def test_auto_finds_far_fewer_components_than_the_random_bound() -> None:
    points = cube_points(40, 200, torch.Generator().manual_seed(0)).numpy()
    projection = LearnedProjection(eps=0.2, max_iter=1_000, random_state=0).fit(points)
    assert projection.max_distortion_ <= 0.2
    assert projection.n_components_ < 25  # rank 39; min_dim(40, 0.2) is 851
    assert projection.lower_bound_ < projection.max_distortion_
    assert projection.proven_ratio_ == projection.lower_bound_ / projection.max_distortion_
    possible = projection.smallest_possible_components_
    assert 5 < possible < projection.n_components_
    assert distortion_lower_bound(torch.from_numpy(points), possible) <= 0.2
    fewer = LearnedProjection(projection.n_components_ - 5, max_iter=1_000, random_state=0)
    assert fewer.fit(points).max_distortion_ > 0.2
    assert LearnedProjection(eps=5.0, max_iter=50, random_state=0).fit(POINTS).n_components_ == 1


def test_parameters_go_in_and_out() -> None:
    projection = LearnedProjection(4, eps=0.3)
    known = {"n_components": 4, "eps": 0.3, "max_iter": None, "block_size": 128}
    defaults = {"random_state": None, "n_jobs": None, "verbose": False}
    defaults |= {"objective": "largest", "complement": "random"}
    assert projection.get_params() == known | defaults
    assert projection.set_params(eps=0.2, n_components="auto") is projection
    assert (projection.eps, projection.n_components) == (0.2, "auto")
    with pytest.raises(ValueError, match="epsilon"):
        projection.set_params(epsilon=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components is 0: it must be"),
        ({"n_components": 13}, "from 1 to the 12 features"),
        ({"n_components": 2.5}, "n_components is 2.5"),
        ({"n_components": True}, "n_components is True"),
        ({"n_components": "many"}, "n_components is 'many'"),
        ({"n_components": np.array([1, 2])}, r"n_components is array\(\[1, 2\]\)"),
        ({"n_components": "auto", "eps": True}, "eps is True"),
        ({"n_components": "auto", "eps": 0.0}, "eps is 0"),
        ({"max_iter": 0}, "max_iter is 0"),
        ({"block_size": 0}, "block_size is 0"),
        ({"block_size": 2.5}, "block_size is 2.5"),
        ({"max_iter": "10"}, "max_iter is '10'"),
        (
            {"n_components": "auto", "eps": "0.1"},
            "eps is '0.1': it must be a finite number above 0",
        ),
        ({"n_jobs": 0}, "n_jobs is 0"),
        ({"n_jobs": "2"}, "n_jobs is '2'"),
        ({"random_state": -1}, "random_state is -1"),
        ({"complement": "none"}, 'complement is \'none\': it must be "random" or "zero"$'),
        ({"complement": None}, "complement is None"),
        ({"objective": "mean"}, 'objective is \'mean\': it must be "largest" or "mean_square"$'),
        ({"objective": "mean_square", "n_components": "auto"}, 'n_components is "auto": with'),
    ],
)
def test_bad_parameters_are_named_when_fitting(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(**options)


@pytest.mark.parametrize(
    "points", [np.ones((4, 3)), POINTS[:1], np.full((4, 3), np.nan), np.full((4, 3), np.inf)]
)
@pytest.mark.filterwarnings("ignore:3 points equal")
def test_points_that_can_t_be_embedded_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"X: all points are equal|minimum of 2|NaN|infinity"):
        LearnedProjection(1).fit(points)


def test_copies_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="2 points equal earlier ones"):
        LearnedProjection(2, max_iter=30).fit(POINTS[[*range(9), 3, 3]])


def test_transforming_needs_a_fit_on_as_many_features(projection: LearnedProjection) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LearnedProjection(2).transform(POINTS)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LearnedProjection(2).inverse_transform(POINTS)
    with pytest.raises(ValueError, match=r"X has 4 features.* expecting 12"):
        projection.transform(POINTS[:, :4])


def test_only_the_estimator_imports_scikit_learn() -> None:
    program = "import sys, JohnsonLindenstrauss.experiment; print('sklearn' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("order", [slice(None, None, -1), (slice(None), slice(None, None, -1))])
def test_points_with_negative_strides_and_read_only_ones_are_fitted(order: object) -> None:
    reversed_points = POINTS[order]
    reversed_points.flags.writeable = False
    fortran = np.asfortranarray(POINTS[order])
    found = [
        LearnedProjection(3, max_iter=30, random_state=0).fit(x) for x in (reversed_points, fortran)
    ]
    np.testing.assert_array_equal(found[0].components_, found[1].components_)


def test_components_beyond_the_rank_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="n_components is 10: the points span 4 dimensions"):
        projection = LearnedProjection(10, random_state=0).fit(POINTS[:5])
    assert projection.components_.shape == (projection.n_components_, 12) == (4, 12)
    assert projection.max_distortion_ < 1e-12
    assert list(projection.get_feature_names_out()) == [f"learnedprojection{i}" for i in range(4)]
    assert projection.transform(POINTS).shape == (40, 4)


def test_the_score_is_minus_the_largest_distortion(projection: LearnedProjection) -> None:
    # The fit multiplies the range that it measured by the square of the balancing factor.
    assert projection.score(POINTS) == pytest.approx(-projection.max_distortion_, rel=1e-14)
    new = np.random.default_rng(1).normal(size=(20, 12))
    exact = exact_ratio_range(torch.tensor(projection.components_), torch.tensor(new)).distortion
    assert projection.score(new) == pytest.approx(-exact, rel=1e-12)
    with pytest.raises(ValueError, match="the number of rows of X is 1: it must be at least 2"):
        projection.score(POINTS[:1])
    with pytest.raises(ValueError, match="X: all points are equal"):
        projection.score(np.ones((2, 12)))
    short = clone(projection).set_params(max_iter=20)
    search = GridSearchCV(short, {"n_components": [3, 12]}, cv=2, error_score="raise")
    assert search.fit(POINTS).best_params_ == {"n_components": 12}


def test_more_threads_than_cores_are_not_started(projection: LearnedProjection) -> None:
    many = clone(projection).set_params(n_jobs=10**6, max_iter=3).fit(POINTS)
    assert many.max_distortion_ < 1


def test_images_that_are_no_numbers_have_no_inverse(projection: LearnedProjection) -> None:
    images = projection.transform(POINTS)
    np.testing.assert_allclose(
        projection.inverse_transform(scipy.sparse.csr_array(images)),
        projection.inverse_transform(images),
        atol=1e-12,
    )
    for bad in (np.full((1, images.shape[1]), np.nan), [["a"] * images.shape[1]], images[0]):
        with pytest.raises(ValueError):  # noqa: PT011 (scikit-learn's own sentences)
            projection.inverse_transform(bad)


def test_verbose_prints_progress(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = fitted(max_iter=60)
    assert capsys.readouterr().out == ""
    loud = fitted(max_iter=60, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("[LearnedProjection] k = 5: step 6 of at most 60, objective ")
    assert lines[-1] == (
        f"[LearnedProjection] k = 5: largest distortion {loud.max_distortion_:.4g}"
    )
    np.testing.assert_array_equal(quiet.components_, loud.components_)


def test_data_frames_go_in_and_out() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(POINTS, columns=[f"feature {i}" for i in range(12)])
    projection = LearnedProjection(5, max_iter=20).fit(frame).set_output(transform="pandas")
    assert list(projection.feature_names_in_) == list(frame.columns)
    images = projection.transform(frame)
    assert list(images.columns) == list(projection.get_feature_names_out())
    np.testing.assert_allclose(images.to_numpy(), projection.transform(POINTS), rtol=1e-12)


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("complement", ["random", "zero"])
@pytest.mark.parametrize(
    ("objective", "n_components"), [("largest", 2), ("largest", "auto"), ("mean_square", 2)]
)
def test_all_options_go_together(
    objective: str,
    n_components: object,
    complement: str,
    verbose: bool,
    capsys: pytest.CaptureFixture,
) -> None:
    options = {"objective": objective, "complement": complement, "verbose": verbose}
    points = POINTS[:10]  # fewer than dimensions, so that there is a complement
    projection = LearnedProjection(n_components, eps=0.5, max_iter=4, random_state=0, **options)
    images = projection.fit_transform(points)
    assert images.shape == (10, projection.n_components_)
    assert 0 <= projection.lower_bound_ <= projection.max_distortion_
    assert ("step 0 of at most 4" in capsys.readouterr().out) == verbose


def test_the_smallest_possible_number_belongs_to_the_last_fit() -> None:
    projection = LearnedProjection(eps=0.5, max_iter=4, random_state=0).fit(POINTS)
    assert projection.smallest_possible_components_ >= 1
    projection.set_params(n_components=2).fit(POINTS)
    assert projection.smallest_possible_components_ is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_map_that_keeps_every_distance_is_proven_best_in_either_type(dtype: type) -> None:
    projection = LearnedProjection(12, random_state=0).fit(POINTS.astype(dtype))
    assert projection.max_distortion_ < 1e-5
    assert projection.proven_ratio_ == 1
