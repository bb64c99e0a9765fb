"""Jobs: each is one command of an experiment, run once, in a folder of its own."""

import contextlib
import importlib
import json
import math
import pkgutil
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from derandomization.files.content import open_regular
from derandomization.laboratory.checkpoints import CannotResume
from derandomization.laboratory.identity import code_digest, library_versions
from reproduction import EXPERIMENTS

STAMP = "part.json"
# What may stand in the commands of a manifest, which the report shows.
_RUN = re.compile(r"python reproduce\.py( [\w.,-]+)*", re.ASCII)
_OPTION = re.compile(r"[\w.+-]*", re.ASCII)
MANIFEST = "reproduction.json"
JOBS_FOLDER = "parts"  # in the output folder
MAINS = {experiment: importlib.import_module(f"{experiment}.main") for experiment in EXPERIMENTS}


@dataclass(frozen=True)
class Job:
    """One command to run."""

    experiment: str
    study: str  # empty for the experiment itself
    options: Mapping[str, Any]  # those that differ from the defaults
    claims: tuple[str, ...]  # ids that its results.json must contain
    seconds: float  # rough run time

    @property
    def kind(self) -> str:
        """The study or the estimator: the same for jobs that differ only in their seed."""
        return self.study or str(self.options.get("estimator", "exact"))

    @property
    def folder(self) -> Path:
        """Where it writes, relative to the output folder."""
        folder = Path(JOBS_FOLDER, self.experiment, self.kind)
        return folder if self.study else folder / f"seed-{self.options['seed']}"

    @property
    def command(self) -> str:
        """The command line that runs it."""
        words = ["python", f"{self.experiment}/main.py", *([self.study] if self.study else [])]
        return " ".join([*words, *(f"--{name} {value}" for name, value in self.options.items())])

    @property
    def has_default_seed(self) -> bool:
        """Whether it draws the data of the paper's figures."""
        return bool(self.options.get("seed") == MAINS[self.experiment].Config().seed)

    @property
    def has_figures(self) -> bool:
        """Whether it writes figures: the report shows those of the default seed."""
        return bool(self.study) or self.has_default_seed

    def entry(self) -> Any:
        """Import the object that has its ``main`` and its ``Config``."""
        main = MAINS[self.experiment]
        return pkgutil.resolve_name(main.STUDIES[self.study]) if self.study else main

    def config(self, output_dir: Path, *, resume: bool = False) -> Any:
        """Make its settings, for results in ``output_dir``."""
        workers = {"workers": 1} if self.study else {}  # the jobs themselves share the cores
        return self.entry().Config(
            output_dir=output_dir / self.folder,
            figures=self.has_figures,
            quiet=True,
            resume=resume,
            **workers,
            **self.options,
        )


def run_job(job: Job, output_dir: Path) -> str:
    """Run a job, from its checkpoint if there is one; return the error message, or nothing."""
    folder = output_dir / job.folder
    for name in (STAMP, "results.json"):  # an interrupted job must not look finished
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    try:
        try:
            job.entry().main(job.config(output_dir, resume=True))
        except CannotResume:  # it was left by other settings or other code
            job.entry().main(job.config(output_dir))
        _write(folder / STAMP, _stamp(job, output_dir))
    except (ValueError, ArithmeticError, MemoryError, RuntimeError, OSError) as problem:
        return f"{job.command}: {problem or type(problem).__name__}"
    return ""


def is_finished(job: Job, output_dir: Path) -> bool:
    """Whether the folder has complete results of this job, with these settings and this code."""
    folder = output_dir / job.folder
    try:
        stamp = read_json(folder / STAMP)
        read_json(folder / "results.json")
    except (OSError, ValueError):
        return False
    return bool(stamp == _stamp(job, output_dir))


def _stamp(job: Job, output_dir: Path) -> dict[str, Any]:
    settings = job.config(output_dir).settings()
    return {"code": code_version(job.experiment), "config": settings}


def code_version(experiment: str) -> str:
    """Identify the sources of the experiment and of derandomization, and the libraries."""
    versions = "".join(f" {name} {number}" for name, number in library_versions().items())
    return code_digest(MAINS[experiment]) + versions


def is_made_by_other_code(job: Job, output_dir: Path) -> bool:
    """Whether the stamp of a job's results is that of another version of the code.

    Published results have no stamp; for them the report names the commit.
    """
    try:
        stamp = read_json(output_dir / job.folder / STAMP)
        return bool(stamp["code"] != code_version(job.experiment))
    except (OSError, ValueError, TypeError, KeyError):
        return False


def write_manifest(
    output_dir: Path, command: str, jobs: Sequence[Job], *, add: bool = False
) -> None:
    """Write the command of a run and its jobs, for the report and the check.

    With ``add`` the jobs of earlier runs stay, except for those that this run runs again.
    """
    runs: dict[str, list[Job]] = {}
    if add:
        if (output_dir / MANIFEST).exists():
            runs = read_manifest(output_dir)
        there = {job.folder for run in runs.values() for job in run}
        jobs = [j for j in jobs if j.folder not in there or not is_finished(j, output_dir)]
        again = {job.folder for job in jobs}
        runs = {name: [j for j in run if j.folder not in again] for name, run in runs.items()}
    runs[command] = [*runs.get(command, []), *jobs]
    parts = {name: [asdict(job) for job in run] for name, run in runs.items() if run}
    _write(output_dir / MANIFEST, {"runs": parts})


def read_manifest(output_dir: Path) -> dict[str, list[Job]]:
    """Read the commands of the runs into this folder, each with the jobs that it ran last."""
    try:
        record = read_json(output_dir / MANIFEST)
        if not all(map(_RUN.fullmatch, record["runs"])):
            raise ValueError("a run was no command")
        return {
            command: [_manifest_job(each) for each in parts]
            for command, parts in record["runs"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise ValueError(
            f"output_dir is {output_dir}: no run of reproduce.py ended there, {MANIFEST} is "
            "missing or broken"
        ) from None


def _manifest_job(entry: Any) -> Job:
    """A job of a manifest; raises an error of some kind if its fields are none of a job."""
    job = Job(**(entry | {"claims": tuple(entry["claims"])}))
    commands, studies = MAINS[job.experiment].CLAIMS.commands, MAINS[job.experiment].STUDIES
    is_run = job.kind in studies if job.study else type(job.options["seed"]) is int
    words = (str(word) for option in job.options.items() for word in option)
    if not (
        is_run
        and job.kind in commands
        and all(map(_OPTION.fullmatch, words))
        and all(isinstance(id, str) for id in job.claims)
        and math.isfinite(job.seconds)
    ):
        raise ValueError(f"{entry} is no job")
    return job


def read_text(path: Path) -> str:
    """The content of a regular file as UTF-8; raises ``OSError`` or ``ValueError``."""
    with open_regular(path) as file:
        return file.read().decode("utf-8")


def read_json(path: Path) -> Any:
    """The content of a regular file in JSON; raises ``OSError`` or ``ValueError``."""
    try:
        return json.loads(read_text(path))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """Write JSON to a temporary file, then rename it, so that no file is ever half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)  # a link there would be written through
    temporary.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
