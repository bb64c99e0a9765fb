"""networkx's plain lists of nodes: a line an edge, or a line a node with its neighbours."""

import ast
import math
from collections import Counter

import numpy as np

from derandomization.files.content import FileContent, parse_number
from MAXCUT.graph import Graph

# Parsing attributes takes up to 500 times their bytes.
LONGEST = 10**4


def read_edge_list(content: FileContent) -> Graph:
    """A line ``u v``, ``u v weight`` or ``u v {'weight': …}`` an edge; # opens a comment.

    Labels are any words and stay text, as in ``networkx.read_edgelist``, which would skip
    malformed lines and keep the last of parallel edges only.

    Raises:
        ValueError: the first line that is malformed.
    """
    index: dict[str, int] = {}
    ends, weights = [], []
    for number, line in content.uncommented_lines():
        u, *others = line.split(None, 2)
        if not others:
            reason = "an edge must be two labels and, if it is not 1, a weight"
            raise content.error(reason, number, line)
        weight = _weight(others[1]) if len(others) == 2 else 1.0
        if not math.isfinite(weight):
            raise content.error("the weight must be one finite number", number, line)
        ends.append([index.setdefault(label, len(index)) for label in (u, others[0])])
        weights.append(weight)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return Graph.from_edges(tuple(index), pairs, np.array(weights, dtype=np.float64))


def read_adjacency_list(content: FileContent) -> Graph:
    """A line ``node neighbour neighbour …`` a node, every edge of weight 1; # opens a comment.

    networkx lists an edge at one end only, others at both: either way it is one edge. A
    neighbour that one line names k times is k parallel edges.
    """
    index: dict[str, int] = {}
    listed: Counter[tuple[int, int]] = Counter()
    for _, line in content.uncommented_lines():
        node, *neighbours = (index.setdefault(label, len(index)) for label in line.split())
        listed.update((node, neighbour) for neighbour in neighbours)
    # Of the two ends that list an edge, the one that lists it more often is kept.
    kept = {(u, v): count for (u, v), count in listed.items() if (count, v) >= (listed[v, u], u)}
    pairs = np.array(list(kept), dtype=np.int64).reshape(-1, 2)
    return Graph.from_edges(tuple(index), pairs, np.array(list(kept.values()), dtype=np.float64))


def _weight(text: str) -> float:
    """The number, that in networkx's dictionary of attributes, or nan where there is none."""
    try:
        if not text.startswith("{"):
            return parse_number(text)
        return float(ast.literal_eval(text).get("weight", 1)) if len(text) <= LONGEST else math.nan
    except Exception:
        # literal_eval on hostile text raises a handful of types, MemoryError among them.
        return math.nan
