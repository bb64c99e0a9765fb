"""How many samples does a student need, over d and the teacher's information exponent?"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import Diverged, descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import Between, PositiveInt
from derandomization.laboratory.study import (
    NumSeeds,
    Row,
    Study,
    StudyConfig,
    grouped,
    measured,
    run_study,
)
from NeuralNetworks.model import Link, Student, Teacher, orthogonal_part
from NeuralNetworks.risk import Dataset, PopulationRisk
from NeuralNetworks.train import EXACT, descent_optimizer


class Problem(NamedTuple):
    """A link h with E h(z) = 0 and E h(z)² = 1, where it is learned, and the first n/d tried.

    The information exponent is the degree of the first Hermite polynomial in h; gradient descent
    from a random start is slower to find u the larger it is.
    """

    link: Link
    exponent: int
    dimensions: tuple[int, ...]
    first: int


def _sine(z: Tensor) -> Tensor:
    return z[:, 0].sin() / math.sqrt((1 - math.exp(-2)) / 2)


def _absolute(z: Tensor) -> Tensor:
    return (z[:, 0].abs() - math.sqrt(2 / math.pi)) / math.sqrt(1 - 2 / math.pi)


def _cubic(z: Tensor) -> Tensor:
    return (z[:, 0] ** 3 - 3 * z[:, 0]) / math.sqrt(6)


PROBLEMS = {
    "sin z": Problem(_sine, 1, (10, 30, 80, 200), first=2),
    "|z|": Problem(_absolute, 2, (10, 30, 80, 200), first=2),
    "z³ − 3z": Problem(_cubic, 3, (10, 20, 40), first=8),  # at d = 80 n would exceed 3200
}
THRESHOLD = 0.2  # of the labels' variance: a student below it has learned
MOST_SAMPLES = {"student": 3200, "kernel": 1600}
VALIDATION = 5  # every fifth point is held out to choose λ or the ridge
# The last is practically none: at 1e-7 W decays by less than 1% in 150 steps.
REGULARIZATIONS = (1e-2, 1e-3, 1e-7)
NONE = REGULARIZATIONS[-1]
RIDGES = (1e-2, 1e-1)
TEST_POINTS = 4000
METHODS = {
    "validated": "λ by validation",
    "unregularized": f"λ = {NONE:g}",
    "kernel": "kernel ridge regression",
}


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Find the sample size at which the test risk falls below 20% of the labels' variance.

    Students with all layers trained, λ chosen by validation, are compared with the same students
    at λ ≈ 0 and with kernel ridge regression, which sees no structure. The sample size doubles,
    starting at a multiple of d; between two sizes the risk is interpolated as a power of n. Where
    the last size does not suffice the number is missing. No theorem says how many samples are
    needed: nothing is claimed.
    """

    output_dir: Path = Path("results/NeuralNetworks/generalization")
    seeds: NumSeeds = 5
    """Independent repetitions of every setting, all derived from --seed."""
    width: PositiveInt = 40
    """Hidden units h."""
    noise: Annotated[float, Between(0, math.inf)] = 0.1
    """Standard deviation σ of the noise on the labels, whose own is 1."""
    steps: PositiveInt = 150
    """Descent steps; stopping earlier or later is a regularization of its own."""


@dataclass(frozen=True)
class Setting:
    """A link and a dimension."""

    link: str
    dimension: int
    width: int
    noise: float
    steps: int


class Fit(NamedTuple):
    """A fitted function's mean squared errors, and ‖W_⊥‖/‖W‖ of a student."""

    validation: float
    test: float
    orthogonal: float = math.nan


