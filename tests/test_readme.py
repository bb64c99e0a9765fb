"""The examples and commands of the READMEs run as they are written."""

import importlib
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from reproduction import EXPERIMENTS
from reproduction.report import NUMBERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [path.read_text(encoding="utf-8") for path in ROOT.glob("**/README.md")]


def example(words: str) -> str:
    """Find the one Python block of all pages that contains these words."""
    blocks = re.findall(r"```python\n(.*?)```", "\n".join(PAGES), flags=re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return found


def test_the_objective_of_ones_own_loses_its_randomness(
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.manual_seed(0)
    exec(example("class Ripple"), {})
    reason, numbers = capsys.readouterr().out.splitlines()[:2]
    assert reason == "second-order stationary"
    weight, bias = (float(word) for word in numbers.split())
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
    relative, norm, bound = (float(word) for word in capsys.readouterr().out.split())
    assert 0 < relative < 0.1  # of 1000 points; only a population gives 0
    assert norm <= bound < 20 * norm


def test_the_directions_that_matter_are_found_from_ones_own_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope: dict[str, Any] = {}
    exec(example("subspace.n_components_"), scope)
    num_components, score = capsys.readouterr().out.splitlines()[:2]
    assert num_components == "1"
    assert float(score) > 0.45
    assert scope["Z"].shape == (442, 1)
    exec(example('loss="log-cosh"'), scope)
    norm, bound, defect = (float(word) for word in capsys.readouterr().out.splitlines()[-1].split())
    assert 0 < norm <= bound
    assert defect > 0


def test_the_projection_of_ones_own_points_knows_its_distortion(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scope: dict[str, Any] = {}
    exec(example("LearnedProjection(n_components=20"), scope)
    assert 0.08 < float(capsys.readouterr().out) < 0.09
    assert scope["Z"].shape == (200, 20)


def test_the_graph_of_ones_own_is_cut_with_a_proof(capsys: pytest.CaptureFixture[str]) -> None:
    exec(example("derandomized_cut("), {})
    cut, bound, ratio, *sides = (float(word) for word in capsys.readouterr().out.split())
    assert 0.95 < ratio == pytest.approx(cut / bound)
    assert set(sides) <= {0, 1}


def test_the_function_of_ones_own_is_minimised_with_a_proof(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(example("minimize_qubo(Q"), {})
    assert capsys.readouterr().out.splitlines() == [
        "-2.0 -2.0 True",
        "{'a': 1, 'b': 0, 'c': 1}",
    ]
    exec(example("spins = minimize_ising("), {})
    assert capsys.readouterr().out == "{'a': -1, 'b': 1} -3.0 -3.0\n"


@pytest.mark.parametrize(
    ("words", "id", "column", "form"),
    [
        (r"‖W⊥‖/‖W‖ ends\s+at\s+(\S+),", "F3", "exact", ".1e"),
        (r"One descent cuts (\d+) of", "F4", "exact", ".0f"),
        (r"distorts figure 6's points by (\S+),", "F6", "exact", ".1e"),
        (r"best of 1 000 random ones by (\S+) \(", "F6", "reference", ".3f"),
    ],
)
def test_a_number_in_prose_is_that_of_the_table(
    words: str, id: str, column: str, form: str
) -> None:
    (written,) = re.findall(words, README.split("## The three experiments")[1])
    (row,) = [line for line in README.splitlines() if line.startswith(f"| [{id}]")]
    cell = row.split(" | ")[2 + NUMBERS.index(column)]
    assert written == format(float(cell.split()[0]), form)


def test_every_command_names_a_file_that_exists() -> None:
    commands = {name for page in PAGES for name in re.findall(r"python (\S+\.py)", page)}
    assert commands >= {
        "NeuralNetworks/main.py",
        "MAXCUT/main.py",
        "JohnsonLindenstrauss/main.py",
        "reproduce.py",
    }
    assert all((ROOT / command).is_file() for command in commands)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("**/README.md")), ids=lambda path: path.parent.name
)
def test_every_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(<?([^)#>]*)(?:#([^)>]*))?>?\)", path.read_text(encoding="utf-8"))
    for target, anchor in links:
        if target.startswith("https://"):
            continue
        page = path.parent / target if target else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, anchor


def _anchor(heading: str) -> str:
    """The anchor that Markdown viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_study_is_listed(experiment: str) -> None:
    studies = importlib.import_module(f"{experiment}.main").STUDIES
    page = (ROOT / experiment / "README.md").read_text(encoding="utf-8")
    assert set(studies) == set(re.findall(r"^\| `([a-z-]+)` \|", page, flags=re.MULTILINE))
