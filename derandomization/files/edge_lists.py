"""Edge and adjacency lists with any labels: fields between blanks or commas, headers, comments."""

import ast
import csv
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeAlias

import numpy as np

from derandomization.files.content import FileContent, parse_number
from derandomization.files.edges import EdgeList, WeightAttribute, one_direction, opposite_edges

# Parsing a dictionary of attributes takes up to 500 times its size.
LONGEST_ATTRIBUTES = 10**4
_TAILS = {"source", "from", "src", "fromnodeid", "node", "node1", "node_1", "vertex", "vertex1"}
_HEADS = {"target", "to", "dst", "tonodeid", "node2", "node_2", "vertex2"}
_HEADS |= {"neighbour", "neighbours", "neighbor", "neighbors"}
_NO_NAMES = ("nan", "inf")  # numbers to Python, refused as weights


class Row(NamedTuple):
    """The fields of one line, and the line itself for messages."""

    fields: list[str]
    number: int
    line: str


Splitter: TypeAlias = Callable[[str], list[str]]


def read_edge_list(content: FileContent, weight: str) -> EdgeList:
    """One edge per line: ``u v``, ``u v weight`` or ``u v {'weight': …}``; or between commas.

    KONECT's files are edge lists whose fourth column, the time, is ignored.
    """
    if banner := re.match(rb"%\s*(sym|asym|bip)\b", content.data):
        if banner[1] == b"bip":
            reason = "a bipartite file of KONECT numbers both sides from 1"
            raise content.error(f"{reason}: write other labels on one side, such as a1, a2, …", 1)
        return _edges(content, _rows(content, lambda line: line.split()[:3]), weight)
    split = _splitter(content)
    if split is _words:
        split = _two_words
    return _edges(content, _rows(content, split), weight)


def read_csv(content: FileContent, weight: str) -> EdgeList:
    """One edge per line, between commas: ``u,v`` or ``u,v,weight``, or columns that a header names.

    With a header, the ends are the columns ``source`` and ``target``, or else the first two.
    """
    return _edges(content, _rows(content, _cells), weight, header_expected=True)


def read_adjacency_list(content: FileContent, weight: str) -> EdgeList:
    """One node per line, then its neighbours; every edge has weight 1.

    An edge may be listed at one of its ends, as networkx does, or at both. A neighbour that one
    line names k times is k parallel edges.
    """
    index: dict[str, int] = {}
    listed: Counter[tuple[int, int]] = Counter()
    header, rows = _without_header(_rows(content, _splitter(content)), looked_at=1)
    for row in rows:
        if not all(row.fields):
            raise content.error("a label is empty", row.number, row.line)
        node, *neighbours = (index.setdefault(label, len(index)) for label in row.fields)
        listed.update((node, neighbour) for neighbour in neighbours)
    _report_header(content, header, index)
    # If both ends list an edge, the end that lists it more often counts.
    kept = {(u, v): count for (u, v), count in listed.items() if (count, v) >= (listed[v, u], u)}
    pairs = np.array(list(kept), dtype=np.int64).reshape(-1, 2)
    return EdgeList(tuple(index), pairs, np.array(list(kept.values()), dtype=np.float64))


def each_edge_once(content: FileContent, edges: EdgeList, *, directed: bool = False) -> EdgeList:
    """The edges; one direction of them if the file lists each in both, unless it is directed.

    Either way a warning says how edges in both directions count.
    """
    kept = one_direction(edges.ends, edges.weights)
    if kept is None:
        return edges
    content.warn(opposite_edges(directed=directed))
    return edges if directed else EdgeList(edges.labels, edges.ends[kept], edges.weights[kept])


def warn_of_missing(content: FileContent, attribute: WeightAttribute) -> None:
    """Warn about edges that lack the attribute, if there is something to say about them."""
    if reason := attribute.warning():
        content.warn(reason)


def _edges(
    content: FileContent, rows: Iterator[Row], weight: str, *, header_expected: bool = False
) -> EdgeList:
    """The edges that the rows list, by the names of the columns if the first row holds names."""
    # networkx.read_edgelist skips malformed lines and keeps only the last of parallel edges.
    header, rows = _without_header(rows)
    names = header.fields if header else []
    columns = _columns_of_ends(content, header)
    attribute = WeightAttribute(weight)
    index: dict[str, int] = {}
    ends, weights = [], []
    for row in rows:
        if header and len(row.fields) != len(names):
            reason = f"the header names {len(names)} columns, the line has {len(row.fields)}"
            raise content.error(reason, row.number, row.line)
        pair = [row.fields[column] for column in columns if column < len(row.fields)]
        if not all(pair) or len(pair) < 2 or (not header and len(row.fields) > 3):
            reason = "an edge must be two labels and, if it is not 1, a weight"
            raise content.error(reason, row.number, row.line)
        attributes = (
            _named(names, row.fields, columns) if header else _attributes(row.fields[2:], weight)
        )
        value = _number(attribute.of(attributes))
        if not math.isfinite(value):
            raise content.error("the weight must be one finite number", row.number, row.line)
        ends.append([index.setdefault(label, len(index)) for label in pair])
        weights.append(value)
    if not header_expected:
        _report_header(content, header, index)
    warn_of_missing(content, attribute)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    edges = EdgeList(tuple(index), pairs, np.array(weights, dtype=np.float64))
    return each_edge_once(content, edges)


