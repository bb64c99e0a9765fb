"""Johnson–Lindenstrauss without the randomness: one learned embedding (Theorem 5.5)."""
