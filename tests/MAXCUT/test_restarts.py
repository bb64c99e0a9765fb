"""Searches from one SDP solution: repeatable and no worse than one descent."""

import numpy as np
import pytest
import torch

from MAXCUT.graph import Graph
from MAXCUT.optimizer import DerandomizedCut, derandomize
from MAXCUT.restarts import search
from MAXCUT.sdp import SdpSolution, solve_sdp


@pytest.fixture(scope="module")
def problem() -> tuple[Graph, SdpSolution]:
    rng = np.random.default_rng(1)
    pairs = np.array([(i, j) for i in range(30) for j in range(i + 1, 30)])
    ends = pairs[rng.random(len(pairs)) < 0.3]
    graph = Graph(30, ends, rng.choice([-1.0, 1.0], len(ends)))
    return graph, solve_sdp(graph, np.random.default_rng(0))


def test_a_search_repeats_and_collapses(problem: tuple[Graph, SdpSolution]) -> None:
    graph, solution = problem
    first, second = (search(graph, solution.vectors, 7) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    assert np.linalg.norm(first.vectors) < 0.1 * np.linalg.norm(solution.vectors)
    assert first.cut_value >= graph.cut_value(np.where(first.mean >= 0, 1.0, -1.0))
    assert not np.array_equal(first.mean, search(graph, solution.vectors, 8).mean)


def cut_of(problem: tuple[Graph, SdpSolution], restarts: int) -> DerandomizedCut:
    generator = torch.Generator().manual_seed(3)
    return derandomize(*problem, generator=generator, restarts=restarts)


def test_restarts_keep_the_best_cut(problem: tuple[Graph, SdpSolution]) -> None:
    graph, solution = problem
    alone, several = cut_of(problem, 0), cut_of(problem, 2)
    assert len(alone.restart_cut_values) == 0
    assert len(several.restart_cut_values) == 2
    assert several.cut_value == max(alone.cut_value, *several.restart_cut_values)
    assert several.cut_value == graph.cut_value(several.signs) <= solution.upper_bound
    assert several.cut_value_before_polish <= several.cut_value
    assert several.certificate.weight_norm < 1e-3 * several.history.weight_norm[0]


def test_a_negative_number_of_restarts_is_named(problem: tuple[Graph, SdpSolution]) -> None:
    with pytest.raises(ValueError, match="restarts is -1: it must be at least 0"):
        cut_of(problem, -1)
