"""What is installed: names, version, type information, commands."""

import importlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import derandomization
from reproduction import EXPERIMENTS

PACKAGES = ("derandomization", *EXPERIMENTS)
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_offered_is_there(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing


def test_importing_the_packages_imports_no_library() -> None:
    code = f"import sys, {', '.join(PACKAGES)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(PACKAGES) <= set(loaded)
    assert not {"torch", "numpy", "scipy", "sklearn", "networkx"} & set(loaded)


def test_commands_start_without_libraries_that_they_may_not_need() -> None:
    mains = ", ".join(f"{each}.main" for each in EXPERIMENTS)
    code = f"import sys, {mains}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "torch" in loaded
    unneeded = {"scipy.stats", "scipy.optimize", "sklearn", "sympy", "torch._dynamo"}
    assert not unneeded & set(loaded)


def test_the_version_is_that_of_the_distribution() -> None:
    assert importlib.metadata.version("derandomization") == derandomization.__version__


def test_every_package_has_types_and_a_command() -> None:
    commands = importlib.metadata.entry_points(group="console_scripts")
    targets = {each.value for each in commands if each.name.startswith("derandomize-")}
    assert targets == {f"{each}.main:command" for each in EXPERIMENTS}
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file()
