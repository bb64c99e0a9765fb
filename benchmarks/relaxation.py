"""The Goemans–Williamson SDP in four ways: ours, two conic solvers, Burer–Monteiro by L-BFGS."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cvxpy as cp
import networkx as nx
import numpy as np
from scipy.optimize import minimize

from benchmarks.measure import Turns, in_turn, ratio
from benchmarks.report import Effort, Report, Row
from derandomization.laboratory.figures import Panel
from MAXCUT.graph import Graph
from MAXCUT.sdp import MAX_RANK, dual_bound, solve_sdp

MEAN_DEGREE = 10
SIZES = (50, 100, 200, 500, 2_000, 10_000)
# A conic solver's time grows as n³ and more; clarabel's cone of n²/2 entries is a dense block.
LARGEST = {"cvxpy + SCS": 500, "cvxpy + clarabel": 200, "Burer–Monteiro, L-BFGS": 10_000}
LIMIT = 15.0  # seconds that a conic solver is given
PATIENCE = 5.0  # CPU seconds: what took longer is measured once
MAX_ITERATIONS = 20_000


@dataclass(frozen=True)
class Relaxed:
    """What a solver found: its value, and how it ended."""

    value: float
    status: str


def compare(report: Report, effort: Effort) -> None:
    """Add a table and a panel: seconds and distance from the proven bound, by size."""
    sizes = (20,) if effort.quick else SIZES
    rows: list[Row] = []
    seconds: dict[str, list[list[float]]] = {name: [] for name in ("ours", *LARGEST)}
    for n in sizes:
        graph = Graph.from_networkx(nx.gnm_random_graph(n, MEAN_DEGREE * n // 2, seed=0))
        solvers = {name: solver for name, solver in SOLVERS.items() if n <= LARGEST.get(name, n)}
        turns = in_turn(
            {name: partial(solver, graph) for name, solver in solvers.items()},
            effort.repeats,
            patience=PATIENCE,
        )
        # Not ``upper_bound``, which is rounded down where the weights are integers.
        upper = dual_bound(graph, solve_sdp(graph, np.random.default_rng(0)).vectors)
        rows += [_row(n, name, done, turns["ours"], upper) for name, done in turns.items()]
        for name, each in seconds.items():
            taken = [s.cpu for s in turns[name].seconds] if name in turns else []
            each.append(taken + [np.nan] * (effort.repeats - len(taken)))
    report.tables["the SDP of random graphs of mean degree 10; ratios are to ours"] = rows
    report.notes.append(
        "ours includes the dual bound and its eigenvalue; gap: (proven bound − value)/bound, "
        f"negative where a solver's matrix is not quite feasible; solvers stop after {LIMIT:g} s"
    )
    report.panels.append(
        Panel(
            series={name: np.array(each) for name, each in seconds.items()},
            x=sizes,
            x_label="vertices",
            y_label="CPU seconds",
            title="The SDP",
            log_x=True,
            repetition="rounds",
        )
    )


def _row(n: int, name: str, done: Turns, ours: Turns, upper: float) -> Row:
    found: Relaxed = done.outcomes[0]
    return {
        "n": n,
        "solver": name,
        "CPU s": done.cpu,
        **ratio(done.seconds, ours.seconds).row(),
        "gap": (upper - found.value) / upper,
        "status": found.status,
    }


def _ours(graph: Graph) -> Relaxed:
    return Relaxed(solve_sdp(graph, np.random.default_rng(0)).value, "proven")


def _conic(graph: Graph, name: str, limit: str) -> Relaxed:
    """The dual for clarabel, which is a tenth of the work there, the primal for SCS."""
    n, adjacency = graph.num_vertices, graph.adjacency().toarray()
    half = float(graph.weights.sum()) / 2
    if name == cp.CLARABEL:
        duals = cp.Variable(n)
        problem = cp.Problem(
            cp.Minimize(half + cp.sum(duals) / 4), [cp.diag(duals) + adjacency >> 0]
        )
    else:
        gram = cp.Variable((n, n), PSD=True)
        value = half - cp.sum(cp.multiply(adjacency, gram)) / 4
        problem = cp.Problem(cp.Maximize(value), [cp.diag(gram) == 1])
    with warnings.catch_warnings(action="ignore"):  # that it may be inaccurate: the status says so
        try:
            problem.solve(solver=name, **{limit: LIMIT})
        except cp.SolverError as problem_met:
            return Relaxed(np.nan, str(problem_met).split(".")[0])
    return Relaxed(float(problem.value), str(problem.status))


def _burer_monteiro(graph: Graph) -> Relaxed:
    """Rows normalised inside the objective, of our rank, by scipy's L-BFGS-B."""
    n, adjacency = graph.num_vertices, graph.adjacency()
    rank = min(int(np.ceil(np.sqrt(2 * n))) + 1, MAX_RANK)

    def energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rows = flat.reshape(n, rank)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        units = rows / length
        field = adjacency @ units
        pull = field - (field * units).sum(axis=1, keepdims=True) * units
        return float((units * field).sum()), (2 * pull / length).ravel()

    start = np.random.default_rng(0).standard_normal(n * rank)
    options = {"maxiter": MAX_ITERATIONS, "maxfun": MAX_ITERATIONS, "ftol": 1e-14, "gtol": 1e-7}
    found = minimize(energy, start, jac=True, method="L-BFGS-B", options=options)
    status = "converged" if found.success else "stopped"
    return Relaxed(float(graph.weights.sum()) / 2 - float(found.fun) / 4, status)


SOLVERS: dict[str, Callable[[Graph], Relaxed]] = {
    "ours": _ours,
    "cvxpy + SCS": partial(_conic, name=cp.SCS, limit="time_limit_secs"),
    "cvxpy + clarabel": partial(_conic, name=cp.CLARABEL, limit="time_limit"),
    "Burer–Monteiro, L-BFGS": _burer_monteiro,
}
