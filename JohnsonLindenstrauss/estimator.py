"""A learned projection as a scikit-learn transformer, with its largest distortion known."""

import math
import os
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from derandomization.checks import (
    require_at_least,
    require_positive,
    require_whole,
)
from derandomization.laboratory.estimators import require_one_of, torch_seed, validated
from derandomization.laboratory.threads import computing_threads
from JohnsonLindenstrauss.baselines import add_random_complement
from JohnsonLindenstrauss.lower_bound import (
    distortion_lower_bound,
    proven_ratio,
    smallest_possible_components,
)
from JohnsonLindenstrauss.pairs import exact_ratio_range, span
from JohnsonLindenstrauss.settings import BLOCK_SIZE
from JohnsonLindenstrauss.sparse_points import Matrix, distinct_rows, embedding_space
from JohnsonLindenstrauss.train import (
    MAX_MEAN_SQUARE_STEPS,
    MAX_PAIR_STEPS,
    PairTraining,
    train_mean_square,
    train_pairs,
)


class LearnedProjection(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """x ↦ A(x − m), A fitted to minimise max |‖A(x − y)‖²/‖x − y‖² − 1| over all pairs of points.

    Its distortion is known exactly for the points it was fitted on. On new points it has no
    guarantee; there ``complement`` and ``objective`` matter, as the study new-points shows. Fitting
    starts near the principal components, without random part, and uses all pairs of up to 5 000
    points, else those of a sample, and then the worst pairs of all points. Sparse points with more
    features than points are not made dense, unless two differ by less than 1e-4 of the longest.

    A row that differs from an earlier one by no more than 4 units of float64's rounding, in every
    feature, is left out as a copy, with a warning. There are no sample weights: a largest
    distortion does not depend on how much a row counts, only on whether it is there.

    Args:
        n_components: k, from 1 to the number of features; or "auto": the smallest k whose learned
            distortion is at most ``eps``, by bisection. If the points span fewer dimensions, a
            warning says so and there are as many components as dimensions, which keep every
            distance.
        eps: with "auto", the largest distortion to accept, above 0.
        max_iter: most descent steps for one k, and most steps of each ascent of its lower bound;
            the usual numbers if None.
        block_size: rows of the n×n matrices held at a time.
        objective: "largest", the largest distortion of the fitted pairs, or "mean_square", the mean
            of its square over them. With more points than features the second distorts new pairs
            less: on digits, k = 8, by 0.23 in the root mean square, the first by 0.28, PCA rescaled
            by 0.25.
        complement: what A does outside the span of the centred fitted points. "zero": nothing, so
            that new points shrink. "random": there A is a Gaussian matrix, entries N(0, 1/k), which
            leaves the fitted pairs as they are. On new points like figure 6's the root mean square
            distortion is 0.86 with "zero", 0.25 with "random" and 0.26 of a Gaussian matrix; but
            "zero" keeps more of the nearest neighbours, 45% against 20%. Where the fitted points
            span the whole space both are the same.
        random_state: None, a seed or a ``numpy.random.RandomState``.
        n_jobs: threads on which to fit and score, at most all cores; None is 1 outside a joblib
            context and −1 all cores. The last digits depend on it, but not on the caller's settings
            for threads.
        verbose: whether to print a line of progress ten times for each k.

    Attributes:
        components_: A, ``[n_components_, n_features_in_]``, of the data's floating type.
        mean_: m, the mean of the fitted rows, of the same type.
        n_components_, n_features_in_: k and d.
        max_distortion_: of ``components_`` as stored, over all pairs of distinct fitted points, in
            float64. The distances of the output of ``transform`` have this distortion up to the
            rounding of that output: in float32 about 1e-7 of the points' distances from the mean.
        lower_bound_: no map of these points into ``n_components_`` dimensions, linear or not, has a
            smaller largest distortion: see ``distortion_lower_bound``.
        proven_ratio_: ``lower_bound_/max_distortion_``; 1 if the distortion is rounding.
        smallest_possible_components_: with "auto", the smallest number of components that the lower
            bound does not exclude for ``eps``; else None.
        n_iter_: steps taken, at least 1.

    Reference: Tsikouras, Caramanis, Tzamos, NeurIPS 2024 (arXiv 2412.07242); Theorem 5.5.
    """

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        eps: Any = 0.1,
        max_iter: Any = None,
        block_size: Any = BLOCK_SIZE,
        objective: Any = "largest",
        complement: Any = "random",
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: Any = False,
    ) -> None:
        # By scikit-learn's convention, fit checks the arguments and the constructor does not.
        self.n_components = n_components
        self.eps = eps
        self.max_iter = max_iter
        self.block_size = block_size
        self.objective = objective
        self.complement = complement
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Matrix, y: Any = None) -> "LearnedProjection":  # noqa: N803
        """Learn A from the rows of X, finite and at least two of them different; y is ignored."""
        matrix = self._validated(X, fitting=True)
        require_whole("block_size", self.block_size, 1)
        if self.max_iter is not None:
            require_whole("max_iter", self.max_iter, 1)
        require_one_of("objective", self.objective, ("largest", "mean_square"))
        require_one_of("complement", self.complement, ("random", "zero"))
        if self._is_auto() and self.objective == "mean_square":
            raise ValueError('n_components is "auto": with objective "mean_square" give a number')
        with computing_threads(self._threads()):
            self._learn(matrix)
        return self

    def _learn(self, matrix: Matrix) -> None:
        """Set the fitted attributes."""
        distinct = distinct_rows(matrix, "X")
        if distinct.copies:
            _warn(f"{distinct.copies} points equal earlier ones: they are left out")
        space = embedding_space(distinct.rows)
        generator = torch.Generator().manual_seed(torch_seed(self.random_state))
        learn = partial(
            train_pairs if self.objective == "largest" else train_mean_square,
            space.points,
            generator=generator,
            block_size=self.block_size,
            max_steps=self.max_iter,
        )
        if self.verbose:
            usual = MAX_PAIR_STEPS if self.objective == "largest" else MAX_MEAN_SQUARE_STEPS
            learn = partial(_reported, learn, self.max_iter or usual)
        if self._is_auto():
            largest = len(span(space.points).basis)
            training = _smallest_embedding(learn, largest, require_positive("eps", self.eps))
        else:
            k = self._checked_components(matrix.shape[1])
            training = learn(min(k, space.points.shape[1]))
            if (rank := len(training.embedding)) < k:
                _warn(
                    f"n_components is {k}: the points span {rank} dimensions: it is set to {rank}"
                )
        embedding = space.lift(training.embedding)
        if self.complement == "random" and len(training.basis) < matrix.shape[1]:
            embedding = add_random_complement(
                embedding, partial(space.part_in_span, training.basis), generator
            )
        self.components_ = embedding.numpy().astype(matrix.dtype)
        self.mean_ = _mean(matrix).astype(matrix.dtype)
        self.n_components_ = len(self.components_)
        if torch.equal(torch.from_numpy(self.components_), training.embedding):
            self.max_distortion_ = training.max_distortion
        else:  # rounded to float32, lifted from coordinates of sparse rows, or with a complement
            self.max_distortion_ = self._distortion(distinct.rows)
        if self._is_auto() and training.max_distortion <= self.eps < self.max_distortion_:
            _warn(f"max_distortion_ is {self.max_distortion_}, above eps: components_ are rounded")
        steps = {"max_steps": self.max_iter}
        bound = distortion_lower_bound(space.points, self.n_components_, **steps)
        self.lower_bound_ = max(0.0, bound - space.error)
        self.proven_ratio_ = proven_ratio(
            self.lower_bound_, self.max_distortion_, self.components_.dtype
        )
        self.smallest_possible_components_ = None
        if self._is_auto():
            self.smallest_possible_components_ = smallest_possible_components(
                space.points, self.eps + space.error, self.n_components_, **steps
            )
        self.n_iter_ = max(1, len(training.value))

    def transform(self, X: Matrix) -> Float[np.ndarray, "points components"]:  # noqa: N803
        """A(x − m) for every row x of X, dense or sparse, of X's floating type."""
        check_is_fitted(self)
        matrix = self._validated(X, fitting=False)
        if scipy.sparse.issparse(matrix):  # in float64, since Ax and Am may nearly cancel
            components, mean = self.components_.astype(np.float64), self.mean_.astype(np.float64)
            images = matrix @ components.T - components @ mean
        else:  # the difference is exact enough even where m is far larger than it
            images = (matrix - self.mean_.astype(matrix.dtype)) @ self.components_.T
        return np.asarray(images, dtype=matrix.dtype)

    def inverse_transform(self, X: Matrix) -> Float[np.ndarray, "points dimension"]:  # noqa: N803
        """A⁺z + m for every row z of X: of all points with this image the nearest to the mean."""
        check_is_fitted(self)
        images = check_array(X, accept_sparse="csr")
        if images.ndim != 2 or images.shape[1] != self.n_components_:
            raise ValueError(f"X has shape {images.shape}: it needs {self.n_components_} columns")
        return images @ np.linalg.pinv(self.components_).T + self.mean_

    def score(self, X: Matrix, y: Any = None) -> float:  # noqa: N803
        """Minus the largest distortion over all pairs of different rows of X; y is ignored.

        Larger is better, so that ``GridSearchCV`` can choose parameters by it.
        """
        check_is_fitted(self)
        matrix = self._validated(X, fitting=False)
        require_at_least("the number of rows of X", matrix.shape[0], 2)
        with computing_threads(self._threads()):
            return -self._distortion(distinct_rows(matrix, "X").rows)

    def _distortion(self, rows: Matrix) -> float:
        components = torch.from_numpy(self.components_)
        return exact_ratio_range(components, rows, self.block_size).distortion

    def _threads(self) -> int:
        """The number of threads, by scikit-learn's meaning of ``n_jobs``."""
        n = self.n_jobs
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n == 0):
            raise ValueError(f"n_jobs is {n!r}: it must be None or a whole number other than 0")
        return min(int(effective_n_jobs(n)), os.cpu_count() or 1)

    def _is_auto(self) -> bool:
        return isinstance(self.n_components, str) and self.n_components == "auto"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        """The number of output features, which ``ClassNamePrefixFeaturesOutMixin`` asks for."""
        return len(self.components_)

    def _validated(self, X: Matrix, *, fitting: bool) -> Matrix:  # noqa: N803
        """X as a finite float matrix, dense or CSR, with scikit-learn's errors on one line."""
        samples = 2 if fitting else 1
        options = {"accept_sparse": "csr", "ensure_min_samples": samples, "reset": fitting}
        return validated(self, X, **options)

    def _checked_components(self, features: int) -> int:
        k = self.n_components
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= features:
            allowed = f'it must be "auto" or an integer from 1 to the {features} features'
            raise ValueError(f"n_components is {k!r}: {allowed}")
        return int(k)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)  # at the line that calls ``fit``


