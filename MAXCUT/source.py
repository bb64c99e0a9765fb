"""Where a graph comes from: a file or a random draw, as options of every command."""

from dataclasses import dataclass
from pathlib import Path

from derandomization.checks import require_at_least, require_between
from MAXCUT.graph import Graph
from MAXCUT.readers import read_graph
from MAXCUT.utilities import random_graph


@dataclass(frozen=True, kw_only=True)
class GraphSource:
    """The options that say which graph to cut."""

    graph_file: Path | None = None
    """Graph to cut, instead of a random one: rudy/G-set (.rudy, .txt, none), .graphml, .gml,
    .adjlist, .edgelist, .mtx or .npz, each also packed as .gz or .bz2."""
    graph_size: int = 15
    """Vertices of the random graph; the optimum is enumerated up to 24."""
    edge_probability: float = 0.6
    """Probability that a pair of vertices is joined, in [0, 1]."""

    def check_source(self) -> None:
        """Raise ``ValueError`` where an option is out of its range."""
        require_at_least("graph_size", self.graph_size, 2)
        require_between("edge_probability", self.edge_probability, 0, 1)

    def load(self, seed: int) -> Graph:
        """The file's graph, or the random one of this seed.

        Raises:
            ValueError: the file can't be read or is malformed, or there is no edge to
                cut, or weights that are out of range.
        """
        if self.graph_file is None:
            drawn = random_graph(self.graph_size, self.edge_probability, seed)
            graph, source = (
                Graph.from_networkx(drawn),
                f"edge_probability is {self.edge_probability}",
            )
        else:
            try:
                graph, source = read_graph(self.graph_file), f"graph_file is {self.graph_file}"
            except OSError as problem:
                raise ValueError(
                    f"graph_file is {self.graph_file}: it can't be read ({problem.strerror})"
                ) from None
        try:
            graph.require_cuttable()
        except ValueError as problem:
            raise ValueError(f"{source}: {problem}") from None
        return graph
