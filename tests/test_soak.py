"""Twenty random faults in three small commands: see soak.py."""

import sys
from pathlib import Path
from random import Random

import pytest

from tests.soak import CUT, QUICK_COMMANDS, Command, Soak, soak_for

CASES = {"quick": (QUICK_COMMANDS, 17), "cut": (CUT, 3)}


@pytest.mark.skipif(sys.platform != "linux", reason="needs signals and file size limits")
@pytest.mark.parametrize(("commands", "faults"), CASES.values(), ids=CASES)
def test_commands_survive_random_faults_with_the_unbroken_runs_numbers(
    commands: dict[str, Command], faults: int, tmp_path: Path
) -> None:
    soak = Soak(tmp_path, Random(0), commands)
    soak.prepare()
    assert soak_for(soak, lambda count: count >= faults, print, cluster=False) == []
    assert sum(soak.outcomes.values()) == faults
