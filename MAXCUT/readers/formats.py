"""Which reader a file's suffix asks for, and the door through which every graph file comes."""

import os
from collections.abc import Callable
from pathlib import Path

from networkx import NetworkXError

from derandomization.files.content import COMPRESSED, FileContent, read_content
from MAXCUT.graph import Graph
from MAXCUT.readers import limits
from MAXCUT.readers.archives import read_npz
from MAXCUT.readers.lists import read_adjacency_list, read_edge_list
from MAXCUT.readers.markup import read_gml, read_graphml
from MAXCUT.readers.numbered import read_matrix_market, read_rudy

# The G-set is published without suffixes, and so read.
FORMATS: dict[str, Callable[[FileContent], Graph]] = {
    "": read_rudy,
    ".rudy": read_rudy,
    ".gset": read_rudy,
    ".mc": read_rudy,
    ".txt": read_rudy,
    ".graphml": read_graphml,
    ".gml": read_gml,
    ".adjlist": read_adjacency_list,
    ".edgelist": read_edge_list,
    ".mtx": read_matrix_market,
    ".npz": read_npz,
}


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """The graph in a file, its format told by the suffix, packed by gzip or bzip2 or not.

    ==================================  =======================================  =============
    suffix                              format                                   labels
    ==================================  =======================================  =============
    none, .rudy, .gset, .mc, .txt       G-set: ``n m``, then ``i j [weight]``    integers 1 … n
    .graphml                            GraphML                                  ids, as text
    .gml                                GML                                      labels or ids
    .adjlist                            networkx's adjacency list                text
    .edgelist                           networkx's (weighted) edge list          text
    .mtx                                Matrix Market                            integers 1 … n
    .npz                                ``scipy.sparse.save_npz``                integers 0 … n−1
    ==================================  =======================================  =============

    Weights are finite numbers of either sign, 1 where the file has none. Parallel edges are
    summed, whichever way round they are written; an edge whose weights sum to 0 is dropped, and
    so are self-loops, with a warning. Directed graphs lose their directions.

    Takes in memory at most 100 times what the file holds unpacked, and 32 MiB. Refused unread are
    files that unpack to more than 256 MiB, and counts that no file of their size keeps.

    Raises:
        ValueError: an unknown suffix, or content that is malformed; one line says where and why.
        OSError: the file can't be opened or read.
    """
    path = Path(path)
    with path.open("rb") as file:
        read = _reader_for(path)
        content = read_content(file, path, max_bytes=limits.MAX_BYTES)
    graph = content.run_reader(lambda: read(content), plain=(NetworkXError,))
    if graph.num_vertices == 0:
        raise content.error("the graph has no vertices")
    return graph


def _reader_for(path: Path) -> Callable[[FileContent], Graph]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS:
        allowed = ", ".join(filter(None, FORMATS))
        raise FileContent(str(path)).error(
            f"the suffix is {suffix!r}: it must be one of {allowed} or none, "
            f"perhaps followed by {' or '.join(COMPRESSED)}"
        )
    return FORMATS[suffix]
