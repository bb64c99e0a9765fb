"""PrincipalSubspace: scikit-learn's own checks, and whether it finds the right subspace."""

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.linalg import subspace_angles
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from NeuralNetworks import PrincipalSubspace

QUICK = {"hidden_units": 5, "max_iter": 4, "regularization": 1e-3, "descent_steps": 1}


@parametrize_with_checks([PrincipalSubspace(2, task="classification", **QUICK)])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_checks_pass(estimator: PrincipalSubspace, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_regressors_train,
        estimator_checks.check_regressors_int,
        estimator_checks.check_regressors_no_decision_function,
        estimator_checks.check_regressor_data_not_an_array,
        estimator_checks.check_transformer_general,
        estimator_checks.check_transformer_preserve_dtypes,
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_s_checks_of_regressors_pass(check: Any) -> None:
    check("PrincipalSubspace", PrincipalSubspace(1, task="regression", **QUICK))


def sample(
    link: Any, num_directions: int, rows: int = 300, features: int = 8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian inputs, labels with 10% noise, and the orthonormal directions they depend on."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(features, num_directions)))[0].T
    inputs = rng.normal(size=(rows, features))
    signal = link(*(inputs @ directions.T).T)
    return inputs, signal + 0.1 * signal.std() * rng.normal(size=rows), directions


def sine(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sin(subspace_angles(first.T, second.T)).max())


def fitted(X: np.ndarray, y: np.ndarray, **options: Any) -> PrincipalSubspace:  # noqa: N803
    arguments = {"max_iter": 25, "hidden_units": 12, "descent_steps": 5, "random_state": 0}
    arguments |= {"regularization": 1e-3}  # of which there is then one to try
    return PrincipalSubspace(**(arguments | options)).fit(X, y)


PRODUCT = sample(lambda a, b: a * b, 2)
LINE = sample(np.tanh, 1, rows=120, features=5)


@pytest.mark.parametrize(
    ("link", "num_directions"),
    [(np.tanh, 1), (np.abs, 1), (lambda a, b: a * b, 2), (lambda a, b: np.sin(2 * a) + b**2, 2)],
    ids=["tanh", "abs", "product", "sum"],
)
def test_it_finds_the_number_of_directions_and_the_directions(
    link: Any, num_directions: int
) -> None:
    inputs, labels, directions = sample(link, num_directions, seed=1)
    found = fitted(inputs, labels)
    assert found.n_components_ == num_directions == len(found.components_)
    np.testing.assert_allclose(
        found.components_ @ found.components_.T, np.eye(num_directions), atol=1e-12
    )
    assert sine(found.components_, directions) < 0.1  # of a random subspace about 0.95
    assert found.validation_score_ > 0.9
    assert found.eigenvalues_[num_directions - 1] > 5 * found.eigenvalues_[num_directions]
    losses = found.validation_losses_
    assert min(losses, key=losses.__getitem__) in (num_directions, num_directions + 1)


def test_the_regularization_is_chosen_on_held_out_rows() -> None:
    inputs, labels, directions = LINE
    noisy = labels + np.random.default_rng(1).normal(size=120)
    chosen = [
        fitted(inputs, y, n_components=1, regularization="auto").reduced_regularization_
        for y in (inputs @ directions[0] ** 3, noisy)
    ]
    assert chosen[0] < chosen[1]


def test_units_of_features_are_respected() -> None:
    inputs, labels, directions = PRODUCT
    mixing = np.diag(10.0 ** np.arange(-3, 5)) @ np.linalg.qr(np.eye(8) + 0.3)[0]
    found = fitted(inputs @ mixing.T + 7, labels, n_components=2)
    # Labels depend on U x = (U M⁻¹)(M x).
    expected = directions @ np.linalg.inv(mixing)
    # Angles between rows of such different sizes: compare after the mixing.
    assert sine(found.components_ @ mixing, directions) < 0.1
    scales = np.abs(expected).max(axis=0)
    assert sine(found.components_ / scales, expected / scales) < 0.1


def test_with_few_rows_inputs_are_scaled_and_not_whitened() -> None:
    inputs, labels, directions = sample(np.tanh, 1, rows=60, features=40)
    found = fitted(inputs * 1000, labels, n_components=1)
    assert sine(found.components_, directions) < 0.7  # of a random direction 0.99
    assert abs(found.components_ @ directions.T) > 0.7


def test_coordinates_are_centred_and_single_precision_is_kept() -> None:
    inputs, labels, _ = PRODUCT
    for dtype in (np.float32, np.float64):
        found = fitted((inputs + 3).astype(dtype), labels, n_components=2)
        coordinates = found.transform((inputs + 3).astype(dtype))
        assert coordinates.dtype == found.components_.dtype == found.mean_.dtype == dtype
        np.testing.assert_allclose(coordinates.mean(axis=0), 0, atol=1e-5)
        expected = (inputs - inputs.mean(axis=0)) @ found.components_.T
        np.testing.assert_allclose(coordinates, expected, atol=1e-4)
    again = found.fit_transform(inputs + 3, labels)
    np.testing.assert_array_equal(again, coordinates)
    assert list(found.get_feature_names_out()) == ["principalsubspace0", "principalsubspace1"]


def test_two_classes_with_names() -> None:
    inputs, signal, directions = PRODUCT
    labels = np.where(signal > 0, "yes", "no")
    found = fitted(inputs, labels, n_components=2)
    assert list(found.classes_) == ["no", "yes"]
    assert sine(found.components_, directions) < 0.35
    assert found.score(inputs, labels) > 0.9
    assert found.validation_score_ > 0.8
    probabilities = found.predict_proba(inputs)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(found.classes_[probabilities.argmax(1)], found.predict(inputs))


def test_several_classes_with_names() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 6))
    angle = np.arctan2(inputs[:, 1], inputs[:, 0])
    labels = np.array(["a", "b", "c"])[((angle + math.pi) / (2 * math.pi) * 3).astype(int) % 3]
    found = fitted(inputs, labels)
    assert found.n_components_ == 2
    assert sine(found.components_, np.eye(6)[:2]) < 0.2
    assert found.score(inputs, labels) > 0.9
    assert found.predict_proba(inputs).shape == (400, 3)
    assert found.feature_importances_[:2].sum() > 0.95
    assert found.feature_importances_.sum() == pytest.approx(1)


