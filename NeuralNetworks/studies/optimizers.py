"""Which optimizer finds the structure? Figure 3's problem from one start by seven of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from derandomization import (
    GaussHermite,
    HessianDescent,
    History,
    MonteCarlo,
    PerturbedGradientDescent,
    certify,
    descend,
)
from derandomization.checks import require_at_least, require_positive
from derandomization.runs import Run
from derandomization.studies import Row, StudyConfig, run_study, tabulate
from derandomization.sweep import Measurement
from NeuralNetworks.model import Student, Teacher, complete_basis
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies.plot import Panel, study_figure
from NeuralNetworks.studies.trial import NODES
from NeuralNetworks.train import (
    BATCH_SIZE,
    EXACT,
    GRADIENT_THRESHOLD,
    PERTURBATION_INTERVAL,
    PERTURBATION_RADIUS,
    curvature_per_unit,
)

Method = Literal[
    "PGD",
    "PGD, momentum",
    "Hessian descent",
    "gradient descent",
    "SGD, step 1/L",
    "SGD, step 1/(10L)",
    "Adam",
]
THE_PAPERS: tuple[Method, ...] = ("PGD", "PGD, momentum", "Hessian descent")
LEVELS = (1e-2, 1e-4, 1e-6)
# Of 0.003 to 1: larger steps end further from 0, smaller ones take longer.
ADAM_LEARNING_RATE = 0.2


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Steps and seconds until ‖W⊥‖/‖W‖ is small, by optimizer, from the same start.

    PGD, Hessian descent and gradient descent take steps 1/L on the exact risk, L the curvature at
    the start; SGD draws 50 fresh points a step and adds no noise to them; Adam sees the exact
    risk. Where ‖∇f‖ ≤ 1e-6 PGD perturbs and Hessian descent follows the curvature: until then both
    are gradient descent.
    """

    output_dir: Path = Path("results/NeuralNetworks/optimizers")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: int = 300
    """Hidden units h."""
    regularization: float = 1e-4
    """Weight λ > 0 of ‖W‖²."""
    steps: int = 1500
    """Most steps of each optimizer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("width", self.width, 1)
        require_positive("regularization", self.regularization)
        require_at_least("steps", self.steps, 1)


@dataclass(frozen=True)
class Setting:
    """One optimizer and the problem it is given."""

    method: Method
    width: int
    regularization: float
    steps: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/optimizers", config)
    settings = {
        method: Setting(method, config.width, config.regularization, config.steps)
        for method in get_args(Method)
    }
    rows = run_study(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            **{_steps_to(level): f"steps to {level:g}" for level in LEVELS},
            _seconds_to(LEVELS[-1]): f"s to {LEVELS[-1]:g}",
            "reached": f"reached {LEVELS[-1]:g}",
            "escapes": "noise or curvature steps before",
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖ at the end",
        },
    )
    for row in rows:
        _claim(run, row)
    escapes = [row.measured["escapes"].max() for row in rows if row.name in THE_PAPERS]
    run.claim(
        "OPT",
        f"PGD, Hessian descent: most perturbations or curvature steps before {LEVELS[-1]:g}; at 0 "
        "they are gradient descent up to there",
        paper=None,
        measured=float(max(escapes)),
        holds=None,
    )
    run.figure("optimizers", _figure(rows))
    run.finish()


def measure(setting: Setting, seed: int) -> Measurement:
    """Descend once: when each level was first reached (NaN: never), and where it ended."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(2)
    student = Student(2, setting.width, generator)
    rule = GaussHermite(NODES, basis=complete_basis(teacher.directions))
    exact = PopulationRisk(student, Population(teacher, rule), setting.regularization)
    objective = exact
    if setting.method.startswith("SGD"):
        batches = Population(teacher, MonteCarlo(2, BATCH_SIZE, generator))
        objective = PopulationRisk(student, batches, setting.regularization)
    optimizer = _optimizer(setting.method, exact, generator)
    history = descend(
        objective,
        optimizer,
        max_steps=setting.steps,
        observe=lambda: {"total_weight_norm": float(student.weight.detach().norm())},
    )
    relative = history.weight_norm / history.observations["total_weight_norm"]
    reached = {level: _first(relative <= level) for level in LEVELS}
    escapes = [*history.perturbation_steps, *getattr(optimizer, "curvature_steps", [])]
    last = np.nan_to_num(reached[LEVELS[-1]], nan=math.inf)
    with torch.no_grad():
        risk = float(exact.risk())
    return {
        **{_steps_to(level): step for level, step in reached.items()},
        **{_seconds_to(level): _seconds(history, step) for level, step in reached.items()},
        "reached": float(not math.isnan(reached[LEVELS[-1]])),
        "escapes": sum(step < last for step in escapes),
        "relative_orthogonal_norm": float(relative[-1]),
        "risk": risk,
    }