class Split(NamedTuple):
    """A sample, of which every fifth point is held out, and noiseless labels for the test."""

    inputs: Float[Tensor, "points d"]
    labels: Float[Tensor, " points"]
    test_inputs: Float[Tensor, "test d"]
    test_labels: Float[Tensor, " test"]

    def fitted(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels that are not held out."""
        chosen = torch.arange(len(self.labels)) % VALIDATION != 0
        return self.inputs[chosen], self.labels[chosen]

    def held_out(self) -> tuple[Tensor, Tensor]:
        """Inputs and labels that are held out."""
        return self.inputs[::VALIDATION], self.labels[::VALIDATION]


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    settings = {
        f"{name}, d = {dimension}": Setting(
            name, dimension, config.width, config.noise, config.steps
        )
        for name, problem in PROBLEMS.items()
        for dimension in problem.dimensions
    }
    study = Study(
        name="NeuralNetworks/generalization",
        settings=settings,
        measure=samples_needed,
        columns={name: f"n, {heading}" for name, heading in METHODS.items()}
        | {"orthogonal": "‖W⊥‖/‖W‖ there", "regularization": "λ there"},
        claim=_claims,
        figures=lambda rows: {"generalization": _figure(rows)},
    )
    run_study(study, config)


def sizes(setting: Setting, method: str) -> list[int]:
    """The sample sizes tried, smallest first."""
    most = MOST_SAMPLES["kernel" if method == "kernel" else "student"]
    first = PROBLEMS[setting.link].first * setting.dimension
    return [first * 2**i for i in range(int(math.log2(most / first)) + 1)]


def samples_needed(setting: Setting, seed: int) -> dict[str, float]:
    """The sample size at which each method learns, NaN if none suffices.

    A larger sample contains the smaller ones. λ and ‖W_⊥‖/‖W‖ are those of the validated student at
    the first size tried that suffices.
    """
    generator = torch.Generator().manual_seed(seed)
    link = PROBLEMS[setting.link].link
    teacher = Teacher(setting.dimension, link=link, noise=setting.noise).float()
    shape = (MOST_SAMPLES["student"], setting.dimension + 1)
    sample = torch.randn(*shape, generator=generator)
    labels = teacher(sample[:, : teacher.sample_dimension])
    inputs = sample[:, :-1]
    test = torch.randn(TEST_POINTS, setting.dimension, generator=generator)
    test_labels = link(test @ teacher.directions.T)
    curves: dict[str, dict[int, float]] = {method: {} for method in METHODS}
    first = {"orthogonal": math.nan, "regularization": math.nan}
    for samples in sizes(setting, "validated"):
        split = Split(inputs[:samples], labels[:samples], test, test_labels)
        learning = [
            method
            for method, curve in curves.items()
            if samples in sizes(setting, method) and math.isnan(crossing(curve))
        ]
        values: tuple[float, ...] = ()
        if "validated" in learning:
            values = REGULARIZATIONS
        elif "unregularized" in learning:
            values = (NONE,)
        students = {value: train_student(setting, value, split, teacher, seed) for value in values}
        if "validated" in learning:
            best = min(students, key=lambda value: students[value].validation)
            curves["validated"][samples] = students[best].test
            if students[best].test <= THRESHOLD:
                first = {"orthogonal": students[best].orthogonal, "regularization": best}
        if "unregularized" in learning:
            curves["unregularized"][samples] = students[NONE].test
        if "kernel" in learning:
            curves["kernel"][samples] = kernel_ridge(split).test
    return {method: crossing(curve) for method, curve in curves.items()} | first


def crossing(risks: Mapping[int, float]) -> float:
    """The n at which the risk, a power of n between two sizes, first is THRESHOLD; else NaN."""
    before: tuple[int, float] | None = None
    for samples, risk in risks.items():
        if risk <= THRESHOLD:
            if before is None:
                return float(samples)
            share = math.log(before[1] / THRESHOLD) / math.log(before[1] / risk)
            return float(before[0] * (samples / before[0]) ** share)
        before = samples, risk
    return math.nan


def train_student(
    setting: Setting, regularization: float, split: Split, teacher: Teacher, seed: int
) -> Fit:
    """Train all layers by PGD on the points that are not held out."""
    generator = torch.Generator().manual_seed(seed)
    student = Student(setting.dimension, setting.width, generator, frozen=())
    with torch.no_grad():
        # The initial biases are almost 0, where φ(w·x) is w·x/2 plus an even function: a bad basis.
        student.bias.normal_(generator=generator)
    data = Dataset(*split.fitted(), teacher.directions)
    objective = PopulationRisk(student, data, regularization).float()
    with contextlib.suppress(Diverged):  # the student is then at its best point
        optimizer = descent_optimizer(objective, EXACT, generator)
        descend(objective, optimizer, max_steps=setting.steps)
    weight = student.weight.detach()
    across = orthogonal_part(weight, teacher.directions)
    with torch.no_grad():
        held_out, test = (
            float((student(points) - truth).square().mean())
            for points, truth in (split.held_out(), (split.test_inputs, split.test_labels))
        )
    return Fit(held_out, test, float(across.norm() / weight.norm()))


def kernel_ridge(split: Split) -> Fit:
    """Kernel ridge regression with exp(−‖x − x′‖²/2d) and the ridge of least validation error."""
    inputs, labels = (each.double() for each in split.fitted())

    def kernel(points: Tensor) -> Tensor:
        return (-torch.cdist(points.double(), inputs).square() / (2 * inputs.shape[1])).exp()

    gram, identity = kernel(inputs), torch.eye(len(inputs), dtype=torch.float64)
    factors = torch.stack([torch.linalg.cholesky(gram + ridge * identity) for ridge in RIDGES])
    weights = torch.cholesky_solve(labels[:, None], factors)[:, :, 0].T  # a column for each ridge
    held_out, test = (
        (kernel(points) @ weights - truth[:, None]).square().mean(dim=0)
        for points, truth in (split.held_out(), (split.test_inputs, split.test_labels))
    )
    best = int(held_out.argmin())
    return Fit(float(held_out[best]), float(test[best]))


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Report the samples needed; how many these are is an open question."""
    for name, each in grouped(rows, lambda setting: setting.link).items():
        dimensions = [row.setting.dimension for row in each]
        problem = f"{name} (information exponent {PROBLEMS[name].exponent}), d = " + ", ".join(
            map(str, dimensions)
        )
        exponents = [exponent(dimensions, measured(each, method)) for method in METHODS]
        run.claim(
            "GEN",
            f"{problem}: median samples for a test risk of {THRESHOLD:.0%} of the variance, λ by "
            f"validation, compared with kernel ridge regression; as d^α, α = {exponents[0]}, "
            f"kernel {exponents[2]}",
            measured=_medians(each, "validated"),
            baseline=_medians(each, "kernel"),
        )
        run.claim(
            "GEN",
            f"{problem}: the same at λ = {NONE:g}, compared with λ by validation; "
            f"α = {exponents[1]}",
            measured=_medians(each, "unregularized"),
            baseline=_medians(each, "validated"),
        )


def exponent(dimensions: Sequence[int], needed: Float[np.ndarray, "dimensions seeds"]) -> str:
    """α of n ∝ d^α with its interval, from the dimensions where every seed learned."""
    complete = ~np.isnan(needed).any(axis=1)
    if complete.sum() < 3:
        return f"not fitted (all seeds learned at {complete.sum()} of {len(needed)} d)"
    slope = log_log_slope(np.array(dimensions)[complete], needed[complete])
    return f"{slope}" + ("" if complete.all() else f" over {complete.sum()} of {len(needed)} d")


def _medians(rows: list[Row[Setting]], method: str) -> str:
    """Medians over the seeds; one that did not learn needs more samples than were tried."""
    texts = []
    for row in rows:
        median = float(np.median(np.nan_to_num(row.measured[method], nan=math.inf)))
        most = sizes(row.setting, method)[-1]
        texts.append(f"{median:.0f}" if math.isfinite(median) else f"> {most}")
    return ", ".join(texts)


def _figure(rows: list[Row[Setting]]) -> Figure:
    """The samples needed over the dimension, one panel for each link."""
    panels = []
    for name, each in grouped(rows, lambda setting: setting.link).items():
        dimensions = [row.setting.dimension for row in each]
        largest = {
            f"most samples tried, {what}": np.array(
                [sizes(row.setting, method)[-1] for row in each], dtype=float
            )
            for what, method in (("students", "validated"), ("kernel", "kernel"))
        }
        panels.append(
            Panel(
                # A seed that did not learn counts in the median, but has no place in the figure.
                series={
                    what: np.nan_to_num(measured(each, method), nan=math.inf)
                    for method, what in METHODS.items()
                },
                x=dimensions,
                x_label="dimension d",
                y_label=f"samples for a risk of {THRESHOLD:.0%}",
                title=f"{name}, information exponent {PROBLEMS[name].exponent}",
                log_x=True,
                references=largest,
            )
        )
    return study_figure(*panels)
