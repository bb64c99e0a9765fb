"""The directions on which labels depend, found from data, as a scikit-learn estimator."""

import math
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from derandomization import Bounds, descend, stein_bounds
from derandomization.checks import require_positive, require_whole
from derandomization.laboratory.estimators import require_one_of, torch_seed, validated
from derandomization.laboratory.threads import computing_threads
from NeuralNetworks.losses import LOSSES, Loss
from NeuralNetworks.model import LowRankStudent, orthogonal_part
from NeuralNetworks.risk import Dataset
from NeuralNetworks.subspace import (
    DECAYS,
    FULL_DECAYS,
    Settings,
    choose,
    fit_subspace,
    gradient_outer_product,
    lift,
    minimize,
    risk_of,
)
from NeuralNetworks.train import EXACT, descent_optimizer
from NeuralNetworks.whitening import SMALLEST_DEVIATION, whitening

Task = Literal["regression", "classification"]
TASKS = ("auto", "regression", "classification")
REGRESSION_LOSSES = ("squared", "log-cosh")
MOST_INTEGER_CLASSES = 20  # with task="auto", integers with more values are numbers to predict
NORMAL_QUARTILE = 0.6745  # the median absolute deviation of N(0, 1)
LARGEST_NUMBER = 1e100  # squares of larger numbers leave float64


def cross_entropy(log_odds: Tensor, labels: Tensor) -> Tensor:
    """−log p(label), for p = softmax(log_odds) and labels 0, 1, …"""
    return nn.functional.cross_entropy(log_odds, labels.long(), reduction="none")


def _is_classifier(estimator: "PrincipalSubspace") -> bool:
    """Whether the task is classification, by the argument or else by the labels fitted."""
    fitted = getattr(estimator, "task_", None)
    return estimator.task == "classification" or (
        estimator.task == "auto" and fitted == "classification"
    )


