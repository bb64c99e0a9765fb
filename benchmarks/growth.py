"""How the time and the peak memory of a step grow: edges, hidden units, pairs of points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.cutters import derandomized
from benchmarks.measure import fastest_step, fitted_exponent, footprint
from benchmarks.neural_networks import problem
from benchmarks.report import Effort, Report, Row, growth_panel
from derandomization import DerandomizationObjective, PerturbedGradientDescent
from JohnsonLindenstrauss.model import PairDistortion
from JohnsonLindenstrauss.pairs import PairBlocks, span
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.utilities import random_graph
from NeuralNetworks.risk import PopulationRisk

MEAN_DEGREE, RANK = 10, 24  # of the graphs on which a step is timed
# Half a decade of pairs from one to the next: from 101 025 to 1 003 497 600 pairs.
POINTS = (450, 800, 1_400, 2_500, 4_500, 8_000, 14_000, 25_000, 44_800)
FITTED = 100.0  # the exponent is fitted to sizes of at least the largest over this
LEARNING_RATE = 1e-6  # the objective hardly moves, so that all steps cost the same


def cut_objective(num_edges: int) -> ExpectedCut:
    """The expected cut of a random graph of mean degree 10, from random unit vectors."""
    num_vertices = 2 * num_edges // MEAN_DEGREE
    rng = np.random.default_rng(0)
    # Pairs i < j by number, j(j − 1)/2 + i: networkx would need more memory than the step.
    numbers = rng.choice(num_vertices * (num_vertices - 1) // 2, num_edges, replace=False)
    larger = ((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    ends = np.stack([numbers - larger * (larger - 1) // 2, larger], axis=1)
    vectors = rng.standard_normal((num_vertices, RANK))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    graph = Graph(num_vertices, ends, np.ones(num_edges))
    return ExpectedCut(graph, vectors, smoothing=0.05, regularization=0.01)


def network_objective(width: int, dimension: int) -> PopulationRisk:
    """Figure 3's exact risk from its usual start."""
    objective, _ = problem("exact", width, dimension)
    return objective


