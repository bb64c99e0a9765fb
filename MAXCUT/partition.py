"""Cut any graph from Python: two sides in the graph's own labels, with a proven upper bound."""

import csv
import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from derandomization import Certificate
from derandomization.checks import MAX_SEED, require_between, require_whole
from derandomization.files.content import open_regular, read_content
from MAXCUT.graph import Graph, GraphLike, Signs, as_graph
from MAXCUT.limits import CutProgress, Limits, StopReason
from MAXCUT.optimizer import DerandomizedCut, derandomize
from MAXCUT.sdp import (
    SdpSolution,
    dual_bound,
    hyperplane_expectation,
    rounded_down,
    solve_sdp,
)
from MAXCUT.settings import MAX_RESTARTS, Bound
from MAXCUT.triangle import require_bound, tighten

# A cut is called optimal where it is the bound up to this part of the positive weights, as their
# sums in different orders differ; where all weights are integers, up to nothing.
ROUNDING = 1e-14
ZERO = 1e-6  # a cut and a bound that are at most this part of the positive weights are 0
MAX_CUTS = 1_000  # that num_cuts may ask for
SDP_SHARE = 0.3  # of a time limit, after which the relaxation stops
MAX_BOUND_VERTICES = 1_000  # up to which the cut itself gives a second bound, in 0.2 s
MAX_BYTES = 2**28  # of a file with a partition
LONGEST_SHOWN = 60  # characters of a label in an error

Sides = Mapping[Hashable, int]


@dataclass(frozen=True)
class Partition:
    """A cut of a graph, how it was found, and the proven bound on every cut.

    Attributes:
        sides: 0 or 1 for each node, by the node's label.
        cut_value: the sum of the weights of the edges between the sides: the best of all cuts that
            were computed, the empty one included.
        goemans_williamson_mean: the exact mean of the random cuts of the vectors that were found:
            Goemans and Williamson's, unless a limit stopped the relaxation before its solution.
        derandomized_cut_value: the cut where the first descent ended, to which Theorem 5.2 applies.
        polished_cut_value: that cut after single nodes were moved as long as this gained.
        search_cut_value: the best cut of the restarts' searches, None without restarts. Where it
            equals ``cut_value`` and the polished cut is smaller, the search found the cut.
        guaranteed: a number that ``derandomized_cut_value`` can't be below; None if the descent
            ended above its start.
        upper_bound: no cut has a larger value.
        bound_proof: how the bound was proven (``SdpSolution.bound_proof``). "Lanczos" holds with
            probability one over its random start vector, the others always.
        proven_optimal: whether no cut is larger than this one.
        converged, not_converged: whether the first descent removed the randomness, else why not.
        stopped_by: which limit ended the computation; None if none did.
        certificate: of the point where the last descent ended; None if a time limit left no time.
        other_cuts: other cuts, best first, if ``num_cuts`` asked for them.
    """

    sides: Sides = field(repr=False)
    cut_value: float
    goemans_williamson_mean: float
    derandomized_cut_value: float
    polished_cut_value: float
    search_cut_value: float | None
    guaranteed: float | None
    upper_bound: float
    bound_proof: str
    proven_optimal: bool
    not_converged: str
    stopped_by: StopReason | None
    certificate: Certificate | None = field(repr=False)
    other_cuts: tuple[tuple[Sides, float], ...] = field(default=(), repr=False)

    @property
    def converged(self) -> bool:
        """Whether the first descent removed the randomness: V is 1e-3 of its start or less."""
        return not self.not_converged

    @property
    def proven_ratio(self) -> float:
        """The cut is at least this fraction of the largest cut, between 0 and 1."""
        return 1.0 if self.proven_optimal else proven_ratio(self.cut_value, self.upper_bound)


