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


# What a command may import from other projects before it computes anything: tyro, rich, and what
# these two import.
PARSERS = {"tyro", "rich", "docstring_parser", "markdown_it", "mdurl", "pygments", "shtab"}
PARSERS |= {"typeguard", "typing_extensions", "attr"}
COMMAND = """
import runpy, sys
before = set(sys.modules)
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("modules", *set(sys.modules) - before, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "code", "printed"),
    [
        (["--help"], 0, "usage: main.py [-h] [OPTIONS]"),
        (["--version"], 0, derandomization.__version__),
        (["--sed", "1"], 2, "error: unrecognized option --sed: did you mean --seed?"),
        (["--seed", "one"], 2, "error: --seed is 'one': it must be an integer"),
        (["--seed", "-1"], 2, "error: seed is -1: it must lie between 0 and"),
        (["nothing"], 2, "error: unrecognized argument 'nothing'"),
    ],
    ids=["help", "version", "mistyped", "no number", "out of range", "no study"],
)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_computes_nothing_imports_only_what_parses_the_options(
    experiment: str, arguments: list[str], code: int, printed: str
) -> None:
    start = f"import sys; sys.argv = {[f'{experiment}/main.py', *arguments]}"
    done = subprocess.run(
        [sys.executable, "-c", start + COMMAND], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code
    *errors, modules = done.stderr.splitlines()
    assert (done.stdout or errors[0]).startswith(printed)
    packages = {name.partition(".")[0] for name in modules.split()[1:]}
    assert {"derandomization", experiment} <= packages
    others = packages - {"derandomization", experiment} - sys.stdlib_module_names
    assert others <= PARSERS


def test_experiments_start_without_libraries_that_they_may_not_need() -> None:
    modules = ", ".join(f"{each}.experiment" for each in EXPERIMENTS)
    code = f"import sys, {modules}; print(*sys.modules)"
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
