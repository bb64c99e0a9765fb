"""What README shows must run as it stands."""

import math
import re
from pathlib import Path

import pytest
import torch

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def example(words: str) -> str:
    """The one Python block that contains these words."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return found


def test_the_objective_of_ones_own_loses_its_randomness(
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    exec(example("DerandomizationObjective"), {})
    weight, bias = (float(word) for word in capsys.readouterr().out.split()[:2])
    assert abs(weight) < 1e-6
    assert abs(bias) == pytest.approx(math.pi, abs=1e-5)


def test_the_network_trained_on_ones_own_teacher_collapses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(example("Teacher(20, 2"), {})
    relative, bound = (float(word) for word in capsys.readouterr().out.split())
    assert relative < 1e-6
    assert bound < 1e-6


def test_the_network_trained_on_ones_own_data_nearly_forgets_what_does_not_matter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(1000, 10, generator=generator, dtype=torch.float64)
    data = {"X": inputs, "y": torch.tanh(inputs[:, 0]), "U": torch.eye(10)[:1]}
    exec(example("Dataset(X, y, U)"), data)
    assert float(capsys.readouterr().out) < 0.1  # of 1000 points; none but a population gives 0


def test_the_projection_of_ones_own_points_knows_its_distortion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(50, 40, generator=generator).numpy()
    scope: dict[str, object] = {"X": points}
    exec(example("LearnedProjection(n_components=20"), scope)
    assert 0 < float(capsys.readouterr().out) < 0.3
    assert scope["Z"].shape == (50, 20)  # type: ignore[attr-defined]


def test_the_graph_of_ones_own_is_cut_with_a_proof(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("derandomized_cut("), {})
    cut, bound, ratio, *sides = (float(word) for word in capsys.readouterr().out.split())
    assert 0.95 < ratio == pytest.approx(cut / bound)
    assert set(sides) <= {0, 1}


def test_every_command_names_a_file_that_exists() -> None:
    root = Path(__file__).parents[1]
    commands = re.findall(r"python (\S+\.py)", README)
    assert set(commands) >= {
        "NeuralNetworks/main.py",
        "MAXCUT/main.py",
        "JohnsonLindenstrauss/main.py",
    }
    assert all((root / command).is_file() for command in commands)


def test_every_study_is_listed() -> None:
    from NeuralNetworks.studies import STUDIES

    assert set(STUDIES) == set(re.findall(r"^\| `([a-z-]+)` \|", README, flags=re.MULTILINE))
