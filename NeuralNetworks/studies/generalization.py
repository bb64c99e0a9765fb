"""Does structure discovery help to generalise? Test risk against the sample size, by λ."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import GaussHermite, QuasiMonteCarlo, descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import log_log_slope
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, Between, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, grouped, measured, run_study
from NeuralNetworks.model import Student, Teacher, orthogonal_part
from NeuralNetworks.risk import Dataset, PopulationRisk
from NeuralNetworks.studies.training import largest_principal_angle
from NeuralNetworks.train import EXACT, descent_optimizer

SAMPLES = (50, 120, 300, 700, 1700, 4000)
# The effect of λ depends on λh: the middle value is figure 3's, 1e-5 at h = 1000. The first is ten
# times as large; the last is practically none: at 1e-7 W decays by less than 1% in 120 steps.
REGULARIZATIONS = (1e-3, 1e-4, 1e-7)
NONE = REGULARIZATIONS[-1]

FirstLayer = Literal["trained", "random", "oracle"]

TEST_POINTS = 2**13  # give the risk to about 2%
# Relative to the mean eigenvalue of ΦᵀΦ. A prior of O(1) functions gives σ²h/n, 2e-2 to 3e-4 here.
# Much smaller ridges fit noise, which leave-one-out does not detect: W was trained on all labels.
RIDGES = tuple(10.0 ** (exponent / 2) for exponent in range(-12, 1))


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Learn from n noisy labels: train the first layer at several λ, then refit the output layer.

    Trained first layers are compared with the initial one (random features) and with the initial
    one projected on the teacher's direction (oracle). Only W differs: for the refit all methods use
    the same new biases N(0, 1), the same sample, and ridge regression with a ridge chosen by
    leave-one-out. The risks of the trained student without refit, and with a refit on its trained
    biases, are reported too. No theorem says which is best, or that W⊥ of a sample vanishes:
    nothing is claimed.
    """

    output_dir: Path = Path("results/NeuralNetworks/generalization")
    dimension: Annotated[int, AtLeast(2)] = 20
    """Dimension d of the input; the teacher depends on one direction of it."""
    width: PositiveInt = 100
    """Hidden units h."""
    noise: Annotated[float, Between(0, math.inf)] = 0.1
    """Standard deviation σ of the noise on the labels. Without noise the oracle's risk is at most
    1e-4 from 50 points on, and n would hardly matter to it."""
    steps: PositiveInt = 120
    """Maximum number of descent steps: enough at the larger λ. At 1e-7 W changes for thousands,
    and stopping earlier or later is a regularization of its own."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the first layer is obtained, with which λ if it is trained, and the sample size."""

    first_layer: FirstLayer
    regularization: float | None
    samples: int
    dimension: int
    width: int
    noise: float
    steps: int

    @property
    def method(self) -> str:
        names = {"random": "random features", "oracle": "oracle"}
        return names.get(self.first_layer, f"trained, λ = {self.regularization or 0:g}")


class Refit(NamedTuple):
    """Output weights, the ridge relative to the mean eigenvalue of ΦᵀΦ, and its error (PRESS)."""

    coefficients: Float[Tensor, " features"]
    ridge: float
    leave_one_out: float


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    methods: list[tuple[FirstLayer, float | None]] = [("trained", x) for x in REGULARIZATIONS]
    methods += [("random", None), ("oracle", None)]
    options = {name: getattr(config, name) for name in ("dimension", "width", "noise", "steps")}
    settings = [
        Setting(first_layer=first_layer, regularization=regularization, samples=samples, **options)
        for first_layer, regularization in methods
        for samples in SAMPLES
    ]
    linear = linear_risk(Teacher(config.dimension))
    study = Study(
        name="NeuralNetworks/generalization",
        settings={f"{each.method}, n = {each.samples}": each for each in settings},
        measure=learn_and_refit,
        columns={
            "risk": "test risk",
            "risk_trained_biases": "on trained biases",
            "risk_as_trained": "without refit",
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "principal_angle": "angle to u",
        },
        claim=_claims,
        figures=lambda rows: {"generalization": _figure(rows, linear)},
    )
    run_study(study, config)


