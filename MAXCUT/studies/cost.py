"""What a descent step costs as graphs grow from a thousand edges to a hundred thousand."""

import time
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import numpy as np
import torch

from derandomization import descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, StudyConfig, measure_rows, tabulate
from MAXCUT.fused_cut import FusedCut
from MAXCUT.graph import Graph

EDGES = (1_000, 3_000, 10_000, 30_000, 100_000)
MEAN_DEGREE = 10
RANK = 24
NUM_STEPS = 20
LINEAR = 1.1  # a fitted exponent up to here counts as linear


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Seconds of a step on random graphs of mean degree 10, by their number of edges."""

    output_dir: Path = Path("results/MAXCUT/cost")
    """Folder for results.json, table.csv and the figure; made if missing."""
    seeds: int = 5
    """Graphs of every size, all derived from --seed."""
    workers: int = 1
    """Processes to share the work; one by default, since they disturb each other's clocks."""


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("MAXCUT/cost", config)
    rows = measure_rows(run, config, measure, {f"{edges} edges": edges for edges in EDGES})
    tabulate(run, rows, {"seconds_per_step": "seconds a step"})
    # The fastest of the repetitions: what other programs take of the machine only adds to it.
    fastest = [float(row.measured["seconds_per_step"].min()) for row in rows]
    exponent, _ = np.polyfit(np.log(EDGES), np.log(fastest), 1)
    run.results["exponent"] = float(exponent)
    run.claim(
        "COST",
        "a step costs O(edges): seconds grow as edges^α, the fitted α",
        paper=1.0,
        measured=float(exponent),
        holds=bool(exponent <= LINEAR),
    )
    run.figure("cost", study_figure(_panel(rows, fastest)))
    run.finish()


def measure(num_edges: int, seed: int) -> Measurement:
    """Time steps of plain descent from random unit vectors, which cost what any vectors cost."""
    rng = np.random.default_rng(seed)
    drawn = nx.gnm_random_graph(2 * num_edges // MEAN_DEGREE, num_edges, seed=seed % 2**32)
    vectors = rng.standard_normal((drawn.number_of_nodes(), RANK))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    objective = FusedCut(Graph.from_networkx(drawn), vectors, smoothing=0.05, regularization=0.01)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.3, momentum=0.9)
    descend(objective, optimizer, max_steps=2)  # what is allocated once is allocated here
    started = time.process_time()
    descend(objective, optimizer, max_steps=NUM_STEPS)
    return {"seconds_per_step": (time.process_time() - started) / NUM_STEPS}


def _panel(rows: list[Row[int]], fastest: list[float]) -> Panel:
    return Panel(
        series={"one step": np.array([row.measured["seconds_per_step"] for row in rows])},
        x=EDGES,
        x_label="edges",
        y_label="CPU seconds",
        title="What a step costs",
        log_x=True,
        references={"in proportion to edges": fastest[-1] * np.array(EDGES) / EDGES[-1]},
    )