def test_the_task_follows_from_the_labels() -> None:
    inputs, labels, _ = LINE
    options: dict[str, Any] = {"n_components": 1, "max_iter": 3}
    regression = fitted(inputs, labels, **options)
    assert regression.task_ == "regression"
    assert not hasattr(regression, "predict_proba")
    assert not hasattr(regression, "classes_")
    counts = np.arange(120)
    assert fitted(inputs, counts, **options).task_ == "regression"
    assert fitted(inputs, counts % 3, **options).task_ == "classification"
    assert fitted(inputs, counts % 3, task="regression", **options).task_ == "regression"
    with pytest.raises(ValueError, match=r"y is not numeric: task must then be classification$"):
        fitted(inputs, np.full(120, "low"), task="regression", **options)


def test_log_cosh_is_moved_less_by_outliers() -> None:
    inputs, labels, directions = sample(np.tanh, 1, rows=200, features=6)
    labels = labels.copy()
    labels[::20] += 40 * np.random.default_rng(1).choice([-1, 1], size=10)
    errors = [
        sine(fitted(inputs, labels, n_components=1, loss=loss).components_, directions)
        for loss in ("squared", "log-cosh")
    ]
    assert errors[1] < 0.7 * errors[0]


def test_the_bound_of_the_certificate_holds() -> None:
    inputs, labels, _ = PRODUCT
    found = fitted(inputs, labels, n_components=2, descent_steps=100)
    bounds = found.certificate_
    assert 0 < bounds.weight_norm <= bounds.sharp_weight_bound
    assert bounds.stein_defect > 1e-4  # of a sample
    # Without the Stein defect the bound is false here: this part of W is the sample's doing.
    assert bounds.gaussian_sharp_bound < bounds.weight_norm
    assert 0 < found.relative_orthogonal_norm_ < 0.5


def test_more_rows_leave_less_of_the_first_layer_outside() -> None:
    shares = []
    for rows in (100, 1600):
        inputs, labels, _ = sample(np.tanh, 1, rows=rows, features=5)
        found = fitted(inputs, labels, n_components=1, regularization=1e-2)
        shares.append(found.relative_orthogonal_norm_)
        assert found.regularization_ == found.reduced_regularization_ == 1e-2
    assert shares[1] < 0.6 * shares[0]


def test_the_same_seed_gives_the_same_numbers() -> None:
    inputs, labels, _ = LINE
    options: dict[str, Any] = {"n_components": 1, "max_iter": 10}
    first, second = (fitted(inputs, labels, **options) for _ in range(2))
    np.testing.assert_array_equal(first.components_, second.components_)
    assert first.certificate_ == second.certificate_
    state = fitted(inputs, labels, random_state=np.random.RandomState(3), **options)
    other = fitted(inputs, labels, random_state=np.random.RandomState(3), **options)
    np.testing.assert_array_equal(state.components_, other.components_)
    assert not np.array_equal(state.components_, first.components_)


