"""Check shapes and types while the tests run, by jaxtyping's import hook with beartype.

An ``int`` is accepted where a ``float`` is annotated: PEP 484 and mypy allow it, beartype does not
by default. jaxtyping's own pytest flag can't set that option: in 0.3 it splits its list of packages
at the first comma only, once the type checker's name has an argument.
"""

import gc
import multiprocessing
import os
from multiprocessing import forkserver
from pathlib import Path

# Set before torch is imported, and for the scripts that the tests start: on such small problems
# two threads mostly wait for each other, up to twenty times longer on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from reproduction import EXPERIMENTS
from tests.commands import MODULES

ROOT = Path(__file__).parents[1]
# Called several times at every step of a descent, where checks would take 40% of all tests' time.
UNCHECKED = ("descent", "perturbed", "base", "objective", "expected_cut")
UNCHECKED += ("crossing", "cut_derivatives", "edge_products")


def _modules(package: str) -> list[str]:
    files = (ROOT / package).rglob("*.py")
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return [name for name in names if name.rpartition(".")[2] not in ("__init__", *UNCHECKED)]


PACKAGES = ("derandomization", *EXPERIMENTS, "reproduction", "benchmarks")
install_import_hook(
    [name for package in PACKAGES for name in _modules(package)],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

# The same examples in every run, so that no run fails by chance; "random" draws others in each.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", max_examples=1_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

LONGEST = ("test_soak.py", "test_interruption.py", "test_paper.py", "test_readme.py", "studies")
LONGEST += ("MAXCUT", "JohnsonLindenstrauss", "NeuralNetworks", "benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that no process waits for another at the end."""

    def rank(item: pytest.Item) -> int:
        ranks = (i for i, name in enumerate(LONGEST) if name in item.path.parts)
        return next(ranks, len(LONGEST))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Keep the collector off what is imported: a full pass over torch's objects takes 0.3 s."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Start the process that others are forked from, with imports that would take each seconds.

    There is one for all tests of a process, and whoever starts it decides what it imports.
    """
    multiprocessing.set_forkserver_preload([*MODULES, "distributed"])
    forkserver.ensure_running()
