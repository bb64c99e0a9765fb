"""A made-up run of all jobs."""

from pathlib import Path

import pytest

from tests.reproduction.made_up import whole_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The results of all jobs, two seeds each, with their report."""
    return whole_run(tmp_path)
