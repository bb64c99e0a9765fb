"""How long until something happens: imports, ``--help``, and what they load."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np

from benchmarks.measure import Seconds, Turns, in_turn, now, ratio
from benchmarks.report import Effort, Report, Row, Target
from derandomization.laboratory.figures import Panel

ROOT = Path(__file__).parents[1]
HELP_SECONDS = 0.5  # MAXCUT's --help, at most: nothing that computes is imported
IMPORTS = ("torch", "derandomization", "MAXCUT.partition", "JohnsonLindenstrauss.estimator")
HELPS = (
    "MAXCUT/main.py",
    "NeuralNetworks/main.py",
    "JohnsonLindenstrauss/main.py",
    "reproduce.py",
)
# Modules that take a tenth of a second or more, and what needs each of them.
HEAVY = {
    "torch._dynamo": "torch's compiler: nothing",
    "sympy": "torch's symbolic shapes: nothing",
    "scipy.stats": "distributions of distortions",
    "scipy.optimize": "the ε of a union bound, triangle inequalities",
    "matplotlib": "figures",
    "networkx": "graphs",
    "sklearn": "LearnedProjection",
    "dwave": "a study's baseline",
    "cvxpy": "tests and benchmarks",
}


def measure(effort: Effort) -> Report:
    """Fresh processes, in turn; the first round fills the system's cache of files."""
    report = Report()
    commands = {f"import {name}": ("-c", f"import {name}") for name in IMPORTS}
    commands |= {f"{name} --help": (name, "--help") for name in HELPS}
    if effort.quick:
        commands = {name: commands[name] for name in ("import torch", "MAXCUT/main.py --help")}
    jobs: Mapping[str, Callable[[], None]] = {
        name: partial(_run, arguments) for name, arguments in commands.items()
    }
    in_turn(jobs, 1)
    turns = in_turn(jobs, effort.repeats, clock=with_children)
    report.tables["start-up, fresh processes"] = [
        {
            "command": name,
            "wall s": done.wall,
            "CPU s": done.cpu,
            **ratio(done.seconds, turns["import torch"].seconds).row(),
        }
        for name, done in turns.items()
    ]
    report.notes.append("ratios of start-up are to `import torch`")
    for clock in ("CPU", "wall"):  # of which the second says as much about the machine's load
        helped = [getattr(s, clock.lower()) for s in turns["MAXCUT/main.py --help"].seconds]
        report.targets.append(
            Target(
                f"python MAXCUT/main.py --help, {clock} seconds",
                "≤",
                HELP_SECONDS,
                float(np.median(helped)),
                (min(helped), max(helped)),
            )
        )
    report.tables["heavy modules loaded"] = [_loaded(name) for name in IMPORTS[1:]]
    report.panels.append(_panel(turns))
    return report


def with_children() -> Seconds:
    """The clocks, with the CPU seconds of processes that have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return Seconds(now().wall, used.ru_utime + used.ru_stime)


def _run(arguments: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)


def _loaded(module: str) -> Row:
    program = (
        f"import sys, {module}; print(*(name for name in {list(HEAVY)} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {"import": module, "loads": ", ".join(done.stdout.split()) or "none of them"}


def _panel(turns: Mapping[str, Turns]) -> Panel:
    return Panel(
        series={"fresh process": np.array([[s.wall for s in t.seconds] for t in turns.values()])},
        x=list(turns),
        x_label="",
        y_label="wall seconds",
        title="Start-up",
        log_y=False,
        repetition="rounds",
    )
