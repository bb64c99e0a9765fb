"""The names of the formats of graph files; importing this module imports no library."""

from typing import Literal, TypeAlias

GraphFormat: TypeAlias = Literal[
    "rudy",
    "edgelist",
    "csv",
    "adjlist",
    "graphml",
    "gml",
    "json",
    "pajek",
    "metis",
    "mtx",
    "npz",
    "graph6",
    "sparse6",
]
