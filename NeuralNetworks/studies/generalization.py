"""Does discovery help to generalise? Test risk against the size of the sample, with and without."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import GaussHermite, QuasiMonteCarlo, descend
from derandomization.checks import require_at_least, require_between
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import Interval, confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Measurement, Row, StudyConfig, measure_rows, tabulate
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.risk import Dataset, PopulationRisk
from NeuralNetworks.studies.trial import largest_principal_angle
from NeuralNetworks.train import EXACT, descent_optimizer

SAMPLES = (50, 120, 300, 700, 1700, 4000)
# λ acts through λh: the middle one is figure 3's, 1e-5 at h = 1000. Beside it ten times as much,
# and as good as none: at 1e-7 the decay takes less than 1% of W in 120 steps.
REGULARIZATIONS = (1e-3, 1e-4, 1e-7)
NONE = REGULARIZATIONS[-1]

FirstLayer = Literal["trained", "random", "oracle"]

TEST_POINTS = 2**13  # give a risk to about 2%
# Of the mean eigenvalue of ΦᵀΦ. A prior of O(1) functions asks for σ²h/n of it, 2e-2 to 3e-4 here.
# Much less fits noise, and leave-one-out can't tell once W has seen the label left out.
RIDGES = tuple(10.0 ** (exponent / 2) for exponent in range(-12, 1))


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Learn from n noisy labels: the first layer first, at several λ, then the output by ridge.

    Beside the first layer trained stand the one it starts from (random features) and that one
    projected on the teacher's direction (oracle). What differs is W alone: for the refit all have
    the same fresh biases N(0, 1), the same sample and a ridge chosen by leave-one-out. The risks
    of the trained student without refit, and of the refit on its trained biases, are reported too.
    No theorem says who wins, or that W⊥ of a sample vanishes: nothing is asserted.
    """

    output_dir: Path = Path("results/NeuralNetworks/generalization")
    """Folder for results.json, table.csv and the figure; made if missing."""
    dimension: int = 20
    """Dimension d of the input; the teacher sees one direction of it."""
    width: int = 100
    """Hidden units h."""
    noise: float = 0.1
    """Standard deviation σ of the noise on the labels. Without any, the oracle is at 1e-4 or less
    from 50 points on: to whoever knows u, n would hardly matter."""
    steps: int = 120
    """Most descent steps: enough at the larger λ. At 1e-7 W would go on for thousands, and how many
    it takes is a regularization of its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("dimension", self.dimension, 2)
        require_at_least("width", self.width, 1)
        require_between("noise", self.noise, 0, math.inf)
        require_at_least("steps", self.steps, 1)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the first layer is had, at which λ if it is trained, and from how many points."""

    first_layer: FirstLayer
    regularization: float | None
    samples: int
    dimension: int
    width: int
    noise: float
    steps: int


@dataclass(frozen=True)
class Refit:
    """Output weights by ridge regression.

    Attributes:
        coefficients: a of Φa, one a feature.
        ridge: μ, relative to the mean eigenvalue of ΦᵀΦ.
        leave_one_out: the mean squared error on labels left out, one at a time.
    """

    coefficients: Float[Tensor, " features"]
    ridge: float
    leave_one_out: float


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/generalization", config)
    methods: dict[str, tuple[FirstLayer, float | None]] = {
        **{f"trained, λ = {value:g}": ("trained", value) for value in REGULARIZATIONS},
        "random features": ("random", None),
        "oracle": ("oracle", None),
    }
    settings = {
        f"{method}, n = {samples}": Setting(
            first_layer=first_layer,
            regularization=regularization,
            samples=samples,
            dimension=config.dimension,
            width=config.width,
            noise=config.noise,
            steps=config.steps,
        )
        for method, (first_layer, regularization) in methods.items()
        for samples in SAMPLES
    }
    rows = measure_rows(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "risk": "test risk",
            "risk_trained_biases": "on trained biases",
            "risk_as_trained": "without refit",
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "principal_angle": "angle to u",
        },
    )
    starts = range(0, len(rows), len(SAMPLES))
    by_method = {m: rows[i : i + len(SAMPLES)] for m, i in zip(methods, starts, strict=True)}
    _claims(run, by_method)
    run.figure("generalization", _figure(by_method, linear_risk(Teacher(config.dimension))))
    run.finish()


