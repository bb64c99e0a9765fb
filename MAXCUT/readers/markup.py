"""GraphML and GML, both through networkx."""

import io
import re
from typing import NoReturn
from xml.parsers import expat

import networkx as nx

from derandomization.files.content import FileContent
from MAXCUT.graph import Graph


def read_graphml(content: FileContent) -> Graph:
    """The first graph of the file, weighted by the edges' attribute named ``weight``.

    Raises:
        ValueError: broken XML, a DOCTYPE, or what networkx doesn't read (hyperedges, edges
            directed and not in one graph).
    """
    _check_graphml(content)
    # networkx lets an edge replace its parallel with the same id: here no two ids are equal.
    graph = nx.read_graphml(io.BytesIO(content.data), edge_key_type=lambda _: object())
    return Graph.from_networkx(graph)


def _check_graphml(content: FileContent) -> None:
    """Refuse, with the line, what networkx would expand (entities) or make up (nodes)."""
    parser = expat.ParserCreate(namespace_separator=" ")
    nodes: set[str] = set()
    ends: list[tuple[str | None, int]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        element = name.rpartition(" ")[2]
        if element == "node":
            if "id" not in attributes:
                raise content.error("the node has no id", line)
            nodes.add(attributes["id"])
        elif element == "edge":
            ends.extend((attributes.get(end), line) for end in ("source", "target"))

    def refuse(*_: object) -> NoReturn:
        reason = "a DOCTYPE is not allowed: its entities can expand without bound"
        raise content.error(reason, parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content.data, True)
    except expat.ExpatError as error:
        raise content.error(f"broken XML: {expat.ErrorString(error.code)}", error.lineno) from error
    for end, line in ends:
        if end not in nodes:
            raise content.error(f"the edge ends at {end!r}, which is no node", line)


def read_gml(content: FileContent) -> Graph:
    """Edges weighted by ``weight``; nodes named by ``label`` where labels are unique, else ``id``.

    Raises:
        ValueError: the line where networkx's parser stops, or what it misses.
    """
    # networkx refuses parallel edges unless the file says so, and takes one such word of several.
    text = re.sub(
        r"^([ \t]*graph\s*\[)", r"\1 multigraph 1", content.text(), count=1, flags=re.MULTILINE
    )
    try:
        graph = nx.parse_gml(text, label="id")
    except nx.NetworkXError as error:
        # networkx's errors end with the line, ours begin with it.
        if match := re.search(r" at \((\d{1,9}), \d+\)$", str(error)):
            raise content.error(str(error)[: match.start()], int(match[1])) from error
        raise
    labels = dict(graph.nodes(data="label"))
    if None not in labels.values() and len(set(labels.values())) == len(labels):
        graph = nx.relabel_nodes(graph, labels)
    return Graph.from_networkx(graph)
