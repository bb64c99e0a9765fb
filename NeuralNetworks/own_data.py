"""The directions on which one column of a table depends, found and drawn."""

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from rich.table import Table
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from derandomization.checks import MAX_EXACT
from derandomization.files.points import read_column_names, read_table
from derandomization.laboratory.configs import BasicRunConfig
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, suggestion
from NeuralNetworks import plot
from NeuralNetworks.estimator import PrincipalSubspace, guessed_task

HELD_OUT = 0.25  # of the rows, on which predictions with and without the reduction are compared
NETWORK, CONSTANT = "network of the directions", "a constant"
NUM_NEIGHBOURS = 10
FEATURES_SHOWN = 5  # of each direction, in the printed table


@dataclass(frozen=True, kw_only=True)
class Config(BasicRunConfig):
    """Find the directions on which one column of a table of numbers depends.

    Prints the directions with their largest features, and how well the column can be predicted with
    and without the reduction; writes subspace.csv and figures. An interrupted run starts again.
    """

    output_dir: Path = Path("results/NeuralNetworks/subspace")
    """Folder for results.json, subspace.csv and the figures; made if missing."""
    data: Path
    """Table with one row per example: .csv, .npy, .npz or .mtx. The first row of a .csv may name
    the columns."""
    target: str
    """Column to explain, by its name or its number, from 1. Other columns are the inputs."""
    components: Annotated[int | None, AtLeast(1)] = None
    """Number of directions; by default chosen on held-out rows."""
    task: Literal["auto", "regression", "classification"] = "auto"
    """auto: classification if the target holds at most 20 different whole numbers."""


