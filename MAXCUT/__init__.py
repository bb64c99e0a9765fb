"""Goemans–Williamson without the randomness: one deterministic cut (Theorem 5.2)."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from MAXCUT.partition import Partition, derandomized_cut
    from MAXCUT.qubo import QuadraticSolution, minimize_ising, minimize_qubo

__all__ = [
    "Partition",
    "QuadraticSolution",
    "derandomized_cut",
    "minimize_ising",
    "minimize_qubo",
]

__getattr__ = lazy_names(
    __name__,
    {
        "MAXCUT.partition": ("Partition", "derandomized_cut"),
        "MAXCUT.qubo": ("QuadraticSolution", "minimize_ising", "minimize_qubo"),
    },
)