class PrincipalSubspace(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The subspace of the inputs on which labels depend, and a network that predicts from it.

    By Theorem 4.1 the first layer of a trained network with weight decay keeps only the directions
    of Gaussian inputs on which the labels depend. Here these directions are found from the data: a
    network is trained on standardised inputs (whitened, if there are more than twice as many rows
    as features), reduced to the k leading eigenvectors of its E[∇ŷ∇ŷᵀ], and trained again with
    these directions free to move. See ``NeuralNetworks.subspace``.

    Args:
        n_components: k, from 1 to the number of features; None finds the smallest k whose held-out
            loss is not clearly above the best.
        task: "regression", "classification", or "auto": regression for floating labels and for
            integers with more than 20 values, else classification.
        loss: of a regression: "squared", or "log-cosh", which outliers move less.
        hidden_units: h of the network with one hidden layer of tanh units.
        regularization: λ > 0 on the first layer's weights and the output weights, for inputs and
            labels of variance 1; "auto" chooses it by cross-validation.
        max_iter: most iterations of L-BFGS for one value of λ.
        num_starts: random initial networks for the last fit; that with the smallest objective is
            kept.
        descent_steps: most steps of perturbed gradient descent before the certificate.
        random_state: None, a seed or a ``numpy.random.RandomState``.

    Attributes:
        components_: orthonormal rows, ``[n_components_, n_features_in_]``: the labels depend on
            ``X @ components_.T``, in the units of X.
        mean_: of the fitted rows.
        n_components_, n_features_in_: k and d.
        regularization_: λ of the network of all inputs, which the certificate is about.
        reduced_regularization_: λ of the network of k directions, which predicts.
        validation_score_: R² or accuracy of predictions for rows that were held out.
        validation_losses_: with ``n_components=None``, the mean held-out loss of each k tried.
        eigenvalues_: of E[∇ŷ∇ŷᵀ], largest first, for a network of all standardised inputs: after
            the k-th there is a gap.
        feature_importances_: the diagonal of E[∇ŷ∇ŷᵀ] per standard deviation of each feature,
            with sum 1.
        relative_orthogonal_norm_: ‖W_⊥‖/‖W‖ of that network, which is trained on from the k
            directions with nothing held fixed: the share of W outside them.
        certificate_: ``Bounds`` on ‖W_⊥‖ there, for standardised inputs. ``sharp_weight_bound``
            holds on every sample; of it ``stein_defect / (2λ + bias_curvature)`` is the sample's
            doing, and 0 for Gaussian inputs without limit.
        n_iter_: L-BFGS iterations of that network, at most ``2 * max_iter`` and at least 1.
        classes_: the labels, of a classification.
        task_: "regression" or "classification".

    Reference: Tsikouras, Pantis, Mitliagkas, Tzamos, ICLR 2026 (arXiv 2510.19382); Theorem 4.1.
    """

    def __init__(
        self,
        n_components: Any = None,
        *,
        task: Any = "auto",
        loss: Any = "squared",
        hidden_units: Any = 20,
        regularization: Any = "auto",
        max_iter: Any = 40,
        num_starts: Any = 1,
        descent_steps: Any = 200,
        random_state: Any = None,
    ) -> None:
        # By scikit-learn's convention, fit checks the arguments and the constructor does not.
        self.n_components = n_components
        self.task = task
        self.loss = loss
        self.hidden_units = hidden_units
        self.regularization = regularization
        self.max_iter = max_iter
        self.num_starts = num_starts
        self.descent_steps = descent_steps
        self.random_state = random_state

    @computing_threads()
    def fit(self, X: Any, y: Any) -> "PrincipalSubspace":  # noqa: N803
        """Find the directions of X, finite [rows, features], on which y, one label a row, depends.

        Raises ``ValueError``, in one line, for bad arguments, and where all rows or labels agree.
        """
        matrix, labels = self._validated(X, y)
        k = self._checked_components(matrix.shape[1])
        inputs = np.array(matrix, dtype=np.float64, order="C")
        self._mean, self._scaling = whitening(inputs)
        inputs -= self._mean
        targets, loss, outputs = self._targets(labels)
        settings = self._settings(loss, outputs)
        data = Dataset(inputs @ self._scaling, targets)
        k = None if k is None else min(k, self._scaling.shape[1])
        choice = choose(data, k, settings)
        network = fit_subspace(data, choice.num_components, choice.decay, settings)
        self._set_subspace(network, data.inputs, inputs.std(axis=0), matrix.dtype)
        self.regularization_ = choice.full_decay
        self.reduced_regularization_ = choice.decay
        self.validation_losses_ = choice.losses_by_components
        held_out = self._decoded(choice.held_out)
        self.validation_score_ = self._metric(labels[choice.rows.numpy()], held_out)
        self._certify(network, data, settings)
        self._network = network
        return self

    def _set_subspace(
        self, network: LowRankStudent, inputs: Tensor, deviations: np.ndarray, dtype: Any
    ) -> None:
        """Order the directions by the eigenvalues of E[∇ŷ∇ŷᵀ] and map them back to X's units."""
        product = gradient_outer_product(network, inputs)
        frame = network.frame.detach()
        order = torch.linalg.eigh(product).eigenvectors.flip(1).T
        directions = (order @ frame).numpy() @ self._scaling.T
        # Each row in turn without its part along the earlier ones; the largest entry positive.
        rotation, triangle = np.linalg.qr(directions.T)
        rows = (rotation * np.sign(np.diag(triangle))).T
        largest = np.abs(rows).argmax(axis=1)
        rows *= np.sign(rows[np.arange(len(rows)), largest])[:, None]
        self.components_ = rows.astype(dtype)
        self.mean_ = self._mean.astype(dtype)
        self.n_components_ = len(rows)
        # ∇_x ŷ = S F ∇_{Fz} ŷ
        to_features = (frame.numpy() @ self._scaling.T) * deviations
        diagonal = np.einsum("if,ij,jf->f", to_features, product.numpy(), to_features)
        total = diagonal.sum()
        self.feature_importances_ = diagonal / total if total > 0 else diagonal

    def _certify(self, network: LowRankStudent, data: Dataset, settings: Settings) -> None:
        """Train a network of all inputs on from the directions found, and bound ‖W_⊥‖ there."""
        known = Dataset(data.inputs, data.labels, network.frame.detach())
        objective = risk_of(lift(network), known, self.regularization_, settings)
        self.n_iter_ = max(1, minimize(objective, 2 * settings.max_iter).nit)
        optimizer = descent_optimizer(objective, EXACT, settings.generator)
        descend(objective, optimizer, max_steps=self.descent_steps, verify=False)
        self.certificate_: Bounds = stein_bounds(objective)
        student = objective.student
        weight = student.weight.detach()
        total = float(weight.norm())
        across = float(orthogonal_part(weight, known.directions).norm())
        self.relative_orthogonal_norm_ = across / total if total else 0.0
        product = gradient_outer_product(student, data.inputs)
        self.eigenvalues_ = torch.linalg.eigvalsh(product).flip(0).numpy()

    def transform(self, X: Any) -> Float[np.ndarray, "points components"]:  # noqa: N803
        """The coordinates ``(x − mean_) @ components_.T`` of every row, of X's floating type."""
        check_is_fitted(self)
        matrix = self._validated_inputs(X)
        centred = matrix - self.mean_.astype(matrix.dtype)
        return np.asarray(centred @ self.components_.T, dtype=matrix.dtype)

    def fit_transform(self, X: Any, y: Any) -> Float[np.ndarray, "points components"]:  # noqa: N803
        """``fit(X, y).transform(X)``."""
        return self.fit(X, y).transform(X)

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """The label that the network of k directions predicts for every row."""
        return self._decoded(self._outputs(X))

    @available_if(_is_classifier)
    def predict_proba(self, X: Any) -> Float[np.ndarray, "points classes"]:  # noqa: N803
        """The probability of each class, in the order of ``classes_``, for every row."""
        return _probabilities(self._outputs(X))

    def score(self, X: Any, y: Any) -> float:  # noqa: N803
        """R² of a regression, accuracy of a classification."""
        return self._metric(np.asarray(_array(y)), self.predict(X))

    def _outputs(self, X: Any) -> Tensor:  # noqa: N803
        check_is_fitted(self)
        matrix = self._validated_inputs(X)
        centred = matrix.astype(np.float64) - self._mean
        with torch.no_grad():
            return self._network(torch.from_numpy(centred @ self._scaling))

    def _metric(self, labels: np.ndarray, predictions: np.ndarray) -> float:
        if self.task_ == "classification":
            return float(accuracy_score(labels, predictions))
        return float(r2_score(labels, predictions)) if len(labels) > 1 else math.nan

    def _targets(self, labels: np.ndarray) -> tuple[Tensor, Loss, int]:
        """The labels as numbers for the loss, the loss, and the number of outputs it takes."""
        self.task_: Task = self.task if self.task != "auto" else guessed_task(labels)
        if self.task_ == "regression":
            self.__dict__.pop("classes_", None)  # of an earlier fit
            try:
                numbers = labels.astype(np.float64)
            except (TypeError, ValueError):
                raise ValueError("y is not numeric: task must then be classification") from None
            _require_moderate("y", numbers)
            self._label_mean, self._label_scale = numbers.mean(), numbers.std()
            if self._label_scale <= SMALLEST_DEVIATION * np.abs(numbers).max():
                raise ValueError(f"y is {numbers[0]:g} in every row: it must vary")
            if self.loss == "log-cosh":  # outliers must not set the scale on which it is linear
                middle = np.median(numbers)
                deviation = np.median(np.abs(numbers - middle)) / NORMAL_QUARTILE
                if deviation > 0:
                    self._label_mean, self._label_scale = middle, deviation
            centred = torch.from_numpy((numbers - self._label_mean) / self._label_scale)
            return centred, LOSSES[self.loss], 1
        try:
            check_classification_targets(labels)
            self.classes_, indices = np.unique(labels, return_inverse=True)
        except TypeError:
            kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise ValueError(f"y mixes labels of the types {kinds}: they must be of one") from None
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_[0]!r}: a classifier needs at least two"
            )
        classes = torch.from_numpy(indices.astype(np.float64))
        if len(self.classes_) == 2:
            return 2 * classes - 1, LOSSES["logistic"], 1
        return classes, Loss(cross_entropy), len(self.classes_)

    def _decoded(self, outputs: Tensor) -> np.ndarray:
        """Outputs of the network as labels."""
        if self.task_ == "classification":
            return self.classes_[_probabilities(outputs).argmax(axis=1)]
        return outputs.numpy() * self._label_scale + self._label_mean

    def _settings(self, loss: Loss, outputs: int) -> Settings:
        """The settings of the search, with the arguments checked."""
        decays: tuple[float, ...] = DECAYS
        full_decays: tuple[float, ...] = FULL_DECAYS
        if not isinstance(self.regularization, str):
            decays = full_decays = (require_positive("regularization", self.regularization),)
        elif self.regularization != "auto":
            raise ValueError(
                f'regularization is {self.regularization!r}: it must be "auto" or a number above 0'
            )
        require_whole("descent_steps", self.descent_steps, 1)
        return Settings(
            loss=loss,
            outputs=outputs,
            hidden_units=require_whole("hidden_units", self.hidden_units, 1),
            decays=decays,
            full_decays=full_decays,
            max_iter=require_whole("max_iter", self.max_iter, 1),
            num_starts=require_whole("num_starts", self.num_starts, 1),
            generator=torch.Generator().manual_seed(torch_seed(self.random_state)),
        )

    def _checked_components(self, features: int) -> int | None:
        k = self.n_components
        if k is None:
            return None
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= features:
            allowed = f"it must be None or a whole number from 1 to n_features = {features}"
            raise ValueError(f"n_components is {k!r}: {allowed}")
        return int(k)

    def _validated(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:  # noqa: N803
        """X as a finite float matrix and y as a vector, with scikit-learn's errors on one line."""
        require_one_of("task", self.task, TASKS)
        require_one_of("loss", self.loss, REGRESSION_LOSSES)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        matrix, labels = validated(self, X, _array(y), ensure_min_samples=2)
        _require_moderate("X", matrix)
        return matrix, labels

    def _validated_inputs(self, X: Any) -> np.ndarray:  # noqa: N803
        return validated(self, X, reset=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if _is_classifier(self):
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        elif "regression" in (self.task, getattr(self, "task_", None)):
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        return tags

    @property
    def _n_features_out(self) -> int:
        """The number of output features, which ``ClassNamePrefixFeaturesOutMixin`` asks for."""
        return len(self.components_)


def _array(labels: Any) -> Any:
    """The labels of pandas as an array: its own kinds of numbers would become floating ones."""
    return labels.to_numpy() if hasattr(labels, "to_numpy") else labels


def guessed_task(labels: np.ndarray) -> Task:
    """The task with ``task="auto"``."""
    if labels.dtype.kind == "f":
        return "regression"
    many = labels.dtype.kind in "iu" and len(np.unique(labels)) > MOST_INTEGER_CLASSES
    return "regression" if many else "classification"


def _probabilities(outputs: Tensor) -> Float[np.ndarray, "points classes"]:
    """Of each class, from one log odds of the second of two, or from one for each class."""
    if outputs.ndim == 1:
        outputs = torch.stack([torch.zeros_like(outputs), outputs], dim=1)
    return torch.softmax(outputs, dim=1).numpy()


def _require_moderate(name: str, values: np.ndarray) -> None:
    largest = float(np.abs(values).max())
    if largest > LARGEST_NUMBER:
        raise ValueError(f"{name} holds {largest:g}: numbers must be at most {LARGEST_NUMBER:g}")
