"""Checks of arguments: each returns its value or raises ``ValueError`` saying what is allowed."""

import math
from numbers import Integral, Real
from typing import Any

MAX_SEED = 2**63 - 1
MAX_EXACT = 2**53  # float64 holds every integer up to here


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return _is_number(value) and math.isfinite(value)
    except OverflowError:  # an integer or a fraction that float64 can't hold
        return False


def nearest_float(name: str, value: Any) -> float:
    """The number as a float, infinite if float64 can't hold it; NaN is a ``ValueError``."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        raise ValueError(f"{name} is {value}: it must be a number")
    return number


def require_positive(name: str, value: Any) -> float:
    """Return ``value`` if it is a finite number above zero, else raise ``ValueError``."""
    if not (_is_finite(value) and value > 0):
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(f"{name} is {shown}: it must be a finite number above 0")
    return float(value)


def require_between(name: str, value: float, low: float, high: float) -> float:
    """Return ``value`` if ``low <= value <= high``, else raise ``ValueError``."""
    if not (_is_number(value) and low <= value <= high):
        raise ValueError(f"{name} is {value}: it must lie between {low} and {high}")
    return value


def require_at_least(name: str, value: int, least: int) -> int:
    """Return ``value`` if it is no less than ``least``, else raise ``ValueError``."""
    if not (_is_number(value) and value >= least):
        raise ValueError(f"{name} is {value}: it must be at least {least}")
    return value


def require_whole(name: str, value: Any, least: int) -> int:
    """Return ``value`` if it is a whole number, at least ``least``, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {value!r}: it must be a whole number, at least {least}")
    return require_at_least(name, int(value), least)