def measure(setting: Setting, seed: int) -> Measurement:
    """E(ŷ − h(u·x))² where it ends, σ² not counted; NaN for what there is only after training.

    The draws don't depend on how the first layer is had: methods are paired, seed by seed.
    """
    generator = torch.Generator().manual_seed(seed)
    teacher = Teacher(setting.dimension, noise=setting.noise)
    student = Student(setting.dimension, setting.width, generator)
    biases = torch.randn(setting.width, generator=generator, dtype=torch.float64)
    shape = (setting.samples, teacher.sample_dimension)
    sample = torch.randn(*shape, generator=generator, dtype=torch.float64)
    data = Dataset(sample[:, : setting.dimension], teacher(sample), teacher.directions)
    as_trained = on_trained_biases = math.nan
    if setting.first_layer == "oracle":
        project(student, teacher)
    elif setting.regularization is not None:
        # Not by train: its certificate takes twice as long, and speaks of Gaussian inputs only.
        objective = PopulationRisk(student, data, setting.regularization)
        optimizer = descent_optimizer(objective, EXACT, generator)
        descend(objective, optimizer, max_steps=setting.steps)
        as_trained = excess_risk(student, teacher)
        refit_output(student, data)
        on_trained_biases = excess_risk(student, teacher)
    with torch.no_grad():
        # As drawn they are all but 0, where φ(w·x) is w·x/2 and an even function: no good basis.
        student.bias.copy_(biases)
    refit = refit_output(student, data)
    weight = student.weight.detach()
    across = weight - (weight @ teacher.directions.T) @ teacher.directions
    top = torch.linalg.svd(weight, full_matrices=False).Vh[:1]
    return {
        "risk": excess_risk(student, teacher),
        "risk_trained_biases": on_trained_biases,
        "risk_as_trained": as_trained,
        "relative_orthogonal_norm": float(across.norm() / weight.norm()),
        "principal_angle": largest_principal_angle(top, teacher.directions),
        "ridge": refit.ridge,
        "leave_one_out": refit.leave_one_out,
    }


def project(student: Student, teacher: Teacher) -> None:
    """W ← c·WUᵀU, with the c that keeps ‖W‖_F: the units bend as much as they did."""
    with torch.no_grad():
        norm = student.weight.norm()
        along = (student.weight @ teacher.directions.T) @ teacher.directions
        student.weight.copy_(along * (norm / along.norm()))


def refit_output(student: Student, data: Dataset) -> Refit:
    """Replace the output weights by ridge regression on Φ = φ(Wx + b), a row a point."""
    with torch.no_grad():
        matrix = student.activation(torch.addmm(student.bias, data.inputs, student.weight.T))
        refit = ridge_refit(matrix, data.labels)
        student.output.copy_(refit.coefficients * len(student.output))
    return refit


def ridge_refit(
    matrix: Float[Tensor, "points features"], labels: Float[Tensor, " points"]
) -> Refit:
    """argmin_a ‖Φa − y‖² + μ‖a‖², the μ of least Σ_i (r_i/(1 − H_ii))²: leave-one-out (PRESS).

    One eigendecomposition of ΦᵀΦ serves every μ: residuals r and leverages H_ii are read off it.
    """
    eigenvalues, basis = torch.linalg.eigh(matrix.T @ matrix)
    ridges = eigenvalues.mean() * torch.tensor(RIDGES, dtype=torch.float64)
    inverses = 1 / (eigenvalues[:, None] + ridges)
    rotated = matrix @ basis
    coefficients = inverses * (rotated.T @ labels)[:, None]
    residuals = labels[:, None] - rotated @ coefficients
    errors = (residuals / (1 - rotated.square() @ inverses)).square().mean(dim=0)
    best = int(errors.argmin())
    return Refit(basis @ coefficients[:, best], RIDGES[best], float(errors[best]))


