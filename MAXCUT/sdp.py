"""Goemans and Williamson's relaxation, its bound on every cut, and rounding by hyperplanes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Float
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import aslinearoperator, splu

from derandomization.eigenvalues import smallest_eigenvalue
from derandomization.laboratory.checkpoints import Checkpoints, Content, Slot
from derandomization.laboratory.workers import storable
from MAXCUT.graph import Graph, Signs, Vectors

# inf over θ of (θ/π) / ((1 − cos θ)/2): the guarantee of Goemans & Williamson 1995.
GUARANTEED_RATIO = 0.87856
MAX_SWEEPS = 5_000
# The descent ends at a sweep that gains less than n² times this, as a mean over the vertices of
# what each gains relative to d_i.
RELATIVE_GAIN = 2e-18
SMALLEST_GAIN = 1e-16  # an eigenvalue's error is about its root
# Optimal solutions of the G-set have ranks of 8 to 18. Beyond n = 264 spurious points may exist.
# With 24 a Barabási–Albert graph of 50 000 vertices keeps a gap of 0.24%, with n^(1/3) of 0.08%.
MAX_RANK = 24
# Singular directions below this fraction of the largest hold 1e-12 of ‖V‖²: the solver's error.
RANK_TOLERANCE = 1e-6
# The number of groups that move at once is this times √(mean degree).
GROUPS = 3
# A dense product of n² entries takes less time than a sparse one of n²/8 + 5 000.
DENSE_RATIO, DENSE_ENTRIES = 8, 40_000
# Up to this size a dense eigensolver takes 2 s; up to the next, a dense factorization does.
DENSE_VERTICES, DENSE_FACTOR = 1_500, 4_000
# A sparse factorization is tried if, in the order of Cuthill and McKee, it took fewer operations.
MAX_OPERATIONS = 2.5e10
# Lanczos: the error of the normalised eigenvalue, and the probability that it is larger.
LANCZOS_ERROR, LANCZOS_FAILURE = 1e-5, 1e-9
# The vectors of Lanczos span an invariant subspace if a step leaves less than this of a product.
INVARIANT = 1e-12
SPREAD = 4.0  # the eigenvalues of a matrix that is scaled by d_i lie between −2 and 2
DRAWS = 100  # hyperplanes that are tried together
MAX_DRAWS = 2_000
# The fraction of Σ|w| by which rounding errors may move the hyperplanes' mean: where two vectors
# are parallel, arccos turns an error of 1e-16 into one of 1e-8.
MEAN_TOLERANCE = 1e-7
BLOCK = 2**14  # edges whose vectors fit into the cache
EPS = float(np.finfo(float).eps)

Matrix: TypeAlias = np.ndarray | scipy.sparse.csr_array
# What a bound rests on: the sum of the positive weights; all eigenvalues, by a dense solver; a
# factorization with positive pivots; Lanczos from a random vector; or, in ``triangle``, all
# eigenvalues and multipliers of triangle inequalities.
BoundProof: TypeAlias = Literal["weights", "eigenvalues", "factorization", "Lanczos", "triangles"]


@dataclass(frozen=True)
class SdpSolution:
    """Unit vectors, the value of the relaxation, and the bound on every cut.

    Attributes:
        vectors, value: V and Σ w_ij (1 − v_i·v_j)/2.
        upper_bound: no cut has a larger value. It is the smaller of the dual bound and the sum of
            the positive weights, rounded down if all weights are integers (``rounded_down``).
        bound_proof: what ``upper_bound`` rests on. "Lanczos", only above 4 000 vertices, holds with
            probability one over its random start vector: the bound is wrong for at most one in 10⁹
            of them.
    """

    vectors: Vectors
    value: float
    upper_bound: float
    bound_proof: BoundProof = "eigenvalues"


def solve_sdp(
    graph: Graph,
    rng: np.random.Generator,
    *,
    progress: Callable[[int, float], None] | None = None,
    stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
) -> SdpSolution:
    """Maximise Σ w_ij (1 − v_i·v_j)/2 over unit vectors in R^r.

    r is min(⌈√(2n)⌉ + 1, 24) up to 24³ vertices and ⌈n^(1/3)⌉ beyond.

    Coordinate descent sets v_i ← −g_i/‖g_i‖ with g_i = Σ_j w_ij v_j. The vertices of a random group
    move at once, along −g_i + s_i v_i where s_i is the sum of |w_ij| over the group: this never
    raises the energy. Nesterov's momentum is reset whenever the value falls. A sweep costs
    O(edges · r), or a dense product where the graph is dense. What a vertex gains counts relative
    to d_i = Σ_j |w_ij|, so that a heavy edge does not end the descent of the other vertices.

    Args:
        graph: any weights.
        rng: draws the first vectors and the groups.
        progress: called after each sweep with its number, from 0, and the value.
        stop: the descent ends at the first sweep after which it returns True. The bound is then
            computed in less time and is less tight.
        checkpoints: where the vectors between two sweeps and the solution are stored.

    References:
        Goemans & Williamson 1995; Wang, Chang, Kolter 2017 (arXiv 1706.00476), the Mixing method;
        Boumal, Voroninski, Bandeira 2016, on the rank; O'Donoghue, Candès 2015, on the resets.
    """
    slot = checkpoints.slot("relaxation") if checkpoints else None
    if checkpoints and slot:
        if found := slot.restored(stored_solution):
            return found
        with checkpoints.deferring_signals():
            vectors = _descend(graph, rng, progress, stop, slot)
    else:
        vectors = _descend(graph, rng, progress, stop, None)
    solution = _bounded(graph, _compressed(vectors), stop)
    if checkpoints and slot:
        keep_solution(slot, solution)
        checkpoints.write()
    return solution


def keep_solution(slot: Slot, solution: SdpSolution) -> None:
    """Hand the solution to the next checkpoint."""
    slot.keep({"solution": storable(asdict(solution))})


def stored_solution(content: Content) -> SdpSolution | None:
    """The solution in a checkpoint; None if it holds the vectors between two sweeps."""
    if "solution" not in content:
        return None
    kept = content["solution"]
    return SdpSolution(**{**kept, "vectors": np.asarray(kept["vectors"])})


def _bounded(graph: Graph, vectors: Vectors, stop: Callable[[], bool] | None) -> SdpSolution:
    """The solution with these vectors: its value and its bound."""
    duals = _duals(graph, vectors)
    value = (math.fsum(graph.weights) + math.fsum(duals) / 2) / 2
    bound, proof = bound_of_duals(graph, duals, stop)
    positive = math.fsum(graph.weights[graph.weights > 0])
    if positive <= bound:
        bound, proof = positive, "weights"
    return SdpSolution(vectors, value, max(rounded_down(graph, bound), 0.0), proof)


def _descend(
    graph: Graph,
    rng: np.random.Generator,
    progress: Callable[[int, float], None] | None,
    stop: Callable[[], bool] | None,
    slot: Slot | None,
) -> Vectors:
    n = graph.num_vertices
    rank = min(math.ceil(math.sqrt(2 * n)) + 1, max(MAX_RANK, math.ceil(n ** (1 / 3))))
    order, groups = _groups(graph, rng)
    degrees = _weighted_degrees(graph)[order]
    half = float(graph.weights.sum()) / 2
    vectors = _normalized(rng.standard_normal((n, rank)))
    previous, energy, streak = vectors, math.inf, 0  # energy: Σ_ij A_ij v_i·v_j
    first = 0
    if slot and (kept := slot.restored(_stored_sweep)):
        first, vectors, previous, energy, streak = kept
    rounding = EPS * float(degrees.sum())
    smallest = max(RELATIVE_GAIN * n**2, SMALLEST_GAIN)
    for sweep in range(first, MAX_SWEEPS):
        ahead = _normalized(vectors + streak / (streak + 3) * (vectors - previous))
        previous, vectors = vectors, ahead
        gain = 0.0
        for rows, block, shift in groups:
            old = vectors[rows].copy()
            pull = shift * old - block @ vectors
            length = np.sqrt(np.einsum("ij,ij->i", pull, pull))[:, None]
            new = np.divide(pull, length, out=old.copy(), where=length > 0)
            move = new - old
            gain += float(length[:, 0] @ np.einsum("ij,ij->i", move, move)) / 2
            vectors[rows] = new
        last, energy = energy, 0.0
        for rows, block, _ in groups:
            inner = np.einsum("ij,ij->i", vectors[rows], block @ vectors)
            energy += float(degrees[rows] @ inner)
        if progress:
            progress(sweep, half - energy / 4)
        if (sweep and gain <= smallest * n) or (stop and stop()):
            break
        streak = streak + 1 if energy <= last + rounding else 0
        if slot:
            state = (sweep + 1, vectors, previous, energy, streak)
            slot.keep_if_due(partial(_sweep_content, state))
    found = np.empty_like(vectors)
    found[order] = vectors
    return found


# The next sweep, the vectors before it and before the last one, the energy and the streak.
_Sweep: TypeAlias = tuple[int, np.ndarray, np.ndarray, float, int]


def _sweep_content(state: _Sweep) -> Content:
    return {"sweep": storable(state)}


def _stored_sweep(content: Content) -> _Sweep:
    first, vectors, previous, energy, streak = content["sweep"]
    return int(first), np.asarray(vectors), np.asarray(previous), float(energy), int(streak)


def _groups(
    graph: Graph, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[slice, Matrix, np.ndarray]]]:
    """An order of the vertices in which each group is a slice; that slice, rows and s/d of each.

    The rows are those of D⁻¹A in that order.
    """
    n = graph.num_vertices
    count = min(n, math.ceil(GROUPS * math.sqrt(2 * len(graph.weights) / n)) + 1)
    group = rng.permutation(n) % count
    order = np.argsort(group, kind="stable")
    root = scipy.sparse.diags_array(1 / np.sqrt(_weighted_degrees(graph)))
    rows = (root @ (root @ graph.adjacency())).tocsr()
    rows = _in_fastest_form(rows[order][:, order].tocsr())
    ends = np.cumsum(np.bincount(group, minlength=count))
    groups = []
    for start, end in zip(np.append(0, ends), ends, strict=False):
        members = slice(int(start), int(end))
        block = rows[members]
        groups.append((members, block, abs(block[:, members]).sum(axis=1)[:, None]))
    return order, groups


def _weighted_degrees(graph: Graph) -> Float[np.ndarray, " vertices"]:
    """d_i = Σ_j |w_ij|, and 1 for a vertex without edges."""
    degrees = graph.weighted_degrees()
    return np.where(degrees > 0, degrees, 1.0)


def _in_fastest_form(matrix: scipy.sparse.csr_array) -> Matrix:
    entries = matrix.shape[0] * matrix.shape[1]
    return matrix.toarray() if entries <= DENSE_RATIO * matrix.nnz + DENSE_ENTRIES else matrix


def dual_bound(graph: Graph, vectors: Vectors) -> float:
    """An upper bound on every cut: Σw/2 + Σ_i (y_i − m·d_i)/4 with y_i = −(AV)_i·v_i.

    m is the smallest eigenvalue of D^(−1/2)(A + diag y)D^(−1/2), d_i = Σ_j |w_ij|. The bound holds
    for any V, since xᵀAx = xᵀ(A + diag y)x − Σy ≥ m·Σd − Σy for every x in {±1}^n. It is tight at
    the SDP's solution. Above 1 500 vertices it may rest on Lanczos: see ``SdpSolution``.
    """
    return bound_of_duals(graph, _duals(graph, vectors))[0]


def rounded_down(graph: Graph, bound: float) -> float:
    """The largest number up to ``bound`` that a cut may be worth, as far as divisibility tells.

    If all weights are integers, each cut is a multiple of ``graph.cut_divisor()``.
    """
    divisor = graph.cut_divisor()
    return float(divisor * math.floor(bound / divisor)) if divisor else float(bound)


def _duals(graph: Graph, vectors: Vectors) -> Float[np.ndarray, " vertices"]:
    return -np.einsum("ij,ij->i", vectors, graph.adjacency() @ vectors)


def bound_of_duals(
    graph: Graph,
    duals: Float[np.ndarray, " vertices"],
    stop: Callable[[], bool] | None = None,
) -> tuple[float, BoundProof]:
    """``dual_bound`` for any y, and what it rests on."""
    if (graph.weights <= 0).all():
        return 0.0, "weights"  # the empty cut is optimal
    degrees = _weighted_degrees(graph)
    bound, proof = _scaled_bound(graph, duals, degrees, stop)
    if graph.num_vertices <= DENSE_VERTICES and not (stop and stop()):
        # Tighter where a heavy edge would be charged for the error of the others.
        bound = min(bound, _scaled_bound(graph, duals, np.ones_like(degrees), stop)[0])
    return bound, proof


def _scaled_bound(
    graph: Graph,
    duals: Float[np.ndarray, " vertices"],
    scales: Float[np.ndarray, " vertices"],
    stop: Callable[[], bool] | None,
) -> tuple[float, BoundProof]:
    """``dual_bound`` with any positive numbers instead of d."""
    root = scipy.sparse.diags_array(1 / np.sqrt(scales))
    adjacency = (root @ graph.adjacency() @ root).tocsr()
    isolated = np.diff(adjacency.indptr) == 0
    duals = np.where(isolated, 1.0, duals / scales)
    matrix = (adjacency + scipy.sparse.diags_array(duals)).tocsr()
    smallest, proof = _smallest_eigenvalue(matrix, stop)
    # Each entry of the matrix has a relative error of three roundings.
    smallest -= 4 * EPS * float(abs(matrix).sum(axis=1).max())
    terms = np.where(isolated, 0.0, scales * (duals - smallest))
    size = math.fsum(np.abs(graph.weights)) + math.fsum(np.abs(terms))
    bound = math.fsum(graph.weights) / 2 + math.fsum(terms) / 4
    return bound + 4 * EPS * size, proof


def _smallest_eigenvalue(
    matrix: scipy.sparse.csr_array, stop: Callable[[], bool] | None
) -> tuple[float, BoundProof]:
    """A lower bound on the smallest eigenvalue, and why it is one."""
    n = matrix.shape[0]
    fastest = _in_fastest_form(matrix)
    if n <= DENSE_VERTICES:
        found = smallest_eigenvalue(aslinearoperator(fastest), tolerance=0, dense_size=n)
        return found.lower_end, "eigenvalues"
    hurry = stop is not None and stop()
    factors = not hurry and _can_be_factored(matrix)
    error = LANCZOS_ERROR * (100 if hurry else 10 if factors else 1)
    ritz, uncertainty = _smallest_ritz_value(fastest, error)
    if not factors:
        return ritz - uncertainty, "Lanczos"
    gap = uncertainty / 100  # most often Lanczos is closer than what is certain
    while gap < SPREAD and not _is_positive_definite(
        matrix + (gap - ritz) * scipy.sparse.eye_array(n)
    ):
        gap *= 10
    return ritz - gap - _hidden_by_rounding(matrix), "factorization"


def _smallest_ritz_value(matrix: Matrix, error: float) -> tuple[float, float]:
    """Lanczos' estimate of the smallest eigenvalue, which is too large by at most ``uncertainty``.

    The start vector is uniform on the sphere. Lanczos on σI − M from such a vector misses the
    largest eigenvalue by a relative ε with a probability of at most 1.648√n·exp(−√ε(2k − 1)) after
    k steps, whatever the eigenvalues are.

    References:
        Kuczyński, Woźniakowski, *Estimating the largest eigenvalue by the power and Lanczos
        algorithms with a random start*, SIAM J. Matrix Anal. Appl. 13 (1992).
    """
    n = matrix.shape[0]
    log = math.log(1.648 * math.sqrt(n) / LANCZOS_FAILURE)
    steps = math.ceil(log / (2 * math.sqrt(error))) + 1
    diagonal, beside = np.array(list(islice(_lanczos(matrix), steps))).T
    ritz = scipy.linalg.eigh_tridiagonal(
        diagonal, beside[:-1], eigvals_only=True, select="i", select_range=(0, 0)
    )[0]
    largest = float(abs(matrix).sum(axis=1).max())  # at least the largest eigenvalue
    relative = (log / (2 * steps - 1)) ** 2 if len(diagonal) == steps else INVARIANT
    return float(ritz), float((largest - ritz) * relative / (1 - relative))


def _lanczos(matrix: Matrix) -> Iterator[tuple[float, float]]:
    """The entries of Lanczos' tridiagonal matrix, on and beside its diagonal, row by row.

    The basis is neither kept nor made orthogonal again: this repeats eigenvalues, and moves the
    smallest by no more than rounding errors.
    """
    start = np.random.default_rng(0).standard_normal((matrix.shape[0], 1))
    vector = _normalized(start.T)[0]
    before, length = np.zeros_like(vector), 0.0
    while True:
        image = matrix @ vector - length * before
        projection = float(vector @ image)
        image -= projection * vector
        length = float(np.linalg.norm(image))
        yield projection, length
        if length < INVARIANT:
            return
        before, vector = vector, image / length


def _can_be_factored(matrix: scipy.sparse.csr_array) -> bool:
    """Whether a factorization takes seconds and some hundred MB: a dense one, or a sparse one."""
    n = matrix.shape[0]
    if n <= DENSE_FACTOR:
        return True
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    first = np.minimum.reduceat(position[matrix.indices], matrix.indptr[:-1])
    width = position - np.minimum(first, position)
    return float(np.square(width, dtype=float).sum()) <= MAX_OPERATIONS


def _hidden_by_rounding(matrix: scipy.sparse.csr_array) -> float:
    """The largest −λ_min that the rounding errors of a successful factorization may hide.

    References:
        Rump, *Verification of positive definiteness*, BIT Numerical Mathematics 46 (2006).
    """
    return matrix.shape[0] * EPS * float(np.abs(matrix.diagonal()).sum())


def _is_positive_definite(matrix: scipy.sparse.csr_array) -> bool:
    """Whether elimination without exchanging rows meets positive pivots only."""
    if matrix.shape[0] <= DENSE_FACTOR:
        try:
            scipy.linalg.cholesky(matrix.toarray(), lower=True, overwrite_a=True)
        except np.linalg.LinAlgError:
            return False
        return True
    try:
        factors = splu(
            matrix.tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
    except RuntimeError:  # a pivot is 0
        return False
    in_order = np.array_equal(factors.perm_r, factors.perm_c)
    return bool(in_order and (factors.U.diagonal() > 0).all())


def hyperplane_expectation(graph: Graph, vectors: Vectors) -> float:
    """Σ w_ij arccos(v_i·v_j)/π: the exact mean of Goemans–Williamson rounding."""
    angles = np.empty(len(graph.weights))
    for start in range(0, len(angles), BLOCK):
        i, j = graph.ends[start : start + BLOCK].T
        inner = np.einsum("ij,ij->i", vectors[i], vectors[j])
        angles[start : start + BLOCK] = np.arccos(inner.clip(-1, 1))
    return float(graph.weights @ angles / np.pi)


def hyperplane_cuts(
    graph: Graph, vectors: Vectors, num_hyperplanes: int, rng: np.random.Generator
) -> Float[np.ndarray, " hyperplanes"]:
    """The values of the cuts sign(Vz) for many z ~ N(0, I)."""
    return sample_hyperplanes(graph, vectors, num_hyperplanes, rng)[0]


def sample_hyperplanes(
    graph: Graph, vectors: Vectors, num_hyperplanes: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " hyperplanes"], Signs]:
    """The values of the cuts sign(Vz) for many z ~ N(0, I), and the best of the cuts."""
    found, best, highest = [], np.ones(graph.num_vertices), -math.inf
    for start in range(0, num_hyperplanes, DRAWS):
        signs, values = _drawn(graph, vectors, min(DRAWS, num_hyperplanes - start), rng)
        found.append(values)
        if values.max() > highest:
            best, highest = signs[:, values.argmax()].copy(), values.max()
    return np.concatenate(found), best


def good_hyperplane(graph: Graph, vectors: Vectors, rng: np.random.Generator) -> Signs:
    """The best sign(Vz) of 100 random z, or of as many more as it takes to reach the mean.

    After 2 000 draws that have not reached it, the best of them.
    """
    enough = hyperplane_expectation(graph, vectors)
    enough -= MEAN_TOLERANCE * float(np.abs(graph.weights).sum())
    best, highest = np.ones(graph.num_vertices), -math.inf
    for _ in range(0, MAX_DRAWS, DRAWS):
        signs, values = _drawn(graph, vectors, DRAWS, rng)
        if values.max() > highest:
            best, highest = signs[:, values.argmax()].copy(), values.max()
        if highest >= enough:
            break
    return best


def _drawn(
    graph: Graph, vectors: Vectors, count: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "vertices cuts"], Float[np.ndarray, " cuts"]]:
    """The cuts x = sign(Vz) of random z, and their values (Σw − xᵀAx/2)/2."""
    signs = np.where(vectors @ rng.standard_normal((count, vectors.shape[1])).T >= 0, 1.0, -1.0)
    energies = np.einsum("ij,ij->j", signs, graph.adjacency() @ signs)
    return signs, (graph.weights.sum() - energies / 2) / 2


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _compressed(vectors: np.ndarray) -> np.ndarray:
    """Vectors with the same Gram matrix and as few columns as the numerical rank."""
    left, singular, _ = np.linalg.svd(vectors, full_matrices=False)
    kept = singular > RANK_TOLERANCE * singular[0]
    return _normalized(left[:, kept] * singular[kept])
