"""The benchmarks' tests are skipped where what they compare with is not installed."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

NEEDED = ("cvxpy", "clarabel", "dwave", "statsmodels", "xrfm")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]


class Skipped(pytest.Module):
    """A file of tests whose imports would fail."""

    def collect(self) -> Iterator[pytest.Item]:
        pytest.skip(f'{", ".join(MISSING)} missing: pip install ".[benchmarks]"')


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Skipped | None:
    return Skipped.from_parent(parent, path=module_path) if MISSING else None
