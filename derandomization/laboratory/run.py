"""A run: its output folder, claims and progress, and the files it writes."""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from derandomization.certificate import Certificate
from derandomization.descent import Diverged, History, StepCallback
from derandomization.laboratory.checkpoints import Checkpoints, Interrupted
from derandomization.laboratory.configs import CHECKPOINT, BasicRunConfig, RunConfig
from derandomization.laboratory.figures import (
    VECTOR_SUFFIXES,
    Animation,
    description,
    lay_out,
    save,
    save_animation,
)
from derandomization.laboratory.folder_lock import FolderLock, unwritable
from derandomization.laboratory.identity import code_digest, content_digest, environment
from derandomization.laboratory.plain import plain

REFRESH_SECONDS = 0.1


ReferenceKind = Literal["paper", "bound", "baseline"]


@dataclass(frozen=True)
class Claim:
    """A statement and what was measured; ``holds`` is None for open questions.

    The reference is what the measured number is compared with, if anything: a number of the paper,
    a proven bound at this run, or what another method reached in this run.
    """

    id: str
    statement: str
    reference: float | str | None
    reference_kind: ReferenceKind | None
    measured: float | str | None
    holds: bool | None


class Run:
    """Collects results, claims, arrays and figures, and writes them when the experiment ends.

    It locks the output folder until then. ``inputs`` is what was read from files: arrays and plain
    values, also in sequences. A checkpoint made with other inputs is not resumed from.
    """

    def __init__(self, experiment: str, config: BasicRunConfig, *, inputs: Any = None) -> None:
        self.experiment = experiment
        self.config = config
        self.folder = config.output_dir
        self.results: dict[str, Any] = {}
        self.claims: list[Claim] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._written: list[str] = []  # files, by name
        self._figures: list[tuple[str, Figure]] = []
        self._animations: list[tuple[str, Animation]] = []
        # Paths, labels and names of columns may contain what rich takes for markup or emoji.
        self._console = Console(quiet=config.quiet, markup=False, emoji=False, highlight=False)
        self._started = time.perf_counter()
        self._environment = environment(config.torch_device())
        self._lock = FolderLock(self.folder)  # now, not after hours of work
        self.checkpoints = self._open_checkpoints(inputs)

    def _open_checkpoints(self, inputs: Any) -> Checkpoints:
        """Resume from the checkpoint of the same settings, code and inputs, if asked to."""
        config, path = self.config, self.folder / CHECKPOINT
        files = [n for n in config.settings() if isinstance(getattr(config, n), Path)]
        if files and inputs is None:
            raise TypeError(f"the content of {', '.join(files)} must be given as inputs")
        # The digest of the code says more than the commit does.
        identity = {name: v for name, v in self._environment.items() if name != "git_commit"}
        identity |= {
            "experiment": self.experiment,
            "code": code_digest(type(config)),
            "content of the input": None if inputs is None else content_digest(inputs),
            **{f"--{name.replace('_', '-')}": v for name, v in config.settings().items()},
        }
        if not isinstance(config, RunConfig):  # the command stores nothing
            return Checkpoints(path, identity=identity)
        checkpoints = Checkpoints(
            path, every=config.checkpoint_every, identity=identity, resume=config.resume
        )
        if config.resume and not checkpoints.resumed:
            ended = (self.folder / "results.json").is_file()
            reason = f"the run in {self.folder} is complete" if ended else f"there is no {path}"
            self.say(f"resume: {reason}, so the run starts from the beginning")
        elif path.exists() and not config.resume:
            self.say(f"{path}: left by an interrupted run; --resume continues from it")
        return checkpoints

    def claim(
        self,
        id: str,
        statement: str,
        *,
        measured: float | str | None,
        paper: float | str | None = None,
        bound: float | str | None = None,
        baseline: float | str | None = None,
        holds: bool | None = None,
    ) -> None:
        """Add a claim, or a report on an open question, to the closing table and results.json.

        At most one of ``paper``, ``bound`` and ``baseline`` is given: the claim's reference.
        """
        kinds: dict[ReferenceKind, float | str | None] = {
            "paper": paper,
            "bound": bound,
            "baseline": baseline,
        }
        given = [kind for kind, value in kinds.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"a claim has one reference: {' and '.join(given)} are given")
        kind = given[0] if given else None
        reference = kinds[kind] if kind else None
        self.claims.append(Claim(id, statement, reference, kind, measured, holds))

    def claim_bounds(
        self,
        certificate: Certificate,
        weights: str,
        theorem: str = "L3.1",
        *,
        gaussian: bool = True,
    ) -> None:
        """Claim that ‖W‖_F, called ``weights``, is within a theorem's bound and its sharp form.

        With ``gaussian`` these are the bounds for Gaussian x, which fail if Stein's identity does;
        without, the bounds include the Stein defect δ.
        """
        norm, defect = certificate.weight_norm, f"‖δ‖ = {certificate.stein_defect:.2g}"
        lemma, sharp = certificate.weight_bound, certificate.sharp_weight_bound
        if gaussian:
            lemma, sharp = certificate.gaussian_bound, certificate.gaussian_sharp_bound
        including = "" if gaussian else " with δ"
        for id, name, at, bound in (
            (theorem, "the lemma's", f"ρ = {certificate.rho:.2g}, ", lemma),
            ("L3.1", "the sharp", "", sharp),
        ):
            self.claim(
                id,
                f"{name} bound{including} does not exist here ({at}{defect})"
                if bound is None
                else f"{weights} is at most {name} bound{including} ({at}{defect})",
                bound=bound,
                measured=norm,
                holds=None if bound is None else norm <= bound,
            )

    def figure(self, name: str, figure: Figure) -> None:
        """Add a figure, to be saved as ``name.png``, and as PDF and SVG if the config says so."""
        if self.config.figures:
            self._figures.append((name, figure))

    def animation(self, name: str, animation: Animation) -> None:
        """Add an animation, to be saved as ``name.gif``."""
        if self.config.figures:
            self._animations.append((name, animation))

    @contextlib.contextmanager
    def descent(self, description: str, max_steps: int) -> Iterator[StepCallback | None]:
        """Run a descent under a progress bar with f and ‖W‖.

        Yields the callback for ``resumable_descend``, None when quiet; ``report_end`` shows the
        numbers at the end. If the descent diverges,
        its history is written before the error is raised; if it is interrupted, the checkpoint is.
        """
        try:
            with _follow_descent(self._console, description, max_steps) as report:
                yield report
            self.checkpoints.write()
        except Interrupted:
            raise
        except KeyboardInterrupt:
            self.checkpoints.write()
            raise
        except Diverged as stop:
            self.arrays |= stop.history.arrays()
            self.results |= {"diverged_at_step": stop.history.num_steps, "error": str(stop)}
            self.finish()
            raise

    @contextlib.contextmanager
    def stage(self, description: str) -> Iterator[Callable[[str], None]]:
        """Show that a stage of unknown length runs; yields the function that shows its state."""
        if self._console.quiet:
            yield lambda _: None
            return
        columns = (TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task(description)
            yield lambda state: bar.update(task, description=f"{description}: {state}")

    @contextlib.contextmanager
    def counter(self, total: int) -> Iterator[Callable[[], Any]]:
        """A progress bar over ``total`` runs; yields the function to call after each."""
        columns = (TextColumn("run {task.completed}/{task.total}"), BarColumn())
        clocks = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, *clocks, console=self._console) as bar:
            task = bar.add_task("", total=total)
            yield lambda: bar.advance(task)

    def finish(self) -> None:
        """Write figures, history.npz and results.json; print the closing table even if it fails."""
        files = ", ".join(["results.json", "history.npz", *self._written])
        try:
            self._write_all()
        except ValueError:
            self._print_claims()
            raise
        self.checkpoints.remove()
        self._lock.release()
        self._print_claims()
        self.say(f"{self.folder}: {files} and figures: {len(self._figures)}")

    def _write_all(self) -> None:
        suffixes = (".png", *(VECTOR_SUFFIXES if self.config.vector_figures else ()))
        for name, figure in self._figures:
            lay_out(figure)
            for suffix in suffixes:
                self.write(name + suffix, functools.partial(save, figure))
        for name, animation in self._animations:
            self.write(f"{name}.gif", functools.partial(save_animation, animation))
        arrays: dict[str, Any] = dict(self.arrays)
        self.write("history.npz", lambda path: np.savez_compressed(path, **arrays))
        record = {
            "experiment": self.experiment,
            "version": version("derandomization"),
            "config": asdict(self.config),
            "environment": self._environment,
            "wall_seconds": time.perf_counter() - self._started,
            "results": self.results,
            "claims": [asdict(claim) for claim in self.claims],
            "figures": [f"{name}.png" for name, _ in self._figures]
            + [f"{name}.gif" for name, _ in self._animations],
            "figure_descriptions": {f"{name}.png": description(f) for name, f in self._figures},
        }
        text = json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        # Of a path's bytes that are no text, the escapes of JSON are written.
        content = text.encode("utf-8", "backslashreplace")
        self.write("results.json", lambda path: path.write_bytes(content))

    def write(self, name: str, writer: Callable[[Path], Any]) -> None:
        """Write a file whole or not at all: under a temporary name, then renamed.

        The temporary name keeps the suffix, from which numpy and matplotlib take the format.
        """
        # A fixed name: a process killed while it writes leaves at most one such file.
        temporary = self.folder / f".part.{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # If a link stands there, the writer would write to what it points at.
            temporary.unlink(missing_ok=True)
            writer(temporary)
            temporary.replace(self.folder / name)
            self._written.append(name)
        except OSError as problem:
            raise unwritable(self.folder / name, problem) from None
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def say(self, line: str) -> None:
        """Print a line, unless quiet."""
        self._console.print(line, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table, unless quiet."""
        self._console.print(table)

    def _print_claims(self) -> None:
        headings = ("claim", "statement", "reference", "measured", "holds")
        table = Table(*headings, title=self.experiment, title_justify="left")
        words = {True: Text("yes", "green"), False: Text("no", "red"), None: Text("open")}
        for claim in self.claims:
            numbers = (_with_kind(claim), readable(claim.measured))
            table.add_row(claim.id, claim.statement, *numbers, words[claim.holds])
        self.show(table)


def _with_kind(claim: Claim) -> str:
    """The reference and what it is, for the closing table."""
    kind = f" ({claim.reference_kind})" if claim.reference_kind else ""
    return readable(claim.reference) + kind


def readable(value: float | str | None) -> str:
    """A number to four digits, for the closing table."""
    return "–" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def report_end(progress: StepCallback | None, history: History) -> None:
    """Show f and ‖W‖ at the end: the last step showed those before it, or before an undone one."""
    if progress:
        progress(history.num_steps - 1, float(history.value[-1]), float(history.weight_norm[-1]))


@contextlib.contextmanager
def _follow_descent(
    console: Console, description: str, max_steps: int
) -> Iterator[StepCallback | None]:
    """A bar over the steps of a descent; yields its callback, None when quiet."""
    if console.quiet:
        yield None
        return
    steps = TextColumn("step {task.completed}/{task.total}")
    numbers = TextColumn("{task.fields[numbers]}")
    columns = (TextColumn("{task.description}"), BarColumn(), steps, numbers, TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=max_steps, numbers="")
        refreshed = 0.0
        latest: dict[str, Any] = {}

        def report(step: int, value: float, weight_norm: float) -> None:
            nonlocal refreshed
            latest.update(completed=step + 1, numbers=f"f {value:.6g}  ‖W‖ {weight_norm:.3g}")
            if (now := time.perf_counter()) - refreshed > REFRESH_SECONDS:
                refreshed = now
                bar.update(task, **latest)

        yield report
        bar.update(task, **latest, total=latest.get("completed"))
