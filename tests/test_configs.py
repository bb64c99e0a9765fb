"""Every field of every config is checked when the config is made, and the message names it."""

import dataclasses
import importlib
import math
import pkgutil
import re
import typing
from pathlib import Path
from typing import Any

import pytest

import JohnsonLindenstrauss.settings
import MAXCUT.experiment
import MAXCUT.settings
import NeuralNetworks.experiment
import reproduce
from derandomization.laboratory.settings import MAX_INTEGER, check_fields
from JohnsonLindenstrauss.train import SETTINGS
from MAXCUT.commands import COMMANDS
from NeuralNetworks import own_data
from NeuralNetworks.activations import ACTIVATIONS
from NeuralNetworks.losses import LOSSES
from NeuralNetworks.main import OWN_DATA
from NeuralNetworks.settings import ActivationName, LossName, RiskEvaluation
from NeuralNetworks.train import DEFAULTS
from reproduction import EXPERIMENTS
from reproduction.jobs import MAINS

STUDIES = [study for main in MAINS.values() for study in main.STUDIES.values()]
STUDIES += [*OWN_DATA.values(), *COMMANDS.values()]
CONFIGS = {
    "reproduce": reproduce.Config,
    **{f"{experiment}.main": main.Config for experiment, main in MAINS.items()},
    **{study: pkgutil.resolve_name(study).Config for study in STUDIES},
}
REQUIRED: dict[type, dict[str, Any]] = {
    own_data.Config: {"data": Path("table.csv"), "target": "price"},
    **{
        pkgutil.resolve_name(command).Config: {"file": Path("model.qubo")}
        for command in COMMANDS.values()
    },
}
INTEGERS = [-(10**30), -1, 0, 1, MAX_INTEGER + 1, 10**30]
NUMBERS = [math.nan, math.inf, -math.inf, -1.0, -0.0, 0.0, 5e-324, 1e-320, 1e100, 1e101]
# Which of the values above a field accepts; all other fields accept 1 only. A seed may be any
# number from 0 to 2^63 − 1.
ACCEPTED: dict[str, list[float]] = {
    "seed": [0, 1, MAX_INTEGER + 1],
    "restarts": [0, 1],
    "noise": [-0.0, 0.0, 5e-324, 1e-320, 1e100],
    "edge_probability": [-0.0, 0.0, 5e-324, 1e-320],
    "regularization": [5e-324, 1e-320, 1e100],
    "learning_rate": [5e-324, 1e-320, 1e100],
    "checkpoint_every": [5e-324, 1e-320, 1e100],
    "time_limit": [5e-324, 1e-320, 1e100],
    "target": [-1.0, -0.0, 0.0, 5e-324, 1e-320, 1e100],
}


def numeric_fields() -> list[Any]:
    """Pair every field with every number above that its type allows."""
    cases = []
    for module, config in CONFIGS.items():
        annotations = typing.get_type_hints(config)
        for each in dataclasses.fields(config):
            kinds = {annotations[each.name], *typing.get_args(annotations[each.name])}
            values = INTEGERS if int in kinds else NUMBERS if float in kinds else []
            cases += [
                pytest.param(config, each.name, v, id=f"{module}-{each.name}-{v}"[:90])
                for v in values
            ]
    return cases


@pytest.mark.parametrize(("config", "name", "value"), numeric_fields())
def test_a_number_is_accepted_or_refused_by_the_fields_name(
    config: type, name: str, value: float
) -> None:
    allowed = value in ACCEPTED[name] if name in ACCEPTED else value == 1
    try:
        made = config(**REQUIRED.get(config, {}), **{name: value})
    except ValueError as error:
        message = str(error)
        assert name in message
        assert str(value) in message
        assert message.isprintable()
        # Some sizes must be larger than 1, or agree with other fields.
        assert not allowed or value == 1
    else:
        assert allowed
        assert repr(getattr(made, name)) == repr(value)


@pytest.mark.parametrize(
    ("choices", "implemented"),
    [
        (ActivationName, ACTIVATIONS),
        (LossName, LOSSES),
        (RiskEvaluation, DEFAULTS),
        (RiskEvaluation, NeuralNetworks.experiment.COLLAPSED),
        (MAXCUT.settings.Estimator, MAXCUT.experiment.VANISHED),
        (JohnsonLindenstrauss.settings.Estimator, SETTINGS),
    ],
)
def test_every_choice_of_an_option_is_implemented(choices: Any, implemented: Any) -> None:
    assert set(typing.get_args(choices)) == set(implemented)


def test_no_config_is_left_out() -> None:
    found = set()
    for package in EXPERIMENTS:
        for module in pkgutil.walk_packages([str(Path(package).absolute())], f"{package}."):
            source = Path(*module.name.split(".")).with_suffix(".py")
            if source.exists():
                names = re.findall(
                    r"^class (\w*Config)\(", source.read_text(encoding="utf-8"), re.M
                )
                found |= {getattr(importlib.import_module(module.name), name) for name in names}
    bases = {base for each in found for base in each.__mro__[1:]}  # shared fields, no command
    assert (found - bases) | {reproduce.Config} == set(CONFIGS.values())


@dataclasses.dataclass(frozen=True)
class Anything:
    """One field for each kind of annotation that configs have, with none of them enforced."""

    seed: Any = 0
    count: Any = 1
    share: Any = 0.5
    optional: Any = None
    flag: Any = False
    words: Any = ""
    path: Any = Path()
    choice: Any = "first"
    parts: Any = ()


ANNOTATIONS = {
    "seed": int,
    "count": int,
    "share": float,
    "optional": int | None,
    "flag": bool,
    "words": str,
    "path": Path,
    "choice": typing.Literal["first", "second"],
    "parts": tuple[typing.Literal["first", "second"], ...],
}


@pytest.fixture
def annotated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Anything, "__annotations__", ANNOTATIONS)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("seed", 2**63, f"it must lie between 0 and {2**63 - 1}"),
        ("seed", 1.0, "it must be an integer"),
        ("count", True, "it must be an integer"),
        ("count", "7", "it must be an integer"),
        ("count", None, "it must be an integer"),
        ("share", math.nan, "it must be a finite number"),
        ("share", -math.inf, "it must be a finite number"),
        ("share", 1e101, "it must be at most 1e+100"),
        ("share", 1j, "it must be a finite number"),
        ("optional", 1.5, "it must be an integer or None"),
        ("optional", MAX_INTEGER + 1, f"it must be at most {MAX_INTEGER}"),
        ("flag", 1, "it must be True or False"),
        ("words", b"F4", "it must be text"),
        ("path", "results", "it must be a path"),
        ("path", Path("a\0b"), "it must be a path"),
        ("choice", "third", "it must be one of first, second"),
        ("parts", ["first"], "it must be a tuple of first, second"),
        ("parts", ("first", "x"), "it must be a tuple of first, second"),
    ],
)
@pytest.mark.usefixtures("annotated")
def test_what_the_annotation_does_not_allow(name: str, value: object, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is ") as raised:
        check_fields(Anything(**{name: value}))
    assert str(raised.value) == f"{name} is {value!r}: {allowed}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 2**63 - 1),
        ("count", MAX_INTEGER),
        ("share", 1),
        ("share", -1e100),
        ("optional", 3),
        ("parts", ("second", "first")),
    ],
)
@pytest.mark.usefixtures("annotated")
def test_what_it_allows(name: str, value: object) -> None:
    check_fields(Anything(**{name: value}))
