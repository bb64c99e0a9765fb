"""Large λ with frozen biases, as in earlier work, beside tiny λ with trained biases."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure

from derandomization import MonteCarlo, descend
from derandomization.checks import require_at_least
from derandomization.runs import Run
from derandomization.studies import Row, StudyConfig, run_study, tabulate
from derandomization.sweep import Measurement
from NeuralNetworks.activations import SmoothReLU
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.studies.plot import Panel, study_figure
from NeuralNetworks.studies.trial import claim_collapse
from NeuralNetworks.rules import exact_rule
from NeuralNetworks.train import train

DIMENSION = 2
REGULARIZATIONS = (2e-5, 2e-4, 2e-3, 2e-2, 2e-1)
COLLAPSED = 1e-6
# Where W_⊥ stays, it is O(1): the measuring rule then needs more nodes across than the training.
NODES, NODES_MEASURED = (24, 4), (48, 24)
SHARPNESS = 2.0

# Steps of h · rate, under half of 1/(2λ) so that the decay of W is stable at every λ, then as 1/t:
# the schedule with which ‖W_⊥‖²/h goes as d/T.
RATE_PER_UNIT = 0.3
MAX_DECAY = 0.5
STEPS_BEFORE_DECAY = 500

Method = Literal["trained b, PGD", "frozen b, SGD", "frozen b, exact"]
OURS: Method = "trained b, PGD"
THEIRS: Method = "frozen b, SGD"
NOISELESS: Method = "frozen b, exact"


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Compare the paper's setting with the strong regularisation of Mousavi-Hosseini et al. (2023).

    Theirs: biases N(0, 1) and output weights frozen, SGD on fresh batches, λ large enough for the
    risk to be convex in W⊥. Then W⊥ goes, down to the noise of SGD, and most of W∥ with it. Ours:
    biases trained, any λ > 0. Theirs is run once more with exact gradients, down to the 1e-6 where
    they stop: what is left of W⊥ then is left by λ, not by noise.
    """

    output_dir: Path = Path("results/NeuralNetworks/strong-regularization")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: int = 100
    """Hidden units h."""
    sgd_steps: int = 2000
    """Steps T of SGD."""
    exact_steps: int = 5000
    """Most steps with exact gradients; less at larger λ, where W⊥ goes sooner."""
    batch_size: int = 50
    """Fresh samples of each step of SGD."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "sgd_steps", "exact_steps", "batch_size"):
            require_at_least(name, getattr(self, name), 1)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A method at a λ."""

    method: Method
    regularization: float
    width: int
    steps: int
    batch_size: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/strong-regularization", config)
    methods: tuple[Method, ...] = (OURS, THEIRS, NOISELESS)
    settings = {
        f"{method}, λ = {value:g}": Setting(
            method=method,
            regularization=value,
            width=config.width,
            steps=_steps(config, method, value),
            batch_size=config.batch_size,
        )
        for method in methods
        for value in REGULARIZATIONS
    }
    rows = run_study(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "remaining_orthogonal_norm": "‖W⊥‖/start",
            "parallel_norm": "‖W∥‖",
            "risk": "risk",
        },
    )
    by_method = {m: [row for row in rows if row.setting.method == m] for m in methods}
    _claims(run, by_method, config)
    run.figure("strong_regularization", _figure(by_method))
    run.finish()


def measure(setting: Setting, seed: int) -> Measurement:
    """Train once; norms and the exact risk where it ends."""
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(DIMENSION)
    student = _student(setting, generator)
    rule = exact_rule(teacher, setting.width, NODES_MEASURED)
    assert rule is not None  # two dimensions
    exact = PopulationRisk(student, Population(teacher, rule), setting.regularization)
    start = exact.weight_norm()
    threshold = convexity_threshold(exact)
    if setting.method == THEIRS:
        _sgd(student, teacher, setting, generator)
    else:
        train(
            student,
            teacher,
            regularization=setting.regularization,
            generator=generator,
            nodes=NODES,
            max_steps=setting.steps,
        )
    with torch.no_grad():
        risk, total = float(exact.risk()), float(student.weight.norm())
    left = exact.weight_norm()
    return {
        "relative_orthogonal_norm": left / total,
        "remaining_orthogonal_norm": left / start,
        "orthogonal_norm": left,
        "parallel_norm": math.sqrt(max(0.0, total**2 - left**2)),
        "risk": risk,
        "convexity_threshold": threshold,
    }


def convexity_threshold(objective: PopulationRisk) -> float:
    """λ* = (ι/4)·max|a_j|·√R₀/h: past it, W_⊥ = 0 at every stationary point no worse than W = 0.

    With φ″ ≤ ι/4, E[∇²g] ⪰ −2·E|ŷ − y|·max|a_j|·(ι/4)/h = −2λ*, where E|ŷ − y| ≤ √R₀ and R₀ is
    the risk at W = 0. Stein's lemma, (E[∇²g] + 2λI) W_⊥ = 0, asks nothing of the biases then.
    """
    student = objective.student
    with torch.no_grad():
        kept = student.weight.clone()
        student.weight.zero_()
        blind_risk = float(objective.risk())
        student.weight.copy_(kept)
        largest = float(student.output.abs().max())
    return SHARPNESS / 4 * largest * math.sqrt(blind_risk) / student.widths[0]


