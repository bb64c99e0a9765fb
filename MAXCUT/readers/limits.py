"""What a graph file may ask of memory."""

# 256 MiB hold 10^7 edges of a rudy file. networkx takes tenfold in memory: no bomb may have more.
MAX_BYTES = 2**28
# Vertices that no edge names cost a file nothing, but 44 bytes each in memory.
FREE_VERTICES = 10**5


def most_vertices(num_bytes: int) -> int:
    """How many vertices a file may count: as many as it could name, and 100 000 besides."""
    return FREE_VERTICES + num_bytes
