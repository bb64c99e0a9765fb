"""Figure 3's problem: seconds until W⊥ has vanished."""

from collections.abc import Callable
from functools import partial

import torch
from torch.optim import LBFGS, Adam

from benchmarks.race import Problem, Racer, against, levels_panel, race, rows
from benchmarks.report import Effort, Report
from derandomization import DerandomizationObjective, Expectation, MonteCarlo
from NeuralNetworks.expectations import exact_expectation
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.settings import RiskEvaluation
from NeuralNetworks.studies.optimizers import ADAM_LEARNING_RATE
from NeuralNetworks.train import BATCH_SIZE, DEFAULTS, descent_optimizer

LEVELS = (1e-1, 1e-2, 1e-4, 1e-6)  # ‖W⊥‖/‖W‖
REGULARIZATION = 1e-5  # the paper's
WIDTH = 1_000
EXACT, SAMPLED = "PGD, exact risk", "PGD, batches of 50 (published)"
MARGIN = 20.0  # sampled over exact, at least


def measure(effort: Effort) -> Report:
    """The race to each level."""
    report = Report()
    _race(report, effort)
    return report


def problem(
    estimator: RiskEvaluation, width: int, dimension: int = 2
) -> tuple[PopulationRisk, torch.Generator]:
    """Figure 3's risk from its usual start."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = Student(dimension, width, generator), Teacher(dimension)
    rule: Expectation | None = MonteCarlo(dimension, BATCH_SIZE, generator)
    if estimator == "exact":
        rule = exact_expectation(teacher, width)
    if rule is None:
        raise ValueError(f"there is no exact rule for h = {width}, d = {dimension}")
    return PopulationRisk(student, Population(teacher, rule), REGULARIZATION), generator


def relative_norm(objective: DerandomizationObjective) -> float:
    """‖W⊥‖_F/‖W‖_F."""
    assert isinstance(objective, PopulationRisk)
    return objective.weight_norm() / float(objective.student.weight.detach().norm())


def _pgd(estimator: RiskEvaluation, width: int) -> Problem:
    objective, generator = problem(estimator, width)
    return objective, descent_optimizer(objective, DEFAULTS[estimator], generator)


def _adam(width: int) -> Problem:
    objective, _ = problem("exact", width)
    return objective, Adam(_trained(objective), lr=ADAM_LEARNING_RATE)


def _lbfgs(width: int) -> Problem:
    objective, _ = problem("exact", width)
    return objective, LBFGS(
        _trained(objective),
        tolerance_grad=0.0,  # by default it stops at ‖W⊥‖/‖W‖ = 3e-4
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )


def _race(report: Report, effort: Effort) -> None:
    width = 50 if effort.quick else WIDTH
    _adam(width)[1].zero_grad()  # torch's optimizers import its compiler once: off the clock
    builds: dict[str, tuple[Callable[[], Problem], int]] = {
        EXACT: (partial(_pgd, "exact", width), 400),
        SAMPLED: (partial(_pgd, "sampled", width), DEFAULTS["sampled"].max_steps),
        "Adam, exact risk": (partial(_adam, width), 1_500),
        "LBFGS, exact risk, 20 iterations a step": (partial(_lbfgs, width), 75),
    }
    racers = {
        name: Racer(build, relative_norm, min(60, most) if effort.quick else most)
        for name, (build, most) in builds.items()
    }
    results = race(racers, LEVELS, effort.repeats)
    title = f"‖W⊥‖/‖W‖ of figure 3, h = {width}, λ = {REGULARIZATION:g}"
    report.tables[title] = rows(results, LEVELS, EXACT)
    statement = f"figure 3: {SAMPLED} over exact, to {LEVELS[0]:g}"
    report.at_least(statement, MARGIN, against(results, SAMPLED, EXACT, LEVELS[0]))
    for name, result in results.items():
        missed = [f"{level:g}" for level, step in result.steps.items() if step is None]
        if missed:
            report.notes.append(
                f"{name} does not reach {', '.join(missed)} in {racers[name].max_steps} steps: "
                f"it ends at {result.end:.2g}"
            )
    report.panels.append(levels_panel(results, LEVELS, "‖W⊥‖/‖W‖ reached", "Figure 3's problem"))


def _trained(objective: PopulationRisk) -> list[torch.nn.Parameter]:
    return [parameter for parameter in objective.parameters() if parameter.requires_grad]
