"""plain and readable: what a run writes down, and how its table shows it."""

import json
import math
import platform
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.identity import LIBRARIES, environment
from derandomization.laboratory.plain import plain
from derandomization.laboratory.run import readable


@dataclass
class Point:
    name: str
    place: np.ndarray = field(default_factory=lambda: np.array([1.5, math.nan]))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("text", "text"),
        (None, None),
        (True, True),
        (0.5, 0.5),
        (math.nan, None),
        (-math.inf, None),
        (np.float32(0.5), 0.5),
        (np.float64(math.inf), None),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (Path("a") / "b", str(Path("a/b"))),
        ((1, [2.0, math.inf]), [1, [2.0, None]]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([0.5, math.nan]), [0.5, None]),
        (frozenset({7}), [7]),
        ({1: {"x": math.nan}, "y": (Path("z"),)}, {"1": {"x": None}, "y": ["z"]}),
        (Point("p"), {"name": "p", "place": [1.5, None]}),
        ({"points": [Point("q", np.array([]))]}, {"points": [{"name": "q", "place": []}]}),
    ],
)
def test_everything_becomes_what_json_has(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found, allow_nan=False)) == expected


def test_numbers_are_left_to_the_last_digit() -> None:
    assert plain(np.float64(0.1)) == 0.1
    assert type(plain(np.int64(3))) is int
    assert type(plain({"flag": np.bool_(False)})["flag"]) is bool


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("as seen", "as seen"),
        (0.450123, "0.4501"),
        (41, "41"),
        (1e-9, "1e-09"),
        (123456.0, "1.235e+05"),
    ],
)
def test_a_table_shows_four_digits(value: float | str | None, text: str) -> None:
    assert readable(value) == text


def test_the_environment_is_where_it_ran() -> None:
    found = environment(torch.device("cpu"))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert found["torch"] == torch.__version__
    assert found == {
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "device": "cpu",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "git_commit": commit.stdout.strip(),
    }


def test_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index}")
    assert environment(torch.device("cuda", 1))["device"] == "card 1"


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment(torch.device("cpu"))["git_commit"] == ""
