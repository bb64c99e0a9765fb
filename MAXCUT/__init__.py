"""Goemans–Williamson without the randomness: one deterministic cut (Theorem 5.2)."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from MAXCUT.partition import Partition, derandomized_cut

__all__ = ["Partition", "derandomized_cut"]

__getattr__ = lazy_names(__name__, {"MAXCUT.partition": __all__})
