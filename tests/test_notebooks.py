"""The notebooks run from top to bottom, and are stored without outputs."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 300  # of wall time for a cell, on a busy machine
needs_jupyter = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("nbclient", "ipykernel")),
    reason='needs pip install ".[docs]"',
)


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_every_application_has_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["embeddings", "maxcut", "networks"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    for cell in code_cells(read(path)):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.fixture(scope="module")
def texts() -> dict[str, list[str]]:
    """Run all notebooks, and return what the cells of each printed or showed.

    One kernel runs them in turn, since starting it and importing torch takes most of the time; each
    begins without the names of the others.
    """
    import nbformat
    from nbclient import NotebookClient

    all_cells: list[Any] = []
    ends = []
    for path in NOTEBOOKS:
        cells = code_cells(nbformat.read(path, as_version=4))
        all_cells += [nbformat.v4.new_code_cell("%reset -f"), *cells]
        ends.append(len(all_cells))
    whole = nbformat.v4.new_notebook(cells=all_cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        NotebookClient(whole, timeout=SECONDS, kernel_name="python3").execute()
    texts: dict[str, list[str]] = {}
    for path, start, end in zip(NOTEBOOKS, [0, *ends], ends, strict=False):
        outputs = [output for cell in whole.cells[start + 1 : end] for output in cell.outputs]
        texts[path.stem] = [
            output["text"] if output.output_type == "stream" else " ".join(output["data"])
            for output in outputs
        ]
    return texts


def numbers(text: str) -> list[float]:
    words = text.replace(",", " ").split()
    return [float(word) for word in words if word[0] in "-0123456789" and word[-1].isdigit()]


@needs_jupyter
def test_the_notebooks_show_figures(texts: dict[str, list[str]]) -> None:
    shown = {name: sum("image/png" in text for text in each) for name, each in texts.items()}
    assert shown == {"embeddings": 1, "maxcut": 1, "networks": 2}


@needs_jupyter
def test_the_cut_is_within_its_bound_and_its_randomness_gone(texts: dict[str, list[str]]) -> None:
    first, _, certificate, qubo = texts["maxcut"]
    mean, _, best, bound, ratio = numbers(first)
    assert mean <= best <= bound
    assert ratio > 0.95
    assert certificate.startswith("True")
    norm, sharp = numbers(certificate)
    assert norm <= sharp < 1e-3
    assert qubo.endswith("edges between them: 0\n")


@needs_jupyter
def test_the_learned_matrix_distorts_least(texts: dict[str, list[str]]) -> None:
    distortion, bound = numbers(texts["embeddings"][0])
    *others, learned = numbers(texts["embeddings"][1])
    assert bound <= distortion == learned < min(others)


@needs_jupyter
def test_the_network_finds_the_direction(texts: dict[str, list[str]]) -> None:
    first, _, second, _ = texts["networks"]
    relative, norm, bound = numbers(first)
    assert relative < 1e-3
    assert norm <= bound
    cosine, score = numbers(second.split("cosine")[1])
    assert cosine > 0.99
    assert score > 0.9
