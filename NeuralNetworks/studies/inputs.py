"""Do inputs have to be Gaussian? Comparison with uniform, Rademacher, Laplace and Student-t."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import scipy.special
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import certify, descend
from derandomization.hessian import Hessian
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import Between, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, grouped, measured, run_study
from NeuralNetworks.expectations import FixedPoints
from NeuralNetworks.model import Student, Teacher, complete_basis, orthogonal_part
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.train import EXACT, descent_optimizer

Inputs = Literal["gaussian", "uniform", "rademacher", "laplace", "student-t"]
INPUTS: tuple[Inputs, ...] = get_args(Inputs)

# Degrees from u to the first axis; the symmetries of the plane map all other angles to these. At 0
# x_⊥ is independent of x_∥; at 45 it is only symmetric given x_∥; between, only uncorrelated.
ANGLES = (0.0, 15.0, 30.0, 45.0)
# The steps at each λ after which 1e-6 of W_⊥ is left with Gaussian inputs.
REGULARIZATIONS = {1e-4: 600, 1e-3: 250, 1e-2: 150}
MAIN_REGULARIZATION, MAIN_ANGLE = 1e-3, 30.0
STUDENT_T_FREEDOM = 5
COLLAPSED = 1e-6
NEGLIGIBLE_WEIGHT = 1e-17  # relative to the heaviest point
# Heavy tails need more nodes, and the Gaussian's defect needs many more to be computed as 0.
NODES_FACTOR: dict[Inputs, int] = {"student-t": 2}
NODES_FACTOR_DEFECT: dict[Inputs, int] = {"student-t": 2, "gaussian": 16}


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train on inputs of unit covariance that are not Gaussian, for teachers at several angles.

    Lemma 3.1 rests on Stein's lemma, which holds for Gaussians only. The study reports whether W⊥
    still vanishes, how far ∂f/∂W⊥ = (∂²f/∂b² + 2λI) W⊥ is violated, and whether the bounds that
    follow from it hold. Coordinates are independent; the teacher's direction u lies at an angle to
    the first. The angle from u to E(xy), the direction to which W moves first, is reported too.
    """

    output_dir: Path = Path("results/NeuralNetworks/inputs")
    width: PositiveInt = 40
    """Hidden units h."""
    steps: PositiveInt = 600
    """Maximum number of descent steps of each run; fewer at larger λ, where W⊥ vanishes sooner."""
    nodes: Annotated[int, Between(6, 1_000)] = 14
    """Nodes of the quadrature on each axis; Rademacher has two, Student's t gets twice as many.
    More than the default change no remaining ‖W⊥‖/‖W‖ by more than 2%."""


@dataclass(frozen=True)
class Setting:
    """Inputs, the teacher's angle in degrees, and a λ."""

    inputs: Inputs
    angle: float
    regularization: float
    width: int
    steps: int
    nodes: int


class ProductRule(FixedPoints):
    """E over independent coordinates of mean 0 and variance 1 along the two rows of ``basis``."""

    def __init__(
        self, inputs: Inputs, num_nodes: int, basis: Float[Tensor, "2 2"] | None = None
    ) -> None:
        nodes, weights = (torch.from_numpy(each) for each in axis(inputs, num_nodes))
        masses = torch.outer(weights, weights).flatten()
        kept = masses > NEGLIGIBLE_WEIGHT * masses.max()
        points = torch.cartesian_prod(nodes, nodes)[kept]
        super().__init__(points if basis is None else points @ basis, masses[kept])


