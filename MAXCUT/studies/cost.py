"""The time of a descent step on graphs of a thousand to a hundred thousand edges."""

import time
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import numpy as np
import torch

from derandomization import descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import NumSeeds, Row, Study, StudyConfig, measured, run_study
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.fused_kernel import FusedKernel
from MAXCUT.graph import Graph

EDGES = (1_000, 3_000, 10_000, 30_000, 100_000)
MEAN_DEGREE = 10
RANK = 24
NUM_STEPS = 20
LINEAR = 1.1  # the largest fitted exponent that counts as linear


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Measure the seconds per step on random graphs of mean degree 10, by their number of edges."""

    output_dir: Path = Path("results/MAXCUT/cost")
    seeds: NumSeeds = 5
    """Graphs of every size, all derived from --seed."""
    workers: PositiveInt = 1
    """Processes that share the work; one by default, since several slow each other down."""


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="MAXCUT/cost",
        settings={f"{edges} edges": edges for edges in EDGES},
        measure=time_descent_step,
        columns={"seconds_per_step": "seconds a step"},
        claim=_claim,
        figures=lambda rows: {"cost": study_figure(_panel(rows))},
    )
    run_study(study, config)


def time_descent_step(num_edges: int, seed: int) -> dict[str, float]:
    """Time steps of plain descent from random unit vectors; the time does not depend on them."""
    rng = np.random.default_rng(seed)
    drawn = nx.gnm_random_graph(2 * num_edges // MEAN_DEGREE, num_edges, seed=seed % 2**32)
    vectors = rng.standard_normal((drawn.number_of_nodes(), RANK))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = Graph.from_networkx(drawn)
    objective = ExpectedCut(graph, vectors, smoothing=0.05, regularization=0.01)
    objective.evaluation = FusedKernel(graph)
    optimizer = torch.optim.SGD(objective.parameters(), lr=0.3, momentum=0.9)
    descend(objective, optimizer, max_steps=2)  # allocates all memory
    started = time.process_time()
    descend(objective, optimizer, max_steps=NUM_STEPS)
    return {"seconds_per_step": (time.process_time() - started) / NUM_STEPS}


def _fastest(rows: list[Row[int]]) -> np.ndarray:
    """The least seconds for each size: other programs on the machine can only add to them."""
    return measured(rows, "seconds_per_step").min(axis=1)


def _claim(run: Run, rows: list[Row[int]]) -> None:
    exponent, _ = np.polyfit(np.log(EDGES), np.log(_fastest(rows)), 1)
    run.results["exponent"] = float(exponent)
    run.claim(
        "COST",
        "a step costs O(edges): seconds grow as edges^α, the fitted α",
        bound=1.0,
        measured=float(exponent),
        holds=bool(exponent <= LINEAR),
    )


def _panel(rows: list[Row[int]]) -> Panel:
    return Panel(
        series={"one step": measured(rows, "seconds_per_step")},
        x=EDGES,
        x_label="edges",
        y_label="CPU seconds",
        title="What a step costs",
        log_x=True,
        references={"in proportion to edges": _fastest(rows)[-1] * np.array(EDGES) / EDGES[-1]},
    )
