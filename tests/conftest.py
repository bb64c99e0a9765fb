"""Check shapes and types while the tests run, by jaxtyping's import hook with beartype.

An ``int`` is accepted where a ``float`` is annotated: PEP 484 and mypy allow it, beartype does not
by default. jaxtyping's own pytest flag can't set that option: in 0.3 it splits its list of packages
at the first comma only, once the type checker's name has an argument.
"""

import os

# Set before torch is imported, and for the scripts that the tests start: on such small problems
# two threads mostly wait for each other, up to twenty times longer on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

from reproduction import EXPERIMENTS

install_import_hook(
    ["derandomization", *EXPERIMENTS, "reproduction", "benchmarks"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

LONGEST = ("test_interruption.py", "test_paper.py", "studies", "MAXCUT", "NeuralNetworks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that no process waits for another at the end."""

    def rank(item: pytest.Item) -> int:
        ranks = (i for i, name in enumerate(LONGEST) if name in item.path.parts)
        return next(ranks, len(LONGEST))

    items.sort(key=rank)