def _student(setting: Setting, generator: torch.Generator) -> Student:
    """Ours as in figure 3; theirs with biases N(0, 1), since frozen ones must be of some use."""
    frozen = ("output",) if setting.method == OURS else ("output", "bias")
    student = Student(
        DIMENSION, setting.width, generator, activation=SmoothReLU(SHARPNESS), frozen=frozen
    )
    if setting.method != OURS:
        with torch.no_grad():
            student.bias.normal_(generator=generator)
    return student


def _sgd(student: Student, teacher: Teacher, setting: Setting, generator: torch.Generator) -> None:
    batches = MonteCarlo(DIMENSION, setting.batch_size, generator)
    objective = PopulationRisk(student, Population(teacher, batches), setting.regularization)
    rate = min(RATE_PER_UNIT * setting.width, MAX_DECAY / setting.regularization)
    optimizer = torch.optim.SGD([student.weight], lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1 / (1 + step / STEPS_BEFORE_DECAY)
    )
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    descend(objective, optimizer, max_steps=setting.steps)


def _steps(config: Config, method: Method, regularization: float) -> int:
    """W_⊥ shrinks as exp(−cλt) at the least."""
    if method == THEIRS:
        return config.sgd_steps
    return min(config.exact_steps, max(600, math.ceil(0.2 / regularization)))


def _claims(run: Run, rows: dict[Method, list[Row[Setting]]], config: Config) -> None:
    """Ours collapses at every λ; theirs at the rate of its theorem past λ*, at a cost."""
    claim_collapse(run, rows[OURS], "OPT", COLLAPSED)
    sgd = rows[THEIRS]
    # Their theorem bounds ‖W_⊥‖/√h by √(d/T) up to constants; 1 stands for those.
    rate = math.sqrt(DIMENSION / config.sgd_steps)
    scaled = np.concatenate([_strong(row, row.measured["orthogonal_norm"]) for row in sgd])
    scaled = scaled / config.width**0.5
    run.claim(
        "OPT",
        f"frozen b, SGD: ‖W⊥‖/√h ≤ √(d/T) on every run past its λ*, {len(scaled)} of them",
        paper=rate,
        measured=float(scaled.max()) if len(scaled) else None,
        holds=bool((scaled <= rate).all()) if len(scaled) else None,
    )
    smallest = f"λ = {REGULARIZATIONS[0]:g}"
    run.claim(
        "OPT",
        f"frozen b, exact gradients, {smallest}: median ‖W⊥‖/‖W‖ that stays",
        paper="no guarantee",
        measured=rows[NOISELESS][0].median("relative_orthogonal_norm"),
        holds=None,
    )
    for each, noiseless in zip(sgd, rows[NOISELESS], strict=True):
        if len(_strong(each, scaled)) == config.seeds:
            _claim_cost(run, each, noiseless, rows[OURS][0])
            break


def _strong(row: Row[Setting], values: np.ndarray) -> np.ndarray:
    """Of the runs whose λ is past their own λ*."""
    return values[row.measured["convexity_threshold"] < row.setting.regularization]


def _claim_cost(run: Run, sgd: Row[Setting], noiseless: Row[Setting], ours: Row[Setting]) -> None:
    """What is left by the noise of SGD, and what λ took, beside ours at the smallest λ."""
    name = f"λ = {sgd.setting.regularization:g} > λ*"
    run.claim(
        "OPT",
        f"frozen b, {name}: median ‖W⊥‖/‖W‖, left by the noise of SGD, and without noise",
        paper=None,
        measured=f"{sgd.median('relative_orthogonal_norm'):.2g}, "
        f"{noiseless.median('relative_orthogonal_norm'):.2g}",
        holds=None,
    )
    for quantity, symbol in (("risk", "risk"), ("parallel_norm", "‖W∥‖")):
        run.claim(
            "OPT",
            f"median {symbol} of frozen b, SGD, {name}, and of ours, "
            f"λ = {ours.setting.regularization:g}",
            paper=None,
            measured=f"{sgd.median(quantity):.3g}, {ours.median(quantity):.3g}",
            holds=None,
        )


def _figure(rows: dict[Method, list[Row[Setting]]]) -> Figure:
    """Norms and risk over λ, a colour a method."""
    threshold = rows[THEIRS][0].median("convexity_threshold")

    def panel(quantity: str, y_label: str, title: str) -> Panel:
        return Panel(
            series={
                method: np.array([row.measured[quantity] for row in each])
                for method, each in rows.items()
            },
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
