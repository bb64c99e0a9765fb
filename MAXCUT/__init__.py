"""Goemans–Williamson without the randomness: one deterministic cut (Theorem 5.2)."""
