"""Edge and adjacency lists with any labels: fields between blanks or commas, headers, comments."""

import ast
import csv
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from derandomization.files.cells import CellFormat, cell_format, is_name, is_not_finite
from derandomization.files.content import FileContent, parse_number
from derandomization.files.edges import (
    LONGEST_NAME,
    EdgeList,
    WeightAttribute,
    one_direction,
    opposite_edges,
    weight_number,
)

# Parsing a dictionary of attributes takes up to 500 times its size.
LONGEST_ATTRIBUTES = 10**4
# The usual names of the two ends, in lower case, without blanks, underscores and hyphens. A pair
# of these may stand anywhere in a header; the first pair that is there counts.
_ENDS = (
    ("source", "target"),
    ("from", "to"),
    ("src", "dst"),
    ("src", "dest"),
    ("fromnodeid", "tonodeid"),
    ("fromid", "toid"),
    ("sourceid", "targetid"),
    ("sourcenode", "targetnode"),
    ("fromnode", "tonode"),
    ("node1", "node2"),
    ("vertex1", "vertex2"),
    ("person1", "person2"),
)
# Any two of these name the ends if they are the first two columns.
_TAILS = {"source", "from", "src", "fromnodeid", "node", "node1", "vertex", "vertex1"}
_HEADS = {"target", "to", "dst", "tonodeid", "node2", "vertex2"}
_HEADS |= {"neighbour", "neighbours", "neighbor", "neighbors"}
# These may also be the labels of an edge.
_SHORT_ENDS = (["u", "v"], ["i", "j"])


class Row(NamedTuple):
    """The fields of one line, and the line itself for messages."""

    fields: list[str]
    number: int
    line: str


Splitter: TypeAlias = Callable[[str], list[str]]


class Fields(NamedTuple):
    """How the lines of a file are split, and how numbers are written in their fields."""

    split: Splitter
    cells: CellFormat = CellFormat(",")


def read_edge_list(content: FileContent, weight: str) -> EdgeList:
    """One edge per line: ``u v``, ``u v weight`` or ``u v {'weight': …}``; also as in CSV files.

    KONECT's files are edge lists whose fourth column, the time, is ignored.
    """
    if banner := re.match(rb"%\s*(sym|asym|bip)\b", content.data):
        if banner[1] == b"bip":
            reason = "a bipartite file of KONECT numbers both sides from 1"
            raise content.error(f"{reason}: write other labels on one side, such as a1, a2, …", 1)
        return _edges(content, Fields(lambda line: line.split()[:3]), weight)
    fields = _fields(content)
    if fields.split is _words:
        fields = Fields(_two_words)
    return _edges(content, fields, weight)


def read_csv(content: FileContent, weight: str) -> EdgeList:
    """One edge per line: ``u,v`` or ``u,v,weight``, or columns that a header names.

    With a header, the ends are the columns ``source`` and ``target``, ``from`` and ``to`` or
    another usual pair of names, wherever they are; else the first two columns, and a warning names
    them if the third is not the weight. If the first line has a semicolon outside of quotes,
    semicolons separate the cells, and the weights may have decimal commas.
    """
    cells = cell_format(_first_line(content))
    return _edges(content, Fields(partial(_cells, cells), cells), weight, header_expected=True)


def read_adjacency_list(content: FileContent, weight: str) -> EdgeList:
    """One node per line, then its neighbours; every edge has weight 1.

    An edge may be listed at one of its ends, as networkx does, or at both. A neighbour that one
    line names k times is k parallel edges.
    """
    index: dict[str, int] = {}
    listed: Counter[tuple[int, int]] = Counter()
    fields = _fields(content)
    header, rows = _without_header(_rows(content, fields.split), fields.cells, looked_at=1)
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
    """Warn about edges that lack the attribute; an error if all lack one that was chosen."""
    try:
        reason = attribute.warning()
    except ValueError as problem:
        raise content.error(str(problem)) from None
    if reason:
        content.warn(reason)