def excess_risk(student: Student, teacher: Teacher) -> float:
    """E(ŷ − h(Ux))² on one quasi-random sample, the same for everybody."""
    generator = torch.Generator().manual_seed(0)
    indices, dimension = teacher.directions.shape
    points, weights = QuasiMonteCarlo(dimension, TEST_POINTS, generator)()
    signal = teacher.link((points @ teacher.directions.T).reshape(-1, indices))
    with torch.no_grad():
        return float(weights @ (student(points) - signal).square())


def linear_risk(teacher: Teacher) -> float:
    """min_c E(h(z) − c·z)² = E h² − (E h(z)z)² for an odd h of one index."""
    nodes, weights = GaussHermite((64,))()
    signal = teacher.link(nodes)
    return float(weights @ signal.square() - (weights @ (signal * nodes[:, 0])) ** 2)


def _claims(run: Run, rows: Mapping[str, Sequence[Row[Setting]]]) -> None:
    """What was found over n: open questions all."""
    plain = next(each for each in rows.values() if each[0].setting.regularization == NONE)
    for quantity, what in (
        ("risk", "test risk after the refit"),
        ("risk_trained_biases", "test risk after a refit on the trained biases"),
        ("risk_as_trained", "test risk without refit"),
        ("relative_orthogonal_norm", "‖W⊥‖/‖W‖"),
    ):
        for method, each in rows.items():
            if quantity == "risk" or each[0].setting.first_layer == "trained":
                run.claim(
                    "GEN",
                    f"{method}: median {what}, n = {', '.join(str(n) for n in SAMPLES)}"
                    + _remark(quantity, each, plain),
                    paper=None,
                    measured=", ".join(f"{row.median(quantity):.2g}" for row in each),
                    holds=None,
                )


def _remark(quantity: str, each: Sequence[Row[Setting]], plain: Sequence[Row[Setting]]) -> str:
    """How fast a norm falls over the upper half of n, or how often a risk is below λ ≈ 0."""
    found, blind = (np.array([row.measured[quantity] for row in rows]) for rows in (each, plain))
    if quantity == "relative_orthogonal_norm":
        half = len(SAMPLES) // 2
        slope = exponent(SAMPLES[half:], found[half:])
        return f"; as n^s from n = {SAMPLES[half]} on, s = {slope}"
    if each is plain:
        return ""
    return f"; below λ = {NONE:g} on {(found < blind).sum()} of {found.size} runs"


def exponent(samples: Sequence[int], norms: Float[np.ndarray, "samples seeds"]) -> Interval:
    """s of norm ∝ n^s, by least squares for each seed."""
    slopes, _ = np.polyfit(np.log(samples), np.log(norms), 1)
    return confidence_interval(slopes)


def _figure(rows: Mapping[str, Sequence[Row[Setting]]], linear: float) -> Figure:
    """Over n the risks with and without refit, and what is left of W_⊥."""
    trained = [m for m, each in rows.items() if each[0].setting.first_layer == "trained"]
    risk = "test risk E(ŷ − h(u·x))²"
    line = {"least risk of a linear function": np.full(len(SAMPLES), linear)}
    start = rows[trained[0]][0].median("relative_orthogonal_norm")
    rate = {"‖W⊥‖/‖W‖ ∝ n^−1/2": start * np.sqrt(SAMPLES[0] / np.array(SAMPLES))}
    panels = [
        Panel(
            series={m: np.array([row.measured[quantity] for row in rows[m]]) for m in methods},
            x=SAMPLES,
            x_label="sample size n",
            y_label=y_label,
            title=title,
            log_x=True,
            references=references,
        )
        for quantity, methods, y_label, title, references in (
            ("risk", list(rows), risk, "Output layer refitted by ridge regression", line),
            ("risk_as_trained", trained, risk, "The student as trained", line),
            ("relative_orthogonal_norm", trained, "‖W⊥‖ / ‖W‖", "Irrelevant weights", rate),
        )
    ]
    return study_figure(*panels)
