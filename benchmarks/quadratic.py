"""The Biq Mac library at equal seconds: ours against dwave-samplers' annealing and tabu search.

Each method ends early at the best known energy; no lower one is known.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from dimod import BinaryQuadraticModel

from benchmarks import qubo_bounds, triangle_bounds
from benchmarks.cache import Cache
from benchmarks.cutters import MANY, Budget, annealing_energy, tabu_energy
from benchmarks.measure import now
from benchmarks.report import Effort, Report, Row, Target
from derandomization.files.quadratic import read_quadratic_file
from derandomization.laboratory.figures import Panel
from derandomization.laboratory.identity import code_digest
from derandomization.laboratory.study import spawn_seeds
from MAXCUT.graph import Graph, Signs, read_graph
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import CutProblem, cut_problem
from MAXCUT.sdp import good_hyperplane, solve_sdp
from MAXCUT.search import one_flip_optimum, search

SECONDS = 1.0, 10.0  # of processor time
SEEDS = 5
QUICK = ("bqp50-2", "pm1s_80.0")
OURS, FAMILIES = "SDP and search", "mean gap by family"


@dataclass(frozen=True)
class Problem:
    """A quadratic function, in our form and in dimod's, and its best known energy."""

    name: str
    model: QuadraticModel
    cut: CutProblem
    dimod: BinaryQuadraticModel
    best_known: float
    family: str

    @property
    def enough(self) -> float:
        """The best known energy and rounding."""
        return self.best_known + 1e-9 * abs(self.best_known)

    def energy(self, cut: Signs) -> float:
        """The energy of the variables that a cut of the graph stands for."""
        values = self.cut.values(cut)
        return self.model.energy(2 * values - 1 if self.model.spin else values)


Method = Callable[[Problem, float, int], float]


def searched(problem: Problem, seconds: float, seed: int) -> float:
    """Ours: the relaxation, a hyperplane, and searches around the best cut until the time is over
    or the best known energy is reached."""
    budget, graph = Budget(seconds), problem.cut.graph
    rng = np.random.default_rng(seed)
    solution = solve_sdp(graph, rng)
    best = one_flip_optimum(graph, good_hyperplane(graph, solution.vectors, rng))
    lowest = problem.energy(best)

    def remember(cut: Signs) -> None:
        nonlocal lowest
        lowest = min(lowest, problem.energy(cut))

    def is_over() -> bool:
        return budget.left <= 0 or lowest <= problem.enough

    for each in spawn_seeds(seed, MANY):
        best = search(graph, solution.vectors, best, each, stop=is_over, on_cut=remember)
        if is_over():
            break
    return problem.energy(best)


METHODS: dict[str, Method] = {
    OURS: searched,
    "simulated annealing": lambda problem, seconds, seed: annealing_energy(
        problem.dimod, seconds, seed, problem.enough
    ),
    "tabu search": lambda problem, seconds, seed: tabu_energy(
        problem.dimod, seconds, seed, problem.enough
    ),
}


def read_problem(folder: Path, name: str, kind: str, best_known: float) -> Problem:
    """A .qubo file as it is; of a graph minus the cut, Σ w_ij (s_i s_j − 1)/2."""
    if kind == "qubo":
        model = read_quadratic_file(folder / f"{name}.qubo", lambda terms: QuadraticModel(*terms))
        family = qubo_bounds.family(name)
    else:
        model = _minus_cut(read_graph(folder / f"{name}.mc"))
        best_known, family = -best_known, triangle_bounds.family(name)
    return Problem(name, model, cut_problem(model), _in_dimods_form(model), best_known, family)


def _minus_cut(graph: Graph) -> QuadraticModel:
    n = graph.num_vertices
    terms = [
        (i, j, weight / 2)
        for (i, j), weight in zip(graph.ends.tolist(), graph.weights.tolist(), strict=True)
    ]
    terms.append((n, n, -float(graph.weights.sum()) / 2))
    return QuadraticModel.from_terms(range(n), terms, spin=True)


def _in_dimods_form(model: QuadraticModel) -> BinaryQuadraticModel:
    n = model.num_variables
    found = BinaryQuadraticModel("SPIN" if model.spin else "BINARY")
    found.add_linear_from((variable, 0.0) for variable in range(n))
    for (i, j), value in zip(np.sort(model.ends, axis=1).tolist(), model.values, strict=True):
        if i == n or (i == j and model.spin):
            found.offset += value
        elif j in (i, n):
            found.add_linear(i, value)
        else:
            found.add_quadratic(i, j, value)
    return found


