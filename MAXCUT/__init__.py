"""Goemans–Williamson without the randomness: one deterministic cut (Theorem 5.2)."""

from MAXCUT.partition import Partition, derandomized_cut

__all__ = ["Partition", "derandomized_cut"]
