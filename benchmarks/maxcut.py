"""The SDP, the paper's graph and cuts over time."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks import relaxation
from benchmarks.cutters import ALL, bound
from benchmarks.measure import in_turn
from benchmarks.race import Problem, Racer, against, levels_panel, race, rows
from benchmarks.report import Effort, Report, Row
from derandomization import DerandomizationObjective
from derandomization.laboratory.figures import Panel
from MAXCUT.expected_cut import ExpectedCut, ScoreFunction
from MAXCUT.graph import Graph
from MAXCUT.optimizer import (
    NUM_SAMPLES,
    DescentSettings,
    descent_optimizer,
    settings_for,
    stable_settings,
)
from MAXCUT.sdp import solve_sdp
from MAXCUT.utilities import random_graph

LEVELS = (0.1, 1e-2)  # ‖V‖ over its start, on a cut of the paper's 41
PAPER_CUT = 41.0
EXACT, AT_ONCE = "exact descent", "score function, 100 draws at once"
ONE_BY_ONE = "score function, draw by draw"
MARGIN = 100.0  # score function over exact, at least
BUDGETS = (0.5, 1.0, 2.0)  # CPU seconds
# networkx scores every vertex by all edges: at 400 vertices one exchange takes a minute.
VERTICES, PROBABILITY = 150, 0.1


def measure(effort: Effort) -> Report:
    """One comparison after the other."""
    report = Report()
    _paper_graph(report, effort)
    relaxation.compare(report, effort)
    _over_time(report, effort)
    return report


class DrawByDraw(ScoreFunction):
    """The same estimate from the same samples, computed one sample after the other in Python."""

    def forward(self, cut: ExpectedCut) -> Float[Tensor, ""]:
        i, j = cut.ends
        directions = self.draw(cut.vectors.shape[1], cut.mean)
        noises = cut.smoothing * self.draw(len(cut.mean), cut.mean)
        cuts, log_densities = [], []
        for direction, noise in zip(directions, noises, strict=True):
            centre = cut.vectors @ direction + cut.mean
            sample = centre.detach() + noise
            cuts.append(((sample[i] > 0) != (sample[j] > 0)).to(cut.weights) @ cut.weights)
            log_densities.append(-(sample - centre).square().sum() / (2 * cut.smoothing**2))
        found, scores = torch.stack(cuts), torch.stack(log_densities)
        advantage = (found - found.mean()) * self.num_samples / (self.num_samples - 1)
        score = (advantage * scores).mean()
        return found.mean() + score - score.detach()


def _exact(graph: Graph, vectors: np.ndarray) -> Problem:
    """The descent of ``MAXCUT/main.py``, with the step that the curvature allows."""
    settings = settings_for(graph, "exact")
    objective = _objective(graph, vectors, settings)
    settings = stable_settings(settings, objective)
    return objective, descent_optimizer(objective, settings, _generator())


def _sampled(graph: Graph, vectors: np.ndarray, estimator: type[ScoreFunction]) -> Problem:
    """The published run's estimator and steps."""
    settings, generator = settings_for(graph, "sampled"), _generator()
    objective = _objective(graph, vectors, settings)
    objective.evaluation = estimator(NUM_SAMPLES, generator)
    return objective, descent_optimizer(objective, settings, generator)


def _objective(graph: Graph, vectors: np.ndarray, settings: DescentSettings) -> ExpectedCut:
    return ExpectedCut(
        graph, vectors, smoothing=settings.smoothing, regularization=settings.regularization
    )


def _paper_graph(report: Report, effort: Effort) -> None:
    graph = Graph.from_networkx(random_graph(15, 0.6, seed=42))
    vectors = solve_sdp(graph, np.random.default_rng(42)).vectors
    initial = float(np.linalg.norm(vectors))

    def gauge(objective: DerandomizationObjective) -> float:
        assert isinstance(objective, ExpectedCut)
        cut = float(graph.cut_value(objective.signs()))
        return objective.weight_norm() / initial if cut == PAPER_CUT else np.inf

    builds: dict[str, tuple[Callable[[], Problem], int]] = {
        EXACT: (partial(_exact, graph, vectors), 900),
        AT_ONCE: (partial(_sampled, graph, vectors, ScoreFunction), 5_000),
        ONE_BY_ONE: (partial(_sampled, graph, vectors, DrawByDraw), 5_000),
    }
    racers = {
        name: Racer(build, gauge, 5 if effort.quick else most)
        for name, (build, most) in builds.items()
    }
    results = race(racers, LEVELS, effort.repeats, patience=10.0)
    title = "the paper's graph: a cut of 41, and ‖V‖ over its start"
    report.tables[title] = rows(results, LEVELS, EXACT)
    for name in (ONE_BY_ONE, AT_ONCE):
        report.at_least(
            f"figures 4-5: {name} over exact, to a cut of 41 with ‖V‖ at {LEVELS[-1]:g}",
            MARGIN,
            against(results, name, EXACT, LEVELS[-1]),
        )
    x_label = "‖V‖ over its start, at a cut of 41"
    report.panels.append(levels_panel(results, LEVELS, x_label, "Figures 4 and 5"))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(42)


def _over_time(report: Report, effort: Effort) -> None:
    """Equal CPU seconds on one random graph, every round from another seed."""
    size, chance = (20, 0.4) if effort.quick else (VERTICES, PROBABILITY)
    budgets = (0.1,) if effort.quick else BUDGETS
    graph = Graph.from_networkx(random_graph(size, chance, seed=1))
    found: list[Row] = []
    cuts: dict[str, list[list[float]]] = {name: [] for name in ALL}
    for seconds in budgets:
        taken: dict[str, list[float]] = {name: [] for name in ALL}
        reached: dict[str, list[float]] = {name: [] for name in ALL}
        for seed in range(effort.repeats):
            contenders = {name: bound(each, graph, seconds, seed) for name, each in ALL.items()}
            for name, done in in_turn(contenders, 1).items():
                taken[name].append(done.cpu)
                reached[name] += done.outcomes
        for name in ALL:
            cuts[name].append(reached[name])
            found.append(
                _cut_row(seconds, name, reached[name]) | {"CPU s": float(np.median(taken[name]))}
            )
    report.tables[f"{len(graph.weights)} edges on {size} vertices, equal CPU seconds"] = found
    best = max(value for several in cuts.values() for each in several for value in each)
    report.panels.append(
        Panel(
            series={name: np.array(several) / best for name, several in cuts.items()},
            x=budgets,
            x_label="CPU seconds",
            y_label="cut over the best found",
            title="Equal seconds, one random graph",
            log_x=True,
            log_y=False,
            repetition="rounds",
        )
    )


def _cut_row(
    seconds: float, method: str, cuts: list[float]
) -> dict[str, float | str | bool | None]:
    return {
        "seconds": seconds,
        "method": method,
        "cut, median": f"{np.median(cuts):g}",
        "lowest": f"{min(cuts):g}",
        "highest": f"{max(cuts):g}",
    }