@dataclass(frozen=True)
class Outcome:
    """The energy reached, and the processor seconds it took."""

    energy: float
    seconds: float


def outcome(cache: Cache, method: str, problem: Problem, seconds: float, seed: int) -> Outcome:
    """What a method reached, from the cache if it is known."""

    def measure() -> Outcome:
        started = now()
        energy = METHODS[method](problem, seconds, seed)
        return Outcome(energy, now().since(started).cpu)

    code = code_digest(search, searched) if method == OURS else version("dwave-samplers")
    return cache.outcome(Outcome, [code, method, problem.name, seconds, seed], measure)


def measure(effort: Effort) -> Report:
    """Every problem of the folder, with each of the numbers of seconds and all seeds."""
    if effort.biqmac is None:
        raise ValueError("biqmac is not given: the part quadratic needs the folder of its problems")
    with (effort.biqmac / "best_known.csv").open(encoding="utf-8") as file:
        rows = [
            (row["instance"], row["kind"], float(row["best_known"])) for row in csv.DictReader(file)
        ]
    if effort.quick:
        rows = [row for row in rows if row[0] in QUICK]
    problems = [read_problem(effort.biqmac, *row) for row in rows]
    budgets, seeds = (SECONDS[:1], 1) if effort.quick else (SECONDS, SEEDS)
    report, cache = Report(), Cache(effort.cache)
    for seconds in budgets:
        _compare(report, cache, problems, seconds, seeds)
    return report


def _compare(
    report: Report, cache: Cache, problems: list[Problem], seconds: float, seeds: int
) -> None:
    """One table for a number of seconds: the mean gap to the best known energy over the seeds."""
    gaps: dict[str, list[float]] = {method: [] for method in METHODS}
    rows: list[Row] = []
    for problem in problems:
        row: dict[str, float | str | bool | None] = {
            "problem": problem.name,
            "best known": f"{problem.best_known:.10g}",
        }
        for method in METHODS:
            found = [outcome(cache, method, problem, seconds, seed) for seed in range(seeds)]
            energies = np.array([each.energy for each in found])
            gap = float(energies.mean() - problem.best_known) / abs(problem.best_known)
            gaps[method].append(gap)
            reached = int((energies <= problem.enough).sum())
            row |= {method: f"{energies.mean():.10g}", f"{method}, reached": f"{reached}/{seeds}"}
            row |= {f"{method}, CPU s": float(np.mean([each.seconds for each in found]))}
        rows.append(row)
    title = f"{seconds:g} processor seconds, mean of {seeds} seeds"
    of_problems = np.array([problem.family for problem in problems])
    families = sorted(set(of_problems.tolist()))
    means = {
        method: np.array([np.array(gap)[of_problems == family].mean() for family in families])
        for method, gap in gaps.items()
    }
    report.tables[f"{FAMILIES}, {seconds:g} s"] = [
        {"family": family, "problems": int((of_problems == family).sum())}
        | {method: float(mean[number]) for method, mean in means.items()}
        for number, family in enumerate(families)
    ]
    report.tables[f"energies of the Biq Mac library, {title}"] = rows
    report.tables[f"mean gap to the best known energy, {title}"] = [
        {"method": name, "mean": float(np.mean(each)), "largest": max(each)}
        for name, each in gaps.items()
    ]
    for name in list(METHODS)[1:]:
        worse = [
            problem.name
            for problem, ours, theirs in zip(problems, gaps[OURS], gaps[name], strict=True)
            if ours > theirs + 1e-12
        ]
        statement = f"Biq Mac, {seconds:g} s: problems on which {name} has a lower mean energy"
        report.targets.append(Target(statement, "≤", 0, len(worse)))
        report.notes.append(f"{seconds:g} s, {name} is better on: {', '.join(worse) or 'none'}")
        behind = int((means[OURS] > means[name]).sum())
        statement = f"Biq Mac, {seconds:g} s: families on which {name} has a lower mean gap"
        report.targets.append(Target(statement, "≤", 0, behind))
    report.panels.append(
        Panel(
            series={method: 1 + mean[:, None] for method, mean in means.items()},
            x=families,
            x_label="",
            y_label="1 + mean gap relative to the best known energy",
            title=f"The Biq Mac library, {seconds:g} s each",
            log_y=False,
            repetition="rounds",
        )
    )