def learn_and_refit(setting: Setting, seed: int) -> dict[str, float]:
    """Learn once; risks E(ŷ − h(u·x))² without σ², NaN where the first layer is not trained.

    The draws do not depend on how the first layer is obtained: methods are paired, seed by seed.
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
        # Without train(), whose exact risk and certificate are not needed here.
        objective = PopulationRisk(student, data, setting.regularization)
        optimizer = descent_optimizer(objective, EXACT, generator)
        descend(objective, optimizer, max_steps=setting.steps)
        as_trained = excess_risk(student, teacher)
        refit_output(student, data)
        on_trained_biases = excess_risk(student, teacher)
    with torch.no_grad():
        # The initial biases are almost 0, where φ(w·x) is w·x/2 plus an even function: a bad basis.
        student.bias.copy_(biases)
    refit = refit_output(student, data)
    weight = student.weight.detach()
    across = orthogonal_part(weight, teacher.directions)
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
    """Set W to c·WUᵀU, where c keeps ‖W‖_F and so how far the units are from linear."""
    with torch.no_grad():
        norm = student.weight.norm()
        along = (student.weight @ teacher.directions.T) @ teacher.directions
        student.weight.copy_(along * (norm / along.norm()))


def refit_output(student: Student, data: Dataset) -> Refit:
    """Fit the output weights by ridge regression on Φ = φ(Wx + b), one row per point."""
    with torch.no_grad():
        matrix = student.activation(torch.addmm(student.bias, data.inputs, student.weight.T))
        refit = ridge_refit(matrix, data.labels)
        student.output.copy_(refit.coefficients * len(student.output))
    return refit


def ridge_refit(
    matrix: Float[Tensor, "points features"], labels: Float[Tensor, " points"]
) -> Refit:
    """argmin_a ‖Φa − y‖² + μ‖a‖² with the μ that minimises the leave-one-out error (PRESS).

    That error is Σ_i (r_i/(1 − H_ii))²; one eigendecomposition of ΦᵀΦ gives the residuals r and
    the leverages H_ii for every μ.
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
    """E(ŷ − h(Ux))² on a quasi-random sample, the same for all students."""
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


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Report medians over n; all are open questions."""
    by_method = grouped(rows, lambda setting: setting.method)
    unregularized = [row for row in rows if row.setting.regularization == NONE]
    for quantity, what in (
        ("risk", "test risk after the refit"),
        ("risk_trained_biases", "test risk after a refit on the trained biases"),
        ("risk_as_trained", "test risk without refit"),
        ("relative_orthogonal_norm", "‖W⊥‖/‖W‖"),
    ):
        for method, each in by_method.items():
            if quantity == "risk" or each[0].setting.first_layer == "trained":
                run.claim(
                    "GEN",
                    f"{method}: median {what}, n = {', '.join(map(str, SAMPLES))}"
                    + _remark(quantity, each, unregularized),
                    measured=", ".join(f"{row.median(quantity):.2g}" for row in each),
                )


def _remark(quantity: str, rows: list[Row[Setting]], unregularized: list[Row[Setting]]) -> str:
    """How fast a norm falls over the upper half of n, or how often a risk is below λ ≈ 0's."""
    found = measured(rows, quantity)
    if quantity == "relative_orthogonal_norm":
        half = len(SAMPLES) // 2
        slope = log_log_slope(SAMPLES[half:], found[half:])
        return f"; as n^s from n = {SAMPLES[half]} on, s = {slope}"
    if rows[0].setting.regularization == NONE:
        return ""
    below = found < measured(unregularized, quantity)
    return f"; below λ = {NONE:g} on {below.sum()} of {found.size} runs"


def _figure(rows: list[Row[Setting]], linear: float) -> Figure:
    """The risks with and without refit over n, and the remaining W_⊥."""
    trained = [row for row in rows if row.setting.first_layer == "trained"]
    start = trained[0].median("relative_orthogonal_norm")
    line = {"least risk of a linear function": np.full(len(SAMPLES), linear)}
    rate = {"‖W⊥‖/‖W‖ ∝ n^−1/2": start * np.sqrt(SAMPLES[0] / np.array(SAMPLES))}

    def series(chosen: list[Row[Setting]], quantity: str) -> dict[str, np.ndarray]:
        groups = grouped(chosen, lambda setting: setting.method)
        return {method: measured(each, quantity) for method, each in groups.items()}

    panel = partial(Panel, x=SAMPLES, x_label="sample size n", log_x=True)
    risk = partial(panel, y_label="test risk E(ŷ − h(u·x))²", references=line)
    norms = series(trained, "relative_orthogonal_norm")
    return study_figure(
        risk(series(rows, "risk"), title="Output layer refitted by ridge regression"),
        risk(series(trained, "risk_as_trained"), title="The student as trained"),
        panel(norms, y_label="‖W⊥‖ / ‖W‖", title="Irrelevant weights", references=rate),
    )
