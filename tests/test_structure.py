"""The structure of the project: one list of experiments, and imports that run one way."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from reproduction import EXPERIMENTS
from reproduction.jobs import MAINS

ROOT = Path(__file__).parents[1]
LOADED = """
import sys
from derandomization import Expectation, certify, descend
print(*sorted(name for name in sys.modules if name.startswith("derandomization.")))
"""


def test_importing_derandomization_loads_the_lemma_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split()
    assert "derandomization.objective" in loaded
    outside = ("derandomization.laboratory", "derandomization.files")
    assert [name for name in loaded if name.startswith(outside)] == []


@pytest.mark.parametrize("main", MAINS.values(), ids=MAINS)
def test_the_main_of_an_experiment_has_what_reproduction_needs(main: ModuleType) -> None:
    assert callable(main.main)
    assert main.Config().output_dir == Path("results") / main.__name__.removesuffix(".main")
    assert set(main.STUDIES) < set(main.CLAIMS.commands)
    assert main.CLAIMS.paper


def test_the_import_contracts_know_every_experiment() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter = settings["tool"]["importlinter"]
    others = {"derandomization", "reproduction", "benchmarks"}
    assert set(linter["root_packages"]) - others == set(EXPERIMENTS)
    layers = linter["contracts"][0]["layers"]
    assert set(layers[-2].split(" | ")) == set(EXPERIMENTS)
