"""Large λ with frozen biases, as in earlier work, compared with tiny λ with trained biases."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from derandomization import Expectation, History, MonteCarlo, descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, grouped, measured, run_study
from NeuralNetworks.expectations import quadrature
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies.training import HEADINGS, NODES, claim_collapse
from NeuralNetworks.train import EXACT, descent_optimizer

DIMENSION = 2
REGULARIZATIONS = (5e-5, 5e-4, 5e-3, 5e-2)
COLLAPSED = 1e-6
SHARPNESS = 2.0  # ι of the default activation
# Where W_⊥ stays it is O(1) and needs more nodes across: 12 give it to 1%, 4 only to 50%.
NODES_IF_FROZEN, NODES_MEASURED = (24, 12), (48, 24)

# The first step size is h · rate, at most a quarter of 1/λ: the decay of W is stable at every λ.
RATE_PER_UNIT = 0.3
MAX_DECAY = 0.25
MOMENTUM = 0.9
# SGD's step size then falls as DECAY/(2λt): from 0.5 on, the start decays faster than the noise.
DECAY = 4.0

Method = Literal["trained b, PGD", "frozen b, SGD", "frozen b, exact"]
OURS: Method = "trained b, PGD"
THEIRS: Method = "frozen b, SGD"
NOISELESS: Method = "frozen b, exact"
METHODS = (OURS, THEIRS, NOISELESS)


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Compare the paper's setting with the strong regularisation of Mousavi-Hosseini et al. (2023).

    Theirs: biases N(0, 1) and output weights are frozen, SGD on fresh batches with steps as 1/t.
    Past some λ* W⊥ falls as √(d/T), the noise of SGD, and most of W∥ vanishes with it. Ours: biases
    are trained, any λ > 0. Theirs is repeated with exact gradients, without the noise of SGD.
    """

    output_dir: Path = Path("results/NeuralNetworks/strong-regularization")
    width: PositiveInt = 100
    """Hidden units h."""
    sgd_steps: Annotated[int, AtLeast(32)] = 1500
    """Steps T of SGD, at least 32 to see how W⊥ falls."""
    exact_steps: PositiveInt = 1000
    """Maximum number of steps with exact gradients; fewer at larger λ, where fewer are enough."""
    batch_size: PositiveInt = 50
    """Fresh samples of each step of SGD."""


@dataclass(frozen=True)
class Setting:
    """A method and a λ."""

    method: Method
    regularization: float
    width: int
    steps: int
    batch_size: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    shown = ("relative_orthogonal_norm", "remaining_orthogonal_norm", "parallel_norm", "risk")
    study = Study(
        name="NeuralNetworks/strong-regularization",
        settings={
            f"{method}, λ = {value:g}": Setting(
                method, value, config.width, _steps(config, method, value), config.batch_size
            )
            for method in METHODS
            for value in REGULARIZATIONS
        },
        measure=train_and_split,
        columns={quantity: HEADINGS[quantity] for quantity in (*shown, "gradient_norm")},
        claim=_claims,
        figures=lambda rows: {"strong_regularization": _figure(rows)},
    )
    run_study(study, config)


