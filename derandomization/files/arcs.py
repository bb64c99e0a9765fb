"""Directed graphs from files, with every arc in its own direction."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from derandomization.files.content import open_regular, read_content
from derandomization.files.edges import EdgeList
from derandomization.files.graphs import MAX_BYTES, numbered_edges

DigraphT = TypeVar("DigraphT")


def read_arc_file(path: str | os.PathLike[str], build: Callable[[EdgeList], DigraphT]) -> DigraphT:
    """Read a directed graph: ``n m`` and then m lines ``i j [weight]``, each an arc from i to j.

    Vertices count from 1, and an arc without a weight has weight 1. .gz or .bz2 after the suffix
    says that the file is compressed. The limits are those of ``read_graph_file``.

    ``build`` makes the caller's graph. All errors, including those of ``build``, are a
    ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    path = Path(path)
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)
    return content.run_reader(
        lambda: build(numbered_edges(content, ("vertices", "arcs"), valued=None))
    )
