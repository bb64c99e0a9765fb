"""Ten ways to cut one graph, in one table: random, greedy, deterministic rounding, tabu search."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from networkx.algorithms.approximation import one_exchange

from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.identity import content_digest
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, Between
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from MAXCUT.graph import Graph
from MAXCUT.optimizer import DerandomizedCut, derandomize
from MAXCUT.sdp import SdpSolution, hyperplane_cuts, solve_sdp
from MAXCUT.settings import NOT_OF_FILES, GraphConfig
from MAXCUT.studies.conditional import conditional_expectation_cut
from MAXCUT.utilities import load_graph

NUM_DRAWS = 1_000
NUM_RESTARTS = 8
# networkx's exchange sums over all edges for every vertex: a move on large graphs takes minutes.
MAX_EXCHANGE_WORK = 10**6
DERANDOMIZED, EXCHANGE, TABU = "derandomized", "one-exchange (networkx)", "tabu search, equal time"


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig, GraphConfig):
    """Cut one graph in ten ways: value, fraction of the proven bound, and seconds of computing.

    Without a file it is a random graph of 100 vertices. Tabu search needs dwave-samplers and is
    left out if that is not installed.
    """

    output_dir: Path = Path("results/MAXCUT/baselines")
    graph_size: Annotated[int, AtLeast(2), NOT_OF_FILES] = 100
    """Vertices of the random graph."""
    edge_probability: Annotated[float, Between(0, 1), NOT_OF_FILES] = 0.2
    """Probability of an edge between each pair of vertices, in [0, 1]."""


@dataclass(frozen=True)
class MethodSetting:
    """The graph and the method that cuts it."""

    source: GraphConfig
    graph_seed: int
    graph_digest: str
    method: str


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    graph = load_graph(config, config.seed)
    source = GraphConfig(**{each.name: getattr(config, each.name) for each in fields(GraphConfig)})
    left_out = _left_out(graph)
    digest = content_digest(graph)
    methods = [name for name in METHODS if name not in left_out]

    def claim(run: Run, rows: list[Row[MethodSetting]]) -> None:
        for name, reason in left_out.items():
            run.say(f"left out: {name} ({reason})")
        run.say(f"{len(graph.weights)} edges on {graph.num_vertices} vertices")
        _claim(run, rows)

    study = Study(
        name="MAXCUT/baselines",
        settings={name: MethodSetting(source, config.seed, digest, name) for name in methods},
        measure=cut_and_time,
        columns={
            "cut_value": "weight cut",
            "proven_ratio": "of the proven bound",
            "seconds": "CPU seconds",
        },
        claim=claim,
        figures=lambda rows: {"baselines": study_figure(_panel(rows))},
    )
    run_study(study, config, inputs=graph)


def cut_and_time(setting: MethodSetting, seed: int) -> dict[str, float]:
    """Cut the graph once; the SDP's seconds count for the methods that start from it."""
    graph = load_graph(setting.source, setting.graph_seed)
    if content_digest(graph) != setting.graph_digest:
        path = setting.source.graph_file
        raise ValueError(f"graph_file is {path}: it is not what it was when the study began")
    started = time.process_time()
    solution = solve_sdp(graph, np.random.default_rng(seed))
    solved = time.process_time()
    value = float(METHODS[setting.method](graph, solution, seed))
    ended = time.process_time()
    return {
        "cut_value": value,
        "proven_ratio": value / solution.upper_bound,
        "seconds": ended - (solved if setting.method in WITHOUT_SDP else started),
    }


def _uniform_cuts(graph: Graph, seed: int) -> np.ndarray:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (NUM_DRAWS, graph.num_vertices))
    return graph.cut_value(signs)


def _hyperplane_cuts(graph: Graph, solution: SdpSolution, seed: int) -> np.ndarray:
    return hyperplane_cuts(graph, solution.vectors, NUM_DRAWS, np.random.default_rng(seed))


def _derandomized(
    graph: Graph, solution: SdpSolution, seed: int, **options: Any
) -> DerandomizedCut:
    return derandomize(graph, solution, generator=torch.Generator().manual_seed(seed), **options)


def _tabu(graph: Graph, solution: SdpSolution, seed: int) -> float:
    """Tabu search for as many seconds as the SDP and one descent take."""
    from dwave.samplers import TabuSampler

    started = time.process_time()
    solve_sdp(graph, np.random.default_rng(seed))
    _derandomized(graph, solution, seed)
    milliseconds = int(1_000 * (time.process_time() - started))
    couplings = dict(zip(map(tuple, graph.ends.tolist()), graph.weights, strict=True))
    found = TabuSampler().sample_ising({}, couplings, timeout=milliseconds, seed=seed % 2**31)
    return (graph.weights.sum() - found.first.energy) / 2


METHODS: dict[str, Callable[[Graph, SdpSolution, int], float | np.ndarray]] = {
    "uniform, mean": lambda graph, _, seed: _uniform_cuts(graph, seed).mean(),
    f"uniform, best of {NUM_DRAWS}": lambda graph, _, seed: _uniform_cuts(graph, seed).max(),
    EXCHANGE: lambda graph, _, seed: one_exchange(
        graph.to_networkx(), weight="weight", seed=seed % 2**32
    )[0],
    "hyperplanes, mean": lambda *problem: _hyperplane_cuts(*problem).mean(),
    f"hyperplanes, best of {NUM_DRAWS}": lambda *problem: _hyperplane_cuts(*problem).max(),
    "conditional expectations": lambda graph, solution, _: graph.cut_value(
        conditional_expectation_cut(graph, solution.vectors)
    ),
    "score function (published)": lambda *problem: (
        _derandomized(*problem, estimator="sampled").derandomized_cut_value
    ),
    DERANDOMIZED: lambda *problem: _derandomized(*problem).derandomized_cut_value,
    f"{DERANDOMIZED}, {NUM_RESTARTS} restarts": lambda *problem: (
        _derandomized(*problem, restarts=NUM_RESTARTS).cut_value
    ),
    TABU: _tabu,
}
WITHOUT_SDP = {"uniform, mean", f"uniform, best of {NUM_DRAWS}", EXCHANGE}


def _left_out(graph: Graph) -> dict[str, str]:
    """The methods that can't be used here, with the reason."""
    reasons = {}
    if graph.num_vertices * len(graph.weights) > MAX_EXCHANGE_WORK:
        reasons[EXCHANGE] = "the graph is too large for it"
    if importlib.util.find_spec("dwave") is None:
        reasons[TABU] = "dwave-samplers is not installed"
    return reasons


def _claim(run: Run, rows: list[Row[MethodSetting]]) -> None:
    values = {row.name: row.measured["cut_value"] for row in rows}
    ours = values[DERANDOMIZED]
    for name, expected in (("mean", True), (f"best of {NUM_DRAWS}", False)):
        theirs = values[f"hyperplanes, {name}"]
        run.claim(
            "T5.2",
            f"one descent cuts at least the {name} hyperplane on every seed: "
            f"{int((ours >= theirs).sum())} of {len(ours)}; the smallest difference",
            baseline="difference ≥ 0" if expected else None,
            measured=float((ours - theirs).min()),
            holds=bool((ours >= theirs).all()) if expected else None,
        )


def _panel(rows: list[Row[MethodSetting]]) -> Panel:
    return Panel(
        series={"cut": measured(rows, "proven_ratio")},
        x=[row.name for row in rows],
        x_label="",
        y_label="part of the proven upper bound",
        title="Ways to cut one graph",
        log_y=False,
    )
