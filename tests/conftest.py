"""Shapes and types are checked while the tests run: jaxtyping's hook, with beartype behind it.

An ``int`` passes where a ``float`` is annotated, as PEP 484 and mypy have it and beartype by
default has not. jaxtyping's own pytest flag can't say so: in 0.3 it splits its list of packages
at the first comma only, once the type checker's name carries an argument.
"""

import os

# Before torch loads, and for the scripts the tests start: on problems this small two threads only
# wait for each other, up to twenty times longer on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

install_import_hook(
    [
        "derandomization",
        "NeuralNetworks",
        "MAXCUT",
        "JohnsonLindenstrauss",
        "reproduction",
        "benchmarks",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

LONGEST = ("test_interruption.py", "test_paper.py", "studies", "MAXCUT", "NeuralNetworks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: shared among processes, none then waits for another at the end."""

    def rank(item: pytest.Item) -> int:
        ranks = (i for i, name in enumerate(LONGEST) if name in item.path.parts)
        return next(ranks, len(LONGEST))

    items.sort(key=rank)