def derandomized_cut(
    graph: GraphLike,
    *,
    weight: str = "weight",
    initial_cut: Sides | Sequence[int] | None = None,
    restarts: int = 0,
    num_cuts: int = 1,
    bound: Bound = "sdp",
    time_limit: float | None = None,
    target: float | None = None,
    callback: Callable[[CutProgress], bool | None] | None = None,
    seed: int | np.integer | np.random.Generator = 0,
    workers: int = 1,
) -> Partition:
    """Find a large cut: Goemans and Williamson's random cut, derandomized (Theorem 5.2).

    The cut is at least as large as the mean of the random cuts, as the initial and the empty cut.

    Args:
        graph: a networkx graph, an adjacency matrix (scipy sparse or numpy; symmetric or
            triangular), a list of edges (u, v) or (u, v, weight), or a ``Graph``. Weights may be
            negative; parallel edges are summed. From pandas: ``nx.from_pandas_edgelist``.
        weight: networkx's attribute that holds an edge's weight; the weight is 1 without it.
        initial_cut: 0 or 1 for each node, by label or in the order of the nodes.
        restarts: searches from that cut and the SDP's hyperplanes; eight gain 0.6% on the G-set.
        num_cuts: how many different good cuts to return, at most 1 000; there may be fewer.
        bound: "sdp" is the relaxation's bound; "triangle", for at most 400 vertices, adds triangle
            inequalities after the cut has been found. With 100 vertices this takes 1 to 10 s and
            closes more than half of the gap; on sparse graphs it may prove the cut optimal.
        time_limit: seconds after which the best cut so far is returned. On large graphs one step of
            the relaxation and its bound take seconds, and are not interrupted.
        target: stop as soon as a cut is worth at least this.
        callback: told the progress at most ten times a second; stops the computation by returning
            True.
        seed: of every random choice; a numpy Generator is drawn from once.
        workers: processes that share the restarts. 1, the default, starts none. A script that asks
            for more needs ``if __name__ == "__main__":`` around its own calls. The cut is the same.

    Raises:
        ValueError: the graph has no edge to cut, its largest weight is outside 1e-30 to 1e30, or
            an argument is out of range.
    """
    options = checked_options(restarts, time_limit, target, callback, seed, workers)
    limits = options.limits
    num_cuts = require_whole("num_cuts", num_cuts, 1)
    require_between("num_cuts", num_cuts, 1, MAX_CUTS)
    canonical = as_graph(graph, weight)
    canonical.require_cuttable()
    require_bound(bound, canonical.num_vertices)
    start = None if initial_cut is None else signs_of(canonical, initial_cut)
    limits.offer(0.0 if start is None else canonical.cut_value(start))
    solution = solve_sdp(
        canonical,
        np.random.default_rng(options.seed),
        stop=lambda: limits.reached("SDP", SDP_SHARE),
    )
    limits.upper_bound = solution.upper_bound
    cut = derandomize(
        canonical,
        solution,
        generator=torch.Generator().manual_seed(options.seed),
        initial_cuts=[] if start is None else [start],
        restarts=options.restarts,
        num_cuts=num_cuts,
        limits=limits,
        workers=options.workers,
    )
    if bound == "triangle":
        solution = tightened(canonical, solution, cut, limits)
    return partition_of(canonical, solution, cut, limits)


class CheckedOptions(NamedTuple):
    """Options of ``derandomized_cut`` that are in range."""

    restarts: int
    limits: Limits
    seed: int
    workers: int


def checked_options(
    restarts: Any = 0,
    time_limit: Any = None,
    target: Any = None,
    callback: Any = None,
    seed: Any = 0,
    workers: Any = 1,
) -> CheckedOptions:
    """The options of ``derandomized_cut``, which it documents; ``ValueError`` names a bad one."""
    for name, value in (("time_limit", time_limit), ("target", target)):
        if isinstance(value, bool) or not isinstance(value, Real | None):
            raise ValueError(f"{name} is {value!r}: it must be a number")
    if not (callback is None or callable(callback)):
        raise ValueError(f"callback is {callback!r}: it must be a function of a CutProgress")
    return CheckedOptions(
        restarts=int(
            require_between("restarts", require_whole("restarts", restarts, 0), 0, MAX_RESTARTS)
        ),
        limits=Limits(time_limit, target, callback),
        seed=_seed(seed),
        workers=require_whole("workers", workers, 1),
    )


def tightened(
    graph: Graph,
    solution: SdpSolution,
    cut: DerandomizedCut,
    limits: Limits,
    progress: Callable[[float], None] | None = None,
) -> SdpSolution:
    """The solution with the bound of the triangle inequalities: ``triangle.tighten``.

    It ends once the cut is proven optimal or a limit is reached. ``progress`` is called before each
    round, with the bound so far.
    """

    def stop(upper_bound: float) -> bool:
        limits.upper_bound = upper_bound
        if progress:
            progress(upper_bound)
        return _is_optimal(graph, cut.cut_value, upper_bound) or limits.reached("bound")

    return tighten(graph, solution, cut.signs, stop=stop)


