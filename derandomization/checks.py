"""Validation at the door: each check returns its value or says what is allowed."""

import dataclasses
import math
import types
import typing
from pathlib import Path
from typing import Any

# Products of two such sizes still count in 64 bits: torch then says that memory is short.
MAX_INTEGER = 10**9
MAX_SEED = 2**63 - 1
# Squares of such numbers, and sums of them, are in float64.
MAX_NUMBER = 1e100


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


def require_fields(config: Any) -> None:
    """Raise ``ValueError`` unless every field of a dataclass is of the type it is annotated with.

    A command line can give nothing else, a program can. Numbers must be finite and at most
    ``MAX_NUMBER`` in size, integers ``MAX_INTEGER``, but for the seed; what else a field must be is
    its class's affair.
    """
    annotations = typing.get_type_hints(type(config))
    for each in dataclasses.fields(config):
        value = getattr(config, each.name)
        if not _fits(value, annotations[each.name]):
            allowed = _description(annotations[each.name])
            raise ValueError(f"{each.name} is {value!r}: it must be {allowed}")
        if each.name == "seed":
            require_between("seed", value, 0, MAX_SEED)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ValueError(f"{each.name} is {value}: it must be at most {MAX_INTEGER}")
        elif isinstance(value, float) and abs(value) > MAX_NUMBER:
            raise ValueError(f"{each.name} is {value}: it must be at most {MAX_NUMBER:g}")


def _fits(value: object, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return value in arguments
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, each) for each in arguments)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(each, arguments[0]) for each in value)
    if annotation in (int, float) and isinstance(value, bool):
        return False
    if annotation is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, annotation) and not (isinstance(value, Path) and "\0" in str(value))


def _description(annotation: Any) -> str:
    """What an annotation allows, in words."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if typing.get_origin(annotation) is tuple:
        return f"a tuple of {_description(arguments[0]).removeprefix('one of ')}"
    if arguments:
        return " or ".join(_description(each) for each in arguments)
    names = {int: "an integer", float: "a finite number", bool: "True or False", str: "text"}
    return names.get(annotation, "None" if annotation is types.NoneType else "a path")