def _mean(matrix: Matrix) -> Float[np.ndarray, " dimension"]:
    """The mean of the rows in float64, by a product that can't overflow."""
    n = matrix.shape[0]
    return np.asarray(np.full(n, 1 / n) @ matrix)


def _reported(
    learn: Callable[..., PairTraining], max_steps: int, num_components: int, **options: Any
) -> PairTraining:
    """``learn(num_components, **options)`` with printed progress."""
    every, head = math.ceil(max_steps / 10), f"[LearnedProjection] k = {num_components}"

    def progress(step: int, value: float, weight_norm: float) -> None:
        if step % every == 0:
            print(f"{head}: step {step} of at most {max_steps}, objective {value:.4g}", flush=True)

    training = learn(num_components, progress=progress, **options)
    print(f"{head}: largest distortion {training.max_distortion:.4g}", flush=True)
    return training


def _smallest_embedding(
    learn: Callable[..., PairTraining], largest: int, eps: float
) -> PairTraining:
    """The embedding with the smallest k that reaches ``eps``, by bisection up to ``largest``.

    The k returned reaches ``eps`` and k − 1 did not, but a smaller k is not excluded: distortion
    falls with k only up to errors of the descent.
    """
    best = learn(largest)
    low, high = 0, largest
    while high - low > 1:
        k = (low + high) // 2
        # Of all U, UᵀA loses the least when U holds the k leading left singular vectors of A.
        left = torch.linalg.svd(best.embedding, full_matrices=False).U[:, :k]
        training = learn(k, start=left.T @ best.embedding, target=eps)
        if training.max_distortion <= eps:
            best, high = training, k
        else:
            low = k
    return best
