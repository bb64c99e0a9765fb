"""A made-up run of everything."""

from pathlib import Path

import pytest

from tests.reproduction.made_up import whole_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All parts, two seeds each, with their report."""
    return whole_run(tmp_path)