def _edges(
    content: FileContent, fields: Fields, weight: str, *, header_expected: bool = False
) -> EdgeList:
    """The edges that the file lists, by the names of the columns if the first row holds names."""
    # networkx.read_edgelist skips malformed lines and keeps only the last of parallel edges.
    cells = fields.cells
    header, rows = _without_header(_rows(content, fields.split), cells)
    if header and _has_numbered_labels(header, _rows(content, fields.split)):
        header, rows = None, _rows(content, fields.split)
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
            _named(names, row.fields, columns, cells)
            if header
            else _attributes(row.fields[2:], weight, cells)
        )
        value = weight_number(attribute.of(attributes))
        if not math.isfinite(value):
            raise content.error("the weight must be one finite number", row.number, row.line)
        ends.append([index.setdefault(label, len(index)) for label in pair])
        weights.append(value)
    # In a .csv file a header is expected; but without usual names it may be an edge.
    usual = _usual_ends(names) is not None
    if header and (not (header_expected and usual) or _numbered_stem(names)):
        surely = header_expected and (usual or _is_clear(names, weight, index))
        ends_named = len(names) > 2 and not usual
        _report_header(content, header, index, columns, surely=surely, ends_named=ends_named)
    cells.warn_of_decimal_commas(content)
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


def _first_line(content: FileContent) -> str:
    """The first line that is no comment, without a dictionary of attributes at its end."""
    _, line = next(content.uncommented_lines(), (0, ""))
    return line.partition("{")[0]


def _fields(content: FileContent) -> Fields:
    """Cells if the first line has one word between each two separators, else fields in blanks."""
    line = _first_line(content).rstrip(",; \t")
    cells = cell_format(line)
    pieces = line.split(cells.separator)
    if len(pieces) > 1 and all(len(piece.split()) == 1 for piece in pieces):
        return Fields(partial(_cells, cells), cells)
    return Fields(_words)


def _cells(cells: CellFormat, line: str) -> list[str]:
    """The cells of a line, of which the third may be a dictionary that holds the separator."""
    found = cells.split(line)
    if len(found) > 2 and found[2].startswith("{"):
        return [*found[:2], cells.separator.join(found[2:])]
    return found


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


def _without_header(
    rows: Iterator[Row], cells: CellFormat, looked_at: int = 2
) -> tuple[Row | None, Iterator[Row]]:
    """The first row if it names the columns, else None; and the rows of edges."""
    first = list(itertools.islice(rows, looked_at))
    if first and _is_header(cells, *(row.fields for row in first)):
        return first[0], itertools.chain(first[1:], rows)
    return None, itertools.chain(first, rows)


def _is_header(cells: CellFormat, first: list[str], second: list[str] | None = None) -> bool:
    """Whether the first row has usual names of columns, or names where the second has numbers."""
    if any(cells.is_number(field) or is_not_finite(field) for field in first):
        return False
    if any(field.startswith("{") for field in first):
        return False
    if _usual_ends(first):
        return True
    # Else it may be an edge with a broken weight, such as a,b,1.O or a,b,NA.
    if second is None or len(second) != len(first) or not all(map(is_name, first[2:])):
        return False
    if _plain(first[:2]) in _SHORT_ENDS or _numbered_stem(first):
        return True
    numbers = list(map(cells.is_number, second))
    return len(numbers) > 1 and (all(numbers[:2]) or any(numbers[2:]))


def _plain(names: list[str]) -> list[str]:
    """The names in lower case, without blanks, underscores and hyphens."""
    return [re.sub(r"[\s_-]", "", name.lower()) for name in names]


def _usual_ends(header: list[str]) -> tuple[int, int] | None:
    """The columns with usual names of the two ends; None if there are none."""
    names = _plain(header)
    for tail, head in _ENDS:
        if tail in names and head in names:
            return names.index(tail), names.index(head)
    if len(names) > 1 and names[0] in _TAILS and names[1] in _HEADS:
        return 0, 1
    return None


