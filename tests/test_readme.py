"""What README shows must run as it stands."""

import math
import re
from pathlib import Path

import pytest
import torch

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_objective_of_ones_own_loses_its_randomness(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    torch.manual_seed(0)
    namespace: dict[str, object] = {}
    exec(example, namespace)
    weight, bias = (float(word) for word in capsys.readouterr().out.split()[:2])
    assert abs(weight) < 1e-6
    assert abs(bias) == pytest.approx(math.pi, abs=1e-5)


def test_every_command_names_a_file_that_exists() -> None:
    root = Path(__file__).parents[1]
    commands = re.findall(r"python (\S+\.py)", README)
    assert set(commands) >= {
        "NeuralNetworks/main.py",
        "MAXCUT/main.py",
        "JohnsonLindenstrauss/main.py",
    }
    assert all((root / command).is_file() for command in commands)
