"""What else cuts a graph, in one table: random, greedy, deterministic rounding, tabu search."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from networkx.algorithms.approximation import one_exchange

from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, StudyConfig, measure_rows, tabulate
from MAXCUT.baselines import hyperplane_cuts
from MAXCUT.conditional import conditional_expectation_cut
from MAXCUT.graph import Graph
from MAXCUT.optimizer import derandomize
from MAXCUT.sdp import SdpSolution, solve_sdp
from MAXCUT.source import GraphSource

NUM_DRAWS = 1_000
NUM_RESTARTS = 8
# networkx's exchange scores every vertex by all edges: minutes a move on graphs of this product.
MAX_EXCHANGE_WORK = 10**6
DERANDOMIZED, TABU = "derandomized", "tabu search, equal time"


@dataclass(frozen=True)
class Trial:
    """A way to cut a graph."""

    source: GraphSource
    graph_seed: int
    method: str


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig, GraphSource):
    """Cut one graph in ten ways: value, part of the proven bound, seconds of computing.

    Without a file it is a random graph of 100 vertices. Tabu search takes part where
    dwave-samplers is installed.
    """

    output_dir: Path = Path("results/MAXCUT/baselines")
    """Folder for results.json, table.csv and the figure; made if missing."""
    graph_size: int = 100
    """Vertices of the random graph."""
    edge_probability: float = 0.2
    """Probability that a pair of vertices is joined, in [0, 1]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_source()


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    graph = config.load(config.seed)
    run = Run("MAXCUT/baselines", config)
    source = GraphSource(
        graph_file=config.graph_file,
        graph_size=config.graph_size,
        edge_probability=config.edge_probability,
    )
    methods = [name for name in METHODS if _is_possible(name, graph)]
    for name in METHODS:
        if name not in methods:
            run.say(f"left out: {name} ({_why_not(name)})")
    rows = measure_rows(
        run, config, measure, {name: Trial(source, config.seed, name) for name in methods}
    )
    run.say(f"{len(graph.weights)} edges on {graph.num_vertices} vertices")
    tabulate(
        run,
        rows,
        {
            "cut_value": "weight cut",
            "proven_ratio": "of the proven bound",
            "seconds": "CPU seconds",
        },
    )
    _claim(run, rows)
    run.figure("baselines", study_figure(_panel(rows)))
    run.finish()


def measure(trial: Trial, seed: int) -> Measurement:
    """Cut the graph once; the SDP's seconds count for the methods that start from it."""
    graph = trial.source.load(trial.graph_seed)
    started = time.process_time()
    solution = solve_sdp(graph, np.random.default_rng(seed))
    solved = time.process_time() - started
    started = time.process_time()
    value = METHODS[trial.method](graph, solution, seed)
    seconds = time.process_time() - started
    return {
        "cut_value": value,
        "proven_ratio": value / solution.upper_bound,
        "seconds": seconds + (solved if trial.method not in WITHOUT_SDP else 0.0),
    }


def _uniform(graph: Graph, seed: int) -> np.ndarray:
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (NUM_DRAWS, graph.num_vertices))
    return graph.cut_value(signs)


def _hyperplanes(graph: Graph, solution: SdpSolution, seed: int) -> np.ndarray:
    return hyperplane_cuts(graph, solution.vectors, NUM_DRAWS, np.random.default_rng(seed))


def _one_exchange(graph: Graph, solution: SdpSolution, seed: int) -> float:
    drawn = nx.empty_graph(graph.num_vertices)
    drawn.add_weighted_edges_from(
        (*ends, weight) for ends, weight in zip(graph.ends.tolist(), graph.weights, strict=True)
    )
    value, _ = one_exchange(drawn, weight="weight", seed=seed % 2**32)
    return float(value)


def _derandomized(graph: Graph, solution: SdpSolution, seed: int, restarts: int = 0) -> float:
    generator = torch.Generator().manual_seed(seed)
    cut = derandomize(graph, solution, generator=generator, restarts=restarts)
    return cut.cut_value_before_polish if restarts == 0 else cut.cut_value


def _score_function(graph: Graph, solution: SdpSolution, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    cut = derandomize(graph, solution, generator=generator, estimator="sampled")
    return cut.cut_value_before_polish


def _tabu(graph: Graph, solution: SdpSolution, seed: int) -> float:
    """As many seconds of tabu search as the SDP and one descent take."""
    from dwave.samplers import TabuSampler

    started = time.process_time()
    solve_sdp(graph, np.random.default_rng(seed))
    _derandomized(graph, solution, seed)
    milliseconds = int(1_000 * (time.process_time() - started))
    couplings = {
        tuple(ends): weight for ends, weight in zip(graph.ends.tolist(), graph.weights, strict=True)
    }
    found = TabuSampler().sample_ising({}, couplings, timeout=milliseconds, seed=seed % 2**31)
    return float((graph.weights.sum() - found.first.energy) / 2)


METHODS: dict[str, Callable[[Graph, SdpSolution, int], float]] = {
    "uniform, mean": lambda graph, solution, seed: float(_uniform(graph, seed).mean()),
    f"uniform, best of {NUM_DRAWS}": lambda graph, solution, seed: float(
        _uniform(graph, seed).max()
    ),
    "one-exchange (networkx)": _one_exchange,
    "hyperplanes, mean": lambda graph, solution, seed: float(
        _hyperplanes(graph, solution, seed).mean()
    ),
    f"hyperplanes, best of {NUM_DRAWS}": lambda graph, solution, seed: float(
        _hyperplanes(graph, solution, seed).max()
    ),
    "conditional expectations": lambda graph, solution, seed: float(
        graph.cut_value(conditional_expectation_cut(graph, solution.vectors))
    ),
    "score function (published)": _score_function,
    DERANDOMIZED: _derandomized,
    f"{DERANDOMIZED}, {NUM_RESTARTS} restarts": lambda graph, solution, seed: _derandomized(
        graph, solution, seed, NUM_RESTARTS
    ),
    TABU: _tabu,
}
WITHOUT_SDP = {name for name in METHODS if name.startswith(("uniform", "one-exchange"))}


def _is_possible(name: str, graph: Graph) -> bool:
    if name == TABU:
        return importlib.util.find_spec("dwave") is not None
    work = graph.num_vertices * len(graph.weights)
    return not name.startswith("one-exchange") or work <= MAX_EXCHANGE_WORK


def _why_not(name: str) -> str:
    return "dwave-samplers is not installed" if name == TABU else "the graph is too large for it"


def _claim(run: Run, rows: list[Row[Trial]]) -> None:
    values = {row.name: row.measured["cut_value"] for row in rows}
    ours = values[DERANDOMIZED]
    for name, expected in (("mean", True), (f"best of {NUM_DRAWS}", False)):
        theirs = values[f"hyperplanes, {name}"]
        run.claim(
            "T5.2",
            f"one descent cuts at least the {name} hyperplane on every seed: "
            f"{int((ours >= theirs).sum())} of {len(ours)}; the smallest difference",
            paper="cut ≥ E[cut]" if expected else None,
            measured=float((ours - theirs).min()),
            holds=bool((ours >= theirs).all()) if expected else None,
        )


def _panel(rows: list[Row[Trial]]) -> Panel:
    return Panel(
        series={"cut": np.array([row.measured["proven_ratio"] for row in rows])},
        x=[row.name for row in rows],
        x_label="",
        y_label="part of the proven upper bound",
        title="Ways to cut one graph",
        log_y=False,
    )
