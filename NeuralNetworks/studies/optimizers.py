"""Which optimizers find the structure? Seven of them on figure 3's problem, from one start."""

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer

from derandomization import HessianDescent, MonteCarlo, PerturbedGradientDescent, certify, descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveFloat, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from NeuralNetworks.expectations import quadrature
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies.training import NODES
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
PAPER_METHODS: tuple[Method, ...] = ("PGD", "PGD, momentum", "Hessian descent")
LEVELS = (1e-2, 1e-4, 1e-6)
# Compared from 0.01 to 1: smaller ones take longer, larger ones end further from 0; 0.1 is alike.
ADAM_LEARNING_RATE = 0.2


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Steps and CPU seconds until ‖W⊥‖/‖W‖ is small and stays so, by optimizer, from one start.

    PGD, Hessian descent and gradient descent take steps of 1/L on the exact risk, L the curvature
    at the start. SGD draws 50 fresh points per step and adds no other noise; Adam uses the exact
    risk. Where ‖∇f‖ ≤ 1e-6 PGD perturbs and Hessian descent follows negative curvature: until then
    both are gradient descent.
    """

    output_dir: Path = Path("results/NeuralNetworks/optimizers")
    width: PositiveInt = 200
    """Hidden units h."""
    regularization: PositiveFloat = 1e-4
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 1500
    """Maximum number of steps of each optimizer."""


@dataclass(frozen=True)
class Setting:
    """An optimizer and the problem that it solves."""

    method: Method
    width: int
    regularization: float
    steps: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="NeuralNetworks/optimizers",
        settings={
            method: Setting(method, config.width, config.regularization, config.steps)
            for method in get_args(Method)
        },
        measure=count_steps_to_collapse,
        columns={
            **{f"steps_to_{level:g}": f"steps to {level:g}" for level in LEVELS},
            f"cpu_seconds_to_{LEVELS[-1]:g}": f"CPU s to {LEVELS[-1]:g}",
            "escapes": "noise or curvature steps before",
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖ at the end",
        },
        claim=_claims,
        figures=lambda rows: {"optimizers": _figure(rows)},
    )
    run_study(study, config)


def count_steps_to_collapse(setting: Setting, seed: int) -> dict[str, float]:
    """Descend once: the step from which on each level is kept (NaN if it is not), and the end."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(2)
    student = Student(2, setting.width, generator)
    exact_examples = Population(teacher, quadrature(teacher, NODES))
    exact = PopulationRisk(student, exact_examples, setting.regularization)
    objective = exact
    if setting.method.startswith("SGD"):
        batches = Population(teacher, MonteCarlo(2, BATCH_SIZE, generator))
        objective = PopulationRisk(student, batches, setting.regularization)
    optimizer = _optimizer(setting.method, exact, generator)
    optimizer.zero_grad()  # the first call in a process imports torch's compiler: not to be timed
    history = descend(
        objective,
        optimizer,
        max_steps=setting.steps,
        observe=lambda: {
            "total_weight_norm": float(student.weight.detach().norm()),
            "cpu_seconds": time.process_time(),  # other processes may use the same core
        },
    )
    relative = history.weight_norm / history.observations["total_weight_norm"]
    clock = history.observations["cpu_seconds"]
    kept = {level: kept_from(relative <= level) for level in LEVELS}
    escapes = [*history.perturbation_steps, *getattr(optimizer, "curvature_steps", [])]
    last = math.inf if math.isnan(kept[LEVELS[-1]]) else kept[LEVELS[-1]]
    with torch.no_grad():
        risk = float(exact.risk())
    return {
        **{f"steps_to_{level:g}": step for level, step in kept.items()},
        **{f"cpu_seconds_to_{level:g}": _elapsed(clock, step) for level, step in kept.items()},
        "escapes": sum(step < last for step in escapes),
        "smallest_relative_norm": float(relative.min()),
        "relative_orthogonal_norm": float(relative[-1]),
        "risk": risk,
        "steps": history.num_steps,
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


def kept_from(met: Bool[np.ndarray, " records"]) -> float:
    """The first record from which on all are met; NaN if the last one is not."""
    missed = np.flatnonzero(~met)
    first = missed[-1] + 1 if len(missed) else 0
    return float(first) if first < len(met) else math.nan


def _elapsed(clock: Float[np.ndarray, " records"], step: float) -> float:
    return math.nan if math.isnan(step) else float(clock[int(step)] - clock[0])


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    for row in rows:
        _claim_collapse_for_good(run, row)
    escapes = [row.measured["escapes"].max() for row in rows if row.name in PAPER_METHODS]
    run.claim(
        "OPT",
        f"PGD, Hessian descent: most perturbations or curvature steps before {LEVELS[-1]:g}; at 0 "
        "they are gradient descent up to there",
        measured=float(max(escapes)),
    )


def _claim_collapse_for_good(run: Run, row: Row[Setting]) -> None:
    """Claim the collapse with the paper's methods, and report it for the others."""
    level, method = LEVELS[-1], row.setting.method
    kept = ~np.isnan(row.measured[f"steps_to_{level:g}"])
    touched = (row.measured["smallest_relative_norm"] <= level) & ~kept
    promised = method in PAPER_METHODS
    run.claim(
        "SGD" if method.startswith("SGD") else "OPT",
        f"{method}: ‖W⊥‖/‖W‖ ≤ {level:g} for good within {row.setting.steps} steps on "
        f"{kept.sum()} of {len(kept)} seeds"
        + (f", for a while on {touched.sum()}" if touched.any() else "")
        + "; largest at the end",
        paper=0.0 if promised else None,
        measured=float(row.measured["relative_orthogonal_norm"].max()),
        holds=bool(kept.all()) if promised else None,
    )


def _figure(rows: list[Row[Setting]]) -> Figure:
    # Infinite if the level is not reached: then it is above the panel, and so is a median.
    steps = {
        f"to ‖W⊥‖/‖W‖ ≤ {x:g} for good": np.nan_to_num(
            measured(rows, f"steps_to_{x:g}"), nan=np.inf
        )
        for x in LEVELS
    }
    left = {"‖W⊥‖/‖W‖ at the end": measured(rows, "relative_orthogonal_norm")}
    title = f"What is left after at most {rows[0].setting.steps} steps"
    panel = partial(Panel, x=[row.name for row in rows], x_label="optimizer")
    return study_figure(
        panel(steps, y_label="steps", title="Steps until W⊥ is small"),
        panel(left, y_label="‖W⊥‖/‖W‖", title=title),
    )
