"""Quadratic functions of bits and spins: the cut is the function, and the bound is below it."""

import itertools
import math
from fractions import Fraction

import dimod
import networkx as nx
import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from MAXCUT.formulas import maximum_2_sat, maximum_dicut
from MAXCUT.graph import Graph
from MAXCUT.quadratic import QuadraticModel, exact_sum, qubo_model
from MAXCUT.qubo import cut_problem, minimize, minimize_ising, minimize_qubo
from MAXCUT.sdp import solve_sdp
from MAXCUT.utilities import minimum_energy
from tests.MAXCUT.quadratic_models import (
    FLOATS,
    INTEGERS,
    NASTY,
    Drawn,
    assignments,
    built,
    drawn_models,
    energies,
)

pytestmark = pytest.mark.usefixtures("few_steps")
PROFILE = settings(max_examples=40, derandomize=True, database=None, deadline=None)
FEW = settings(PROFILE, max_examples=12)


def cut_energies(model: QuadraticModel) -> list[Fraction]:
    problem = cut_problem(model)
    bits = assignments(model.num_variables, spin=False)
    signs = np.column_stack([np.where(bits == 1, 1.0, -1.0), np.ones(len(bits))])
    cuts = map(Fraction, np.atleast_1d(problem.graph.cut_value(signs)).tolist())
    return [problem.base - problem.unit * cut for cut in cuts]


@PROFILE
@given(drawn_models(INTEGERS))
def test_every_cut_of_integers_is_the_energy_exactly(drawn: Drawn) -> None:
    model = built(drawn)
    assert cut_problem(model).rounding == 0
    assert cut_energies(model) == energies(model)


@PROFILE
@given(st.one_of(drawn_models(FLOATS, most=5), drawn_models(NASTY, most=5)))
def test_every_cut_is_the_energy_up_to_the_rounding_that_is_charged(drawn: Drawn) -> None:
    model = built(drawn)
    problem = cut_problem(model)
    allowed = problem.unit * Fraction(problem.rounding)
    for cut, energy in zip(cut_energies(model), energies(model), strict=True):
        assert abs(cut - energy) <= allowed
    total = exact_sum(np.abs(model.values))
    assert allowed <= Fraction(1e-13) * total


def test_integers_are_exact_up_to_2_to_the_53() -> None:
    most = 2.0**53 - 1
    spins = QuadraticModel.from_terms("ab", [(0, 1, most)], spin=True)
    assert cut_problem(spins).rounding == 0
    assert energies(spins) == cut_energies(spins)
    beyond = QuadraticModel.from_terms("ab", [(0, 1, most), (0, 2, 2.0)], spin=True)
    assert cut_problem(beyond).rounding > 0


@PROFILE
@given(st.one_of(drawn_models(INTEGERS), drawn_models(FLOATS, most=6), drawn_models(NASTY, most=4)))
def test_the_lower_bound_of_the_relaxation_is_below_every_energy(drawn: Drawn) -> None:
    model = built(drawn)
    problem = cut_problem(model)
    if len(problem.graph.weights):
        bound = solve_sdp(problem.graph, np.random.default_rng(0)).upper_bound
        assert problem.lower_bound(bound) <= min(energies(model))


@FEW
@example((1, [(0, 0, 1e300), (0, 1, 1.0)], True), False)  # an energy that rounds
@given(
    st.one_of(drawn_models(INTEGERS), drawn_models(FLOATS), drawn_models(NASTY, most=5)),
    st.booleans(),
)
def test_what_is_returned_is_within_its_bounds(drawn: Drawn, spin: bool) -> None:
    model = built(drawn)
    solution = minimize(model, spin=spin)
    every = energies(model)
    found = np.array(list(solution.assignment.values()), dtype=np.int64)
    assert set(found.tolist()) <= ({-1, 1} if spin else {0, 1})
    bits = (found == 1).astype(np.int64)
    assert solution.energy == model.energy(2 * bits - 1 if model.spin else bits)
    total = float(np.abs(model.values).sum())
    lowest, highest = min(every), max(every)
    assert solution.lower_bound <= lowest <= Fraction(solution.energy) + Fraction(total) * 2**-52
    assert solution.energy <= solution.expected_energy + 1e-6 * total
    assert solution.highest_energy <= float(highest)
    if solution.proven_optimal:
        assert solution.energy - float(lowest) <= 1e-12 * total
    if highest > lowest:
        exact = model.exact_energy(2 * bits - 1 if model.spin else bits)
        true = (exact - lowest) / (highest - lowest)
        assert float(true) <= solution.gap_in_range + 1e-12
        assert solution.gap_in_range <= 1


