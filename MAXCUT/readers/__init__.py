"""Graphs from files: one module a family of formats."""

from MAXCUT.readers.formats import FORMATS, read_graph
from MAXCUT.readers.limits import MAX_BYTES

__all__ = ["FORMATS", "MAX_BYTES", "read_graph"]
