"""Tabular data reduced to one to five directions: held-out scores of a simple model afterwards."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sklearn.datasets
import statsmodels.datasets
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from benchmarks.report import Effort, Report
from derandomization.laboratory.figures import Panel
from NeuralNetworks.baselines import sliced_inverse_regression
from NeuralNetworks.estimator import PrincipalSubspace

OURS = "PrincipalSubspace"
COMPONENTS = (1, 2, 3, 4, 5)
METHODS = (OURS, "PLS", "PCA", "SIR", "LDA", "no reduction")
FOLDS, NEIGHBOURS = 3, 15


class Data(NamedTuple):
    """A data set: inputs, and labels that are numbers or classes."""

    inputs: np.ndarray
    labels: np.ndarray
    is_classification: bool


def _star98() -> Data:
    """The share of pupils above the national median in maths, in 303 districts of California."""
    data = statsmodels.datasets.star98.load_pandas()
    counts = data.endog.to_numpy(dtype=float)
    return Data(data.exog.to_numpy(dtype=float), counts[:, 0] / counts.sum(axis=1), False)


def _fair() -> Data:
    """Whether there was an affair, from the answers of 6 366 people."""
    data = statsmodels.datasets.fair.load_pandas()
    return Data(data.exog.to_numpy(dtype=float), (data.endog.to_numpy() > 0).astype(int), True)


def _anes96() -> Data:
    """The vote in 1996 of 944 people; not from their party, which nearly tells it."""
    frame = statsmodels.datasets.anes96.load_pandas().data
    return Data(
        frame.drop(columns=["vote", "PID", "popul"]).to_numpy(dtype=float),
        frame["vote"].to_numpy().astype(int),
        True,
    )


def _sklearn(load: Callable[..., tuple[np.ndarray, np.ndarray]], is_classification: bool) -> Data:
    inputs, labels = load(return_X_y=True)
    return Data(inputs, labels, is_classification)


DATA: dict[str, Callable[[], Data]] = {
    "diabetes": lambda: _sklearn(sklearn.datasets.load_diabetes, False),
    "breast cancer": lambda: _sklearn(sklearn.datasets.load_breast_cancer, True),
    "wine": lambda: _sklearn(sklearn.datasets.load_wine, True),
    "digits": lambda: _sklearn(sklearn.datasets.load_digits, True),
    "star98": _star98,
    "anes96": _anes96,
    "fair": _fair,
}


class SlicedInverse(TransformerMixin, BaseEstimator):
    """Sliced inverse regression as a transformer."""

    def __init__(self, n_components: int) -> None:
        self.n_components = n_components

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> "SlicedInverse":
        self.components_ = sliced_inverse_regression(inputs, labels, self.n_components)
        return self

    def transform(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.components_.T


class PartialLeastSquares(TransformerMixin, BaseEstimator):
    """Partial least squares as a transformer of inputs alone; classes count as indicators."""

    def __init__(self, n_components: int, is_classification: bool) -> None:
        self.n_components = n_components
        self.is_classification = is_classification

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> "PartialLeastSquares":
        targets = LabelBinarizer().fit_transform(labels) if self.is_classification else labels
        self.model_ = PLSRegression(self.n_components).fit(inputs, targets)
        return self

    def transform(self, inputs: np.ndarray) -> np.ndarray:
        return np.asarray(self.model_.transform(inputs))


def reductions(data: Data, count: int) -> dict[str, Any]:
    """The methods that reduce these data to ``count`` directions.

    With classes as slices, SIR is LDA, which finds one direction fewer than there are classes.
    """
    task = "classification" if data.is_classification else "regression"
    methods: dict[str, Any] = {
        OURS: PrincipalSubspace(count, task=task, descent_steps=1, random_state=0),
        "PLS": PartialLeastSquares(count, data.is_classification),
        "PCA": PCA(count),
    }
    if not data.is_classification:
        return methods | {"SIR": SlicedInverse(count)}
    classes = len(np.unique(data.labels))
    if count < classes:
        methods["LDA"] = LinearDiscriminantAnalysis(n_components=count)
    return methods


def held_out_score(data: Data, reduction: Any) -> float:
    """Mean R² or accuracy, over three folds, of a model of the reduced and scaled inputs."""
    steps = [StandardScaler()] + ([] if reduction is None else [reduction, StandardScaler()])
    folds: Any
    if data.is_classification:
        model: Any = LogisticRegression(max_iter=1000)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    else:
        model = KNeighborsRegressor(NEIGHBOURS)
        folds = KFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_score(
        make_pipeline(*steps, model), data.inputs, data.labels, cv=folds, error_score="raise"
    )
    return float(scores.mean())


def measure(effort: Effort) -> Report:
    """One table for each data set: a row for each number of directions."""
    report = Report()
    names = ("wine",) if effort.quick else tuple(DATA)
    counts = COMPONENTS[:1] if effort.quick else COMPONENTS
    for name in names:
        data = DATA[name]()
        whole = held_out_score(data, None)
        rows: list[dict[str, Any]] = []
        for count in counts:
            methods = reductions(data, count)
            scores = {method: held_out_score(data, each) for method, each in methods.items()}
            rows.append({"k": count, **scores, "no reduction": whole})
        quantity = "accuracy" if data.is_classification else "R²"
        points, dimension = data.inputs.shape
        report.tables[f"{name}, n = {points}, d = {dimension}: held-out {quantity}"] = list(rows)
        best = [max(row[m] for m in row if m not in ("k", "no reduction", OURS)) for row in rows]
        lost = [row["k"] for row, each in zip(rows, best, strict=True) if row[OURS] < each]
        report.notes.append(
            f"{name}: another reduction scores higher at k = {', '.join(map(str, lost)) or '–'}"
        )
        report.panels += [_panel(name, quantity, rows)] if name in ("diabetes", "digits") else []
    report.notes.append(
        f"Logistic regression for classes, the mean of {NEIGHBOURS} nearest neighbours for "
        f"numbers, on scaled coordinates; means of {FOLDS} folds."
    )
    return report


def _panel(name: str, quantity: str, rows: list[dict[str, Any]]) -> Panel:
    """Scores over the number of directions; methods that are not for these labels are NaN."""
    return Panel(
        series={m: np.array([[row.get(m, np.nan)] for row in rows]) for m in METHODS},
        x=[row["k"] for row in rows],
        x_label="directions k",
        y_label=f"held-out {quantity}",
        title=name,
        log_y=False,
        repetition="mean of the folds",
    )