def train_and_split(setting: Setting, seed: int) -> dict[str, float]:
    """Train once; the norms of W_∥ and W_⊥, the exact risk and the gradient at the end."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(DIMENSION)
    student = _student(setting, generator)
    finest = Population(teacher, quadrature(teacher, NODES_MEASURED))
    exact = PopulationRisk(student, finest, setting.regularization)
    threshold = convexity_threshold(exact)
    history = _descend(student, teacher, setting, generator)
    with torch.no_grad():
        risk, total = float(exact.risk()), float(student.weight.norm())
    left = exact.weight_norm()
    return {
        "relative_orthogonal_norm": left / total,
        "remaining_orthogonal_norm": left / float(history.weight_norm[0]),
        "orthogonal_norm": left,
        "parallel_norm": math.sqrt(max(0.0, total**2 - left**2)),
        "risk": risk,
        "gradient_norm": float(history.gradient_norm[-1]),
        "slope": decay_slope(history.weight_norm) if setting.method == THEIRS else math.nan,
        "convexity_threshold": threshold,
    }


def convexity_threshold(objective: PopulationRisk) -> float:
    """λ* = (ι/4)·max|a_j|·√R₀/h: past it, W_⊥ = 0 at every stationary point no worse than W = 0.

    With φ″ ≤ ι/4, E[∇²g] ⪰ −2·E|ŷ − y|·max|a_j|·(ι/4)/h, where E|ŷ − y| ≤ √R ≤ √R₀, R₀ the risk
    at W = 0. By Stein's lemma (E[∇²g] + 2λI) W_⊥ = 0, and past λ* this matrix is positive definite
    for any biases.
    """
    student = objective.student
    inputs, labels, weights = objective.examples()
    with torch.no_grad():
        blind = student(torch.zeros_like(inputs))  # the same output as with W = 0
        largest = float(student.output.abs().max())
    blind_risk = float(weights @ (blind - labels).square())
    return SHARPNESS / 4 * largest * math.sqrt(blind_risk) / student.widths[0]


def decay_slope(norms: Float[np.ndarray, " records"]) -> float:
    """Slope of log ‖W_⊥‖ over log t, from root mean squares over [T/32, T/16] and [T/2, T]."""
    last = len(norms) - 1
    early, late = norms[last // 32 : last // 16 + 1], norms[last // 2 :]
    return math.log(np.mean(late**2) / np.mean(early**2)) / 2 / math.log(16)


def _student(setting: Setting, generator: torch.Generator) -> Student:
    """Ours as in figure 3; theirs with biases N(0, 1), because frozen ones near 0 are useless."""
    if setting.method == OURS:
        return Student(DIMENSION, setting.width, generator)
    student = Student(DIMENSION, setting.width, generator, frozen=("output", "bias"))
    with torch.no_grad():
        student.bias.normal_(generator=generator)
    return student


def _descend(
    student: Student, teacher: Teacher, setting: Setting, generator: torch.Generator
) -> History:
    """Our PGD; their SGD, or Nesterov's method on the exact risk without perturbations."""
    expectations: dict[Method, Expectation] = {
        OURS: quadrature(teacher, NODES),
        THEIRS: MonteCarlo(DIMENSION, setting.batch_size, generator),
        NOISELESS: quadrature(teacher, NODES_IF_FROZEN),
    }
    examples = Population(teacher, expectations[setting.method])
    objective = PopulationRisk(student, examples, setting.regularization)
    rate = min(RATE_PER_UNIT * setting.width, MAX_DECAY / setting.regularization)
    optimizer: Optimizer = SGD([student.weight], lr=rate, momentum=MOMENTUM, nesterov=True)
    if setting.method == OURS:
        optimizer = descent_optimizer(objective, EXACT, generator)
    if setting.method == THEIRS:
        optimizer = SGD([student.weight], lr=rate)
        slowing = 2 * setting.regularization * rate / DECAY
        schedule = LambdaLR(optimizer, lambda step: 1 / (1 + slowing * step))
        optimizer.register_step_post_hook(lambda *_: schedule.step())
    return descend(objective, optimizer, max_steps=setting.steps)


def _steps(config: Config, method: Method, regularization: float) -> int:
    """Where W_⊥ vanishes it shrinks as exp(−cλt), as far as momentum allows."""
    if method == THEIRS:
        return config.sgd_steps
    return min(config.exact_steps, max(300, math.ceil(0.3 / regularization)))


