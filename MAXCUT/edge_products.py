"""Products of one vector per vertex over the edges of a graph, sparse or dense."""

import warnings

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float
from torch import Tensor, nn

from MAXCUT.graph import Graph

DENSE = 6  # times the edges: beyond the squared vertices, dense products take less time


class EdgeProducts(nn.Module):
    """Inner products over the edges, and sums over the neighbours of every vertex.

    Each takes O(edges · rank) time and O(edges + vertices · rank) memory, or, in a dense graph, one
    product of dense matrices.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.size = (graph.num_vertices, graph.num_vertices)
        self.dense = DENSE * len(graph.weights) >= graph.num_vertices**2
        self.ends = nn.Buffer(torch.from_numpy(graph.ends.T.copy()))
        if not self.dense:
            # Matrices of the edges' numbers, from 1: for each entry, the edge that it belongs to.
            numbers = np.arange(1, len(graph.weights) + 1)
            upper = scipy.sparse.csr_array((numbers, graph.ends.T), self.size)
            self.upper = _Pattern(upper)
            self.symmetric = _Pattern((upper + upper.T).tocsr())

    def inner(
        self, x: Float[Tensor, "vertices rank"], y: Float[Tensor, "vertices rank"]
    ) -> Float[Tensor, " edges"]:
        """x_i·y_j for every edge (i, j)."""
        if self.dense:
            return (x @ y.T)[tuple(self.ends)]
        zeros = self.upper.matrix(x.new_zeros(self.ends.shape[1]))
        products = torch.sparse.sampled_addmm(zeros, x, y.T).values()
        return torch.empty_like(products).index_copy_(0, self.upper.edges, products)

    def neighbour_sum(
        self, coefficients: Float[Tensor, " edges"], rows: Float[Tensor, "vertices rank"]
    ) -> Float[Tensor, "vertices rank"]:
        """Σ_j c_ij x_j for every vertex i."""
        if self.dense:
            half = coefficients.new_zeros(self.size).index_put_(tuple(self.ends), coefficients)
            return (half + half.T) @ rows
        return self.symmetric.matrix(coefficients) @ rows


class _Pattern(nn.Module):
    """The entries of a sparse matrix that stand for edges; torch can't copy the matrix itself."""

    def __init__(self, numbers: scipy.sparse.csr_array) -> None:
        super().__init__()
        self.size = numbers.shape
        self.starts = nn.Buffer(torch.from_numpy(numbers.indptr.astype(np.int64)))
        self.columns = nn.Buffer(torch.from_numpy(numbers.indices.astype(np.int64)))
        self.edges = nn.Buffer(torch.from_numpy(numbers.data - 1))

    def matrix(self, coefficients: Float[Tensor, " edges"]) -> Tensor:
        """The matrix with one number for every edge."""
        entries = coefficients.index_select(0, self.edges)
        with warnings.catch_warnings(action="ignore"):  # torch warns that its sparse form is new
            return torch.sparse_csr_tensor(
                self.starts, self.columns, entries, self.size, check_invariants=False
            )