def _optimizer(method: Method, objective: PopulationRisk, generator: torch.Generator) -> Optimizer:
    params: list[Tensor] = [objective.student.weight, objective.student.bias]
    smoothness = curvature_per_unit(objective, [(1, params)])
    rate = 1 / smoothness
    if method == "Adam":
        return Adam(params, lr=ADAM_LEARNING_RATE)
    if method == "Hessian descent":
        return HessianDescent(
            params,
            smoothness=smoothness,
            hessian_lipschitz=certify(objective).hessian_lipschitz,
            accuracy=GRADIENT_THRESHOLD,
        )
    if method in ("PGD", "PGD, momentum"):
        momentum = EXACT.momentum if method == "PGD, momentum" else 0.0
        return PerturbedGradientDescent(
            params,
            lr=rate,
            momentum=momentum,
            nesterov=momentum > 0,
            restart=momentum > 0,
            gradient_threshold=GRADIENT_THRESHOLD,
            perturbation_radius=PERTURBATION_RADIUS,
            perturbation_interval=PERTURBATION_INTERVAL,
            decrease_threshold=EXACT.decrease_threshold,
            generator=generator,
        )
    return SGD(params, lr=rate / 10 if method == "SGD, step 1/(10L)" else rate)


def _first(met: Bool[np.ndarray, " records"]) -> float:
    steps = np.flatnonzero(met)
    return float(steps[0]) if len(steps) else math.nan


def _seconds(history: History, step: float) -> float:
    """Pro rata: every step of one descent costs about the same."""
    return history.seconds * step / history.num_steps


def _steps_to(level: float) -> str:
    return f"steps_to_{level:g}"


def _seconds_to(level: float) -> str:
    return f"seconds_to_{level:g}"


def _claim(run: Run, row: Row[Setting]) -> None:
    """The paper promises this of PGD and of Hessian descent; of the others it says nothing."""
    level, method = LEVELS[-1], row.setting.method
    reached, end = row.measured["reached"], row.measured["relative_orthogonal_norm"]
    promised = method in THE_PAPERS
    run.claim(
        "SGD" if method.startswith("SGD") else "OPT",
        f"{method}: ‖W⊥‖/‖W‖ ≤ {level:g} within {row.setting.steps} steps on "
        f"{reached.sum():.0f} of {len(reached)} seeds; largest at the end",
        paper=0.0 if promised else None,
        measured=float(end.max()),
        holds=bool(reached.all()) if promised else None,
    )


def _figure(rows: Sequence[Row[Setting]]) -> Figure:
    def panel(name: Callable[[float], str], y_label: str, title: str) -> Panel:
        def values(level: float) -> np.ndarray:
            found = np.array([row.measured[name(level)] for row in rows])
            return np.where(np.isnan(found), np.inf, found)  # never: above the panel, median too

        return Panel(
            series={f"to ‖W⊥‖/‖W‖ ≤ {level:g}": values(level) for level in LEVELS},
            x=[f"{row.name} ({row.measured['reached'].sum():.0f})" for row in rows],
            x_label=f"optimizer (seeds that reached {LEVELS[-1]:g})",
            y_label=y_label,
            title=title,
        )

    return study_figure(
        panel(_steps_to, "steps", "Steps until W⊥ is small"),
        panel(_seconds_to, "seconds", "Time until W⊥ is small"),
    )
