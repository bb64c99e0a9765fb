"""Instances of the Biq Mac library beside the checkout: the best known cut is found."""

import csv
from pathlib import Path

import pytest

from MAXCUT import derandomized_cut
from MAXCUT.graph import read_graph

FOLDER = Path(__file__).parents[3] / "shared" / "biqmac"
# Unweighted, weights that decay with the distance, and a grid with Gaussian weights.
INSTANCES = ("g05_60.0", "ising2.5-100_7777", "t2g10_7777")


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the instances are not beside the checkout")
@pytest.mark.parametrize("instance", INSTANCES)
def test_two_restarts_find_the_best_known_cut(instance: str) -> None:
    with (FOLDER / "best_known.csv").open(encoding="utf-8") as file:
        known = {row["instance"]: float(row["best_known"]) for row in csv.DictReader(file)}
    partition = derandomized_cut(read_graph(FOLDER / f"{instance}.mc"), restarts=2)
    assert partition.cut_value == pytest.approx(known[instance], rel=1e-9)
    assert partition.upper_bound >= known[instance]
    assert partition.converged
    assert partition.derandomized_cut_value >= 0.97 * known[instance]
