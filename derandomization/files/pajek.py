"""Networks of Pajek: vertices, then edges, arcs, lists of these, or a matrix."""

import math
import re
from array import array
from collections.abc import Hashable

import numpy as np
import scipy.sparse

from derandomization.files.content import FileContent, parse_number
from derandomization.files.edge_lists import each_edge_once, warn_of_missing
from derandomization.files.edges import AdjacencyMatrix, EdgeList, WeightAttribute, edge_weight

# How the next network of a project file starts; partitions and vectors start with *Vertices too.
_NEXT = ("*network", "*vertices")
# How the edges of a network start.
_EDGES = ("*edges", "*arcs", "*matrix")
# The number of the relation whose edges follow: *Arcs :1 "likes".
_RELATION = re.compile(r"\*(?:edges|arcs|matrix)\w*\s*:\s*(\d+)", re.IGNORECASE | re.ASCII)


def read_pajek(content: FileContent, weight: str, most: int) -> EdgeList | AdjacencyMatrix:
    """The first network of the file, of at most ``most`` vertices.

    After its two ends an edge has its ``weight``, then names and values of other attributes.
    Vertices are named by their labels if these are unique, else by their numbers.
    """
    # networkx reads lists of edges as edges, merges vertices of equal labels and drops weights
    # that are not numbers.
    attribute = WeightAttribute(weight)
    n, section, directed = 0, "", False
    relations: set[str] = set()
    names: dict[int, str] = {}
    ends, weights = array("q"), array("d")
    rows: list[array[float]] = []
    lines = content.uncommented_lines()
    for number, line in lines:
        words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line)]
        try:
            if line[0] == "*":
                section = words[0].lower()
                if n and section in _NEXT:
                    break
                directed |= section.startswith("*arcs")
                if found := _RELATION.match(line):
                    relations.add(found[1])
                if section == "*vertices":
                    n = _integer(
                        "".join(words[1:2]), "number of vertices in a file of this size", most
                    )
            elif section == "*vertices":
                vertex = _vertex(words[0], n)
                if vertex in names:
                    raise ValueError(f"the vertex {vertex + 1} is listed twice")
                names[vertex] = "".join(words[1:2])
            elif section in ("*edges", "*arcs"):
                u, v = (_vertex(word, n) for word in (*words, "")[:2])
                ends.extend((u, v))
                value = attribute.of(_attributes(words[2:], weight))
                weights.append(edge_weight(value, u + 1, v + 1))
            elif section in ("*edgeslist", "*arcslist"):
                first, *others = (_vertex(word, n) for word in words)
                for other in others:
                    ends.extend((first, other))
                    weights.append(1.0)
            elif section == "*matrix" and len(words) == n:
                rows.append(array("d", map(parse_number, words)))
            else:
                raise ValueError(f"the line is in no section of a network of {n} vertices")
        except ValueError as error:
            raise content.error(str(error), number, line) from error
    if any(line.lower().startswith(_EDGES) for _, line in lines):
        content.warn("the file holds several networks: only the first is read")
    if len(relations) > 1:
        content.warn(f"the file holds {len(relations)} relations: their weights are summed")
    labels: tuple[Hashable, ...] = tuple(range(1, n + 1))
    if len(names) == len(set(names.values()) - {""}) == n:
        labels = tuple(names[vertex] for vertex in range(n))
    if rows:
        if len(rows) != n or len(ends):
            raise content.error(f"a matrix must have {n} rows, and no edges beside it")
        return AdjacencyMatrix(scipy.sparse.coo_array(np.array(rows)), labels)
    warn_of_missing(content, attribute)
    edges = EdgeList(labels, np.array(ends, dtype=np.int64).reshape(-1, 2), np.array(weights))
    return each_edge_once(content, edges, directed=directed)


def _vertex(word: str, num_vertices: int) -> int:
    return _integer(word, "vertex", num_vertices) - 1


def _integer(word: str, name: str, most: int) -> int:
    value = parse_number(word)
    if not (value.is_integer() and 1 <= value <= most):
        raise ValueError(f"the {name} must be an integer from 1 to {most}")
    return int(value)


def _attributes(words: list[str], weight: str) -> dict[str, object]:
    """The weight of an edge, and the names and values after it; ``weight`` is there once."""
    if not words:
        return {}
    if math.isnan(value := parse_number(words[0])):
        raise ValueError("the weight of an edge must be a number")
    if ["weight", *words[1:-1:2]].count(weight) > 1:
        raise ValueError(f"an edge must have its {weight} once")
    named = dict(zip(words[1::2], words[2::2], strict=False))
    numbers = {name: parse_number(text) for name, text in named.items()}
    return {**named, **{k: v for k, v in numbers.items() if not math.isnan(v)}, "weight": value}
