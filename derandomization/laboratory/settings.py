"""Checks of settings: one constraint beside each field's type, checked when a config is made.

A field says what it allows where it is declared::

    width: Annotated[int, AtLeast(1)] = 100

and ``check_fields`` raises one line that names the field, its value and what is allowed.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from derandomization.checks import MAX_SEED, require_at_least, require_between, require_positive

# Products of two such sizes still fit into 64 bits: torch then reports that memory is short.
MAX_INTEGER = 10**9
# Squares of such numbers, and sums of them, fit into float64.
MAX_NUMBER = 1e100


class Constraint:
    """What an annotation allows beside its type; ``check`` raises ``ValueError`` for the rest."""

    def __init__(self, check: Callable[[str, Any], Any]) -> None:
        self.check = check


class AtLeast(Constraint):
    """A number no smaller than ``least``."""

    def __init__(self, least: int) -> None:
        super().__init__(lambda name, value: require_at_least(name, value, least))


class Between(Constraint):
    """A number from ``low`` to ``high``, both included."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__(lambda name, value: require_between(name, value, low, high))


class Positive(Constraint):
    """A finite number above 0."""

    def __init__(self) -> None:
        super().__init__(require_positive)


PositiveInt = typing.Annotated[int, AtLeast(1)]
PositiveFloat = typing.Annotated[float, Positive()]


def check_fields(config: Any) -> None:
    """Raise ``ValueError`` unless every field has its annotated type and meets its constraints.

    Numbers must be finite and at most ``MAX_NUMBER`` in size, integers at most ``MAX_INTEGER``;
    a field named ``seed`` may be any integer from 0 to ``MAX_SEED``. A constraint in
    ``Annotated[T | None, constraint]`` is not checked for None.
    """
    annotations = typing.get_type_hints(type(config), include_extras=True)
    fields = [(field.name, getattr(config, field.name)) for field in dataclasses.fields(config)]
    for name, value in fields:
        kind, _ = _parts(annotations[name])
        if not _fits(value, kind):
            raise ValueError(f"{name} is {value!r}: it must be {_description(kind)}")
        if name == "seed":
            require_between("seed", value, 0, MAX_SEED)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ValueError(f"{name} is {value}: it must be at most {MAX_INTEGER}")
        elif isinstance(value, float) and abs(value) > MAX_NUMBER:
            raise ValueError(f"{name} is {value}: it must be at most {MAX_NUMBER:g}")
    for name, value in fields:
        _, constraints = _parts(annotations[name])
        for constraint in constraints if value is not None else ():
            constraint.check(name, value)


def _parts(annotation: Any) -> tuple[Any, list[Constraint]]:
    """The type of an annotation and its constraints."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation, []
    kind, *extras = typing.get_args(annotation)
    return kind, [extra for extra in extras if isinstance(extra, Constraint)]


def _fits(value: object, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _fits(value, arguments[0])
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
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _description(arguments[0])
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a tuple of {_description(arguments[0]).removeprefix('one of ')}"
    if arguments:
        return " or ".join(_description(each) for each in arguments)
    names = {int: "an integer", float: "a finite number", bool: "True or False", str: "text"}
    return names.get(annotation, "None" if annotation is types.NoneType else "a path")
