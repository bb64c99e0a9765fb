"""Check shapes and types while the tests run, by jaxtyping's import hook with beartype.

Of each function, the first calls in a test are checked. All would take two fifths of the time of
the tests, since a descent calls some functions thousands of times with the same types.

An ``int`` is accepted where a ``float`` is annotated: PEP 484 and mypy allow it, beartype does not
by default. jaxtyping's own pytest flag can't set that option: in 0.3 it splits its list of packages
at the first comma only, once the type checker's name has an argument.
"""

import gc
import inspect
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial, wraps
from multiprocessing import forkserver
from typing import Any

# Set before torch is imported, and for the scripts that the tests start: on such small problems
# two threads mostly wait for each other, up to twenty times longer on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jaxtyping
import pytest
from hypothesis import settings

from reproduction import EXPERIMENTS
from tests.commands import MODULES

CHECKED_CALLS = 5  # of a function in a test
calls: Counter[Callable[..., Any]] = Counter()  # in the test that runs
check_every_call = jaxtyping.jaxtyped


def check_first_calls(decorated: Any = None, *, typechecker: Any) -> Any:
    """What jaxtyping's import hook calls for every class and function: ``jaxtyped`` at first."""
    if decorated is None:
        return partial(check_first_calls, typechecker=typechecker)
    if inspect.isclass(decorated):  # of dataclasses the constructor is checked
        plain = decorated.__init__
        check_every_call(decorated, typechecker=typechecker)
        if decorated.__init__ is not plain:
            decorated.__init__ = _limited(decorated.__init__, plain)
        return decorated
    return _limited(check_every_call(decorated, typechecker=typechecker), decorated)


def _limited(checked: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        calls[plain] += 1
        return (checked if calls[plain] <= CHECKED_CALLS else plain)(*args, **kwargs)

    return call


jaxtyping.jaxtyped = check_first_calls
jaxtyping.install_import_hook(
    ["derandomization", *EXPERIMENTS, "reproduction", "benchmarks"],
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


@pytest.fixture(autouse=True)
def check_first_calls_again() -> Iterator[None]:
    """Count the calls of each test from 0, and those of fixtures with a wider scope before it."""
    yield
    calls.clear()


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, which the tests press."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Start the process that others are forked from, with imports that would take each seconds.

    There is one for all tests of a process, and whoever starts it decides what it imports.
    """
    multiprocessing.set_forkserver_preload([*MODULES, "distributed"])
    forkserver.ensure_running()
