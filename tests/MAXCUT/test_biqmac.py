"""Instances of the Biq Mac library beside the checkout: the best known value is found."""

import csv
import time
from pathlib import Path

import pytest

from derandomization.files.quadratic import read_quadratic_file
from MAXCUT import derandomized_cut
from MAXCUT.graph import read_graph
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import minimize

FOLDER = Path(__file__).parents[3] / "shared" / "biqmac"
# Unweighted, weights that decay with the distance, and a grid with Gaussian weights.
INSTANCES = ("g05_60.0", "ising2.5-100_7777", "t2g10_7777")

QUBOS = ("bqp50-2", "gka8a")


def best_known() -> dict[str, float]:
    with (FOLDER / "best_known.csv").open(encoding="utf-8") as file:
        return {row["instance"]: float(row["best_known"]) for row in csv.DictReader(file)}


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the instances are not beside the checkout")
@pytest.mark.parametrize("instance", INSTANCES)
def test_two_restarts_find_the_best_known_cut(instance: str) -> None:
    known = best_known()
    partition = derandomized_cut(read_graph(FOLDER / f"{instance}.mc"), restarts=2)
    assert partition.cut_value == pytest.approx(known[instance], rel=1e-9)
    assert partition.upper_bound >= known[instance]
    assert partition.converged
    assert partition.derandomized_cut_value >= 0.97 * known[instance]


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the instances are not beside the checkout")
@pytest.mark.parametrize("instance", QUBOS)
def test_two_restarts_find_the_best_known_minimum_in_ten_seconds(instance: str) -> None:
    model = read_quadratic_file(FOLDER / f"{instance}.qubo", lambda terms: QuadraticModel(*terms))
    started = time.process_time()
    solution = minimize(model, spin=False, restarts=2)
    assert time.process_time() - started < 10
    assert solution.energy == best_known()[instance]
    assert solution.lower_bound <= solution.energy
    assert solution.expected_energy >= solution.energy
