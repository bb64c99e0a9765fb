"""Goemans–Williamson without the randomness: one deterministic cut (Theorem 5.2)."""

from MAXCUT.partition import Partition, derandomized_cut
from MAXCUT.qubo import QuadraticSolution, minimize_ising, minimize_qubo

__all__ = [
    "Partition",
    "QuadraticSolution",
    "derandomized_cut",
    "minimize_ising",
    "minimize_qubo",
]