def pair_objective(num_points: int, num_components: int, dimension: int) -> PairDistortion:
    """All pairs of Gaussian points, in float32 as in training."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(num_points, dimension, generator=generator, dtype=torch.float64)
    coordinates = span(drawn / dimension**0.5).coordinates
    blocks = PairBlocks(coordinates, dtype=torch.float32)
    objective = PairDistortion(coordinates.float(), num_components, blocks, sharpness=30.0)
    with torch.no_grad():
        objective.mean.normal_(0, num_components**-0.5, generator=generator)
        objective.scale.fill_(0.1)
    return objective


@dataclass(frozen=True)
class Series:
    """Steps on objectives of growing size.

    Attributes:
        title: of the table.
        columns: the name of each argument of ``build``.
        build: makes the objective; a function of a module, since another process calls it too.
        shapes: the arguments of ``build``, for each row of the table.
        quick: the same at sizes that only show that it works.
        unit: what sizes count.
        size: the size of an objective with these arguments.
        drawn: what its panels are called; it has none if empty.
    """

    title: str
    columns: Sequence[str]
    build: Callable[..., DerandomizationObjective]
    shapes: Sequence[tuple[int, ...]]
    quick: Sequence[tuple[int, ...]]
    unit: str
    size: Callable[[DerandomizationObjective, tuple[int, ...]], float]
    drawn: str = ""


def _first(objective: DerandomizationObjective, shape: tuple[int, ...]) -> float:
    return float(shape[0])


def _pairs(objective: DerandomizationObjective, shape: tuple[int, ...]) -> float:
    return shape[0] * (shape[0] - 1) / 2


def _products(objective: DerandomizationObjective, shape: tuple[int, ...]) -> float:
    """Points of the exact rule times weights of the network."""
    assert isinstance(objective, PopulationRisk)
    return float(len(objective.examples()[0]) * objective.student.weight.numel())


ALL = (
    Series(
        "a step of MAXCUT's descent against the number of edges",
        ("edges",),
        cut_objective,
        [(edges,) for edges in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)],
        [(100,), (200,)],
        "edges",
        _first,
        drawn="MAXCUT's descent",
    ),
    Series(
        "a step of exact PGD on figure 3's network against the number of hidden units h, d = 2",
        ("h", "d"),
        network_objective,
        [(width, 2) for width in (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)],
        [(10, 2), (20, 2)],
        "h",
        _first,
        drawn="Figure 3's network",
    ),
    Series(
        "a step over all pairs against the number of pairs, k = 50, d = 250",
        ("points", "k", "d"),
        pair_objective,
        [(points, 50, 250) for points in POINTS],
        [(30, 5, 10), (60, 5, 10)],
        "pairs",
        _pairs,
        drawn="All pairs",
    ),
    Series(
        "a step of exact PGD on figure 3's network against the dimension d, h = 1000",
        ("h", "d"),
        network_objective,
        [(1_000, dimension) for dimension in (5, 10, 20, 40, 80)],
        [(10, 5), (10, 10)],
        "points × weights",
        _products,
    ),
    Series(
        "a step over all pairs against the number of components k, 2000 points, d = 250",
        ("points", "k", "d"),
        pair_objective,
        [(2_000, components, 250) for components in (25, 50, 100, 200)],
        [(30, 5, 10), (30, 8, 10)],
        "k",
        lambda objective, shape: float(shape[1]),
    ),
    Series(
        "a step over all pairs against the dimension d, 1000 points, k = 50",
        ("points", "k", "d"),
        pair_objective,
        [(1_000, 50, dimension) for dimension in (125, 250, 500, 1_000)],
        [(30, 5, 10), (30, 5, 20)],
        "d",
        lambda objective, shape: float(shape[2]),
    ),
)


def measure(effort: Effort) -> Report:
    """One series after the other, then the memory of a whole cut."""
    report = Report()
    for series in ALL:
        _grow(report, series, effort)
    vertices = 50 if effort.quick else 1_000
    row: Row = {"vertices": vertices, **footprint(whole_cut, vertices).row()}
    report.tables["memory of a whole cut, mean degree 20"] = [row]
    report.notes.append(
        "α is fitted over the upper two decades: sizes of at least a hundredth of the largest. A "
        "step is the fastest of several blocks of steps; peak memory is that of a process of its "
        "own that builds the objective and makes one step, imports included."
    )
    return report


def stepper(objective: DerandomizationObjective) -> Callable[[], object]:
    """A function that makes one step of perturbed gradient descent, never perturbed."""
    optimizer = PerturbedGradientDescent(
        [each for each in objective.parameters() if each.requires_grad],
        lr=LEARNING_RATE,
        momentum=0.9,
        gradient_threshold=0.0,
        perturbation_radius=1e-3,
        perturbation_interval=100,
        decrease_threshold=0.0,
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        return objective.backpropagate()

    return lambda: optimizer.step(closure)


def one_step(build: Callable[..., DerandomizationObjective], *shape: int) -> None:
    """Build an objective and make one step on it."""
    stepper(build(*shape))()


def whole_cut(num_vertices: int) -> None:
    """Make a cut, from SDP to certificate."""
    graph = Graph.from_networkx(random_graph(num_vertices, 20 / num_vertices, seed=0))
    derandomized(graph, 0, 0)


def upper_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The exponent fitted over the upper two decades of sizes."""
    kept = [pair for pair in zip(sizes, values, strict=True) if pair[0] >= max(sizes) / FITTED]
    upper, their_values = zip(*kept, strict=True)
    return fitted_exponent(upper, their_values)


def _grow(report: Report, series: Series, effort: Effort) -> None:
    """Add a series' table, its target and, where it is drawn, its panels."""
    rows: list[Row] = []
    sizes: list[float] = []
    seconds: list[float] = []
    peaks: list[float] = []
    for shape in series.quick if effort.quick else series.shapes:
        objective = series.build(*shape)
        sizes.append(series.size(objective, shape))
        least = 0.01 if effort.quick else 0.3
        seconds.append(
            fastest_step(stepper(objective), repeats=effort.repeats, at_least=least),
        )
        del objective  # before another process needs the memory
        memory = footprint(one_step, series.build, *shape).row()
        peaks.append(memory["peak MB"])
        arguments = dict(zip(series.columns, shape, strict=True))
        rows.append(
            arguments | {series.unit: sizes[-1], "CPU s of a step": seconds[-1]} | memory,
        )
    report.tables[series.title] = rows
    report.linear(series.unit, upper_exponent(sizes, seconds))
    if not series.drawn:
        return
    report.panels.append(
        growth_panel(
            sizes,
            np.array(seconds)[:, None],
            x_label=series.unit,
            title=f"{series.drawn}: time of a step",
        )
    )
    if not any(map(math.isnan, peaks)):  # where the system says how much memory a process has
        report.panels.append(
            growth_panel(
                sizes,
                np.array(peaks)[:, None],
                x_label=series.unit,
                y_label="peak MB, imports included",
                title=f"{series.drawn}: memory",
            )
        )
