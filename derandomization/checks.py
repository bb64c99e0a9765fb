"""Checks of arguments: each returns its value or raises ``ValueError`` saying what is allowed."""

import math

MAX_SEED = 2**63 - 1


def require_positive(name: str, value: float) -> float:
    """Return ``value`` if it is finite and above zero, else raise ``ValueError``."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}: it must be a finite number above 0")
    return float(value)


def require_between(name: str, value: float, low: float, high: float) -> float:
    """Return ``value`` if ``low <= value <= high``, else raise ``ValueError``."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}: it must lie between {low} and {high}")
    return value


def require_at_least(name: str, value: int, least: int) -> int:
    """Return ``value`` if it is no less than ``least``, else raise ``ValueError``."""
    if value < least:
        raise ValueError(f"{name} is {value}: it must be at least {least}")
    return value
