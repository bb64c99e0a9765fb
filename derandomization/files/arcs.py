"""Directed graphs from files, with every arc in its own direction."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import networkx as nx
import numpy as np

from derandomization.files.content import COMPRESSED, open_regular, read_content
from derandomization.files.edges import EdgeList, WeightAttribute, edge_weight
from derandomization.files.graphs import MAX_BYTES, GraphContent, numbered_edges, read_graph_file

DigraphT = TypeVar("DigraphT")

# Formats in which networkx says whether edges have directions.
NAMED = (".graphml", ".gml", ".json", ".net", ".paj")


def read_arc_file(
    path: str | os.PathLike[str],
    build: Callable[[EdgeList], DigraphT],
    *,
    weight: str = "weight",
) -> DigraphT:
    """Read a directed graph: ``n m`` and then m lines ``i j [weight]``, each an arc from i to j.

    Vertices count from 1, and an arc without a weight has weight 1. With the suffixes .graphml,
    .gml, .json, .net and .paj the file is read as ``read_graph_file`` does, and must say that the
    graph is directed; its weights are those under the name ``weight``. .gz or .bz2 after the suffix
    says that the file is compressed. The limits are those of ``read_graph_file``.

    ``build`` makes the caller's graph. All errors, including those of ``build``, are a
    ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    path = Path(path)
    suffix = Path(path.stem if path.suffix.lower() in COMPRESSED else path.name).suffix.lower()
    if suffix in NAMED:
        return read_graph_file(path, lambda found: build(_arcs(found, weight)), weight=weight)
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)
    return content.run_reader(
        lambda: build(numbered_edges(content, ("vertices", "arcs"), valued=None))
    )


def _arcs(graph: GraphContent, weight: str) -> EdgeList:
    if not (isinstance(graph, nx.Graph) and graph.is_directed()):
        raise ValueError("the graph is not directed: its edges must have directions")
    index = {node: i for i, node in enumerate(graph)}
    attribute = WeightAttribute(weight)
    ends, weights = [], []
    for u, v, attributes in graph.edges(data=True):
        ends.append((index[u], index[v]))
        weights.append(edge_weight(attribute.of(attributes), u, v))
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(index), pairs, np.array(weights, dtype=np.float64))