def _rows(content: FileContent, split: Splitter) -> Iterator[Row]:
    for number, line in content.uncommented_lines():
        try:
            yield Row(split(line), number, line)
        except (ValueError, csv.Error) as error:
            raise content.error(str(error), number, line) from error


def _splitter(content: FileContent) -> Splitter:
    """Split at commas if the first line has one word between each two of them, else at blanks."""
    _, line = next(content.uncommented_lines(), (0, ""))
    pieces = line.partition("{")[0].rstrip(", \t").split(",")
    return _cells if len(pieces) > 1 and all(len(p.split()) == 1 for p in pieces) else _words


def _cells(line: str) -> list[str]:
    """The fields between commas; a field in quotes may hold commas."""
    cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True, strict=True))]
    if len(cells) > 2 and cells[2].startswith("{"):
        return [*cells[:2], ",".join(cells[2:])]
    return cells


def _words(line: str, most: int = -1) -> list[str]:
    """The fields between blanks, without the comment that starts with a # between blanks."""
    if "#" in line:
        line = re.sub(r"\s#(\s.*)?$", "", line)
    words = line.split(None, most)
    for word in words[: most if most > 0 else None]:
        if word[0] == "#":
            raise ValueError(
                f"{word!r} is a label or a comment: put a blank after the # of a comment, or write "
                "labels that start with # between commas and quotes"
            )
        if "," in word and (
            word.strip(",") != word or not math.isnan(parse_number(word.replace(",", "")))
        ):
            raise ValueError(
                "fields are separated by blanks here, as in the first line: "
                "write commas between all fields or none"
            )
    return words


def _two_words(line: str) -> list[str]:
    """Two fields between blanks, and the rest of the line."""
    return _words(line, most=2)


def _without_header(rows: Iterator[Row], looked_at: int = 2) -> tuple[Row | None, Iterator[Row]]:
    """The first row if it names the columns, else None; and the rows of edges."""
    first = list(itertools.islice(rows, looked_at))
    if first and _is_header(*(row.fields for row in first)):
        return first[0], itertools.chain(first[1:], rows)
    return None, itertools.chain(first, rows)


def _is_header(first: list[str], second: list[str] | None = None) -> bool:
    """Whether the first row has usual names of columns, or names where the second has numbers."""
    names = [field.lower() for field in first]
    if any(map(_is_number, names)) or any(name.lstrip("+-") in _NO_NAMES for name in names):
        return False
    if any(name.startswith("{") for name in names):
        return False
    if {"source", "target"} <= set(names) or (
        len(names) > 1 and names[0] in _TAILS and names[1] in _HEADS
    ):
        return True
    if second is None or len(second) != len(first):
        return False
    numbers = list(map(_is_number, second))
    return len(numbers) > 1 and (all(numbers[:2]) or any(numbers[2:]))


def _report_header(content: FileContent, header: Row | None, index: Mapping[str, int]) -> None:
    """Warn that the first row is not read as an edge; refuse it if its words are labels too."""
    if header is None:
        return
    if not index.keys().isdisjoint(header.fields[:2]):
        reason = "the line is either a header or an edge: start a header with #"
        raise content.error(f"{reason}, or move the edge down", header.number, header.line)
    content.warn("the line is taken for a header, not for an edge", header.number, header.line)


def _columns_of_ends(content: FileContent, header: Row | None) -> tuple[int, int]:
    if header is None:
        return 0, 1
    names = [name.lower() for name in header.fields]
    if {"source", "target"} <= set(names):
        return names.index("source"), names.index("target")
    if not all(names[:2]):
        reason = "the header must name the columns of the ends, for example source,target"
        raise content.error(reason, header.number, header.line)
    return 0, 1


def _named(names: list[str], fields: list[str], ends: tuple[int, int]) -> dict[str, object]:
    """The fields that are neither ends nor empty, by the names of their columns."""
    named = enumerate(zip(names, fields, strict=True))
    return {
        name: parse_number(field) if _is_number(field) else field
        for column, (name, field) in named
        if field and column not in ends
    }


def _attributes(fields: list[str], weight: str) -> Mapping:
    """What is after the labels: nothing, a weight, or networkx's dictionary of attributes."""
    if not fields:
        return {}
    (text,) = fields
    if not text.startswith("{"):
        return {weight: parse_number(text)}
    if len(text) <= LONGEST_ATTRIBUTES:
        # On malicious text literal_eval raises several types, among them MemoryError.
        with suppress(Exception):
            attributes = ast.literal_eval(text)
            if isinstance(attributes, dict):
                return attributes
    return {weight: math.nan}


def _number(value: object) -> float:
    """The value as a float; NaN if it is not a number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _is_number(text: str) -> bool:
    return not math.isnan(parse_number(text))
