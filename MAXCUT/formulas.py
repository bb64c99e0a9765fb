"""MAX-2-SAT and MAX-DICUT: as many clauses or arcs as possible, with a proven upper bound."""

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral
from typing import Any

import networkx as nx
import numpy as np
from jaxtyping import Float

from derandomization.checks import require_between, require_whole
from derandomization.files.arrays import MAX_VERTICES
from derandomization.files.edges import EdgeList, WeightAttribute, edge_weight
from derandomization.files.formulas import Clauses
from MAXCUT.partition import proven_ratio
from MAXCUT.quadratic import QuadraticModel, exact_number, exact_sum
from MAXCUT.qubo import QuadraticSolution, minimize


@dataclass(frozen=True)
class MaximumSolution:
    """An assignment of bits, the weight it reaches, and a proven bound on every weight.

    Attributes:
        assignment: 0 or 1 for each variable of a formula, by its number, or for each vertex: 1 on
            the side from which arcs are counted.
        value: the weight of the clauses that hold, or of the arcs from side 1 to side 0.
        upper_bound: no assignment reaches more.
        total_weight: of all clauses or arcs.
        solution: of the quadratic function that was minimised, −value.
    """

    assignment: Mapping[Hashable, int] = field(repr=False)
    value: float
    upper_bound: float
    total_weight: float
    solution: QuadraticSolution

    @property
    def proven_optimal(self) -> bool:
        """Whether no assignment reaches more: ``QuadraticSolution.proven_optimal``."""
        return self.solution.proven_optimal

    @property
    def proven_ratio(self) -> float:
        """The value is at least this fraction of the maximum, between 0 and 1."""
        return 1.0 if self.proven_optimal else proven_ratio(self.value, self.upper_bound)


def maximum_2_sat(
    clauses: Iterable,
    *,
    weights: Sequence | np.ndarray | None = None,
    num_variables: int | None = None,
    target: float | None = None,
    **options: Any,
) -> MaximumSolution:
    """Find an assignment that satisfies as many clauses of one or two literals as possible.

    Args:
        clauses: tuples of one or two literals. A literal is the number of a variable, from 1 on, or
            minus that for its negation: (1, -2) is x₁ ∨ ¬x₂.
        weights: a positive number for each clause; 1 by default.
        num_variables: by default the largest number in a literal.
        target: stop as soon as clauses of at least this weight hold.
        options: those of ``minimize_qubo``: restarts, bound, time_limit, initial, seed, workers.

    Raises:
        ValueError: a clause is no such tuple, or a weight is not a positive finite number.

    References:
        Goemans & Williamson 1995: the mean of the random assignments that their relaxation gives is
        at least 0.878 of the optimum for weights that are not negative.
    """
    formula = _clauses(_listed("clauses", clauses), weights, num_variables)
    return _maximum(two_sat_model(formula), formula.weights, target, options)


def maximum_dicut(
    graph: Iterable, *, weight: str = "weight", target: float | None = None, **options: Any
) -> MaximumSolution:
    """Find a set of vertices from which as much weight as possible leads out.

    Args:
        graph: a directed graph of networkx, or arcs (u, v) or (u, v, weight). Parallel arcs add.
        weight: networkx's attribute that holds an arc's weight; the weight is 1 without it.
        target: stop as soon as at least this weight leads out.
        options: those of ``minimize_qubo``: restarts, bound, time_limit, initial, seed, workers.

    Raises:
        ValueError: the graph is not directed, or a weight is not a finite number.
    """
    arcs = _arcs(graph, weight)
    return _maximum(dicut_model(arcs), arcs.weights, target, options)


def _maximum(
    model: QuadraticModel,
    weights: Float[np.ndarray, " weights"],
    target: float | None,
    options: dict[str, Any],
) -> MaximumSolution:
    target = None if target is None else -exact_number("target", target)
    least = least_energy(weights)
    solution = minimize(model, spin=False, least=least, target=target, **options)
    return maximum_solution(solution, weights)


def least_energy(weights: Float[np.ndarray, " weights"]) -> Fraction:
    """Minus the weight of all clauses or arcs that add to the value: no energy is below."""
    return -exact_sum(np.maximum(weights, 0))


def maximum_solution(
    solution: QuadraticSolution, weights: Float[np.ndarray, " weights"]
) -> MaximumSolution:
    """The maximum of which minus the weight was minimised, among these weights."""
    total = float(exact_sum(weights))
    value, bound = 0.0 - solution.energy, 0.0 - solution.lower_bound  # never −0
    return MaximumSolution(solution.assignment, value, bound, total, solution)


