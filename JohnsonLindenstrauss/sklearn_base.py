"""What an estimator inherits and how it checks its input: scikit-learn's own where installed."""

import inspect
from typing import Any

import numpy as np
import scipy.sparse

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    BaseEstimator = None

Matrix = Any  # an array-like or a scipy sparse matrix; sparse ones have no common type


class _PlainEstimator:
    """fit_transform, get_params and set_params as scikit-learn defines them."""

    def fit_transform(self, X: Matrix, y: Any = None) -> np.ndarray:  # noqa: N803
        """``fit(X)``, then ``transform(X)``."""
        return self.fit(X, y).transform(X)  # type: ignore[attr-defined]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Any:
        """Change arguments of the constructor; those that do not exist are a ``ValueError``."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                allowed = ", ".join(known)
                raise ValueError(f"{name} is no parameter: the parameters are {allowed}")
            setattr(self, name, value)
        return self


if BaseEstimator is None:
    Estimator: Any = _PlainEstimator
else:

    class Estimator(  # type: ignore[no-redef]
        ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
    ):
        """scikit-learn's transformer, sparse input and both floating types declared."""

        def __sklearn_tags__(self) -> Any:
            tags = super().__sklearn_tags__()
            tags.input_tags.sparse = True
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
            return tags

        @property
        def _n_features_out(self) -> int:
            return len(self.components_)


def checked_matrix(estimator: Any, X: Matrix, *, fitting: bool) -> Matrix:  # noqa: N803
    """X as a finite float matrix, dense or CSR, of as many features as the estimator knows.

    Raises:
        ValueError: X is no such matrix, or is too small to fit on.
    """
    least = 2 if fitting else 1
    if BaseEstimator is not None:
        return _validated(estimator, X, least, fitting)
    matrix = scipy.sparse.csr_array(X) if scipy.sparse.issparse(X) else np.asarray(X)
    if matrix.dtype != np.float32:
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2 or matrix.shape[0] < least or matrix.shape[1] < 1:
        raise ValueError(f"X has shape {matrix.shape}: it must be a table of {least} rows or more")
    if not np.isfinite(matrix.data if scipy.sparse.issparse(matrix) else matrix).all():
        raise ValueError("X holds NaN or infinity: every entry must be a finite number")
    if fitting:
        estimator.n_features_in_ = matrix.shape[1]
    elif matrix.shape[1] != estimator.n_features_in_:
        known = estimator.n_features_in_
        raise ValueError(f"X has {matrix.shape[1]} features: it was fitted on {known}")
    return matrix


def require_fitted(estimator: Any) -> None:
    """Raise scikit-learn's ``NotFittedError`` (or ``ValueError``) before ``fit`` was called."""
    if BaseEstimator is not None:
        check_is_fitted(estimator)
    elif not hasattr(estimator, "components_"):
        raise ValueError(f"this {type(estimator).__name__} is not fitted yet: call fit first")


def _validated(estimator: Any, X: Matrix, least: int, fitting: bool) -> Matrix:  # noqa: N803
    """By scikit-learn's own checks, their message on one line."""
    try:
        # It adds everything up to look for NaN, which of finite numbers may overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(
                estimator,
                X,
                accept_sparse="csr",
                dtype=[np.float64, np.float32],
                ensure_min_samples=least,
                reset=fitting,
            )
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error