def partition_of(
    graph: Graph, solution: SdpSolution, cut: DerandomizedCut, limits: Limits
) -> Partition:
    """The partition that a cut gives, in the graph's labels."""
    bound, proof = solution.upper_bound, solution.bound_proof
    proven = _is_optimal(graph, cut.cut_value, bound)
    if not proven and graph.num_vertices <= MAX_BOUND_VERTICES:
        # Where the relaxation is tight, an optimal cut is a solution of it without an error.
        if (tight := rounded_down(graph, dual_bound(graph, cut.signs[:, None]))) < bound:
            bound, proof = tight, "eigenvalues"
        proven = _is_optimal(graph, cut.cut_value, bound)
    bound = max(bound, cut.cut_value)  # they may differ by a rounding error
    others = cut.cuts[1:]
    return Partition(
        sides=dict(zip(graph.labels, sides_of(cut.signs), strict=True)),
        cut_value=cut.cut_value,
        # Where all vectors are parallel, arccos rounds up.
        goemans_williamson_mean=min(hyperplane_expectation(graph, solution.vectors), bound),
        derandomized_cut_value=cut.derandomized_cut_value,
        polished_cut_value=cut.polished_cut_value,
        search_cut_value=cut.search_cut_value,
        guaranteed=cut.guaranteed,
        upper_bound=bound,
        bound_proof=proof,
        proven_optimal=proven,
        not_converged=cut.not_converged,
        stopped_by=limits.stopped_by,
        certificate=cut.certificate,
        other_cuts=tuple(
            (dict(zip(graph.labels, sides_of(each), strict=True)), float(graph.cut_value(each)))
            for each in others
        ),
    )


def _is_optimal(graph: Graph, cut_value: float, upper_bound: float) -> bool:
    positive = float(np.maximum(graph.weights, 0).sum())
    if max(cut_value, upper_bound) <= ZERO * positive:
        return True
    exact = graph.has_integer_weights()
    return cut_value >= upper_bound - (0.0 if exact else ROUNDING * positive)


def proven_ratio(cut_value: float, upper_bound: float) -> float:
    """The proven fraction of the largest cut, between 0 and 1; 1 if the bound is 0."""
    return max(0.0, cut_value) / upper_bound if cut_value < upper_bound else 1.0


def sides_of(signs: Signs) -> list[int]:
    """0 or 1 for each vertex; the first vertex is on side 0."""
    return [int(side) for side in signs != signs[0]]


def signs_of(graph: Graph, sides: object) -> Signs:
    """+1 or −1 for each vertex, from its side 0 or 1, by label or in the order of the vertices.

    Raises ``ValueError``, which names ``initial_cut``, where a vertex has no side of 0 or 1.
    """
    count = graph.num_vertices
    if isinstance(sides, Mapping):
        missing = [label for label in graph.labels if label not in sides]
        if missing:
            raise ValueError(f"initial_cut has no side for the node {missing[0]!r}")
        listed = [sides[label] for label in graph.labels]
    elif not isinstance(sides, Sequence | np.ndarray):
        raise ValueError(f"initial_cut is {sides!r}: it must be a mapping or a list of 0 and 1")
    else:
        listed = list(sides)
        if len(listed) != count:
            raise ValueError(f"initial_cut has {len(listed)} sides for {count} nodes")
    for label, side in zip(graph.labels, listed, strict=True):
        if not isinstance(side, Integral | bool | np.bool_) or side not in (0, 1):
            raise ValueError(f"initial_cut: the side of {label!r} is {side!r}: it must be 0 or 1")
    return np.where(np.array(listed, dtype=float) == 1, -1.0, 1.0)


def _seed(seed: object) -> int:
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise ValueError(f"seed is {seed!r}: it must be a whole number or a numpy Generator")
    return int(require_between("seed", int(seed), 0, MAX_SEED))


def write_partition(path: Path, graph: Graph, cuts: Float[np.ndarray, "cuts vertices"]) -> None:
    """Write a CSV with one line per vertex: its label and, for each cut, its side, 0 or 1."""
    numbers = [""] if len(cuts) == 1 else range(1, len(cuts) + 1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["vertex", *(f"side{number}" for number in numbers)])
        writer.writerows(zip(graph.labels, *map(sides_of, cuts), strict=True))


def read_partition(path: Path, graph: Graph) -> dict[Hashable, int]:
    """Read the sides that ``write_partition`` wrote; of several cuts the first.

    Raises ``ValueError`` where the file has another form, lists a vertex twice or names one that is
    not in the graph, and ``OSError`` where it can't be read. A file of more than 256 MiB is
    refused before it is read.
    """
    names = {str(label): label for label in graph.labels}
    if len(names) < graph.num_vertices:
        raise ValueError("the graph has two labels of the same text: a file can't tell them apart")
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)
    sides: dict[Hashable, int] = {}
    rows = csv.reader(io.StringIO(content.text(), newline=""))
    try:
        for row in rows:
            if rows.line_num == 1 and row[:1] == ["vertex"]:
                continue
            if len(row) < 2 or row[1] not in ("0", "1"):
                raise content.error("a line must be a vertex and 0 or 1", rows.line_num)
            shown = repr(row[0][:LONGEST_SHOWN])
            if row[0] not in names:
                raise content.error(f"the graph has no vertex {shown}", rows.line_num)
            if names[row[0]] in sides:
                raise content.error(f"the vertex {shown} is listed twice", rows.line_num)
            sides[names[row[0]]] = int(row[1])
    except csv.Error as error:
        raise content.error(str(error), rows.line_num) from error
    return sides