def two_sat_model(formula: Clauses) -> QuadraticModel:
    """Minus the weight of the clauses that hold, as a quadratic function of bits.

    A clause fails where both its literals do. A literal x fails where 1 − x is 1, and ¬x where x
    is; the missing second literal of a clause of one always fails.
    """
    n = formula.num_variables
    literals, weights = formula.literals, formula.weights
    variables = np.where(literals == 0, n, np.abs(literals) - 1)
    constants = np.where(literals >= 0, 1.0, 0.0)
    slopes = -np.sign(literals).astype(float)
    (first, second), (c, d), (a, b) = variables.T, constants.T, slopes.T
    fixed = np.full(len(weights), n)
    ends = np.concatenate(
        [
            np.stack(pair, axis=1)
            for pair in ((first, second), (first, fixed), (second, fixed), (fixed, fixed))
        ]
    )
    values = np.concatenate([weights * each for each in (a * b, a * d, b * c, c * d - 1)])
    kept = values != 0
    return QuadraticModel(tuple(range(1, n + 1)), ends[kept], values[kept], spin=False)


def dicut_model(arcs: EdgeList) -> QuadraticModel:
    """Minus the weight of the arcs (u, v) with x_u = 1 and x_v = 0: Σ w (x_u x_v − x_u)."""
    n = len(arcs.labels)
    leaving = np.stack([arcs.ends[:, 0], np.full(len(arcs.ends), n)], axis=1)
    ends = np.concatenate([arcs.ends, leaving]).astype(np.int64)
    values = np.concatenate([arcs.weights, -arcs.weights])
    return QuadraticModel(tuple(arcs.labels), ends[values != 0], values[values != 0], spin=False)


def _clauses(
    clauses: list,
    weights: Sequence | np.ndarray | None,
    num_variables: int | None,
) -> Clauses:
    for clause in clauses:
        if not isinstance(clause, tuple | list) or len(clause) not in (1, 2):
            raise ValueError(f"the clause {clause!r} must be a tuple of one or two literals")
        for literal in clause:
            if isinstance(literal, bool) or not isinstance(literal, Integral) or literal == 0:
                found = f"the clause {clause!r} has the literal {literal!r}"
                raise ValueError(f"{found}: it must be an integer other than 0")
            require_between("a literal", abs(int(literal)), 1, MAX_VERTICES)
    pairs = np.array([(*clause, 0)[:2] for clause in clauses], dtype=np.int64).reshape(-1, 2)
    if weights is None:
        weights = np.ones(len(clauses))
    listed = _listed("weights", weights)
    sizes = np.array([exact_number("weights", each) for each in listed], dtype=np.float64)
    if len(sizes) != len(clauses):
        raise ValueError(f"weights has {len(sizes)} numbers for {len(clauses)} clauses")
    if not (sizes > 0).all():
        raise ValueError(f"weights has {sizes.min()}: each must be a finite number above 0")
    largest = int(np.abs(pairs).max(initial=0))
    if num_variables is not None:
        num_variables = require_whole("num_variables", num_variables, 0)
    if num_variables is not None and num_variables < largest:
        raise ValueError(f"num_variables is {num_variables}: a clause names the variable {largest}")
    return Clauses(largest if num_variables is None else num_variables, pairs, sizes)


def _listed(name: str, values: object) -> list:
    if isinstance(values, Mapping | str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is a {type(values).__name__}: it must be a list")
    return list(values)


def _arcs(graph: Iterable, weight: str) -> EdgeList:
    """The arcs of a graph of networkx or of a list."""
    index: dict[Hashable, int] = {}
    if isinstance(graph, nx.Graph):
        if not graph.is_directed():
            raise ValueError("the graph is not directed: its edges must have directions")
        index.update((node, i) for i, node in enumerate(graph))
        attribute = WeightAttribute(weight)
        listed = [(u, v, attribute.of(data)) for u, v, data in graph.edges(data=True)]
        if reason := attribute.warning():
            warnings.warn(reason, stacklevel=3)
    else:
        listed = []
        for arc in _listed("graph", graph):
            if not isinstance(arc, tuple) or len(arc) not in (2, 3):
                raise ValueError(f"the arc {arc!r} is no tuple (u, v) or (u, v, weight)")
            listed.append((*arc, 1.0)[:3])
    ends, weights = [], []
    for u, v, value in listed:
        for label in (u, v):
            if not isinstance(label, Hashable):
                raise ValueError(
                    f"the arc ({u!r}, {v!r}) has the label {label!r}: it must be hashable"
                )
        ends.append([index.setdefault(label, len(index)) for label in (u, v)])
        if isinstance(value, Integral):
            exact_number(f"the weight of the arc ({u!r}, {v!r})", value)
        weights.append(edge_weight(value, u, v))
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(index), pairs, np.array(weights, dtype=np.float64))
