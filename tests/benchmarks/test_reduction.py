"""The data sets, the methods for each kind of labels, and scores against a known answer."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmarks import reduction
from benchmarks.reduction import (
    DATA,
    OURS,
    Data,
    PartialLeastSquares,
    SlicedInverse,
    held_out_score,
    measure,
    reductions,
)
from benchmarks.report import Effort


@pytest.mark.parametrize("name", DATA)
def test_data_are_finite_and_their_labels_of_their_kind(name: str) -> None:
    data = DATA[name]()
    assert np.isfinite(data.inputs).all()
    assert len(data.inputs) == len(data.labels) > 150
    assert data.inputs.shape[1] >= 5
    assert (len(np.unique(data.labels)) <= 10) == data.is_classification


def planted(is_classification: bool) -> Data:
    inputs = np.random.default_rng(0).standard_normal((400, 6)) * [9, 1, 1, 1, 1, 1]
    score = inputs[:, 1]
    return Data(inputs, (score > 0).astype(int) if is_classification else score, is_classification)


def test_a_reduction_that_keeps_the_direction_scores_high() -> None:
    for data in (planted(True), planted(False)):
        kept = PartialLeastSquares(1, data.is_classification)
        assert held_out_score(data, kept) > 0.9
        assert held_out_score(data, PCA(1)) < 0.7
    assert held_out_score(planted(False), SlicedInverse(1)) > 0.9
    assert held_out_score(planted(True), None) > 0.9


def test_methods_fit_the_labels() -> None:
    assert set(reductions(planted(False), 2)) == {OURS, "PLS", "PCA", "SIR"}
    assert set(reductions(planted(True), 1)) == {OURS, "PLS", "PCA", "LDA"}
    assert set(reductions(planted(True), 2)) == {OURS, "PLS", "PCA"}


def test_a_table_says_where_another_method_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(data: Data, method: object) -> float:
        return {"PCA": 0.9, "PrincipalSubspace": 0.5}.get(type(method).__name__, 0.1)

    monkeypatch.setattr(reduction, "held_out_score", score)
    report = measure(Effort(1, quick=True))
    ((row,),) = report.tables.values()
    assert (row["k"], row[OURS], row["PCA"], row["no reduction"]) == (1, 0.5, 0.9, 0.1)
    assert report.notes[0] == "wine: another reduction scores higher at k = 1"