def _claims(run: Run, all_rows: list[Row[Setting]]) -> None:
    """Claim that ours collapses at every λ, and theirs past λ* at its proven rate; report costs."""
    rows = grouped(all_rows, lambda setting: setting.method)
    claim_collapse(run, rows[OURS], "OPT", COLLAPSED)
    stays = rows[NOISELESS][0]
    run.claim(
        "OPT",
        f"{stays.name}: median ‖W⊥‖/‖W‖ that stays, where ‖∇f‖ ≤ "
        f"{stays.measured['gradient_norm'].max():.1g}",
        measured=stays.median("relative_orthogonal_norm"),
    )
    _claim_threshold(run, rows[NOISELESS])
    for row in rows[THEIRS]:
        if _past(row).all():
            _claim_rate(run, row)
            break
    for ours, theirs, noiseless in zip(*(rows[m] for m in METHODS), strict=True):
        if (noiseless.measured["relative_orthogonal_norm"] <= COLLAPSED).all():
            _claim_cost(run, theirs, ours, rows[OURS][0])
            break


def _past(row: Row[Setting]) -> np.ndarray:
    """Which runs have a λ past their own λ*."""
    return row.measured["convexity_threshold"] < row.setting.regularization


def _claim_threshold(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that W_⊥ vanishes past λ* without noise."""
    left = np.concatenate([row.measured["relative_orthogonal_norm"][_past(row)] for row in rows])
    thresholds = rows[0].measured["convexity_threshold"]
    run.claim(
        "OPT",
        f"{NOISELESS}: ‖W⊥‖/‖W‖ ≤ {COLLAPSED:g} on every run past its λ*, {thresholds.min():.2g} "
        f"to {thresholds.max():.2g}: {(left <= COLLAPSED).sum()} of {len(left)}",
        paper=0.0,
        measured=float(left.max()) if len(left) else None,
        holds=bool((left <= COLLAPSED).all()) if len(left) else None,
    )


def _claim_rate(run: Run, row: Row[Setting]) -> None:
    """Claim their theorem's rate past λ*, ‖W_⊥‖/√h = O(√(d/T)), whose constant is not given."""
    slope = row.interval("slope")
    lower_end = slope.mean if math.isnan(slope.low) else slope.low
    size = row.measured["orthogonal_norm"].max() / row.setting.width**0.5
    run.claim(
        "OPT",
        f"{row.name} > λ*: ‖W⊥‖ falls at least as t^−0.5, to within the interval; its slope "
        f"(‖W⊥‖/√h ends at most at {size / math.sqrt(DIMENSION / row.setting.steps):.2g}·√(d/T))",
        bound="slope ≤ −0.5",
        measured=str(slope),
        holds=lower_end <= -0.5,
    )


def _claim_cost(run: Run, *rows: Row[Setting]) -> None:
    """Report the costs at the least λ at which their W_⊥ vanishes, which may be below λ*."""
    for quantity, symbol in (("risk", "risk"), ("parallel_norm", "‖W∥‖")):
        run.claim(
            "OPT",
            f"median {symbol} at the smallest λ at which W⊥ vanishes: "
            f"{'; '.join(row.name for row in rows)}",
            measured="; ".join(f"{row.median(quantity):.3g}" for row in rows),
        )


def _figure(rows: list[Row[Setting]]) -> Figure:
    """Norms and risk over λ, one colour per method."""
    groups = grouped(rows, lambda setting: setting.method)
    threshold = groups[THEIRS][0].median("convexity_threshold")

    def panel(quantity: str, y_label: str, title: str) -> Panel:
        return Panel(
            series={method: measured(each, quantity) for method, each in groups.items()},
            x=REGULARIZATIONS,
            x_label=f"regularization λ (median λ* = {threshold:.2g})",
            y_label=y_label,
            title=title,
            log_x=True,
        )

    return study_figure(
        panel("relative_orthogonal_norm", "‖W⊥‖ / ‖W‖", "What is left of the irrelevant weights"),
        panel("parallel_norm", "‖W∥‖", "What is left of the relevant ones"),
        panel("risk", "risk", "What it costs"),
    )
