"""A learned projection with scikit-learn's interface, its largest distortion known."""

import warnings
from typing import Any

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float

from derandomization.checks import MAX_SEED, require_at_least, require_between, require_positive
from JohnsonLindenstrauss.distinct import distinct_points
from JohnsonLindenstrauss.pair_train import PairTraining, span, train_pairs
from JohnsonLindenstrauss.pairs import BLOCK_SIZE
from JohnsonLindenstrauss.sklearn_base import Estimator, Matrix, checked_matrix, require_fitted


class LearnedProjection(Estimator):
    """x ↦ Ax with the largest max |‖A(x − y)‖²/‖x − y‖² − 1| over the fitted pairs made small.

    A random projection's distortion is known in distribution; this one's is known. It speaks of
    the points it was fitted on: new points fare like under a random projection or somewhat worse,
    unless they resemble the fitted ones. Works on a copy in float64 of dense shape; up to 5 000
    points all pairs are descended on, of more a sample and then the worst pairs of all.

    Args:
        n_components: k, from 1 to the number of features; or "auto": the smallest k whose learned
            distortion is at most ``eps``, by bisection.
        eps: with "auto", the largest distortion to accept, above 0.
        max_iter: most descent steps of one k; the usual number if None.
        block_size: rows of the n×n matrices held at a time.
        random_state: None, a seed or a ``numpy.random.RandomState``.

    Attributes:
        components_: A, ``[n_components_, n_features_in_]``, of the data's floating type.
        n_components_: k.
        max_distortion_: over all pairs of distinct fitted points, exact in float64.
        n_features_in_: d.
        n_iter_: steps taken, at least 1.

    References:
        Tsikouras, Caramanis, Tzamos, *Optimization Can Learn Johnson Lindenstrauss Embeddings*,
        NeurIPS 2024 (arXiv 2412.07242); Theorem 5.5 of the paper.
    """

    def __init__(
        self,
        n_components: Any = "auto",
        *,
        eps: Any = 0.1,
        max_iter: Any = None,
        block_size: Any = BLOCK_SIZE,
        random_state: Any = None,
    ) -> None:
        # scikit-learn's rule: the constructor takes anything, and fit complains.
        self.n_components = n_components
        self.eps = eps
        self.max_iter = max_iter
        self.block_size = block_size
        self.random_state = random_state

    def fit(self, X: Matrix, y: Any = None) -> "LearnedProjection":  # noqa: N803
        """Learn A from the rows of X, at least two of them different; y is ignored.

        Raises:
            ValueError: an argument out of its range; NaN or infinity; too few points.
        """
        matrix = checked_matrix(self, X, fitting=True)
        require_at_least("block_size", self.block_size, 1)
        if self.max_iter is not None:
            require_at_least("max_iter", self.max_iter, 1)
        dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
        found = distinct_points(torch.tensor(dense, dtype=torch.float64), "X")
        points = found.points
        if found.copies:
            warnings.warn(
                f"{found.copies} points equal earlier ones: they are left out", stacklevel=2
            )
        generator = torch.Generator().manual_seed(_seed(self.random_state))
        if self.n_components == "auto":
            training = self._smallest(points, require_positive("eps", self.eps), generator)
        else:
            training = self._train(points, self._number(matrix.shape[1]), generator)
        self.components_ = training.embedding.numpy().astype(matrix.dtype)
        self.n_components_ = len(self.components_)
        self.max_distortion_ = training.max_distortion
        self.n_iter_ = max(1, len(training.value))
        return self

    def transform(self, X: Matrix) -> Float[np.ndarray, "points components"]:  # noqa: N803
        """AX for every row of X, dense or sparse."""
        require_fitted(self)
        matrix = checked_matrix(self, X, fitting=False)
        return np.asarray(matrix @ self.components_.T.astype(matrix.dtype))

    def inverse_transform(
        self,
        X: Matrix,  # noqa: N803
    ) -> Float[np.ndarray, "points dimension"]:
        """A⁺z for every row z: of all points with this image, the shortest."""
        require_fitted(self)
        images = np.asarray(X)
        if images.ndim != 2 or images.shape[1] != self.n_components_:
            raise ValueError(f"X has shape {images.shape}: it needs {self.n_components_} columns")
        return images @ np.linalg.pinv(self.components_).T.astype(self.components_.dtype)

    def _number(self, features: int) -> int:
        k = self.n_components
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= features:
            allowed = f'it must be "auto" or an integer from 1 to the {features} features'
            raise ValueError(f"n_components is {k!r}: {allowed}")
        return int(k)

    def _train(
        self, points: torch.Tensor, num_components: int, generator: torch.Generator, **options: Any
    ) -> PairTraining:
        return train_pairs(
            points,
            num_components,
            generator=generator,
            block_size=self.block_size,
            max_steps=self.max_iter,
            **options,
        )

    def _smallest(
        self, points: torch.Tensor, eps: float, generator: torch.Generator
    ) -> PairTraining:
        """Bisection over k; each k goes on from the strongest directions of the last that served.

        Distortion falls with k up to what the descent misses, so this k serves and k − 1 was tried
        and failed, but a smaller one is not excluded.
        """
        largest = len(span(points).basis) if len(points) > 1 else 1
        best = self._train(points, largest, generator)
        low, high = 0, largest
        while high - low > 1:
            k = (low + high) // 2
            # Embedding x as UᵀAx with U the leading left singular vectors loses least of it.
            left = torch.linalg.svd(best.embedding, full_matrices=False).U[:, :k]
            found = self._train(points, k, generator, start=left.T @ best.embedding, target=eps)
            if found.max_distortion <= eps:
                best, high = found, k
            else:
                low = k
        return best


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        allowed = "it must be None, an integer or a RandomState"
        raise ValueError(f"random_state is {random_state!r}: {allowed}")
    return int(require_between("random_state", int(random_state), 0, MAX_SEED))