def _numbered_stem(header: list[str]) -> str:
    """What is before the numbers if the first two names are such as city1 and city2; else empty."""
    first, second = (*header, "", "")[:2]
    stem = first[:-1]
    return stem if is_name(first) and (first, second) == (f"{stem}1", f"{stem}2") else ""


def _has_numbered_labels(header: Row, rows: Iterator[Row]) -> bool:
    """Whether the header is an edge such as v1,v2, since the labels below are v2, v3 and so on."""
    stem = _numbered_stem(header.fields)
    if not stem or len(header.fields) > 2 or _usual_ends(header.fields):
        return False
    numbered = re.compile(re.escape(stem) + r"\d+")
    labels = (field for row in rows if row.number > header.number for field in row.fields[:2])
    return any(map(numbered.fullmatch, labels))


def _is_clear(names: list[str], weight: str, labels: Iterable[str]) -> bool:
    """Whether a header without usual names needs no warning in a .csv file."""
    words = [label for label in labels if is_name(label)]
    if words and _plain(names[:2]) in _SHORT_ENDS:
        return False
    if _numbered_stem(names) and any(word[-1].isdigit() for word in words):
        return False
    return len(names) == 2 or names[2] == weight


def _report_header(
    content: FileContent,
    header: Row | None,
    index: Mapping[str, int],
    columns: tuple[int, int] = (0, 1),
    *,
    surely: bool = False,
    ends_named: bool = False,
) -> None:
    """Refuse a header whose words are labels too; warn about it unless it ``surely`` is one.

    With ``ends_named`` the warning says which columns are taken for the ends.
    """
    if header is None:
        return
    names = [name for column, name in enumerate(header.fields) if column in columns]
    if not index.keys().isdisjoint(names):
        reason = "the line is either a header or an edge: start a header with #"
        raise content.error(f"{reason}, or move the edge down", header.number, header.line)
    if not surely:
        reason = "the line is taken for a header, not for an edge"
        if ends_named:
            first, second = (name[:LONGEST_NAME] for name in names)
            reason += f", and its columns {first!r} and {second!r} for the ends"
        content.warn(reason, header.number, header.line)


def _columns_of_ends(content: FileContent, header: Row | None) -> tuple[int, int]:
    if header is None:
        return 0, 1
    names = header.fields
    counts = Counter(filter(None, names))
    repeated = [name for name, count in counts.items() if count > 1]
    ends = _usual_ends(names)
    if ends:
        plain = _plain(names)
        repeated += [plain[end] for end in ends if plain.count(plain[end]) > 1]
    if repeated:
        reason = f"two columns have the name {repeated[0]!r}"
        raise content.error(reason, header.number, header.line)
    if ends:
        return ends
    if not all(names[:2]):
        reason = "the header must name the columns of the ends, for example source,target"
        raise content.error(reason, header.number, header.line)
    return 0, 1


def _named(
    names: list[str], fields: list[str], ends: tuple[int, int], cells: CellFormat
) -> dict[str, object]:
    """The fields that are neither ends nor empty, by the names of their columns."""
    named = enumerate(zip(names, fields, strict=True))
    return {
        name: cells.number(field) if cells.is_number(field) else field
        for column, (name, field) in named
        if field and column not in ends
    }


def _attributes(fields: list[str], weight: str, cells: CellFormat) -> Mapping:
    """What is after the labels: nothing, a weight, or networkx's dictionary of attributes."""
    if not fields:
        return {}
    (text,) = fields
    if not text.startswith("{"):
        return {weight: cells.number(text)}
    if len(text) <= LONGEST_ATTRIBUTES:
        # On malicious text these raise several types, among them MemoryError.
        with suppress(Exception):
            tree = ast.parse(text, mode="eval").body
            attributes = ast.literal_eval(tree)
            # Of two values of a name, the dictionary keeps the last.
            if isinstance(tree, ast.Dict) and len(attributes) == len(tree.keys):
                return attributes
    return {weight: math.nan}
