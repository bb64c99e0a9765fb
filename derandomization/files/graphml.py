"""Graphs in GraphML: what is more than nodes and edges is an error, and never left out."""

import math
from typing import NamedTuple, NoReturn
from xml.parsers import expat

import numpy as np

from derandomization.files.content import FileContent, parse_number
from derandomization.files.edge_lists import each_edge_once, warn_of_missing
from derandomization.files.edges import EdgeList, WeightAttribute, edge_weight

_NAMESPACE = "http://graphml.graphdrawing.org/xmlns"  # those of drafts begin so too
_NUMERIC = ("int", "long", "float", "double")
_PARENTS = {"key": "graphml", "graph": "graphml", "node": "graph", "edge": "graph"}
_READ = ("graphml", "key", "graph", "node", "edge", "data", "default", "desc", "port", "endpoint")
_UNREADABLE = ("hyperedge", "locator")  # a locator says that the content is in another file
# Elements that may contain XML of any kind, which is called foreign here.
_OPEN = ("data", "default", "desc", "foreign")


class _Key(NamedTuple):
    """An attribute that edges have."""

    name: str
    numeric: bool


class _Edge(NamedTuple):
    source: str | None
    target: str | None
    line: int


def read_graphml(content: FileContent, weight: str) -> EdgeList:
    """The one graph of the file; an edge without a weight has the default of its key, or 1."""
    # networkx ignores defaults and nested graphs, and of two values of an attribute keeps the last.
    reader = _Reader(content, weight)
    try:
        reader.parser.Parse(content.data, True)
    except expat.ExpatError as error:
        raise content.error(f"broken XML: {expat.ErrorString(error.code)}", error.lineno) from error
    nodes = reader.nodes
    ends = []
    for *pair, line in reader.edges:
        for end in pair:
            if end not in nodes:
                raise content.error(f"the edge ends at {end!r}, which is no node", line)
        ends.append([nodes[end] for end in pair])
    warn_of_missing(content, reader.attribute)
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    edges = EdgeList(tuple(nodes), pairs, np.array(reader.weights, dtype=np.float64))
    return each_edge_once(content, edges, directed=reader.directed)


class _Reader:
    """Collects the nodes and the edges that the parser meets."""

    def __init__(self, content: FileContent, weight: str) -> None:
        self.nodes: dict[str | None, int] = {}  # by their ids, numbered in the file's order
        self.edges: list[_Edge] = []
        self.weights: list[float] = []
        self.directed = False
        self.attribute = WeightAttribute(weight)
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype
        self._content = content
        self._weight = weight
        self._path: list[str] = []  # the elements around the parser's position
        self._keys: dict[str, _Key] = {}  # of edges
        self._num_graphs = 0
        # The id of the last key, None if it is not of edges, or of the last data element.
        self._key: str | None = ""
        self._text: list[str] = []  # of the last data or default element
        self._default: str | None = None  # of the weight
        self._data: dict[str, object] = {}  # of the last edge, by the names of their keys

    def _refuse(self, reason: str) -> NoReturn:
        raise self._content.error(reason, self.parser.CurrentLineNumber)

    def _doctype(self, *_: object) -> NoReturn:
        self._refuse("a DOCTYPE is not allowed: its entities can expand without bound")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        element = self._element(name)
        self._path.append(element)
        if element == "key":
            self._start_key(attributes)
        elif element == "graph":
            self.directed = attributes.get("edgedefault") == "directed"
            self._num_graphs += 1
        elif element == "node":
            self._start_node(attributes)
        elif element == "edge":
            own = {"true": True, "false": False}.get(attributes.get("directed", ""))
            if own is not None and own != self.directed:
                self._refuse("the edge and the graph differ in whether edges are directed")
            ends = attributes.get("source"), attributes.get("target")
            self.edges.append(_Edge(*ends, self.parser.CurrentLineNumber))
            self._data = {}
        elif element in ("data", "default"):
            self._text = []
            if element == "data":
                self._key = attributes.get("key", "")

    def _element(self, name: str) -> str:
        """The name of a starting element, without its namespace, if it may stand here."""
        parent = self._path[-1] if self._path else ""
        namespace, _, element = name.rpartition(" ")
        is_foreign = bool(namespace) and not namespace.startswith(_NAMESPACE)
        if not parent and (element != "graphml" or is_foreign):
            self._refuse(f"the file is no GraphML: its first element is {name}")
        if parent in ("data", "default"):
            self._text.append(f"<{element}>")  # text around an element is no number
        if parent in _OPEN or is_foreign:
            return "foreign"
        if element not in (*_READ, *_UNREADABLE):
            self._refuse(f"the element {element} is not one of GraphML's")
        if element in _UNREADABLE:
            self._refuse(f"the element {element} can't be read: only nodes and edges can")
        if element == "graph" and parent in ("node", "edge"):
            self._refuse(f"the graph is nested in the element {parent}: it must be the only one")
        if element == "graph" and self._num_graphs:
            self._refuse("the graph is the second one: a file must hold one")
        if _PARENTS.get(element, parent) != parent:
            self._refuse(f"the element {element} may not stand in the element {parent}")
        return element

    def _start_key(self, attributes: dict[str, str]) -> None:
        if self._num_graphs:
            self._refuse("the key stands after the graph: keys must come first")
        of_edges = attributes.get("for", "all") in ("all", "edge")
        self._key = attributes.get("id", "") if of_edges else None
        if self._key is None:
            return
        if self._key in self._keys:
            self._refuse(f"two keys have the id {self._key!r}")
        # networkx writes one key of the same name for each type of its values.
        name = attributes.get("attr.name", self._key)
        self._keys[self._key] = _Key(name, attributes.get("attr.type") in _NUMERIC)

    def _start_node(self, attributes: dict[str, str]) -> None:
        if "id" not in attributes:
            self._refuse("the node has no id")
        if self.nodes.setdefault(attributes["id"], len(self.nodes)) != len(self.nodes) - 1:
            self._refuse(f"two nodes have the id {attributes['id']!r}")

    def _characters(self, text: str) -> None:
        if self._path[-1] in ("data", "default"):
            self._text.append(text)

    def _end(self, _: str) -> None:
        element, parent = self._path.pop(), self._path[-1] if self._path else ""
        if element == "default" and parent == "key" and self._key in self._keys:
            self._end_default("".join(self._text).strip())
        elif element == "data" and parent == "edge":
            self._end_data("".join(self._text).strip())
        elif element == "edge":
            self._end_edge()

    def _end_default(self, text: str) -> None:
        if self._keys[self._key or ""].name == self._weight:
            if self._default is not None:
                self._refuse(f"{self._weight!r} has two defaults")
            self._default = text

    def _end_data(self, text: str) -> None:
        if self._key not in self._keys:
            self._refuse(f"the edge has a value of {self._key!r}, which is no key of edges")
        key = self._keys[self._key]
        if key.name in self._data:
            self._refuse(f"the edge has two values of {key.name!r}")
        number = parse_number(text)
        self._data[key.name] = number if key.numeric and not math.isnan(number) else text

    def _end_edge(self) -> None:
        edge = self.edges[-1]
        if self._default is not None:
            self._data.setdefault(self._weight, self._default)
        try:
            weight = edge_weight(self.attribute.of(self._data), edge.source, edge.target)
        except ValueError as error:
            self._refuse(str(error))
        self.weights.append(weight)
