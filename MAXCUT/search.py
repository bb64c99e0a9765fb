"""Search for better cuts from the SDP's vectors; the paper has no such search.

Simulated bifurcation gives 16 cuts at a time, and parts of different cuts are combined. On small
graphs tabu search comes first.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from MAXCUT.graph import Graph, Signs, Vectors
from MAXCUT.tabu import tabu_search

# 64 000 moves take 0.04 s on 100 vertices, where they reach the best known value of 65 of 66
# Biq Mac problems, and 0.08 s on 500, where the rest is as fast. On 800 they only delay the rest.
MOST_TABU_VERTICES, NUM_TABU_CUTS, NUM_TABU_STEPS = 500, 64, 1_000
# Each family of cuts has its own rounds: one family alone ends in one basin, on grids above all.
NUM_ROUNDS, NUM_CUTS, NUM_STEPS = 4, 16, 400
# Graphs of few edges have more families, as they cost little: below 833 edges all 24.
FEWEST_FAMILIES, MOST_FAMILIES, FAMILIES_TIMES_EDGES = 4, 24, 20_000
# Rounds around the best cut of all families. Planar graphs need longer rounds than grids. Two
# searches of this length find cuts as good as one with twice the families and ten last rounds.
NUM_LAST_ROUNDS, NUM_LAST_CUTS, NUM_LAST_STEPS = 3, 32, 1_000
# Families are computed together up to this many oscillators; fewer do not fill a call of torch,
# and a product with 32 columns takes little more time than one with 16.
OSCILLATORS_TOGETHER = 2**16
# Half of the families start at this times v_i·z, the others at random.
HYPERPLANE_SCALE = 0.3
# Standard deviation of the noise on the best cut's signs; with 0.3 small graphs return to that cut.
NOISE = 1.0
# The pumps of a round are uniform between 0, which forgets the cut, and this.
HIGHEST_PUMP = 0.8
# The time step times the highest frequency, √(1 + ‖C·A‖). From 2 on, harmonic oscillators diverge.
RELATIVE_STEP = 1.4
POWER_ITERATIONS = 30
# Initial momenta, and random positions, are uniform between −this and this.
FIRST_MOMENTUM = 0.1
STEPS_BETWEEN_CHECKS = 4
# From this fraction of nonzero entries on, the product with the full matrix is faster.
DENSE = 0.25
# Gains up to this times the absolute weights that they sum are rounding errors.
PRECISION = 1e-13
# Weights whose absolute values differ by less than this fraction count as equal.
EQUAL_WEIGHTS = 1e-9
# Where weights differ, the heaviest edges alone link vertices to parts: between 4 and 1/8 of them
# per vertex. With at most 1 the heavy-tailed complete graphs of Biq Mac miss their optimum.
MOST_LINKS, FEWEST_LINKS = 4, 1 / 8
# Beyond this many vertices, parts of a dense graph that all edges form are not worth their time.
SMALL = 100
NUM_HALVINGS = 50  # of the largest weight, and of the number of links
MAX_SWEEPS = 50  # of a combination; it ends when no part gains, mostly after 2 or 3

Check = Callable[[], None]  # called now and then during long work, which it ends by raising


class _Stopped(Exception):  # noqa: N818 (not an error)
    """The caller wants no more."""


def _continue() -> None:
    """Let the work go on."""


def search(
    graph: Graph,
    vectors: Vectors,
    signs: Signs,
    seed: int,
    *,
    stop: Callable[[], bool] | None = None,
    on_cut: Callable[[Signs], None] | None = None,
) -> Signs:
    """Search around the cuts of random hyperplanes, around random cuts and around a given cut.

    Graphs of up to 500 vertices are first searched by tabu search from cuts of both kinds.

    Goemans and Williamson's random cut is sign(Vz). Here v_i·z is where the oscillator of vertex i
    starts, which leads to a better cut than its sign. Several families of cuts start so or at
    random and have their own rounds, each around the family's best cut. The families are combined,
    and the last rounds start around the best cut. The result is at least as good as ``signs``.

    A search costs 12 400 steps of O(16 · edges), and up to 44 400 if there are at most 4 000
    edges.

    Args:
        graph: The graph to cut.
        vectors: The SDP's vectors, of any rank from 1 on.
        signs: The cut that the search must not lose.
        seed: The same seed gives the same cut, unless ``stop`` ends the search.
        stop: Called every four steps, sixteen of tabu search, and between combinations. Once it
            returns true, the best cut so far is returned.
        on_cut: Called with each new best cut.
    """

    def check() -> None:
        if stop is not None and stop():
            raise _Stopped

    best, value = signs.copy(), graph.cut_value(signs)
    try:
        for cut in _improving_cuts(graph, vectors, signs, np.random.default_rng(seed), check):
            if (found := graph.cut_value(cut)) > value:
                best, value = cut, found
                if on_cut is not None:
                    on_cut(best.copy())
            check()
    except _Stopped:
        pass
    return best


def _improving_cuts(
    graph: Graph, vectors: Vectors, signs: Signs, rng: np.random.Generator, check: Check
) -> Iterator[Signs]:
    """The best cut of each family after each round, and of all of them after each last round."""
    check()
    n = graph.num_vertices
    if not len(graph.weights):
        return
    families = [signs, np.ones(n)]
    if n <= MOST_TABU_VERTICES:
        normals = rng.standard_normal((vectors.shape[1], NUM_TABU_CUTS // 2))
        random = rng.standard_normal((n, NUM_TABU_CUTS // 2))
        start = np.where(np.hstack([vectors @ normals, random]) >= 0, 1.0, -1.0).T
        found = tabu_search(graph, start, rng, num_steps=NUM_TABU_STEPS, check=check)
        families.append(combine_cuts(graph, found, check=check))
        yield families[-1]
    oscillators = Oscillators(graph)
    affordable = FAMILIES_TIMES_EDGES // len(graph.weights)
    num_families = int(np.clip(affordable, FEWEST_FAMILIES, MOST_FAMILIES))
    together = max(1, OSCILLATORS_TOGETHER // (NUM_CUTS * n))
    for first in range(0, num_families, together):
        family = np.repeat(np.arange(first, min(first + together, num_families)), NUM_CUTS)
        size = len(family) // NUM_CUTS
        normals = rng.standard_normal((vectors.shape[1], len(family)))
        random = rng.uniform(-FIRST_MOMENTUM, FIRST_MOMENTUM, (n, len(family)))
        start = np.where(family % 2, random, HYPERPLANE_SCALE * vectors @ normals)
        found = oscillators.cuts(
            start, np.zeros(len(family)), rng, num_steps=NUM_STEPS, check=check
        )
        group = [combine_cuts(graph, part, check=check) for part in np.split(found, size)]
        yield from group
        for _ in range(NUM_ROUNDS - 1):
            group = _round(
                graph, oscillators, group, rng, check, num_cuts=NUM_CUTS, num_steps=NUM_STEPS
            )
            yield from group
        families += group
    # A combination keeps to the basin of the cut that it starts from.
    every = np.array(families)
    best = combine_cuts(
        graph, np.array([_Mixture(graph, each).with_parts(every, check) for each in every])
    )
    yield best
    for _ in range(NUM_LAST_ROUNDS):
        (best,) = _round(
            graph,
            oscillators,
            [best],
            rng,
            check,
            num_cuts=NUM_LAST_CUTS,
            num_steps=NUM_LAST_STEPS,
        )
        yield best
    yield one_flip_optimum(graph, best)


def _round(
    graph: Graph,
    oscillators: "Oscillators",
    cuts: list[Signs],
    rng: np.random.Generator,
    check: Check,
    *,
    num_cuts: int,
    num_steps: int,
) -> list[Signs]:
    """Each cut, combined with ``num_cuts`` that oscillators find around it."""
    around = np.repeat(cuts, num_cuts, axis=0).T
    around = around + NOISE * rng.standard_normal(around.shape)
    pumps = rng.uniform(0, HIGHEST_PUMP, num_cuts * len(cuts))
    found = oscillators.cuts(around, pumps, rng, num_steps=num_steps, check=check)
    parts = np.split(found, len(cuts))
    return [
        combine_cuts(graph, np.vstack([cut, part]), check=check)
        for cut, part in zip(cuts, parts, strict=True)
    ]


class Oscillators:
    """Simulated bifurcation: one oscillator per vertex, pushed away from its neighbours' sides.

    A step costs O(edges · cuts), limited by memory traffic: 0.2 ms for 20 000 edges and 16 cuts.
    """

    def __init__(self, graph: Graph) -> None:
        adjacency = graph.adjacency()
        # C scales each row of A so that neighbours on random sides push by 1/2.
        field = np.sqrt(adjacency.multiply(adjacency).sum(axis=1))  # 0 for an isolated vertex
        scales = 0.5 / np.where(field > 0, field, np.inf)
        roots = scipy.sparse.diags_array(np.sqrt(scales))
        norm = _spectral_norm((roots @ adjacency @ roots).tocsr())  # that of C·A, but symmetric
        push = (scipy.sparse.diags_array(scales) @ adjacency).tocsr().astype(np.float32)
        dense = push.nnz >= DENSE * graph.num_vertices**2
        self.push = torch.from_numpy(push.toarray()) if dense else _sparse_tensor(push)  # C·A
        self.step = RELATIVE_STEP / (1 + norm) ** 0.5

    def cuts(
        self,
        positions: Float[np.ndarray, "vertices cuts"],
        pumps: Float[np.ndarray, " cuts"],
        rng: np.random.Generator,
        *,
        num_steps: int = NUM_LAST_STEPS,
        check: Check = _continue,
    ) -> Float[np.ndarray, "cuts vertices"]:
        """The signs of the final positions, +1 or −1; each column of ``positions`` gives one cut.

        ẏ = −(1 − a)x − C·A·sign(x) and ẋ = y, between walls at ±1 that absorb all momentum. While
        the pump a rises from ``pumps`` to 1, the spring weakens and each x settles on one side. The
        higher the pump, the closer a cut stays to its start.

        References:
            Goto et al., *High-performance combinatorial optimization based on classical
            mechanics*, Science Advances 7, eabe7953 (2021): the discrete variant. Scaling each
            vertex instead of all alike gains 0.1% where degrees differ.
        """
        x = torch.from_numpy(positions.clip(-1, 1).astype(np.float32))
        first = rng.uniform(-FIRST_MOMENTUM, FIRST_MOMENTUM, positions.shape)
        y = torch.from_numpy(first.astype(np.float32))
        spring = torch.from_numpy((1 - pumps).astype(np.float32))
        buffer = torch.empty_like(x)  # temporaries would take half of a step's time
        for step in range(num_steps):
            if step % STEPS_BETWEEN_CHECKS == 0:
                check()
            torch.sign(x, out=buffer)
            torch.addmm(y, self.push, buffer, alpha=-self.step, out=y)
            y.addcmul_(x, spring, value=-self.step * (1 - step / num_steps))
            x.add_(y, alpha=self.step)
            torch.clamp(x, -1, 1, out=buffer)
            y.mul_(x.eq_(buffer))  # times 1 between the walls, and 0 beyond
            x, buffer = buffer, x
        return np.where(x.numpy().T >= 0, 1.0, -1.0)


def _sparse_tensor(matrix: scipy.sparse.csr_array) -> Tensor:
    """The matrix as a tensor with indices of 32 bits, to which products would convert others."""
    starts, columns = (each.astype(np.int32) for each in (matrix.indptr, matrix.indices))
    starts, columns, entries = map(torch.from_numpy, (starts, columns, matrix.data))
    size = matrix.shape
    with warnings.catch_warnings(action="ignore"):  # torch warns that its sparse form is new
        return torch.sparse_csr_tensor(starts, columns, entries, size, check_invariants=False)


def _spectral_norm(matrix: scipy.sparse.csr_array) -> float:
    """A lower bound on the spectral norm of a symmetric matrix, by power iteration."""
    image = np.random.default_rng(0).standard_normal(matrix.shape[0])
    for _ in range(POWER_ITERATIONS):
        image = matrix @ (image / np.linalg.norm(image))
    return float(np.linalg.norm(image))


def combine_cuts(
    graph: Graph, cuts: Float[np.ndarray, "cuts vertices"], *, check: Check = _continue
) -> Signs:
    """The best of the cuts, improved by every part of the others that is better there.

    The vertices on which two cuts differ form connected parts, and so do those on which they agree,
    where the mirror image differs. No edge joins two parts of one kind, so what a part gains by
    changing sides does not depend on the others. Deciding each part alone finds the best of 2^parts
    cuts in O(edges). This is repeated with each cut until no part gains.

    In a dense graph all vertices are connected. Where weights differ, parts are also formed by the
    heaviest edges alone, for several numbers of them. Such parts share edges, so either all those
    that gain change sides or the best alone, whichever gains more. Gains count all edges.

    References:
        Tinós, Whitley, Chicano, *Partition Crossover for Pseudo-Boolean Optimization*, FOGA 2015.
    """
    return _Mixture(graph, cuts[graph.cut_value(cuts).argmax()]).with_parts(cuts, check)


class _Mixture:
    """A cut that takes parts of others, with what its edges and vertices gain by changing sides.

    An edge gains when one of its ends changes sides. The heaviest edges come first.
    """

    def __init__(self, graph: Graph, signs: Signs) -> None:
        sizes = np.abs(graph.weights)
        self._num_links = _numbers_of_links(sizes, graph.num_vertices)
        order = np.argsort(-sizes, kind="stable")
        self._i, self._j = np.ascontiguousarray(graph.ends[order].T)
        self._weights = graph.weights[order]
        self._num_vertices = graph.num_vertices
        self._errors = PRECISION * self._sums(sizes[order])
        self._set(signs)

    def with_parts(self, cuts: Float[np.ndarray, "cuts vertices"], check: Check) -> Signs:
        """The cut with parts of these cuts and their mirror images, until none gains."""
        distinct = {(cut * cut[:1]).astype(np.int8).tobytes(): cut for cut in cuts}
        idle = 0  # cuts since the last that had a better part
        for _ in range(MAX_SWEEPS):
            for cut in distinct.values():
                check()
                idle += 1
                while (moved := self._better_parts(self._signs != cut)) is not None:
                    idle = 0
                    self._set(np.where(moved, -self._signs, self._signs))
                if idle == len(distinct):
                    return self._signs
        return self._signs

    def _set(self, signs: Signs) -> None:
        self._signs = signs
        self._edge_gains = self._weights * signs[self._i] * signs[self._j]
        self._vertex_gains = self._sums(self._edge_gains)

    def _sums(self, values: Float[np.ndarray, " edges"]) -> Float[np.ndarray, " vertices"]:
        """For each vertex, the sum over its edges."""
        sums = np.zeros(self._num_vertices)
        for end in (self._i, self._j):
            sums += np.bincount(end, values, self._num_vertices)
        return sums

    def _better_parts(
        self, differs: Bool[np.ndarray, " vertices"]
    ) -> Bool[np.ndarray, " vertices"] | None:
        """The vertices that gain most by changing sides: several parts or one; None if no gain."""
        n, levels = self._num_vertices, len(self._num_links)
        alike = np.flatnonzero(differs[self._i] == differs[self._j])
        i, j, gains = self._i[alike], self._j[alike], self._edge_gains[alike]
        # One graph of a copy for each number of links: a call costs more than its work.
        links = [slice(stop) for stop in np.searchsorted(alike, self._num_links)]
        first, second = (
            np.concatenate([end[link] + n * level for level, link in enumerate(links)])
            for end in (i, j)
        )
        count, part = _components(n * levels, first, second)
        gain = np.bincount(part, np.tile(self._vertex_gains, levels), count)
        error = np.bincount(part, np.tile(self._errors, levels), count)
        part = part.reshape(levels, n)
        for row in part:
            inside = row[i] == row[j]
            gain -= 2 * np.bincount(row[i[inside]], gains[inside], count)
        better = gain > error
        if not better.any():
            return None
        moves = [(part == np.where(better, gain, 0).argmax()).any(axis=0)]
        for row in part[better[part].any(axis=1)]:
            moves += [better[row] & differs, better[row] & ~differs]
        values = [self._gain(moved) for moved in moves]
        return moves[int(np.argmax(values))] if max(values) > 0 else None

    def _gain(self, moved: Bool[np.ndarray, " vertices"]) -> float:
        return float(self._edge_gains[moved[self._i] != moved[self._j]].sum())


def _numbers_of_links(sizes: Float[np.ndarray, " edges"], num_vertices: int) -> list[int]:
    """How many of the heaviest edges form parts: all of them, and where sizes differ fewer too.

    The thresholds are quantiles, and the largest weight halved again and again. Each number is at
    most half of the one before. All edges of a large dense graph form one part and are left
    out.
    """
    if not len(sizes) or sizes.max() <= (1 + EQUAL_WEIGHTS) * sizes.min():
        return [len(sizes)]
    descending = np.sort(sizes)[::-1]
    halved = 0.5 ** np.arange(NUM_HALVINGS)
    most = min(MOST_LINKS * num_vertices, len(sizes) - 1)
    thresholds = np.concatenate([descending[(most * halved).astype(int)], descending[0] * halved])
    numbers = np.unique(np.searchsorted(-descending, -thresholds, side="right"))[::-1]
    connected = num_vertices > SMALL and 2 * len(sizes) > DENSE * num_vertices**2
    chosen = [] if connected else [len(sizes)]
    for number in numbers[(numbers >= FEWEST_LINKS * num_vertices) & (numbers <= most)]:
        if not chosen or 2 * number <= chosen[-1]:
            chosen.append(int(number))
    return chosen or [len(sizes)]


def _components(
    size: int, i: Int[np.ndarray, " links"], j: Int[np.ndarray, " links"]
) -> tuple[int, Int[np.ndarray, " size"]]:
    """The number of connected components, and the component of each vertex."""
    links = scipy.sparse.coo_array((np.ones(len(i)), (i, j)), (size, size))
    count, component = connected_components(links, directed=False)
    return int(count), component


def one_flip_optimum(graph: Graph, signs: Signs) -> Signs:
    """Move the vertex that gains most to the other side until no vertex gains."""
    return next(one_flip_optima(graph, [signs]))


def one_flip_optima(graph: Graph, cuts: Iterable[Signs]) -> Iterator[Signs]:
    """``one_flip_optimum`` of each cut; the matrix of the graph is made once."""
    adjacency = graph.adjacency()
    starts, neighbours, weights = adjacency.indptr, adjacency.indices, adjacency.data
    errors = PRECISION * (abs(adjacency) @ np.ones(graph.num_vertices))
    for cut in cuts:
        signs = cut.copy()
        gains = signs * (adjacency @ signs)
        while len(gains):
            vertex = int(gains.argmax())
            if gains[vertex] <= errors[vertex]:  # a lighter vertex may gain less, but for certain
                vertex = int(np.where(gains > errors, gains, 0).argmax())
            if gains[vertex] <= errors[vertex]:
                break
            row = slice(starts[vertex], starts[vertex + 1])
            signs[vertex] *= -1
            gains[vertex] *= -1
            gains[neighbours[row]] += 2 * weights[row] * signs[vertex] * signs[neighbours[row]]
        yield signs