def axis(inputs: Inputs, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (of sum 1) for one coordinate of mean 0 and variance 1.

    Gauss rules: Hermite, Legendre on [−√3, √3], Laguerre on both sides of 0. Rademacher is two
    points. Student's t has only moments up to the fourth (ν = 5) and so no Gauss rule: with
    x = √(ν−2)·tan θ its density is cos^{ν−1} θ in θ, where the midpoint rule is exact for every
    moment that exists.
    """
    if inputs == "rademacher":
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if inputs == "gaussian":
        nodes, weights = scipy.special.roots_hermitenorm(count)
    elif inputs == "uniform":
        nodes, weights = scipy.special.roots_legendre(count)
        nodes = math.sqrt(3) * nodes
    elif inputs == "laplace":
        side, masses = scipy.special.roots_laguerre((count + 1) // 2)
        nodes = np.concatenate([-side[::-1], side]) / math.sqrt(2)
        weights = np.concatenate([masses[::-1], masses])
    else:
        angles = math.pi * ((np.arange(count) + 0.5) / count - 0.5)
        nodes = math.sqrt(STUDENT_T_FREEDOM - 2) * np.tan(angles)
        weights = np.cos(angles) ** (STUDENT_T_FREEDOM - 1)
    return nodes, weights / weights.sum()


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="NeuralNetworks/inputs",
        settings={
            f"{inputs}, {angle:g}°, λ = {value:g}": Setting(
                inputs, angle, value, config.width, min(steps, config.steps), config.nodes
            )
            for inputs in INPUTS
            for value, steps in REGULARIZATIONS.items()
            for angle in (ANGLES if value == MAIN_REGULARIZATION else (MAIN_ANGLE,))
        },
        measure=train_on_inputs,
        columns={
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "tilt": "sin∠(u, E(xy))",
            "singular_ratio": "σ₂/σ₁ of W",
            "norm_to_bound": "‖W⊥‖/bound at ρ",
            "stein_defect": "Stein's defect at the start",
            "risk": "risk",
        },
        claim=_claims,
        figures=lambda rows: {"inputs": _figure(rows)},
    )
    run_study(study, config)


def train_on_inputs(setting: Setting, seed: int) -> dict[str, float]:
    """Train once; a ratio to a bound above 1 means it is broken, NaN that there is no bound."""
    generator = torch.Generator().manual_seed(seed)
    turn = math.radians(setting.angle)
    direction = torch.tensor([[math.cos(turn), math.sin(turn)]], dtype=torch.float64)
    teacher = Teacher(2, directions=direction)
    student = Student(2, setting.width, generator)
    population = Population(teacher, _rule(setting, teacher, NODES_FACTOR))
    objective = PopulationRisk(student, population, setting.regularization)
    finer = Population(teacher, _rule(setting, teacher, NODES_FACTOR_DEFECT))
    defect = stein_defect(student, finer)
    optimizer = descent_optimizer(objective, EXACT, generator)
    descend(objective, optimizer, max_steps=setting.steps)
    certificate = certify(objective)
    norm = certificate.weight_norm
    with torch.no_grad():
        risk = float(objective.risk())
        largest, smallest = torch.linalg.svdvals(student.weight).tolist()
    return {
        "relative_orthogonal_norm": norm / math.hypot(largest, smallest),
        "tilt": tilt(population),
        "singular_ratio": smallest / largest,
        "risk": risk,
        "rho": certificate.rho,
        "norm_to_bound": norm / (certificate.weight_bound or math.nan),
        "norm_to_sharp_bound": norm / (certificate.sharp_weight_bound or math.nan),
        "stein_defect": defect,
    }


def _rule(setting: Setting, teacher: Teacher, factors: dict[Inputs, int]) -> ProductRule:
    """The rule of the inputs; for Gaussians along u, which keeps W_⊥ = 0 stationary."""
    basis = complete_basis(teacher.directions) if setting.inputs == "gaussian" else None
    return ProductRule(setting.inputs, setting.nodes * factors.get(setting.inputs, 1), basis)


def stein_defect(student: Student, population: Population) -> float:
    """‖∂R/∂W_⊥ − ∂²R/∂b² W_⊥‖ / ‖∂R/∂W_⊥‖ of the risk R: 0 for Gaussian inputs and any student.

    For other inputs E[x g′(x)] = E[g″(x*)], where x* has their zero-bias distribution (Goldstein,
    Reinert 1997): the curvature in W_⊥ differs from the curvature in b.
    """
    objective = PopulationRisk(student, population, 1.0)  # λ cancels
    (gradient,) = torch.autograd.grad(objective.risk(), student.weight)
    across = orthogonal_part(gradient, population.directions)
    curvature = Hessian(objective, [student.bias])
    columns = objective.random_weights().detach().T
    products = torch.stack([curvature.product(column) for column in columns], dim=1)
    return float((across - products).norm() / across.norm())


def tilt(population: Population) -> float:
    """|sin| of the angle from u to E(xy): by Stein's lemma E(xy) = E(h′) u for Gaussian inputs.

    While W is small, ∂R/∂w_j is a multiple of E(x(y − c)) = E(xy) for every unit j.
    """
    inputs, labels, weights = population()
    correlation = (weights * labels) @ inputs
    return float(orthogonal_part(correlation, population.directions).norm() / correlation.norm())


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Report the measurements for each distribution; all are open questions."""
    for inputs, each in grouped(rows, lambda setting: setting.inputs).items():
        _report(run, inputs, each)


def _report(run: Run, inputs: Inputs, rows: list[Row[Setting]]) -> None:
    for where, chosen in (
        ("0°", [row for row in rows if row.setting.angle == 0]),
        ("45°", [row for row in rows if row.setting.angle == 45]),
        ("angles between", [row for row in rows if 0 < row.setting.angle < 45]),
    ):
        found, bound, sharp = (
            measured(chosen, name).ravel()
            for name in ("relative_orthogonal_norm", "norm_to_bound", "norm_to_sharp_bound")
        )
        run.claim(
            "NG",
            f"{inputs} inputs, u at {where}: ‖W⊥‖/‖W‖ ≤ {COLLAPSED:g} on "
            f"{(found <= COLLAPSED).sum()} of {len(found)} runs; Lemma 3.1's bound broken on "
            f"{(bound > 1).sum()} of {(~np.isnan(bound)).sum()}, its sharp form on "
            f"{(sharp > 1).sum()} of {(~np.isnan(sharp)).sum()}; ‖W⊥‖/‖W‖",
            measured=f"{found.min():.2g} to {found.max():.2g}",
        )
    strong = max(chosen, key=lambda row: row.setting.regularization)
    run.claim(
        "NG",
        f"{strong.name}: is W of rank one, and along E(xy)? the largest σ₂/σ₁, median ‖W⊥‖/‖W‖, "
        "sin∠(u, E(xy))",
        measured=f"{strong.measured['singular_ratio'].max():.2g}, "
        f"{strong.median('relative_orthogonal_norm'):.3g}, {strong.median('tilt'):.3g}",
    )


def _figure(rows: list[Row[Setting]]) -> Figure:
    """Remaining W_⊥ over the angle and over λ, and Stein's defect over the angle."""
    by_angle = [row for row in rows if row.setting.regularization == MAIN_REGULARIZATION]
    by_regularization = [row for row in rows if row.setting.angle == MAIN_ANGLE]

    def series(chosen: list[Row[Setting]], quantity: str) -> dict[str, np.ndarray]:
        groups = grouped(chosen, lambda setting: setting.inputs)
        return {inputs: measured(each, quantity) for inputs, each in groups.items()}

    over_angles = partial(Panel, x=ANGLES, x_label="angle from u to an axis (degrees)")
    return study_figure(
        over_angles(
            series=series(by_angle, "relative_orthogonal_norm"),
            y_label="‖W⊥‖ / ‖W‖",
            title=f"Irrelevant weights at the end, λ = {MAIN_REGULARIZATION:g}",
            log_y=False,
        ),
        Panel(
            series=series(by_regularization, "relative_orthogonal_norm"),
            x=list(REGULARIZATIONS),
            x_label="regularization λ",
            y_label="‖W⊥‖ / ‖W‖",
            title=f"The same over λ, u at {MAIN_ANGLE:g}°",
            log_x=True,
            log_y=False,
        ),
        over_angles(
            series=series(by_angle, "stein_defect"),
            y_label="‖∂R/∂W⊥ − ∂²R/∂b² W⊥‖ / ‖∂R/∂W⊥‖",
            title="Defect of Stein's identity at the start",
        ),
    )
