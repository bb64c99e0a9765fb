"""Twenty random faults in three small commands: see soak.py."""

import sys
from pathlib import Path
from random import Random

import pytest

from tests.soak import QUICK_COMMANDS, Soak, soak_for

FAULTS = 20


@pytest.mark.skipif(sys.platform != "linux", reason="needs signals and file size limits")
def test_commands_survive_random_faults_with_the_unbroken_runs_numbers(tmp_path: Path) -> None:
    soak = Soak(tmp_path, Random(0), QUICK_COMMANDS)
    soak.prepare()
    assert soak_for(soak, lambda count: count >= FAULTS, print, cluster=False) == []
    assert {fault for fault, _ in soak.outcomes} > {"signal", "flipped bit", "other data"}
