"""guarantee, sparse, baselines: small, from the command's own entry."""

import csv
import dataclasses
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import MAXCUT.optimizer
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.optimizer import EXACT
from MAXCUT.sdp import solve_sdp
from MAXCUT.studies import STUDIES, baselines, guarantee, sparse
from MAXCUT.studies.families import FAMILIES
from MAXCUT.utilities import maximum_cut


def random_signs(graph: Graph, *_: Any) -> np.ndarray:
    return np.random.default_rng(0).choice([-1.0, 1.0], graph.num_vertices)


def record_of(study: str, folder: Path, **settings: Any) -> dict[str, Any]:
    module = importlib.import_module(STUDIES[study])
    module.main(module.Config(output_dir=folder, quiet=True, workers=1, **settings))
    record: dict[str, Any] = json.loads((folder / "results.json").read_text())
    assert record["experiment"] == f"MAXCUT/{study}"
    (figure,) = record["figures"]
    assert (folder / figure).stat().st_size > 10_000
    with (folder / "table.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == settings["seeds"] * len(record["results"]["rows"])
    return record


def test_the_guarantee_holds_on_every_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarantee, "SMOOTHINGS", (0.3,))
    record = record_of("guarantee", tmp_path, seeds=1)
    rows = record["results"]["rows"]
    assert [row["name"] for row in rows] == list(FAMILIES)
    assert [row["setting"]["smoothing"] for row in record["results"]["smoothing_rows"]] == [0.3]
    claims = record["claims"]
    made = [(claim["id"], claim["holds"]) for claim in claims]
    assert made[:4] == [("T5.2", True)] * 3 + [("F5", True)]
    assert made[4:] == [("T5.2", None)] * 2 + [("L3.1", True)] * 2
    karloff = next(row for row in rows if row["name"] == "Karloff")["measured"]
    assert karloff["ratio"]["values"] == pytest.approx([1.0])
    assert max(karloff["start_ratio"]["values"]) < 0.93


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_graphs_by_their_seed(family: str) -> None:
    first, again, other = (FAMILIES[family](seed) for seed in (1, 1, 2**62))
    assert first.num_vertices in (15, 16)
    assert np.array_equal(first.ends, again.ends)
    assert np.array_equal(first.weights, again.weights)
    assert not (
        np.array_equal(first.ends, other.ends) and np.array_equal(first.weights, other.weights)
    )
    assert (first.ends[:, 0] < first.ends[:, 1]).all()
    assert len(np.unique(first.ends, axis=0)) == len(first.ends)


def test_karloffs_graph_is_cut_by_the_sdp_as_by_the_optimum() -> None:
    graph = FAMILIES["Karloff"](0)
    assert len(graph.weights) == 40
    assert maximum_cut(graph) == 32
    assert solve_sdp(graph, np.random.default_rng(0)).upper_bound == pytest.approx(32, rel=1e-4)


def test_a_graph_weighs_in_a_union_what_it_weighs_alone() -> None:
    graphs = [guarantee._scaled(FAMILIES[name](0)) for name in ("weights ±1", "Karloff")]
    solutions = [solve_sdp(graph, np.random.default_rng(0)) for graph in graphs]
    union, joined = guarantee._disjoint_union(graphs, solutions)
    options = {"smoothing": EXACT.smoothing, "regularization": EXACT.regularization}
    alone = [
        ExpectedCut(graph, solution.vectors, **options)
        for graph, solution in zip(graphs, solutions, strict=True)
    ]
    together = ExpectedCut(union, joined.vectors, **options)
    assert together().item() == pytest.approx(sum(f().item() for f in alone), rel=1e-12)


@pytest.mark.usefixtures("short_descents", "short_searches")
def test_every_baseline_cuts_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_steps = dataclasses.replace(MAXCUT.optimizer.SAMPLED, max_steps=300)
    monkeypatch.setattr(MAXCUT.optimizer, "SAMPLED", few_steps)
    monkeypatch.setattr(baselines, "NUM_RESTARTS", 1)
    settings = {"graph_size": 10, "edge_probability": 0.5, "seeds": 1}
    record = record_of("baselines", tmp_path, **settings)
    measured = {row["name"]: row["measured"] for row in record["results"]["rows"]}
    installed = importlib.util.find_spec("dwave") is not None
    assert len(measured) == 9 + installed
    optimum = measured["derandomized"]["cut_value"]["values"][0]
    for name, numbers in measured.items():
        (value,) = numbers["cut_value"]["values"]
        assert 0 < value <= optimum, name
        assert 0 < numbers["proven_ratio"]["values"][0] <= 1
    assert record["claims"][0]["holds"] is True


def test_a_sparse_graph_keeps_what_is_guaranteed_unless_rounded_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_steps = dataclasses.replace(EXACT, max_steps=200)
    monkeypatch.setattr(MAXCUT.optimizer, "EXACT", few_steps)
    monkeypatch.setattr(sparse, "SIZES", (20,))
    record = record_of("sparse", tmp_path / "ours", seeds=1)
    assert [claim["holds"] for claim in record["claims"]] == [True, True, True, None]
    for name in ("conditional_rounding", "good_hyperplane", "one_flip_optimum"):
        monkeypatch.setattr(MAXCUT.optimizer, name, random_signs)
    monkeypatch.setattr(MAXCUT.optimizer, "_polished_hyperplanes", lambda *_: [])
    monkeypatch.setattr(ExpectedCut, "signs", lambda self: np.ones(len(self.mean)))
    record = record_of("sparse", tmp_path / "random", seeds=1)
    assert [claim["holds"] for claim in record["claims"]] == [False, False, False, None]


@pytest.mark.usefixtures("short_descents")
def test_random_signs_break_the_guarantee_of_a_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarantee, "SMOOTHINGS", (0.3,))
    monkeypatch.setattr(guarantee, "FAMILIES", {"Karloff": FAMILIES["Karloff"]})
    monkeypatch.setattr(guarantee, "SMOOTHING_FAMILY", "Karloff")
    monkeypatch.setattr(guarantee, "conditional_rounding", random_signs)
    monkeypatch.setattr(guarantee, "EXACT", MAXCUT.optimizer.EXACT)
    claims = record_of("guarantee", tmp_path, seeds=2)["claims"]
    assert [c["holds"] for c in claims if c["id"] == "T5.2"] == [False, False, True, None, None]
