"""What identifies a run: the content of its inputs and of its code."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import MAXCUT
from derandomization.laboratory import identity
from derandomization.laboratory.checkpoints import CannotResume
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.identity import code_digest, content_digest
from derandomization.laboratory.run import Run
from MAXCUT.main import Config
from MAXCUT.studies import sparse


@dataclass(frozen=True)
class Pair:
    first: np.ndarray
    second: str


ARRAY = np.arange(6.0).reshape(2, 3)
DIFFERENT = [
    ARRAY,
    ARRAY.T,
    ARRAY.astype(np.float32),
    ARRAY + 1e-16 + 1e-15 * (ARRAY == 1),
    ARRAY.ravel(),
    [ARRAY],
    [ARRAY, None],
    ["ab", "c"],
    ["a", "bc"],
    [],
    None,
    1,
    1.0,
    "1",
    True,
    {"a": 1},
    Pair(ARRAY, "a"),
    Pair(ARRAY, "b"),
]


def test_the_digest_of_a_content_tells_values_types_and_shapes_apart() -> None:
    digests = [content_digest(content) for content in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)
    assert digests == [content_digest(content) for content in DIFFERENT]


def test_the_digest_depends_on_nothing_else() -> None:
    assert content_digest(torch.from_numpy(ARRAY)) == content_digest(ARRAY)
    assert content_digest(np.asfortranarray(ARRAY)) == content_digest(ARRAY)


def test_the_code_of_a_package_is_all_of_it_and_changes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_digest(MAXCUT) == code_digest(sparse) == code_digest(sparse.Config)
    assert code_digest(MAXCUT) == code_digest(Config)
    assert code_digest(MAXCUT) != code_digest()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "some_module.py").write_text("def function(): return 1\n")
    import some_module

    before = code_digest(some_module.function)
    (tmp_path / "some_module.py").write_text("def function(): return 2\n")
    identity._digest_of_sources.cache_clear()
    assert code_digest(some_module.function) != before


MAIN = """
from dataclasses import dataclass
from pathlib import Path

from derandomization.laboratory.configs import RunConfig


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    output_dir: Path = Path("results")


def main(config):
    from some_application.experiment import run_experiment

    run_experiment(config)
"""
EXPERIMENT = """
from derandomization.laboratory.run import Run


def run_experiment(config):
    run = Run("some application", config)
    run.checkpoints.slot("number").keep({"a": NUMBER})
    run.checkpoints.write()
"""


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package whose main.py imports experiment.py only when it computes."""
    folder = tmp_path / "some_application"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "main.py").write_text(MAIN)
    (folder / "experiment.py").write_text(EXPERIMENT.replace("NUMBER", "1"))
    monkeypatch.syspath_prepend(tmp_path)
    identity._digest_of_sources.cache_clear()
    yield folder
    identity._digest_of_sources.cache_clear()


def test_a_change_of_what_main_imports_only_to_compute_is_not_resumed_with(
    application: Path, tmp_path: Path
) -> None:
    module = importlib.import_module("some_application.main")

    def config(resume: bool) -> RunConfig:
        return module.Config(output_dir=tmp_path / "out", quiet=True, resume=resume)

    module.main(config(False))
    assert Run("some application", config(True)).checkpoints.resumed
    (application / "experiment.py").write_text(EXPERIMENT.replace("NUMBER", "2"))
    identity._digest_of_sources.cache_clear()
    with pytest.raises(CannotResume, match="was written with code"):
        module.main(config(True))
