"""The cost of the lemma's parts: a step of PGD and of SGD, Lanczos and a dense eigensolver."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.measure import Ratio, in_turn, ratio
from benchmarks.report import Effort, Report, Row
from derandomization import DerandomizationObjective, GaussHermite, PerturbedGradientDescent
from derandomization.certificate import CURVATURE_TOLERANCE
from derandomization.hessian import Hessian
from derandomization.laboratory.figures import Panel
from JohnsonLindenstrauss.model import ExpectedDistortion, cube_points
from MAXCUT.expected_cut import ExpectedCut
from MAXCUT.graph import Graph
from MAXCUT.utilities import random_graph
from NeuralNetworks.model import Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk

MOMENTUM = 0.9
# Both descend where the objective stands still: what is timed is the step, not the way.
LEARNING_RATE = 1e-9
OVERHEAD = 0.05  # of SGD's step, at most
BLOCK_STEPS = 200  # of each optimizer, by turns
BLOCKS = 4  # a round: the more, the less a neighbour on the machine can favour either
WIDTHS = (25, 50, 100, 200, 400)  # of students whose 3h parameters Lanczos and a dense solve face
WEIGHT_DECAY = 1e-3  # λ: Lanczos is asked for a thousandth of 2λ


def measure(effort: Effort) -> Report:
    """PGD's overhead on the three experiments' own objectives, then λ_min in two ways."""
    report = Report()
    _overhead(report, effort)
    _certificate(report, effort)
    return report


def risk(width: int, seed: int = 0) -> PopulationRisk:
    """Figure 3's problem, by quadrature."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(2)
    rule = GaussHermite((64, 8), basis=complete_basis(teacher.directions))
    return PopulationRisk(Student(2, width, generator), Population(teacher, rule), WEIGHT_DECAY)


def _cut() -> ExpectedCut:
    graph = Graph.from_networkx(random_graph(15, 0.6, seed=42))
    vectors = np.random.default_rng(0).standard_normal((15, 3))
    return ExpectedCut(graph, vectors, smoothing=0.1, regularization=0.005)


def _distortion() -> ExpectedDistortion:
    return ExpectedDistortion(cube_points(100, 500, torch.Generator().manual_seed(0)), 30)


def _overhead(report: Report, effort: Effort) -> None:
    objectives: dict[str, Callable[[], DerandomizationObjective]] = {
        "figure 3, h = 1000": lambda: risk(1000),
        "figures 4-5, 62 edges": _cut,
        "figures 6-7, k = 30, d = 500": _distortion,
    }
    rows: list[Row] = []
    ratios = {}
    for name, build in objectives.items():
        objective = build()
        steps = 5 if effort.quick else BLOCK_STEPS
        turns = in_turn(
            {"PGD": _steps(objective, _pgd, steps), "SGD": _steps(objective, _sgd, steps)},
            BLOCKS * effort.repeats,
        )
        ratios[name] = ratio(turns["PGD"].seconds, turns["SGD"].seconds)
        microseconds = {f"{each} µs": 1e6 * turns[each].cpu / steps for each in turns}
        rows.append({"closure": name, **microseconds, **ratios[name].row()})
    report.tables["PGD's step beside torch.optim.SGD's, on the same closure"] = rows
    for name, found in ratios.items():
        report.at_most(f"PGD's step over SGD's: {name}", 1 + OVERHEAD, found)
    report.panels.append(_overhead_panel(ratios))


def _overhead_panel(ratios: dict[str, Ratio]) -> Panel:
    return Panel(
        series={"PGD over SGD": np.array([each.cpu for each in ratios.values()])},
        x=[name.split(",")[0] for name in ratios],
        x_label="closure of",
        y_label="CPU seconds of a step, ratio",
        title="PGD's step beside SGD's",
        log_y=False,
        references={"1 + 5%": np.full(len(ratios), 1 + OVERHEAD)},
        repetition="rounds",
    )


def _pgd(objective: DerandomizationObjective) -> Optimizer:
    return PerturbedGradientDescent(
        objective.parameters(),
        lr=LEARNING_RATE,
        momentum=MOMENTUM,
        gradient_threshold=0.0,  # asked for every time, never met
        perturbation_radius=1e-3,
        perturbation_interval=100,
        decrease_threshold=0.0,
    )


def _sgd(objective: DerandomizationObjective) -> Optimizer:
    return torch.optim.SGD(objective.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)


def _steps(
    objective: DerandomizationObjective,
    make: Callable[[DerandomizationObjective], Optimizer],
    count: int,
) -> Callable[[], None]:
    optimizer = make(objective)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = objective()
        value.backward()
        return value

    def run() -> None:
        for _ in range(count):
            optimizer.step(closure)  # type: ignore[arg-type]

    optimizer.step(closure)  # type: ignore[arg-type]  # velocities, and torch's late imports
    return run


def _certificate(report: Report, effort: Effort) -> None:
    widths = (25, 50) if effort.quick else WIDTHS
    rows: list[Row] = []
    seconds: dict[str, list[list[float]]] = {"Lanczos": [], "all eigenvalues": []}
    for width in widths:
        objective = risk(width)
        hessian = Hessian(objective, [p for p in objective.parameters() if p.requires_grad])
        turns = in_turn(
            {
                "Lanczos": partial(_by_lanczos, hessian),
                "all eigenvalues": partial(_by_dense_solve, hessian),
            },
            effort.repeats,
        )
        found = {name: turn.outcomes[0] for name, turn in turns.items()}
        rows.append(
            {
                "parameters": hessian.gradient.numel(),
                **{f"{name}, CPU s": turn.cpu for name, turn in turns.items()},
                "λ_min": found["all eigenvalues"],
                "Lanczos off by": abs(found["Lanczos"] - found["all eigenvalues"]),
                **ratio(turns["all eigenvalues"].seconds, turns["Lanczos"].seconds).row(),
            }
        )
        for name, turn in turns.items():
            seconds[name].append([each.cpu for each in turn.seconds])
    report.tables["λ_min(∇²f) of figure 3's risk at its start"] = rows
    report.panels.append(
        Panel(
            series={name: np.array(each) for name, each in seconds.items()},
            x=[3.0 * width for width in widths],
            x_label="parameters",
            y_label="CPU seconds",
            title="The smallest eigenvalue of the Hessian",
            log_x=True,
            repetition="rounds",
        )
    )


def _by_lanczos(hessian: Hessian) -> float:
    return hessian.smallest_eigenvalue(tolerance=CURVATURE_TOLERANCE * 2 * WEIGHT_DECAY).value


def _by_dense_solve(hessian: Hessian) -> float:
    identity = torch.eye(hessian.gradient.numel(), dtype=torch.float64)
    columns = torch.stack([hessian.product(column) for column in identity])
    return float(torch.linalg.eigvalsh((columns + columns.T) / 2)[0])
