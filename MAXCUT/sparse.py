"""Sparse tensors of torch's from the arrays of scipy's."""

import warnings

from torch import Tensor, sparse_csr_tensor


def csr_tensor(
    row_starts: Tensor, columns: Tensor, entries: Tensor, size: tuple[int, int]
) -> Tensor:
    """A matrix by rows, its indices as they are: not looked at, and without torch's warning."""
    with warnings.catch_warnings(action="ignore"):  # torch calls its sparse tensors a beta
        return sparse_csr_tensor(row_starts, columns, entries, size=size, check_invariants=False)
