"""What ``--help`` prints: the options in groups, with the docstrings of the fields they set."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from derandomization.laboratory.settings import option

INDENT = " " * 6  # of the text below an option
TITLE = "options"  # of a group whose class does not name it by ``options_title``


def print_help(config_type: type, program: str, description: str) -> None:
    """Print how a command is called and what each of its options does.

    The options of the config's own class come first, then one group for each class that it
    inherits from and that has an ``options_title``.
    """
    fields = [each for each in dataclasses.fields(config_type) if each.init]
    kinds, docs = typing.get_type_hints(config_type), _docstrings(config_type)
    required = " ".join(_form(e.name, kinds[e.name]) for e in fields if _is_required(e))
    console = Console(markup=False, emoji=False, highlight=False)
    usage = " ".join(f"usage: {program} [-h] {required} [OPTIONS]".split())
    console.print(f"{usage}\n\n{description}", soft_wrap=True)
    groups: dict[str, list[dataclasses.Field[Any]]] = {TITLE: []}
    for field in fields:
        groups.setdefault(_title(config_type, field.name), []).append(field)
    for title, members in groups.items():
        if members:
            console.print(f"\n{title}:")
        for field in members:
            console.print(Text("  " + _form(field.name, kinds[field.name]), "bold"), soft_wrap=True)
            text = f"{docs.get(field.name, '')} {_default(field)}"
            lines = textwrap.wrap(" ".join(text.split()), console.width - len(INDENT))
            console.print(textwrap.indent("\n".join(lines), INDENT), soft_wrap=True)


def _docstrings(config_type: type) -> dict[str, str]:
    """The docstring under each field, from the class that has the last one."""
    found = {}
    for each in reversed(config_type.__mro__):
        if not dataclasses.is_dataclass(each):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in itertools.pairwise(definition.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = str(below.value.value)
    return found


def _title(config_type: type, name: str) -> str:
    """The title of the class that declares a field first."""
    bases = (
        each for each in reversed(config_type.__mro__) if name in inspect.get_annotations(each)
    )
    return str(vars(next(bases)).get("options_title", TITLE))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return (field.default, field.default_factory) == (dataclasses.MISSING,) * 2


def _default(field: dataclasses.Field[Any]) -> str:
    """The default in brackets; None says nothing, the docstring does."""
    if _is_required(field):
        return "(required)"
    factory = field.default_factory
    value = field.default if factory is dataclasses.MISSING else factory()
    if value is None or value == "":
        return ""
    return f"(default: {' '.join(map(str, value)) if isinstance(value, tuple) else value})"


def _form(name: str, annotation: Any) -> str:
    """The option as it is written: ``--seed INT``, ``--quiet, --no-quiet``."""
    if annotation is bool:
        return f"{option(name)}, {option('no_' + name)}"
    return f"{option(name)} {_value(annotation)}"


def _value(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "{" + ",".join(map(str, arguments)) + "}"
    if origin is tuple:
        return f"[{_value(arguments[0])} ...]"
    if origin in (types.UnionType, typing.Union):
        return "|".join(_value(each) for each in arguments if each is not types.NoneType)
    return {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}[annotation]