def test_small_models_are_solved() -> None:
    rng = np.random.default_rng(0)
    matrix = np.triu(rng.integers(-9, 10, (10, 10)))
    solution = minimize_qubo(matrix, restarts=1)
    every = assignments(10, spin=False)
    assert solution.energy == min(np.einsum("ki,ij,kj->k", every, matrix, every))
    assert solution.certificate is not None
    assert solution.stopped_by is None


def test_the_convention_of_bits() -> None:
    # −x_a − x_b + 3 x_a x_b is 0, −1, −1 and 1.
    forms = [
        {("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 3},
        {("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 1, ("b", "a"): 2},
        np.array([[-1, 3], [0, -1]]),
        np.array([[-1, 1.5], [1.5, -1]]),
        scipy.sparse.csr_array([[-1, 0], [3, -1]]),
    ]
    for form in forms:
        solution = minimize_qubo(form)
        assert (solution.energy, solution.lower_bound) == (-1, -1)
        assert sorted(solution.assignment.values()) == [0, 1]
        assert solution.highest_energy == 1
        assert solution.proven_optimal


def test_the_convention_of_spins() -> None:
    for couplings in ({("a", "b"): 2}, {("a", "b"): 1, ("b", "a"): 1}):
        solution = minimize_ising({"a": 1}, couplings, offset=0.5)
        assert solution.assignment == {"a": -1, "b": 1}
        assert (solution.energy, solution.lower_bound) == (-2.5, -2.5)
    matrix = minimize_ising([1, 0], np.array([[7, 2], [0, 0]]))
    assert matrix.assignment == {0: -1, 1: 1}
    assert matrix.energy == 4  # s_0 s_0 = 1


def test_bits_and_spins_of_one_model_have_the_same_energies() -> None:
    spins = dimod.BinaryQuadraticModel({"a": 1, 7: -2}, {("a", 7): 3}, 0.25, "SPIN")
    bits = spins.change_vartype("BINARY", inplace=False)
    for model in (spins, bits):
        as_bits = minimize_qubo(model)
        as_spins = minimize_ising(model)
        assert as_bits.energy == as_spins.energy == -5.75
        assert as_bits.proven_optimal
        assert as_spins.assignment == {v: 2 * x - 1 for v, x in as_bits.assignment.items()}
        assert bits.energy(as_bits.assignment) == -5.75


@pytest.mark.parametrize(
    ("model", "energy"),
    [
        ({}, 0),
        (np.zeros((0, 0)), 0),
        (np.zeros((3, 3)), 0),
        (np.array([[5]]), 0),
        (np.array([[-5]]), -5),
        (np.diag([1, -2, 3, -4]), -6),
        (np.ones((4, 4), dtype=bool) * np.array(True), 0),
        (np.array([[100, 100], [100, -100]], dtype=np.int8), -100),
        (np.array([[0, 200], [200, 0]], dtype=np.uint8), 0),
        (np.array([[-0.5, 0.25]] * 2, dtype=np.float16), -0.5),
        (np.eye(2).view(np.matrix) * -1, -2),
        (scipy.sparse.coo_array(([-1, -1, 0], ([0, 0, 1], [0, 0, 1])), (2, 2)), -2),
        (np.diag([1e300, -1e300]), -1e300),
        (np.diag([1e-300, -1e-300]), -1e-300),
        (np.diag([1e300, -1e-300]), -1e-300),
        (np.diag([5e-324, -5e-324]), -5e-324),
        (np.diag([2**53, -(2**53)]), -(2**53)),
    ],
)
def test_models_at_the_edge(model: object, energy: float) -> None:
    solution = minimize_qubo(model)
    assert solution.energy == energy
    assert solution.lower_bound == energy
    assert solution.proven_optimal
    assert solution.gap == solution.relative_gap == solution.gap_in_range == 0


def test_a_dictionary_keeps_labels_of_any_kind() -> None:
    labels = ["a", 1, ("b", 2), frozenset({3}), None]
    coefficients = dict.fromkeys(zip(labels, labels, strict=True), -1)
    coefficients |= {("free", "free"): 0}
    solution = minimize_qubo(coefficients)
    assert {label: solution.assignment[label] for label in labels} == dict.fromkeys(labels, 1)
    assert "free" in solution.assignment
    assert solution.energy == -5


def test_offsets_far_larger_than_the_coefficients_are_kept() -> None:
    solution = minimize_ising({"a": 1}, {("a", "b"): 1}, offset=1e17)
    # The minimum is 1e17 − 2, between two floats.
    assert (solution.energy, solution.lower_bound, solution.gap) == (1e17, 1e17 - 16, 0)
    assert solution.proven_optimal


def test_several_assignments_are_different_and_best_first() -> None:
    matrix = np.triu(np.random.default_rng(1).integers(-5, 6, (8, 8)))
    solution = minimize_qubo(matrix, num_assignments=5)
    found = [(solution.assignment, solution.energy), *solution.other_assignments]
    assert len({tuple(each.values()) for each, _ in found}) == len(found) > 1
    assert [energy for _, energy in found] == sorted(energy for _, energy in found)
    for assignment, energy in found:
        x = np.array(list(assignment.values()))
        assert energy == x @ matrix @ x


def test_the_initial_assignment_is_not_lost_and_a_target_stops() -> None:
    rng = np.random.default_rng(0)
    matrix = np.triu(rng.integers(-9, 10, (60, 60)))
    good = minimize_qubo(matrix)
    again = minimize_qubo(matrix, initial=good.assignment)
    assert again.energy <= good.energy
    listed = list(good.assignment.values())
    stopped = minimize_qubo(matrix, initial=listed, target=good.energy)
    assert stopped.stopped_by == "target"
    assert stopped.energy <= good.energy
    spins = minimize_ising(None, matrix, initial=2 * np.array(listed) - 1)
    assert spins.energy <= (2 * np.array(listed) - 1) @ matrix @ (2 * np.array(listed) - 1)


@pytest.mark.parametrize(
    ("initial", "reason"),
    [
        ({0: 1}, "initial has no value for the variable 1"),
        ([1], "initial has 1 values for 2 variables"),
        ([1, 2], "initial: the value of 1 is 2: it must be 0 or 1"),
        ([1, math.nan], "initial: the value of 1 is nan: it must be 0 or 1"),
    ],
)
def test_an_initial_assignment_that_is_none(initial: object, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        minimize_qubo(np.array([[-1, 2], [0, -1]]), initial=initial)  # type: ignore[arg-type]


def test_the_gap_in_units_of_the_energy_and_of_its_range() -> None:
    matrix = np.triu(np.random.default_rng(0).choice([-1, 1], (40, 40)))
    solution = minimize_qubo(matrix)
    assert solution.gap == solution.energy - solution.lower_bound > 0
    assert solution.relative_gap == solution.gap / -solution.energy
    seen = solution.highest_energy - solution.lower_bound
    assert solution.gap_in_range == solution.gap / seen < solution.relative_gap


def test_the_unit_of_cuts_divides_every_cut() -> None:
    for graph, unit in (
        (nx.cycle_graph(5), 2),
        (nx.path_graph(4), 1),
        (nx.complete_graph(5), 2),
        (nx.empty_graph(3), 0),
    ):
        found = Graph.from_networkx(graph)
        assert found.cut_divisor() == unit
        signs = 2.0 * assignments(found.num_vertices, spin=False) - 1
        cuts = np.atleast_1d(found.cut_value(signs)).astype(int)
        assert math.gcd(*cuts.tolist()) == unit


def test_the_minimum_of_enumeration_is_that_of_the_definition() -> None:
    for seed, spin in itertools.product(range(3), (False, True)):
        rng = np.random.default_rng(seed)
        terms = [(*rng.integers(0, 5, 2).tolist(), float(rng.integers(-5, 6))) for _ in range(9)]
        model = QuadraticModel.from_terms(range(4), terms, spin=spin)
        assert minimum_energy(model) == min(energies(model))


def test_coefficients_that_cancel_leave_the_smaller_ones() -> None:
    found = minimize_qubo({("a", "a"): 1e-20, ("a", "b"): 1, ("b", "a"): -1})
    assert (found.energy, found.proven_optimal) == (0, True)
    assert -1e-30 < found.lower_bound <= 0
    found = minimize_qubo({("a", "a"): -1e-20, ("a", "b"): 1, ("b", "a"): -1})
    assert (found.energy, found.assignment["a"], found.proven_optimal) == (-1e-20, 1, True)
    matrix = scipy.sparse.coo_array(([1, 1e-17, -1.0], ([0, 0, 0], [1, 1, 1])), shape=(2, 2))
    spins = minimize_ising(None, matrix)
    assert spins.lower_bound <= spins.energy == -1e-17


def test_coefficients_of_zero_leave_the_bound_exact() -> None:
    ends = np.array([[0, 1], [1, 2], [0, 2], [0, 3]])
    model = QuadraticModel(("a", "b", "c"), ends, np.array([1.0, 1, 1, 0]), True)
    found = minimize(model, spin=True)
    assert (found.energy, found.lower_bound, found.proven_optimal) == (-1, -1, True)


def test_an_offset_proves_nothing() -> None:
    couplings = {(0, 1): 0.1, (1, 2): 0.1, (0, 2): 0.1}
    plain, moved = (minimize_ising({}, couplings, offset=offset) for offset in (0.0, 1e12))
    assert plain.proven_optimal == moved.proven_optimal
    assert moved.gap_in_range == pytest.approx(plain.gap_in_range, rel=1e-3)
    assert 0 <= minimize_ising({}, couplings, offset=1e17).gap_in_range <= 1


@pytest.mark.parametrize("number", [np.int64(2**53 + 1), np.uint64(2**64 - 1), 2**53 + 1])
def test_an_integer_that_float64_lacks_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="float64 can't hold exactly"):
        minimize_qubo({(0, 0): number, (1, 1): -1})
    with pytest.raises(ValueError, match="float64 can't hold exactly"):
        maximum_2_sat([(1, 1)], weights=[number])
    with pytest.raises(ValueError, match="float64 can't hold exactly"):
        maximum_dicut([(0, 1, number)])


@pytest.mark.parametrize("coefficients", [{(0, 0): 0}, {(0, 0): -1, (0, 1): 2}])
@pytest.mark.parametrize(
    "options",
    [
        {"restarts": -1},
        {"time_limit": -1.0},
        {"target": math.nan},
        {"seed": -1},
        {"workers": 0},
        {"num_assignments": 0},
    ],
)
def test_a_constant_function_too_names_an_argument_that_is_out_of_range(
    coefficients: dict, options: dict
) -> None:
    ((name, _),) = options.items()
    with pytest.raises(ValueError, match=f"^{name} is "):
        minimize_qubo(coefficients, **options)


def test_triangle_inequalities_prove_the_minimum_of_a_frustrated_cycle() -> None:
    couplings = {(i, (i + 1) % 5): 1 + i / 10 for i in range(5)}
    relaxed = minimize_ising(None, couplings, restarts=1)
    tight = minimize_ising(None, couplings, restarts=1, bound="triangle")
    least = 1 - (1.1 + 1.2 + 1.3 + 1.4)  # one coupling, the weakest, is not satisfied
    assert relaxed.energy == tight.energy == pytest.approx(least)
    assert relaxed.lower_bound < least - 0.1
    assert not relaxed.proven_optimal
    assert tight.lower_bound == pytest.approx(least, abs=1e-3)
    assert tight.lower_bound <= tight.energy


def test_a_matrix_of_keys_is_a_matrix() -> None:
    keyed = scipy.sparse.dok_array((3, 3))
    keyed[2, 1], keyed[1, 1] = -1.0, 2.0
    assert minimize_qubo(keyed) == minimize_qubo(keyed.toarray())
    assert list(minimize_qubo(scipy.sparse.dok_array((3, 3))).assignment) == [0, 1, 2]
    assert minimize_ising(None, keyed) == minimize_ising(None, keyed.toarray())


@pytest.mark.parametrize("seed", range(3))
def test_the_smallest_energy_comes_first_where_cuts_are_rounded(seed: int) -> None:
    coefficients = {(0, 1): -1.0, (1, 2): 1e17}
    found = minimize_qubo(coefficients, seed=seed, num_assignments=8)
    energies = [found.energy, *(energy for _, energy in found.other_assignments)]
    assert energies == sorted(energies)
    assert energies[0] == -1.0
    kept = minimize_qubo(coefficients, seed=seed, initial={0: 1, 1: 1, 2: 0})
    assert (kept.energy, kept.proven_optimal) == (-1.0, True)


def test_terms_that_cancel_take_no_part() -> None:
    arcs = [(0, 1, 2.1), (0, 3, 2.1), (1, 0, 7.1), (1, 2, 5.1), (2, 1, 9.1), (2, 3, 3.1)]
    arcs += [(3, 1, 1.1)]
    plain, looped = maximum_dicut(arcs), maximum_dicut([*arcs, (0, 0, 1e17)])
    assert looped.value == plain.value == 16.4
    assert looped.solution.proven_optimal == plain.solution.proven_optimal
    assert looped.upper_bound == pytest.approx(plain.upper_bound)
    near, far = (maximum_dicut([(1, 1, w), (1, 2, 1), (3, 1, 0.1)]) for w in (1.0, 1e100))
    assert far.value == near.value == 1.0
    assert far.upper_bound == pytest.approx(near.upper_bound)


@pytest.mark.parametrize("target", [1e308, 10**400, math.inf])
def test_a_target_beyond_all_energies_stops_at_once(target: object) -> None:
    coefficients = {("a", "a"): -1e-10, ("a", "b"): 3e-10}
    assert minimize_qubo(coefficients, target=target).stopped_by == "target"
    assert minimize_qubo(coefficients, target=-target).stopped_by is None


@pytest.mark.parametrize("options", [{"time_limit": 10**400}, {"restarts": 10**400}])
def test_numbers_that_no_float_holds_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is 1000"):
        minimize_qubo({(0, 1): 1}, **options)


@PROFILE
@given(drawn_models(FLOATS))
def test_no_energy_that_is_told_is_below_the_smallest(drawn: Drawn) -> None:
    found = minimize(built(drawn), spin=False)
    assert found.lower_bound <= found.energy <= found.derandomized_energy
    assert found.energy <= found.expected_energy


@pytest.mark.parametrize("penalty", [1e9, 1e11, 1e12])
def test_large_penalties_do_not_make_an_assignment_optimal(penalty: float) -> None:
    """Exactly one of each three variables is 1; without restarts not every minimum is found."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        one_of_three = np.kron(np.eye(4), np.ones((3, 3)) - 2 * np.eye(3))
        model = qubo_model(rng.normal(size=(12, 12)) + penalty * one_of_three)
        found = minimize_qubo(model)
        if found.proven_optimal:
            assert found.energy == minimum_energy(model)
