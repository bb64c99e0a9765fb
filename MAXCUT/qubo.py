"""Minimise a quadratic function of bits or of signs, with a proven lower bound on the minimum.

Such a function is a cut of a graph with one more vertex: a linear term is an edge to a vertex that
stands for a variable fixed at 1.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Rational, Real
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from derandomization import Certificate
from derandomization.checks import MAX_EXACT, nearest_float, require_between, require_whole
from MAXCUT.graph import Graph, Signs
from MAXCUT.limits import StopReason
from MAXCUT.partition import (
    MAX_CUTS,
    Partition,
    checked_options,
    derandomized_cut,
)
from MAXCUT.quadratic import (
    QuadraticModel,
    Values,
    exact_sum,
    ising_model,
    qubo_model,
)
from MAXCUT.search import one_flip_optimum
from MAXCUT.settings import Bound
from MAXCUT.triangle import require_bound

Assignment: TypeAlias = Mapping[Hashable, int]
UNIT_ROUNDOFF = 2.0**-53
MOST_ROUNDINGS = 4  # between an optimal energy and its bound


@dataclass(frozen=True)
class QuadraticSolution:
    """An assignment of a quadratic function, and proven bounds on the minimum.

    Attributes:
        assignment: 0 or 1 (``minimize_ising``: −1 or +1) for each variable, by label.
        energy: the function there, correctly rounded.
        lower_bound: no assignment has a smaller energy; rounded down.
        gap: the energy is at most this much above the minimum. It is computed before energy and
            bound are rounded.
        bound_proof: how the bound was proven: "coefficients" if it is the sum of all that can be
            negative, else as in ``Partition.bound_proof``.
        proven_optimal: whether no assignment has a smaller energy. If the coefficients are no
            multiples of a common unit, it means: smaller by more than four times what rounding may
            add to the bound, about 1e-13 of their absolute sum without constants.
        expected_energy: the exact mean over Goemans and Williamson's random hyperplanes.
        derandomized_energy: where the first descent ended, to which Theorem 5.2 applies. ``energy``
            is the smallest of all energies that were computed.
        highest_energy: the largest energy that was seen, from a descent of −energy by single
            flips. The energies range at least from ``energy`` to this one.
        energy_range: ``highest_energy`` − ``lower_bound``, computed before both are rounded.
        stopped_by: which limit ended the computation; None if none did.
        certificate: of the point where the last descent ended; None if a time limit left no time,
            or if the function is constant.
        other_assignments: other assignments and their energies, best first, if
            ``num_assignments`` asked for them.
    """

    assignment: Assignment = field(repr=False)
    energy: float
    lower_bound: float
    gap: float
    bound_proof: str
    proven_optimal: bool
    expected_energy: float
    derandomized_energy: float
    highest_energy: float
    energy_range: float
    stopped_by: StopReason | None
    certificate: Certificate | None = field(repr=False)
    other_assignments: tuple[tuple[Assignment, float], ...] = field(default=(), repr=False)

    @property
    def relative_gap(self) -> float:
        """The gap relative to |energy|; infinite if only the energy is 0."""
        if self.gap == 0:
            return 0.0
        return self.gap / abs(self.energy) if self.energy else math.inf

    @property
    def gap_in_range(self) -> float:
        """The gap in units of ``energy_range``, between 0 and 1.

        (energy − minimum)/(maximum − minimum) is at most this: a lower minimum and a smaller
        maximum both raise the ratio.
        """
        return self.gap / self.energy_range if self.gap else 0.0


@dataclass(frozen=True)
class CutProblem:
    """A graph, the weight of whose cuts is (base − energy)/unit, up to ``rounding``.

    Attributes:
        graph: one vertex for each variable, and the last for the variable that is fixed at 1. A bit
            is 1, or a spin +1, if its vertex is on that vertex's side.
        base, unit: the energy where all variables are 1, and the energy of a cut of weight 1.
        rounding: no cut's weight has a larger error; 0 if all weights and their sums are exact.
    """

    graph: Graph
    base: Fraction
    unit: Fraction
    rounding: float

    def energy(self, cut_value: float) -> float:
        """The energy of a cut of this weight."""
        return float(self.base - self.unit * Fraction(cut_value))

    def lower_bound(self, upper_bound: float) -> Fraction:
        """The lower bound on the energies that an upper bound on the cuts gives."""
        largest = Fraction(upper_bound)
        if not self.rounding and (step := self.graph.cut_divisor()):
            largest = Fraction(largest // step * step)
        return self.base - self.unit * (largest + Fraction(self.rounding))

    def values(self, signs: Signs) -> Values:
        """1 for each variable on the side of the last vertex, and 0 for the others."""
        return (signs[:-1] == signs[-1]).astype(np.int64)


def cut_problem(model: QuadraticModel) -> CutProblem:
    """The cut problem with the same minimisers.

    With c_ij = 1 for variables on different sides, else 0, and the fixed variable n:
    s_i s_j = 1 − 2 c_ij for spins and x_i x_j = 1 − (c_in + c_jn + c_ij)/2 for bits.

    The weights are exact if the coefficients are multiples of a power of two u and their absolute
    sum, with quadratic terms of bits counted three times, is below 2^53 u: for integers that is
    u = 1 or larger. Else the largest is scaled to 1, and sums of weights are rounded.
    """
    kept = ~model.is_constant()
    ends = model.ends[kept]
    if not model.spin:  # x_i² = x_i
        square = ends[:, 0] == ends[:, 1]
        ends = np.stack([ends[:, 0], np.where(square, model.num_variables, ends[:, 1])], axis=1)
    ends, values, exact = _added(ends, model.values[kept])
    if model.spin:
        factor = Fraction(2)
    else:
        factor = Fraction(1, 2)
        fixed = np.full(len(ends), model.num_variables)
        pairs = [np.stack([end, fixed], axis=1) for end in ends.T]
        ends, values = np.concatenate([ends, *pairs]), np.tile(values, 3)
    loops = ends[:, 0] == ends[:, 1]
    ends, values = ends[~loops], values[~loops]
    weights, unit, rounding = _scaled(values, exact)
    labels = tuple(range(model.num_variables + 1))
    graph = Graph.from_edges(labels, ends, weights)
    if rounding:
        most = np.unique(np.sort(ends, axis=1), axis=0, return_counts=True)[1].max()
        rounding *= int(most)
    return CutProblem(graph, exact_sum(model.values), factor * unit, rounding)


def _added(
    ends: Int[np.ndarray, "terms 2"], values: Float[np.ndarray, " terms"]
) -> tuple[np.ndarray, np.ndarray, bool]:
    """One term for each pair, with the sum of its coefficients, and whether all sums are exact.

    The sums are correctly rounded, so terms that cancel leave no rounding error. Sums of 0 are
    left out.
    """
    pairs, which, counts = np.unique(
        np.sort(ends, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    order, stops = np.argsort(which, kind="stable"), np.cumsum(counts)
    sums = values[order[stops - counts]]
    two = counts == 2
    first, second = sums[two], values[order[stops[two] - 1]]
    sums[two] = first + second
    # What first + second rounds away (Knuth's TwoSum).
    part = sums[two] - first
    exact = bool(((first - (sums[two] - part)) + (second - part) == 0).all())
    for pair in np.flatnonzero(counts > 2).tolist():
        total = exact_sum(values[order[stops[pair] - counts[pair] : stops[pair]]])
        sums[pair] = float(total)
        exact = exact and Fraction(sums[pair]) == total
    return pairs[sums != 0], sums[sums != 0], exact


def _scaled(values: np.ndarray, exact: bool) -> tuple[np.ndarray, Fraction, float]:
    """The values over a power of two, that power, and the error of the sum of all if each rounds.

    They are integers whose sums are exact if possible, and the error is 0 if the values are
    ``exact`` as well.
    """
    if not len(values):
        return values, Fraction(1), 0.0
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    lowest = int((np.frexp((whole & -whole).astype(np.float64))[1] - 1 + exponents - 53).min())
    highest = int(exponents.max())
    if exact and highest - lowest <= 53:
        integers = np.ldexp(values, -lowest)
        if np.abs(integers).sum() < MAX_EXACT:
            return integers, Fraction(2) ** lowest, 0.0
    # Entries so small that they vanish are far below the error of the largest.
    scaled = np.ldexp(values, -highest)
    error = 3 * UNIT_ROUNDOFF * float(np.abs(scaled).sum())
    return scaled, Fraction(2) ** highest, error


def minimize_qubo(
    Q: object,  # noqa: N803 (the name in the literature)
    *,
    restarts: int = 0,
    num_assignments: int = 1,
    bound: Bound = "sdp",
    time_limit: float | None = None,
    target: float | None = None,
    initial: Assignment | Sequence | np.ndarray | None = None,
    seed: int | np.integer | np.random.Generator = 0,
    workers: int = 1,
) -> QuadraticSolution:
    """Minimise xᵀQx over x in {0, 1}^n, with a proven lower bound.

    Q_ij and Q_ji add, and Q_ii is the coefficient of x_i: {("a", "a"): -1, ("b", "b"): -1,
    ("a", "b"): 3} is −x_a − x_b + 3 x_a x_b, and its minimum is −1. The minimum of the same
    function as a matrix, [[-1, 3], [0, -1]] or [[-1, 1.5], [1.5, -1]], is at x = (1, 0) or (0, 1).

    Args:
        Q: a square matrix of numpy or scipy, a dictionary {(i, j): coefficient} with labels of any
            kind, or a ``dimod.BinaryQuadraticModel``, whose offset is kept. A model of spins s is
            solved as it is, and x = (s + 1)/2 is returned.
        restarts: searches for a better assignment (``derandomized_cut``); two find the best known
            minimum of all 33 instances of the Biq Mac library that were tried.
        num_assignments: how many different assignments to return, at most 1 000; there may be
            fewer.
        bound: "sdp" is the relaxation's bound; "triangle", for at most 399 variables, takes longer
            and closes more than half of the gap (``derandomized_cut``).
        time_limit: seconds after which the best assignment so far is returned.
        target: stop as soon as an energy is at most this.
        initial: an assignment to improve, by label or in the order of the variables.
        seed, workers: as for ``derandomized_cut``.

    Raises:
        ValueError: Q is of another kind, a coefficient is not finite or float64 can't hold it
            exactly, or an argument is out of range.
    """
    return minimize(
        qubo_model(Q),
        spin=False,
        restarts=restarts,
        num_assignments=num_assignments,
        bound=bound,
        time_limit=time_limit,
        target=target,
        initial=initial,
        seed=seed,
        workers=workers,
    )


def minimize_ising(
    h: object,
    J: object = None,  # noqa: N803 (the name in the literature)
    *,
    offset: float = 0.0,
    restarts: int = 0,
    num_assignments: int = 1,
    bound: Bound = "sdp",
    time_limit: float | None = None,
    target: float | None = None,
    initial: Assignment | Sequence | np.ndarray | None = None,
    seed: int | np.integer | np.random.Generator = 0,
    workers: int = 1,
) -> QuadraticSolution:
    """Minimise Σ h_i s_i + Σ J_ij s_i s_j + offset over s in {−1, +1}^n, with a proven lower bound.

    The sum is over all entries of J: J_ij and J_ji add, and J_ii is a constant. h = {"a": 1} and
    J = {("a", "b"): 2} is s_a + 2 s_a s_b, with its minimum −3 at s_a = −1, s_b = +1.

    Args:
        h: a dictionary {i: field}, a list of the fields, None, or a ``dimod.BinaryQuadraticModel``
            instead of both h and J.
        J: a dictionary {(i, j): coupling} or a square matrix.
        offset: is added to all energies.
        restarts, num_assignments, bound, time_limit, target, initial, seed, workers: as for
            ``minimize_qubo``; assignments are of −1 and +1.

    Raises:
        ValueError: as for ``minimize_qubo``.
    """
    return minimize(
        ising_model(h, J, offset),
        spin=True,
        restarts=restarts,
        num_assignments=num_assignments,
        bound=bound,
        time_limit=time_limit,
        target=target,
        initial=initial,
        seed=seed,
        workers=workers,
    )


def minimize(
    model: QuadraticModel,
    *,
    spin: bool,
    least: Fraction | None = None,
    target: float | None = None,
    initial: Assignment | Sequence | np.ndarray | None = None,
    num_assignments: int = 1,
    bound: Bound = "sdp",
    **options: Any,
) -> QuadraticSolution:
    """Minimise a model; its assignments are of −1 and +1 with ``spin``, else of 0 and 1.

    ``least`` is a number that no energy is below, if the caller knows one. The other arguments are
    those of ``minimize_qubo``.
    """
    num_assignments = require_whole("num_assignments", num_assignments, 1)
    require_between("num_assignments", num_assignments, 1, MAX_CUTS)
    require_bound(bound, model.num_variables + 1)
    problem = cut_problem(model)
    largest = None if target is None else _target_cut(problem, target)
    start = None if initial is None else _initial_bits(model, initial, spin=spin)
    if not len(problem.graph.weights):
        checked_options(**options)
        bits = np.zeros(model.num_variables, dtype=np.int64) if start is None else start
        return _constant(model, _labelled(model, bits, spin))
    partition = derandomized_cut(
        problem.graph,
        initial_cut=None if start is None else [*(1 - start).tolist(), 0],
        num_cuts=num_assignments,
        bound=bound,
        target=largest,
        **options,
    )
    trivial = _negative_sum(model)
    known = trivial if least is None else max(trivial, least)
    return _solution(model, problem, partition, known, spin, start)


def _constant(model: QuadraticModel, assignment: Assignment) -> QuadraticSolution:
    """The solution of a function that has the same value everywhere."""
    exact = model.exact_energy(np.ones(model.num_variables, dtype=np.int64))
    energy = float(exact)
    return QuadraticSolution(
        assignment=assignment,
        energy=energy,
        lower_bound=_rounded_down(exact),
        gap=0.0,
        bound_proof="coefficients",
        proven_optimal=True,
        expected_energy=energy,
        derandomized_energy=energy,
        highest_energy=energy,
        energy_range=0.0,
        stopped_by=None,
        certificate=None,
    )


def _solution(
    model: QuadraticModel,
    problem: CutProblem,
    partition: Partition,
    known: Fraction,
    spin: bool,
    start: Values | None,
) -> QuadraticSolution:
    """The solution that a cut gives; ``known`` is a bound that needs no cut."""
    n = model.num_variables
    found = [partition.sides, *(sides for sides, _ in partition.other_cuts)]
    assignments = [
        np.array([int(sides[i] == sides[n]) for i in range(n)], dtype=np.int64) for sides in found
    ]
    if start is not None and not any(np.array_equal(start, each) for each in assignments):
        assignments.append(start)
    # The weights of cuts are rounded, so that their order may be wrong.
    energies = [model.exact_energy(_domain(each, model.spin)) for each in assignments]
    order = sorted(range(len(energies)), key=energies.__getitem__)[: len(found)]
    bits, *others = (assignments[number] for number in order)
    exact, *other_energies = (energies[number] for number in order)
    lower, proof = problem.lower_bound(partition.upper_bound), partition.bound_proof
    if known >= lower:
        lower, proof = known, "coefficients"
    # The bound is lowered by what the weights of cuts may round; a tight one is this far below.
    tolerance = MOST_ROUNDINGS * float(problem.unit * Fraction(problem.rounding))
    lower = min(lower, exact)
    energy, gap = float(exact), float(exact - lower)
    highest = _highest_energy(model, problem, bits)
    return QuadraticSolution(
        assignment=_labelled(model, bits, spin),
        energy=energy,
        lower_bound=_rounded_down(lower),
        gap=gap,
        bound_proof=proof,
        proven_optimal=gap <= tolerance,
        # Of rounded cuts, so that they may come out below the smallest energy.
        expected_energy=max(energy, problem.energy(partition.goemans_williamson_mean)),
        derandomized_energy=max(energy, problem.energy(partition.derandomized_cut_value)),
        highest_energy=float(highest),
        energy_range=float(highest - lower),
        stopped_by=partition.stopped_by,
        certificate=partition.certificate,
        other_assignments=tuple(
            (_labelled(model, each, spin), float(other))
            for each, other in zip(others, other_energies, strict=True)
        ),
    )


def _negative_sum(model: QuadraticModel) -> Fraction:
    """The constant and all other terms at their smallest: a lower bound that needs no cut."""
    smallest = -np.abs(model.values) if model.spin else np.minimum(model.values, 0)
    return exact_sum(np.where(model.is_constant(), model.values, smallest))


def _highest_energy(model: QuadraticModel, problem: CutProblem, bits: Values) -> Fraction:
    """The larger energy of two assignments that no single flip raises."""
    graph = problem.graph
    opposite = Graph(graph.num_vertices, graph.ends, -graph.weights)
    flipped = np.append(np.where(bits == 1, -1.0, 1.0), 1.0)
    tops = [one_flip_optimum(opposite, start) for start in (np.ones(len(flipped)), flipped)]
    found = [problem.values(top) for top in tops]
    return max(model.exact_energy(_domain(each, model.spin)) for each in [*found, bits])


def _domain(bits: Values, spin: bool) -> Values:
    """The bits, or the spins 2·bits − 1."""
    return 2 * bits - 1 if spin else bits


def _labelled(model: QuadraticModel, bits: Values, spin: bool) -> dict[Hashable, int]:
    return dict(zip(model.labels, _domain(bits, spin).tolist(), strict=True))


def _initial_bits(model: QuadraticModel, initial: object, *, spin: bool) -> Values:
    """The bits of the caller's assignment; errors name ``initial``."""
    allowed = (-1, 1) if spin else (0, 1)
    if isinstance(initial, Mapping):
        missing = [label for label in model.labels if label not in initial]
        if missing:
            raise ValueError(f"initial has no value for the variable {missing[0]!r}")
        listed = [initial[label] for label in model.labels]
    elif isinstance(initial, Sequence | np.ndarray) and np.ndim(initial) == 1:
        listed = list(initial)
        if len(listed) != model.num_variables:
            count = f"{model.num_variables} variables"
            raise ValueError(f"initial has {len(listed)} values for {count}")
    else:
        raise ValueError(f"initial is {initial!r}: it must be a mapping or a list")
    for label, value in zip(model.labels, listed, strict=True):
        if not (isinstance(value, Real | np.bool_) and value in allowed):
            either = f"{allowed[0]} or {allowed[1]}"
            raise ValueError(f"initial: the value of {label!r} is {value!r}: it must be {either}")
    return np.array([int(value == 1) for value in listed], dtype=np.int64)


def _target_cut(problem: CutProblem, target: object) -> float:
    """The weight of a cut whose energy is the target."""
    if isinstance(target, bool) or not isinstance(target, Real):
        raise ValueError(f"target is {target!r}: it must be a number")
    if math.isinf(nearest_float("target", target)) and not isinstance(target, Rational):
        return -float(target)
    exact = Fraction(target if isinstance(target, Rational) else float(target))
    return nearest_float("target", (problem.base - exact) / problem.unit)


def _rounded_down(exact: Fraction) -> float:
    """The largest float that is at most the number."""
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, -math.inf)