def main(config: Config) -> None:
    """Find the directions in the file's table and write everything to ``config.output_dir``."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        inputs, labels, names, target = _columns(config)
    task = guessed_task(labels) if config.task == "auto" else config.task
    subspace = PrincipalSubspace(config.components, task=task, random_state=config.seed)
    run = Run("NeuralNetworks/subspace", config, inputs=(inputs, labels, names, target))
    for warning in caught:
        run.say(f"warning: {warning.message}")
    with run.stage("directions"):
        scores = _held_out_scores(subspace, inputs, labels, config.seed)
        subspace.fit(inputs, labels)
    _report(run, subspace, inputs, names, scores)
    coordinates = subspace.transform(inputs)
    eigenvalues, importances = subspace.eigenvalues_, subspace.feature_importances_
    run.figure("eigenvalues", plot.eigenvalues_figure(eigenvalues, subspace.n_components_))
    run.figure("labels", plot.labels_figure(coordinates, labels, target))
    weights = _weights(subspace, inputs)
    run.figure("features", plot.features_figure(names, importances, weights))
    run.arrays |= {
        "components": subspace.components_,
        "eigenvalues": eigenvalues,
        "feature_importances": importances,
        "coordinates": coordinates,
    }
    run.write("subspace.csv", lambda path: _write_subspace(path, subspace, names))
    run.finish()


def _columns(config: Config) -> tuple[np.ndarray, np.ndarray, list[str], str]:
    """The inputs, the labels, the names of the inputs and the name of the target."""
    if known := read_column_names(config.data):
        _target_column(config, known)  # before the cells are read: they may be text, too
    table, found = read_table(config.data)
    names = list(found or map(str, range(1, table.shape[1] + 1)))
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"data is {config.data}: two columns have the name {repeated[0]!r}")
    column = _target_column(config, names)
    if len(names) < 2:
        raise ValueError(f"data is {config.data}: it has one column, and none for the inputs")
    inputs, labels = np.delete(table, column, axis=1), table[:, column]
    # Files hold floating numbers: whole ones may be classes.
    if (labels == np.rint(labels)).all() and np.abs(labels).max() < MAX_EXACT:
        labels = labels.astype(np.int64)
    return inputs, labels, names[:column] + names[column + 1 :], names[column]


def _target_column(config: Config, names: Sequence[str]) -> int:
    """The index of the column to explain; ``ValueError`` if there is none."""
    target = config.target
    if target in names:
        return names.index(target)
    if target.isdecimal() and 1 <= int(target) <= len(names):
        return int(target) - 1
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    columns = f"the columns of {config.data} are {shown}"
    meant = suggestion(target, names)
    raise ValueError(f"target is {target!r}: {columns}{meant and '; ' + meant}")


def _held_out_scores(
    subspace: PrincipalSubspace, inputs: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, float]:
    """R² or accuracy on held-out rows: of the network, of neighbours found in its coordinates and
    among all features, and of a constant."""
    x, x_held_out, y, y_held_out = train_test_split(
        inputs, labels, test_size=HELD_OUT, random_state=seed
    )
    fitted = clone(subspace).fit(x, y)
    scores = {NETWORK: fitted.score(x_held_out, y_held_out)}
    count = min(NUM_NEIGHBOURS, len(x))
    nearest, constant = (
        (KNeighborsClassifier(count), DummyClassifier())
        if subspace.task == "classification"
        else (KNeighborsRegressor(count), DummyRegressor())
    )
    reduced = clone(nearest).fit(fitted.transform(x), y)
    name = f"{count} nearest neighbours"
    scores[f"{name} in the directions"] = reduced.score(fitted.transform(x_held_out), y_held_out)
    whole = make_pipeline(StandardScaler(), nearest).fit(x, y)
    scores[f"{name} among all features"] = whole.score(x_held_out, y_held_out)
    scores[CONSTANT] = constant.fit(x, y).score(x_held_out, y_held_out)
    return {name: float(score) for name, score in scores.items()}


def _weights(subspace: PrincipalSubspace, inputs: np.ndarray) -> np.ndarray:
    """The directions per standard deviation of each feature, with length 1."""
    weights = subspace.components_ * inputs.std(axis=0)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _report(
    run: Run,
    subspace: PrincipalSubspace,
    inputs: np.ndarray,
    names: Sequence[str],
    scores: dict[str, float],
) -> None:
    """Print the directions and the scores, and claim the certificate's bound."""
    table = Table("direction", "largest features (weight per standard deviation)")
    for number, row in enumerate(_weights(subspace, inputs), start=1):
        largest = np.argsort(-np.abs(row))[:FEATURES_SHOWN]
        features = ", ".join(f"{names[i]} {row[i]:+.2f}" for i in largest)
        table.add_row(str(number), features)
    run.show(table)
    score = "accuracy" if subspace.task_ == "classification" else "R²"
    comparison = Table(f"on {HELD_OUT:.0%} of the rows, held out", score)
    for name, value in scores.items():
        comparison.add_row(name, f"{value:.3f}")
    run.show(comparison)
    if scores[NETWORK] <= scores[CONSTANT]:
        run.say(
            "the network predicts held-out rows no better than a constant: nothing shows that "
            "these directions matter"
        )
    certificate = subspace.certificate_
    bound = certificate.sharp_weight_bound
    share = subspace.relative_orthogonal_norm_
    run.results |= {
        "num_components": subspace.n_components_,
        "task": subspace.task_,
        "scores": scores,
        "validation_score": subspace.validation_score_,
        "regularization": subspace.regularization_,
        "relative_orthogonal_norm": share,
        "certificate": certificate,
    }
    run.claim(
        "L3.1",
        f"‖W⊥‖, which is {share:.0%} of ‖W‖, is at most the sharp bound with δ "
        f"(‖δ‖ = {certificate.stein_defect:.2g})",
        bound=bound,
        measured=certificate.weight_norm,
        holds=None if bound is None else certificate.weight_norm <= bound,
    )


def _write_subspace(path: Path, subspace: PrincipalSubspace, names: Sequence[str]) -> None:
    """One line per feature: its name, its importance, and its entry in every direction."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: Any = csv.writer(file, lineterminator="\n")
        numbers = range(1, subspace.n_components_ + 1)
        writer.writerow(["feature", "importance", *(f"direction{number}" for number in numbers)])
        rows = zip(names, subspace.feature_importances_, subspace.components_.T, strict=True)
        for name, importance, entries in rows:
            writer.writerow([name, importance, *entries])