def test_pipelines_and_grid_searches() -> None:
    inputs, labels, _ = sample(lambda a, b: a * b, 2, rows=200, features=5)
    subspace = PrincipalSubspace(random_state=0, **(QUICK | {"max_iter": 30, "hidden_units": 12}))
    pipeline = make_pipeline(StandardScaler(), subspace)
    grid = {"principalsubspace__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(inputs, labels)
    assert search.best_params_ == {"principalsubspace__n_components": 2}
    assert search.transform(inputs).shape == (200, 2)
    assert search.score(inputs, labels) > 0.9


X, Y, _ = LINE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components is 0: it must be None or a whole number from 1 to"),
        ({"n_components": 6}, "n_components is 6: .* from 1 to n_features = 5$"),
        ({"n_components": True}, "n_components is True"),
        ({"n_components": "auto"}, "n_components is 'auto'"),
        (
            {"task": "both"},
            'task is \'both\': it must be "auto", "regression" or "classification"$',
        ),
        ({"loss": "poisson"}, 'loss is \'poisson\': it must be "squared" or "log-cosh"$'),
        ({"hidden_units": 0}, "hidden_units is 0: it must be at least 1$"),
        ({"max_iter": 2.5}, "max_iter is 2.5: it must be a whole number, at least 1$"),
        ({"num_starts": 0}, "num_starts is 0"),
        ({"descent_steps": 0}, "descent_steps is 0"),
        ({"regularization": 0.0}, "regularization is 0.0: it must be a finite number above 0$"),
        ({"regularization": "none"}, "regularization is 'none': it must be \"auto\" or a number"),
        ({"random_state": -1}, "random_state is -1"),
        ({"random_state": "x"}, "random_state is 'x': it must be None, an integer or"),
    ],
)
def test_bad_arguments_are_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        fitted(X, Y, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (scipy.sparse.csr_matrix(X), Y, "[Ss]parse"),
        (np.full_like(X, np.nan), Y, "NaN"),
        (np.ones_like(X), Y, "X has the same row everywhere: at least one feature must vary$"),
        (X[:1], Y[:1], "minimum of 2"),
        (X, Y[:5], "inconsistent"),
        (X, None, "y"),
        (1e160 * X, Y, "X holds .*: numbers must be at most 1e.100$"),
        (X, np.full(120, 0.1), "y is 0.1 in every row: it must vary$"),
        (X, np.array(["a", None] * 60, dtype=object), "y mixes labels of the types NoneType, str"),
        (X, np.zeros(120, dtype=int), "y has one class, .*0.*: a classifier needs at least two$"),
    ],
)
def test_bad_data_are_refused_in_one_line(inputs: Any, labels: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message) as error:
        fitted(inputs, labels)
    assert "\n" not in str(error.value)


def test_features_of_any_size_count_and_outliers_elsewhere_do_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((120, 3))
    y = np.tanh(x[:, 0] + x[:, 1])
    x[:, 2] *= 1e3
    x[0, 2] = 1e14
    x[:, :2] *= 1e-9
    found = PrincipalSubspace(1, random_state=0, **QUICK).fit(x, y)
    assert found.score(x, y) > 0.9
    assert abs(found.components_[0] @ [0.5**0.5, 0.5**0.5, 0]) > 0.999


def test_without_enough_rows_no_direction_without_variance_is_returned() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 4))
    x[:, 3] = x[:, 0]
    found = PrincipalSubspace(4, task="regression", random_state=0, **QUICK).fit(x, x[:, 1])
    assert found.n_components_ == 3


@pytest.mark.parametrize("kind", ["Int64", "boolean"])
def test_pandas_own_kinds_of_numbers_are_classes(kind: str) -> None:
    pandas = pytest.importorskip("pandas")
    x = np.random.default_rng(0).standard_normal((60, 2))
    y = pandas.Series(x[:, 0] > 0).astype(kind)
    assert PrincipalSubspace(1, random_state=0, **QUICK).fit(x, y).task_ == "classification"


def test_constant_and_dependent_features_are_allowed() -> None:
    inputs, labels, directions = LINE
    wide = np.hstack([inputs, np.full((120, 1), 5.0), inputs[:, :1]])
    found = fitted(wide, labels, n_components=1)
    assert found.components_.shape == (1, 7)
    assert found.components_[0, 5] == pytest.approx(0, abs=1e-12)
    moved = found.components_[:, :5].copy()
    moved[:, 0] += found.components_[:, 6]
    assert sine(moved, directions) < 0.1


def test_it_must_be_fitted_first() -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        PrincipalSubspace().transform(X)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        PrincipalSubspace().predict(X)


def test_only_the_estimator_imports_scikit_learn() -> None:
    program = "import sys, NeuralNetworks.train; print('sklearn' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
