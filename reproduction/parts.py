"""Parts: one command of an experiment each, run in a folder of its own and never twice."""

import contextlib
import functools
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import derandomization
from derandomization.laboratory.run import NOT_SETTINGS, plain
from derandomization.laboratory.study import spawn_seeds
from reproduction.claims import ESTIMATORS, Command

STAMP = "part.json"
MANIFEST = "reproduction.json"
PARTS = "parts"  # below the output folder


@dataclass(frozen=True)
class Part:
    """One command to run.

    Attributes:
        experiment: the folder.
        study: the subcommand; empty for the experiment itself.
        options: what it is run with beside its defaults.
        claims: ids that its results.json must have.
        seconds: about what it takes.
    """

    experiment: str
    study: str
    options: Mapping[str, Any]
    claims: tuple[str, ...]
    seconds: float

    @property
    def kind(self) -> str:
        """The estimator or the study: what parts that differ by their seed have in common."""
        return self.study or str(self.options["estimator"])

    @property
    def folder(self) -> Path:
        """Where it runs, below the output folder."""
        below = Path(PARTS, self.experiment, self.kind)
        return below if self.study else below / f"seed-{self.options['seed']}"

    @property
    def command(self) -> str:
        """What to type to run it alone."""
        words = ["python", f"{self.experiment}/main.py", *([self.study] if self.study else [])]
        return " ".join([*words, *(f"--{name} {value}" for name, value in self.options.items())])

    def module(self) -> Any:
        """The module, or the object in one, with its ``main`` and its ``Config``."""
        entry = importlib.import_module(f"{self.experiment}.main")
        return pkgutil.resolve_name(entry.STUDIES[self.study]) if self.study else entry

    def config(self, output_dir: Path) -> Any:
        """Its settings, run below ``output_dir``."""
        alone = {"workers": 1} if self.study else {}  # the parts themselves share the cores
        return self.module().Config(
            output_dir=output_dir / self.folder, quiet=True, **alone, **self.options
        )


def plan(commands: Sequence[Command], *, seeds: int, quick: bool) -> list[Part]:
    """The parts of some commands.

    The first repetition of an experiment has its default seed, which for MAXCUT draws the paper's
    graph; the others have seeds derived from it, and so other graphs and points of the same kind.

    Args:
        commands: experiments and studies.
        seeds: repetitions of every experiment, by each estimator; studies have their own number.
        quick: one seed in the studies too.
    """
    parts = []
    for command in commands:
        if command.study:
            options: dict[str, Any] = {"seeds": 1} if quick else {}
            parts.append(
                Part(command.experiment, command.study, options, command.claims, command.seconds[0])
            )
            continue
        default = importlib.import_module(f"{command.experiment}.main").Config().seed
        others = spawn_seeds(default, seeds - 1) if seeds > 1 else []
        for estimator, seconds in zip(ESTIMATORS, command.seconds, strict=False):
            for seed in (default, *others):
                own = command.default_only if seed != default else ()
                claims = tuple(id for id in command.claims if id not in own)
                options = {"estimator": estimator, "seed": seed}
                parts.append(Part(command.experiment, "", options, claims, seconds))
    return parts


def write_manifest(output_dir: Path, command: str, parts: Sequence[Part]) -> None:
    """Keep what was asked for, for the report and the check."""
    record = {"command": command, "parts": [asdict(part) for part in parts]}
    _write(output_dir / MANIFEST, record)


def read_manifest(output_dir: Path) -> tuple[str, list[Part]]:
    """The command of the last run into this folder, and its parts.

    Raises:
        ValueError: there was none.
    """
    try:
        record = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
        parts = [Part(**(each | {"claims": tuple(each["claims"])})) for each in record["parts"]]
        return record["command"], parts
    except (OSError, ValueError, TypeError, KeyError):
        raise ValueError(
            f"output_dir is {output_dir}: no run of reproduce.py ended there, {MANIFEST} is "
            "missing or broken"
        ) from None


def run_part(part: Part, output_dir: Path) -> str:
    """Run a part, and say what went wrong, or nothing."""
    folder = output_dir / part.folder
    for name in (STAMP, "results.json"):  # whoever stops it now leaves a part not finished
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    try:
        part.module().main(part.config(output_dir))
        _write(folder / STAMP, _stamp(part, output_dir))
    except (ValueError, ArithmeticError, MemoryError, RuntimeError, OSError) as problem:
        return f"{part.command}: {problem or type(problem).__name__}"
    return ""


def is_finished(part: Part, output_dir: Path) -> bool:
    """Whether it was run to its end with these settings by this code."""
    folder = output_dir / part.folder
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(stamp == _stamp(part, output_dir))


def _stamp(part: Part, output_dir: Path) -> dict[str, Any]:
    config = plain(asdict(part.config(output_dir)))
    settings = {name: value for name, value in config.items() if name not in NOT_SETTINGS}
    return {"code": code_version(part.experiment), "config": settings}


@functools.cache
def code_version(experiment: str) -> str:
    """A hash of the ground floor's and the experiment's sources and of what they compute with."""
    ground = Path(derandomization.__file__).parent
    packages = ground, Path(str(importlib.import_module(experiment).__file__)).parent
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package.parent).as_posix().encode())
            digest.update(path.read_bytes())
    for name in ("torch", "numpy", "scipy"):
        digest.update(f"{name} {version(name)}".encode())
    return digest.hexdigest()


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
