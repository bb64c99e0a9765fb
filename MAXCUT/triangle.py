"""A tighter bound on every cut: the relaxation with triangle inequalities as cutting planes."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np
from jaxtyping import Float, Int

from MAXCUT.graph import Graph, Signs
from MAXCUT.sdp import EPS, SdpSolution, bound_of_duals, rounded_down
from MAXCUT.settings import Bound

# A round on a grid of 400 vertices takes 3 s, and 136 rounds followed; the time grows as n³.
MAX_VERTICES = 400
# The signs of X_ij, X_ik and X_jk in the four inequalities of a triangle.
SIGNS = np.array([[1, 1, 1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1]], dtype=float)
# Chosen on six Biq Mac instances. A penalty ten times as large takes twice as long;
# 15 to 30 iterations, and 5 or 10 inequalities per vertex, differ little.
PENALTY = 0.3  # σ is this times the mean of |u_i|, divided by n
ITERATIONS = 30  # of L-BFGS in a round
CORRECTIONS = 20  # that L-BFGS keeps
ADDED = 10  # at most this times n inequalities are added in a round
# An inequality is added if it is violated by more than this, which is halved after each round that
# adds fewer than n/2, down to the second number.
VIOLATION, SMALLEST_VIOLATION = 0.1, 1e-3
# An inequality is dropped if its slack is above the first and its multiplier below the second.
SLACK, MULTIPLIER = 0.02, 1e-9
# The rounds end if so many of them together closed less than this part of the gap to the cut.
PATIENCE, WORTHWHILE = 10, 0.02
MAX_ROUNDS = 300


@dataclass(frozen=True)
class Triangles:
    """Inequalities 1 + s·(X_ij, X_ik, X_jk) ≥ 0 with the signs s = ``SIGNS[kind]``.

    They hold for X = xxᵀ with x in {±1}^n, since two of three vertices are on the same side.

    Attributes:
        size: n.
        vertices: i < j < k.
        kinds: which of the four inequalities of a triangle.
    """

    size: int
    vertices: Int[np.ndarray, "inequalities 3"]
    kinds: Int[np.ndarray, " inequalities"]

    @classmethod
    def none(cls, size: int) -> "Triangles":
        return cls(size, np.empty((0, 3), dtype=np.int64), np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.kinds)

    @cached_property
    def pairs(self) -> Int[np.ndarray, "inequalities 3"]:
        """The positions of (i, j), (i, k) and (j, k) in a flat n×n matrix."""
        i, j, k = self.vertices.T
        return np.stack([i * self.size + j, i * self.size + k, j * self.size + k], axis=1)

    def slacks(self, gram: Float[np.ndarray, "size size"]) -> Float[np.ndarray, " inequalities"]:
        """1 + s·(X_ij, X_ik, X_jk), which is negative where X violates an inequality."""
        return 1 + np.einsum("ij,ij->i", SIGNS[self.kinds], gram.ravel()[self.pairs])

    def weighted_sum(
        self, multipliers: Float[np.ndarray, " inequalities"]
    ) -> Float[np.ndarray, "size size"]:
        """The upper triangular matrix G with Σ γ_t s_t·(X_ij, X_ik, X_jk) = Σ G_ij X_ij."""
        terms = SIGNS[self.kinds] * multipliers[:, None]
        total = np.bincount(self.pairs.ravel(), terms.ravel(), minlength=self.size**2)
        return total.astype(float).reshape(self.size, self.size)

    def kept(self, mask: np.ndarray) -> "Triangles":
        return Triangles(self.size, self.vertices[mask], self.kinds[mask])

    def new_in(self, others: "Triangles") -> "Triangles":
        """Those of ``others`` that are not among these."""
        return others.kept(~np.isin(others._keys(), self._keys()))

    def joined(self, others: "Triangles") -> "Triangles":
        vertices = np.concatenate([self.vertices, others.vertices])
        return Triangles(self.size, vertices, np.concatenate([self.kinds, others.kinds]))

    def _keys(self) -> Int[np.ndarray, " inequalities"]:
        i, j, k = self.vertices.T
        return ((i * self.size + j) * self.size + k) * len(SIGNS) + self.kinds


def violated_triangles(
    gram: Float[np.ndarray, "size size"], count: int, violation: float
) -> Triangles:
    """The ``count`` most violated of the 4·C(n, 3) inequalities, if violated by more than that.

    O(n³), by vectorised enumeration for one i at a time.
    """
    size = len(gram)
    vertices, kinds, found = [], [], []
    for i in range(size - 2):
        row, rest = gram[i, i + 1 :], gram[i + 1 :, i + 1 :]
        sums, differences = row[:, None] + row, row[:, None] - row
        # The smaller of each two inequalities that differ in the signs of X_ij and X_ik.
        for pair, slacks, terms in (
            (0, 1 + rest - np.abs(sums), sums),
            (2, 1 - rest - np.abs(differences), differences),
        ):
            j, k = np.nonzero(np.triu(slacks < -violation, 1))
            vertices.append(np.stack([np.full(len(j), i), j + i + 1, k + i + 1], axis=1))
            kinds.append(pair + (terms[j, k] > 0))
            found.append(slacks[j, k])
    if not found:
        return Triangles.none(size)
    slacks = np.concatenate(found)
    worst = np.argsort(slacks, kind="stable")[:count]
    return Triangles(size, np.concatenate(vertices)[worst], np.concatenate(kinds)[worst])


def triangle_bound(
    graph: Graph,
    triangles: Triangles,
    multipliers: Float[np.ndarray, " inequalities"],
    diagonal: Float[np.ndarray, " vertices"],
) -> float:
    """An upper bound on every cut, for any multipliers and any diagonal.

    For multipliers γ ≥ 0 (others count as 0) each cut x satisfies cut(x) ≤ cut(x) + Σ γ_t (1 +
    s_t·(x_i x_j, x_i x_k, x_j x_k)). The right-hand side is a number and the cut of x in a graph
    with the weights w' = w − 2G, which ``bound_of_duals`` bounds. Rounding errors are charged.

    Args:
        graph: the graph.
        triangles: the inequalities.
        multipliers: γ, in units of the weights.
        diagonal: u, in the same units. The bound is tight if γ and u are optimal for the dual:
            minimise Σw/2 + Σu + Σγ subject to −A/4 + (G + Gᵀ)/2 − diag u ⪯ 0.
    """
    multipliers = np.where(multipliers > 0, multipliers, 0.0)
    shift = 2 * triangles.weighted_sum(multipliers)
    terms = np.bincount(triangles.pairs.ravel(), minlength=1).max(initial=0)  # at most, at a pair
    i, j = np.triu_indices(graph.num_vertices, 1)
    ends = np.concatenate([graph.ends, np.stack([i, j], axis=1)])
    weights = np.concatenate([graph.weights, -shift[i, j]])
    shifted = Graph.from_edges(tuple(range(graph.num_vertices)), ends, weights)
    bound, _ = bound_of_duals(shifted, 4 * diagonal)
    added = math.fsum(multipliers) + math.fsum([*graph.weights, *-shifted.weights]) / 2
    size = math.fsum(np.abs(graph.weights)) + math.fsum(np.abs(shifted.weights))
    size += 6 * math.fsum(multipliers)
    return bound + added + (terms + 4) * EPS * (size + abs(bound))


def tighten(
    graph: Graph,
    solution: SdpSolution,
    signs: Signs,
    *,
    stop: Callable[[float], bool] | None = None,
) -> SdpSolution:
    """Return the solution with a bound that is smaller, or the same, by triangle inequalities.

    Each round adds the inequalities that X violates most and drops those that no longer matter.
    Then ITERATIONS steps of L-BFGS-B minimise the augmented Lagrangian over u and γ ≥ 0,

        Σu + Σγ + σ/2·‖[X + (−A/4 + (G + Gᵀ)/2 − diag u)/σ]₊‖²,

    where [·]₊ sets the negative eigenvalues to 0, and X becomes the matrix in the norm. So one
    eigenvalue decomposition is one step.

    Two pairs (u, γ) give a bound in each round: the one reached, and the same with γ_t = 0 unless
    the cut x satisfies inequality t with equality, and u such that x is an eigenvector for the
    eigenvalue 0. If the relaxation is tight, the second one is the value of the cut itself, up to
    rounding, as soon as the other eigenvalues are negative.

    Args:
        graph: of at most 400 vertices.
        solution: of the relaxation without triangle inequalities. Its vectors are kept.
        signs: the best cut known.
        stop: asked before each round, with the bound so far, whether to end.

    References:
        Barahona, Mahjoub 1986, on the inequalities; Helmberg, Rendl 1998, who add them to the
        relaxation; Rockafellar 1976, on augmented Lagrangians; Krislock, Malick, Roupin 2014
        (BiqCrunch), who minimise ‖[·]₊‖² by L-BFGS-B without X.
    """
    require_bound("triangle", graph.num_vertices)
    n = graph.num_vertices
    gram = solution.vectors @ solution.vectors.T
    form = -graph.adjacency().toarray() / 4
    diagonal = np.einsum("ij,ij->i", form, gram)
    scale = float(np.abs(diagonal).mean())  # above 0: the relaxation is worth more than Σw/2
    form, diagonal = form / scale, diagonal / scale
    triangles, multipliers, violation = Triangles.none(n), np.empty(0), VIOLATION
    lowest: list[float] = []  # the smallest bound of a round so far
    for _ in range(MAX_ROUNDS):
        if stop and stop(solution.upper_bound):
            break
        needed = (multipliers > MULTIPLIER) | (triangles.slacks(gram) < SLACK)
        triangles, multipliers = triangles.kept(needed), multipliers[needed]
        added = triangles.new_in(violated_triangles(gram, ADDED * n, violation))
        triangles = triangles.joined(added)
        multipliers = np.append(multipliers, np.zeros(len(added)))
        if 2 * len(added) < n:
            violation = max(violation / 2, SMALLEST_VIOLATION)
        diagonal, multipliers, gram = _step(form, triangles, multipliers, diagonal, gram)
        pairs = (multipliers, diagonal), _complementary(form, triangles, multipliers, signs)
        found = [triangle_bound(graph, triangles, scale * y, scale * u) for y, u in pairs]
        lowest.append(min([*found, *lowest[-1:]]))
        bound = max(rounded_down(graph, lowest[-1]), 0.0)
        if bound < solution.upper_bound:
            solution = replace(solution, upper_bound=bound, bound_proof="triangles")
        if len(lowest) > PATIENCE:
            gap = lowest[-1] - float(graph.cut_value(signs))
            if lowest[-1 - PATIENCE] - lowest[-1] < WORTHWHILE * gap:
                break
    return solution


def require_bound(bound: str, num_vertices: int) -> None:
    """Raise ``ValueError`` unless ``bound`` is known and can be computed for so many vertices."""
    if bound not in get_args(Bound):
        raise ValueError(f"bound is {bound!r}: it must be one of {', '.join(get_args(Bound))}")
    if bound == "triangle" and num_vertices > MAX_VERTICES:
        raise ValueError(
            f"bound is 'triangle' and the graph has {num_vertices} vertices: this bound is for at "
            f"most {MAX_VERTICES}, one more than a quadratic function has variables; use 'sdp'"
        )


def _step(
    form: Float[np.ndarray, "size size"],
    triangles: Triangles,
    multipliers: Float[np.ndarray, " inequalities"],
    diagonal: Float[np.ndarray, " size"],
    gram: Float[np.ndarray, "size size"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some iterations of L-BFGS-B on the augmented Lagrangian; return u, γ and the next X."""
    from scipy.optimize import minimize  # 0.1 s, which only this bound needs

    n = len(form)
    penalty = PENALTY / n

    def next_gram(point: np.ndarray) -> np.ndarray:
        matrix = gram + _with_multipliers(form, triangles, point[n:]) / penalty
        matrix[np.diag_indices(n)] -= point[:n] / penalty
        return _positive_part(matrix)

    def lagrangian(point: np.ndarray) -> tuple[float, np.ndarray]:
        following = next_gram(point)
        value = point.sum() + penalty / 2 * float(np.square(following).sum())
        slope = np.concatenate([1 - np.diag(following), triangles.slacks(following)])
        return value, slope

    found = minimize(
        lagrangian,
        np.concatenate([diagonal, multipliers]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None)] * n + [(0, None)] * len(multipliers),
        options={
            "maxiter": ITERATIONS,
            "maxfun": 2 * ITERATIONS,
            "maxcor": CORRECTIONS,
            "ftol": 0.0,
            "gtol": 1e-7,
        },
    )
    return found.x[:n], found.x[n:], next_gram(found.x)


def _with_multipliers(
    form: Float[np.ndarray, "size size"], triangles: Triangles, multipliers: np.ndarray
) -> Float[np.ndarray, "size size"]:
    half = triangles.weighted_sum(multipliers) / 2
    return form + half + half.T


def _positive_part(matrix: Float[np.ndarray, "size size"]) -> Float[np.ndarray, "size size"]:
    """The nearest positive semidefinite matrix."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    first = int(np.searchsorted(eigenvalues, 0.0))
    positive = vectors[:, first:]
    return (positive * eigenvalues[first:]) @ positive.T


def _complementary(
    form: Float[np.ndarray, "size size"],
    triangles: Triangles,
    multipliers: Float[np.ndarray, " inequalities"],
    signs: Signs,
) -> tuple[np.ndarray, np.ndarray]:
    """γ without the inequalities that the cut satisfies strictly, and u that fits the cut.

    That is, the cut is an eigenvector of −A/4 + (G + Gᵀ)/2 − diag u for the eigenvalue 0.
    """
    equal = triangles.slacks(np.outer(signs, signs)) < 1  # it is 0 or 4
    multipliers = np.where(equal, multipliers, 0.0)
    return multipliers, signs * (_with_multipliers(form, triangles, multipliers) @ signs)
