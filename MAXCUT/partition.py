"""From a graph, as its owner holds it, to two sides in its own labels with a proof beside them."""

import csv
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float

from derandomization import Certificate
from derandomization.checks import MAX_SEED, require_at_least, require_between
from MAXCUT.graph import Graph
from MAXCUT.optimizer import derandomize
from MAXCUT.sdp import solve_sdp


@dataclass(frozen=True)
class Partition:
    """A cut of a graph and what is proven of it.

    Attributes:
        sides: 0 or 1 for every node, by the node's own label.
        cut_value: Σ w_ij over the edges between the sides.
        cut_value_before_polish: the same before flips of single nodes, where they gained.
        upper_bound: no cut is worth more.
        certificate: of second-order stationarity where the descent ended.
    """

    sides: Mapping[Hashable, int]
    cut_value: float
    cut_value_before_polish: float
    upper_bound: float
    certificate: Certificate

    @property
    def proven_ratio(self) -> float:
        """See ``proven_ratio``."""
        return proven_ratio(self.cut_value, self.upper_bound)


def derandomized_cut(
    graph: nx.Graph | scipy.sparse.sparray | scipy.sparse.spmatrix | Graph,
    *,
    weight: str = "weight",
    restarts: int = 0,
    seed: int = 0,
    workers: int | None = None,
) -> Partition:
    """A large cut of a graph: Goemans–Williamson's random one, derandomized (Theorem 5.2).

    Args:
        graph: a networkx graph, a scipy sparse adjacency matrix (symmetric or triangular) or a
            ``Graph``. Weights may be negative; parallel edges are summed.
        weight: networkx's attribute that holds an edge's weight; 1 where it is missing.
        restarts: searches from that cut and the SDP's hyperplanes; eight gain 0.5% on the G-set.
        seed: of every random choice.
        workers: processes that share the restarts; one a core if None. The cut is the same.

    Raises:
        ValueError: no edge to cut, the largest weight outside 1e-30 to 1e30, a number out of range.
    """
    require_at_least("restarts", restarts, 0)
    require_between("seed", seed, 0, MAX_SEED)
    workers = require_at_least("workers", os.cpu_count() or 1 if workers is None else workers, 1)
    canonical = _canonical(graph, weight)
    canonical.require_cuttable()
    solution = solve_sdp(canonical, np.random.default_rng(seed))
    cut = derandomize(
        canonical,
        solution,
        generator=torch.Generator().manual_seed(seed),
        restarts=restarts,
        workers=workers,
    )
    return Partition(
        sides=dict(zip(canonical.labels, sides_of(cut.signs), strict=True)),
        cut_value=cut.cut_value,
        cut_value_before_polish=cut.cut_value_before_polish,
        upper_bound=solution.upper_bound,
        certificate=cut.certificate,
    )


def proven_ratio(cut_value: float, upper_bound: float) -> float:
    """The cut is worth at least this part of the largest one; 1 where that is worth nothing.

    The bound of a graph on which no cut is worth anything is 0 but for rounding.
    """
    return cut_value / upper_bound if cut_value < upper_bound else 1.0


def sides_of(signs: Float[np.ndarray, " vertices"]) -> list[int]:
    """0 or 1 a vertex; the first vertex is on side 0, since a cut and its mirror image are one."""
    return [int(side) for side in signs != signs[0]]


def write_partition(path: Path, graph: Graph, signs: Float[np.ndarray, " vertices"]) -> None:
    """A CSV with a line a vertex: its label and its side, 0 or 1."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["vertex", "side"])
        writer.writerows(zip(graph.labels, sides_of(signs), strict=True))


def _canonical(
    graph: nx.Graph | scipy.sparse.sparray | scipy.sparse.spmatrix | Graph, weight: str
) -> Graph:
    if isinstance(graph, Graph):
        return Graph.from_edges(graph.labels, graph.ends, graph.weights)
    if isinstance(graph, nx.Graph):
        return Graph.from_networkx(graph, weight)
    return Graph.from_sparse(graph)
