"""Checks of settings: a field such as ``width: Annotated[int, AtLeast(1)]`` says what it allows."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from derandomization.checks import MAX_SEED, require_at_least, require_between, require_positive

# Products of two such sizes still fit into 64 bits: torch then reports that memory is short.
MAX_INTEGER = 10**9
# Squares of such numbers, and sums of them, fit into float64.
MAX_NUMBER = 1e100


class Constraint:
    """What an annotation requires in addition to its type; ``check`` raises ``ValueError``."""

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


@dataclasses.dataclass(frozen=True)
class NotWith:
    """An option that would say nothing on a command line with another option."""

    other: str
    reason: str


@dataclasses.dataclass(frozen=True)
class OnlyWith:
    """An option that says something only on a command line with another option."""

    other: str


def check_given(config_type: type, given: Collection[str]) -> None:
    """Raise ``ValueError`` if the options given on a command line, by field, do not fit together.

    They do not where a field's annotation has a ``NotWith`` or an ``OnlyWith`` that says so.
    """
    annotations = typing.get_type_hints(config_type, include_extras=True)
    for name in given:
        for extra in getattr(annotations[name], "__metadata__", ()):
            if isinstance(extra, NotWith) and extra.other in given:
                pair = f"{option(name)} can't be used with {option(extra.other)}"
                raise ValueError(f"{pair}: {extra.reason}")
            if isinstance(extra, OnlyWith) and extra.other not in given:
                raise ValueError(f"{option(name)} needs {option(extra.other)}")


def option(name: str) -> str:
    """The option on the command line that sets a field."""
    return f"--{name.replace('_', '-')}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean …?`` with the known word that is most like a mistyped one, or nothing."""
    similar = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {similar[0]}?" if similar else ""


def check_fields(config: Any) -> None:
    """Raise ``ValueError`` unless every field has its annotated type and meets its constraints.

    The message is one line: the field, its value and what is allowed. Numbers must be finite and
    at most ``MAX_NUMBER`` in size, integers at most ``MAX_INTEGER``; a field named ``seed`` may be
    any integer from 0 to ``MAX_SEED``. Constraints are not checked for None.
    """
    kinds = typing.get_type_hints(type(config))
    annotations = typing.get_type_hints(type(config), include_extras=True)
    fields = [(field.name, getattr(config, field.name)) for field in dataclasses.fields(config)]
    for name, value in fields:
        if not _fits(value, kinds[name]):
            raise ValueError(f"{name} is {value!r}: it must be {_description(kinds[name])}")
        if name == "seed":
            require_between("seed", value, 0, MAX_SEED)
        elif isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ValueError(f"{name} is {value}: it must be at most {MAX_INTEGER}")
        elif isinstance(value, float) and abs(value) > MAX_NUMBER:
            raise ValueError(f"{name} is {value}: it must be at most {MAX_NUMBER:g}")
    for name, value in fields:
        for extra in getattr(annotations[name], "__metadata__", ()):
            if isinstance(extra, Constraint) and value is not None:
                extra.check(name, value)


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
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return f"a tuple of {_description(arguments[0]).removeprefix('one of ')}"
    if arguments:
        return " or ".join(_description(each) for each in arguments)
    names = {int: "an integer", float: "a finite number", bool: "True or False", str: "text"}
    return names.get(annotation, "None" if annotation is types.NoneType else "a path")
