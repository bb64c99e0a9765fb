"""What the options of a cut may be, and those that choose the graph.

``--help`` reads them, and so importing this module imports no library.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from derandomization.files.graph_formats import GraphFormat
from derandomization.laboratory.settings import AtLeast, Between, NotWith, OnlyWith

Estimator = Literal["exact", "sampled"]
Bound: TypeAlias = Literal["sdp", "triangle"]
MAX_RESTARTS = 10**5
NOT_OF_FILES = NotWith("graph_file", "the graph in the file has its own size")


@dataclass(frozen=True, kw_only=True)
class GraphConfig:
    """The options of a command that choose the graph to cut."""

    options_title: ClassVar[str] = "the graph"

    graph_file: Path | None = None
    """Graph to cut instead of a random one; --help of the option --format names the formats. Each
    may also be compressed as .gz or .bz2."""
    format: Annotated[GraphFormat | None, OnlyWith("graph_file")] = None
    """Format of the file; by default that of its suffix, or of its content."""
    weight: Annotated[str, OnlyWith("graph_file")] = "weight"
    """Name of the edges' attribute that holds their weights, where the format has attributes."""
    graph_size: Annotated[int, AtLeast(2), NOT_OF_FILES] = 15
    """Vertices of the random graph; the optimum is enumerated up to 24."""
    edge_probability: Annotated[float, Between(0, 1), NOT_OF_FILES] = 0.6
    """Probability of an edge between each pair of vertices, in [0, 1]."""
