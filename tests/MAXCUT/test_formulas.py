"""MAX-2-SAT and MAX-DICUT: the model counts, and the bound is above every assignment."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT import formulas
from MAXCUT.formulas import maximum_2_sat, maximum_dicut
from tests.MAXCUT.quadratic_models import assignments

pytestmark = pytest.mark.usefixtures("few_steps")
FEW = settings(max_examples=8, derandomize=True, database=None, deadline=None)
LITERAL = st.integers(-10, 10).filter(bool)
CLAUSE = st.one_of(st.tuples(LITERAL), st.tuples(LITERAL, LITERAL))


def satisfied(clauses: list, weights: list, assignment: Any) -> float:
    return sum(
        weight
        for clause, weight in zip(clauses, weights, strict=True)
        if any(assignment[abs(literal)] == (literal > 0) for literal in clause)
    )


@FEW
@given(st.lists(st.tuples(CLAUSE, st.integers(1, 9)), max_size=30))
def test_formulas_of_up_to_ten_variables(weighted: list) -> None:
    clauses, weights = [clause for clause, _ in weighted], [weight for _, weight in weighted]
    found = maximum_2_sat(clauses, weights=weights, num_variables=10)
    assert found.value == satisfied(clauses, weights, found.assignment)
    every = (dict(enumerate(row, start=1)) for row in assignments(10, spin=False).tolist())
    optimum = max(satisfied(clauses, weights, assignment) for assignment in every)
    assert found.value <= optimum <= found.upper_bound <= found.total_weight == sum(weights)
    assert not found.proven_optimal or found.value == optimum
    assert optimum * found.proven_ratio <= found.value + 1e-9


@FEW
@given(st.lists(st.tuples(*2 * [st.integers(0, 9)], st.integers(-3, 9)), max_size=30))
def test_directed_graphs_of_up_to_ten_vertices(arcs: list) -> None:
    found = maximum_dicut(arcs)

    def leaving(side: Any) -> int:
        return sum(w for u, v, w in arcs if side[u] and not side[v])

    assert found.value == leaving(found.assignment)
    labels = list(found.assignment)
    every = assignments(len(labels), spin=False).tolist()
    optimum = max(leaving(dict(zip(labels, row, strict=True))) for row in every)
    assert found.value <= optimum <= found.upper_bound
    assert not found.proven_optimal or found.value == optimum


def test_a_graph_of_networkx_is_cut_by_its_directions() -> None:
    graph = nx.DiGraph([("a", "b", {"w": 2}), ("b", "a", {"w": 5}), ("b", "c")])
    found = maximum_dicut(graph, weight="w")
    assert found.assignment == {"a": 0, "b": 1, "c": 0}
    assert (found.value, found.upper_bound, found.total_weight) == (6, 6, 8)
    assert found.proven_ratio == 1


def test_all_clauses_that_hold_are_proven_to_be_the_most() -> None:
    # The relaxation alone gives a bound of 31.
    clauses, weights = [(-6,), (-5,), (10, 1), (-7,), (-6, -2), (3, 4)], [6, 3, 6, 9, 4, 2]
    found = maximum_2_sat(clauses, weights=weights)
    assert found.value == found.upper_bound == sum(weights)
    assert found.proven_optimal
    assert found.solution.bound_proof == "coefficients"


def test_without_clauses_everything_holds() -> None:
    found = maximum_2_sat([], num_variables=2)
    assert (found.value, found.upper_bound, found.proven_optimal) == (0, 0, True)
    assert set(found.assignment) == {1, 2}
    assert maximum_dicut([]).assignment == {}


@pytest.mark.parametrize(
    ("clauses", "options", "reason"),
    [
        ([(1, 2, 3)], {}, r"the clause \(1, 2, 3\) must be a tuple of one or two literals"),
        ([()], {}, r"the clause \(\) must be a tuple of one or two literals"),
        ([7], {}, "the clause 7 must be a tuple"),
        ([(1, 0)], {}, "has the literal 0: it must be an integer other than 0"),
        ([(1.5,)], {}, "has the literal 1.5: it must be"),
        ([(True,)], {}, "has the literal True: it must be"),
        ([(1,)], {"weights": [0.0]}, "weights has 0.0: each must be a finite number above 0"),
        ([(1,)], {"weights": [np.nan]}, "weights is nan: it must be a finite number"),
        ([(1,)], {"weights": [1.0, 1.0]}, "weights has 2 numbers for 1 clauses"),
        ([(1, -4)], {"num_variables": 3}, "num_variables is 3: a clause names the variable 4"),
    ],
)
def test_what_is_no_formula(clauses: Any, options: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        maximum_2_sat(clauses, **options)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (nx.path_graph(3), "the graph is not directed: its edges must have directions"),
        (["ab"], "the arc 'ab' is no tuple"),
        ([([1], 2)], r"the arc \(\[1\], 2\) has the label \[1\]: it must be hashable"),
        ([("a", "b", "x")], "the weight of the edge 'a' – 'b' is 'x': it must be a finite"),
    ],
)
def test_what_is_no_directed_graph(graph: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        maximum_dicut(graph)


@pytest.mark.parametrize("values", [None, 5, {7: 3}, "ab"])
def test_what_is_no_list(values: object) -> None:
    with pytest.raises(ValueError, match=f"weights is a {type(values).__name__}: it must be a l"):
        formulas._listed("weights", values)


def test_a_target_is_a_weight_that_is_reached() -> None:
    generator = np.random.default_rng(0)
    literals = generator.choice([-1, 1], (150, 2)) * generator.integers(1, 31, (150, 2))
    clauses = list(map(tuple, literals.tolist()))
    reached = maximum_2_sat(clauses, target=100)
    assert reached.solution.stopped_by == "target"
    assert reached.value >= 100
    assert maximum_2_sat(clauses, target=150).solution.stopped_by is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"clauses": [(2**70,)]}, "a literal is 1180591620717411303424: it must lie between 1 and"),
        ({"num_variables": -1}, "num_variables is -1: it must be at least 0"),
        ({"target": float("nan")}, "target is nan: it must be a finite number"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        maximum_2_sat(**{"clauses": [(1, 2)], **options})
