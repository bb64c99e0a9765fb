"""Does W⊥ vanish for inputs that are not standard Gaussian, and does the bound with δ hold?"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import scipy.special
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import descend, stein_bounds
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
from NeuralNetworks.expectations import FixedPoints
from NeuralNetworks.model import Student, Teacher, complete_basis, orthogonal_part
from NeuralNetworks.risk import Population, PopulationRisk
from NeuralNetworks.train import EXACT, descent_optimizer

Inputs = Literal["gaussian", "uniform", "rademacher", "laplace", "student-t"]
INPUTS: tuple[Inputs, ...] = get_args(Inputs)
Varied = Literal["angle", "λ", "dimension", "correlation"]
RAMP, RANDOM, WHITENED = "u ∝ (1, …, d)", "random u", "correlated, whitened"

# Degrees from u to the first axis, d = 2; the symmetries of the plane map all other angles to
# these. At 0 x_⊥ is independent of x_∥; at 45 it is only symmetric given x_∥; between, only
# uncorrelated.
ANGLES = (0, 30, 45)
DIMENSIONS = (2, 4, 6, 8, 12)  # of Rademacher inputs: all 2^d points
CORRELATIONS = (0.3, 0.6, 0.9)  # of two Gaussian inputs; the labels depend on the first
# The steps at each λ after which 1e-6 of W_⊥ is left with Gaussian inputs.
STEPS = {1e-4: 600, 1e-3: 250, 1e-2: 150}
MAIN_REGULARIZATION, MAIN_ANGLE = 1e-3, 30
STUDENT_T_FREEDOM = 5
COLLAPSED = 1e-6
NEGLIGIBLE_WEIGHT = 1e-17  # relative to the heaviest point
NODES_FACTOR: dict[Inputs, int] = {"student-t": 2}  # heavy tails need more nodes


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train on inputs that are not N(0, I), for which the theory does not say that W⊥ vanishes.

    Three series: independent coordinates of five distributions, d = 2, over the angle from the
    teacher's direction u to an axis; Rademacher coordinates (±1) over the dimension d; correlated
    Gaussians, as given and whitened. Each run ends with Stein's defect δ and the bound that charges
    it, (‖∂f/∂W⊥‖ + ‖δ‖)/(2λ + λ_min(∂²f/∂b²)), which holds for inputs of any distribution. The
    angle from u to E(xy), the direction to which W moves first, is reported too.
    """

    output_dir: Path = Path("results/NeuralNetworks/inputs")
    seeds: NumSeeds = 6
    """Independent repetitions of every setting, all derived from --seed."""
    width: PositiveInt = 30
    """Hidden units h."""
    steps: PositiveInt = 600
    """Maximum number of descent steps of each run; fewer at larger λ, where W⊥ vanishes sooner."""
    nodes: Annotated[int, Between(6, 1_000)] = 14
    """Nodes of the quadrature on each axis; Rademacher has two, Student's t gets twice as many.
    More than the default change no remaining ‖W⊥‖/‖W‖ by more than 2%."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The inputs, the teacher's direction and λ; what the study varies there, and the series."""

    varied: Varied
    series: str
    inputs: Inputs
    dimension: int = 2
    direction: tuple[float, ...] | None  # along u; None draws u uniformly, by the seed
    correlation: float = 0.0  # of two Gaussian coordinates of variance 1
    whiten: bool = False
    regularization: float = MAIN_REGULARIZATION
    width: int
    steps: int
    nodes: int


class ProductRule(FixedPoints):
    """E over independent coordinates of mean 0 and variance 1 along the rows of ``basis``."""

    def __init__(
        self,
        inputs: Inputs,
        num_nodes: int,
        dimension: int = 2,
        basis: Float[Tensor, "dimension dimension"] | None = None,
    ) -> None:
        nodes, weights = (torch.from_numpy(each) for each in axis(inputs, num_nodes))
        masses = torch.cartesian_prod(*[weights] * dimension).prod(dim=1)
        kept = masses > NEGLIGIBLE_WEIGHT * masses.max()
        points = torch.cartesian_prod(*[nodes] * dimension)[kept]
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
        settings=settings(config),
        measure=train_on_inputs,
        columns={
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "turn": "∠(u, W) (°)",
            "tilt": "∠(u, E(xy)) (°)",
            "orthogonal_norm": "‖W⊥‖",
            "stein_defect": "‖δ‖",
            "bound": "bound with δ",
        },
        claim=_claims,
        figures=_figures,
    )
    run_study(study, config)


def settings(config: Config) -> dict[str, Setting]:
    """The settings by the name of their row."""
    found: dict[str, Setting] = {}

    def add(varied: Varied, series: str, position: str, **options: Any) -> None:
        steps = STEPS[options.get("regularization", MAIN_REGULARIZATION)]
        found[f"{series}, {position}"] = Setting(
            varied=varied,
            series=series,
            width=config.width,
            steps=min(steps, config.steps),
            nodes=config.nodes,
            **options,
        )

    for inputs in INPUTS:
        for degrees in ANGLES:
            add("angle", inputs, f"{degrees}°", inputs=inputs, direction=at_angle(degrees))
    signs: dict[str, Any] = {"inputs": "rademacher"}
    for value in (1e-4, 1e-2):
        options = signs | {"direction": at_angle(MAIN_ANGLE), "regularization": value}
        add("λ", f"rademacher at {MAIN_ANGLE}°", f"λ = {value:g}", **options)
    for dimension in DIMENSIONS:
        for series, direction in ((RAMP, tuple(range(1, dimension + 1))), (RANDOM, None)):
            options = signs | {"direction": direction, "dimension": dimension}
            add("dimension", series, f"d = {dimension}", **options)
    for correlation in CORRELATIONS:
        first = {"inputs": "gaussian", "direction": (1, 0), "correlation": correlation}
        position = f"r = {correlation:g}"
        for value in (MAIN_REGULARIZATION, 1e-2):
            add(
                "correlation", f"correlated, λ = {value:g}", position, **first, regularization=value
            )
        add("correlation", WHITENED, position, **first, whiten=True)
    return found


def at_angle(degrees: float) -> tuple[float, float]:
    """The direction in the plane at an angle to the first axis."""
    turn = math.radians(degrees)
    return math.cos(turn), math.sin(turn)


def train_on_inputs(setting: Setting, seed: int) -> dict[str, float]:
    """Train once; the bound is NaN where there is none. Angles are in degrees."""
    generator = torch.Generator().manual_seed(seed)
    population = labelled_inputs(setting, generator)
    student = Student(setting.dimension, setting.width, generator)
    objective = PopulationRisk(student, population, setting.regularization)
    optimizer = descent_optimizer(objective, EXACT, generator)
    descend(objective, optimizer, max_steps=setting.steps)
    weight = student.weight.detach()
    values, directions = torch.linalg.svd(weight, full_matrices=False)[1:]
    inputs, labels, weights = population()
    return {
        "relative_orthogonal_norm": objective.weight_norm() / float(weight.norm()),
        "turn": angle(directions[0], population.directions),
        "tilt": angle((weights * labels) @ inputs, population.directions),
        "singular_ratio": float(values[1] / values[0]),
        **norm_and_bound(objective),
    }


def norm_and_bound(objective: PopulationRisk) -> dict[str, float]:
    """‖W_⊥‖, ‖∂f/∂W_⊥‖, ‖δ‖, λ_min(∂²f/∂b²) and the bound with δ, NaN where there is none."""
    bounds = stein_bounds(objective)
    return {
        "orthogonal_norm": bounds.weight_norm,
        "weight_gradient_norm": bounds.weight_gradient_norm,
        "stein_defect": bounds.stein_defect,
        "bias_curvature": bounds.bias_curvature,
        "bound": math.nan if bounds.sharp_weight_bound is None else bounds.sharp_weight_bound,
    }


def labelled_inputs(setting: Setting, generator: torch.Generator) -> Population:
    """The distribution of the inputs and the labels tanh(u·x)."""
    if setting.direction is None:
        direction = torch.randn(1, setting.dimension, generator=generator, dtype=torch.float64)
    else:
        direction = torch.tensor([setting.direction], dtype=torch.float64)
    direction = direction / direction.norm()
    teacher = Teacher(setting.dimension, directions=direction)
    count = setting.nodes * NODES_FACTOR.get(setting.inputs, 1)
    if setting.inputs != "gaussian":
        return Population(teacher, ProductRule(setting.inputs, count, setting.dimension))
    covariance = torch.eye(2, dtype=torch.float64)
    covariance[0, 1] = covariance[1, 0] = setting.correlation
    root = square_root(covariance)
    # An axis along Σ^{1/2}u, on which the labels depend, keeps W_⊥ = 0 stationary if whitened.
    basis = complete_basis(torch.nn.functional.normalize(direction @ root))
    standard = ProductRule("gaussian", count, basis=basis)
    given = Population(teacher, FixedPoints(standard.points @ root, standard.weights))
    return whitened(given) if setting.whiten else given


def whitened(population: Population) -> Population:
    """The same labels, as a function of z = Σ^{-1/2}x with the covariance I."""
    inputs, _, weights = population()
    root = square_root(inputs.T @ (weights[:, None] * inputs))
    seen = population.directions @ root
    scale, teacher = seen.norm(), population.teacher
    rotated = Teacher(
        inputs.shape[1], link=lambda z: teacher.link(scale * z), directions=seen / scale
    )
    return Population(rotated, FixedPoints(torch.linalg.solve(root, inputs.T).T, weights))


def square_root(covariance: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric Σ^{1/2}."""
    values, axes = torch.linalg.eigh(covariance)
    return (axes * values.sqrt()) @ axes.T


def angle(vector: Float[Tensor, " d"], direction: Float[Tensor, "1 d"]) -> float:
    """The angle, in degrees up to 90, between the lines along two vectors; ‖direction‖ = 1."""
    sine = float(orthogonal_part(vector, direction).norm() / vector.norm())
    return math.degrees(math.asin(min(1.0, sine)))


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim what follows from Stein's identity, report the rest."""
    by_varied = grouped(rows, lambda setting: setting.varied)
    _claim_collapse(run, rows)
    claim_bound(run, "NG", rows)
    for series, each in _series(by_varied["angle"]).items():
        where = ", ".join(f"{degrees}" for degrees in ANGLES)
        run.claim(
            "NG",
            f"{series} inputs, d = 2, u at {where}° to an axis: median ‖W⊥‖/‖W‖",
            measured=_medians(each, "relative_orthogonal_norm"),
        )
    values = ", ".join(f"{row.setting.regularization:g}" for row in by_varied["λ"])
    run.claim(
        "NG",
        f"rademacher inputs, u at {MAIN_ANGLE}°, at other λ = {values}: median ‖W⊥‖/‖W‖",
        measured=_medians(by_varied["λ"], "relative_orthogonal_norm"),
    )
    for series, each in _series(by_varied["dimension"]).items():
        # A random direction in the plane may be near an axis, where almost nothing stays: its
        # logarithm would decide the exponent.
        slope = log_log_slope(DIMENSIONS, measured(each, "relative_orthogonal_norm"))
        decay = f"; as d^s, s = {slope} over starts" if series == RAMP else ""
        run.claim(
            "NG",
            f"rademacher inputs, {series}, d = {', '.join(map(str, DIMENSIONS))}: median "
            f"‖W⊥‖/‖W‖{decay}",
            measured=_medians(each, "relative_orthogonal_norm"),
        )
    for series, each in _series(by_varied["correlation"]).items():
        if series == WHITENED:
            continue
        where = ", ".join(f"{correlation:g}" for correlation in CORRELATIONS)
        run.claim(
            "NG",
            f"Gaussian inputs, {series}, labels tanh(x₁), correlation with x₂ {where}: "
            f"median ‖W⊥‖/‖W‖; the angle from u to W is {_medians(each, 'turn')}°, the angle from "
            f"u to E(xy) ∝ Σu is {_medians(each, 'tilt')}°",
            measured=_medians(each, "relative_orthogonal_norm"),
        )


def _claim_collapse(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that W_⊥ vanishes where the theory says so."""
    gaussian = [row for row in rows if row.setting.inputs == "gaussian"]
    standard = [row for row in gaussian if row.setting.whiten or row.setting.correlation == 0]
    found = measured(standard, "relative_orthogonal_norm")
    run.claim(
        "NG",
        f"Gaussian inputs, and correlated ones after whitening: ‖W⊥‖/‖W‖ ≤ {COLLAPSED:g} on "
        f"{(found <= COLLAPSED).sum()} of {found.size} runs; the largest",
        paper=0.0,
        measured=float(found.max()),
        holds=bool((found <= COLLAPSED).all()),
    )


def claim_bound(run: Run, id: str, rows: list[Row[Any]]) -> None:
    """Claim that ‖W_⊥‖ is within the sharp bound, which holds for any inputs."""
    ratios = measured(rows, "orthogonal_norm") / measured(rows, "bound")
    exists = ~np.isnan(ratios)
    none = "" if exists.all() else f" (none on {(~exists).sum()}, where λ_min(∂²f/∂b²) ≤ −2λ)"
    run.claim(
        id,
        "‖W⊥‖ within (‖∂f/∂W⊥‖ + ‖δ‖)/(2λ + λ_min(∂²f/∂b²)) on "
        f"{(ratios <= 1).sum()} of {exists.sum()} runs{none}; the largest ‖W⊥‖/bound",
        bound=1.0,
        measured=float(ratios[exists].max()) if exists.any() else None,
        holds=bool((ratios[exists] <= 1).all()) if exists.any() else None,
    )


def _series(rows: Iterable[Row[Setting]]) -> dict[str, list[Row[Setting]]]:
    return grouped(rows, lambda setting: setting.series)


def _medians(rows: list[Row[Setting]], quantity: str) -> str:
    return ", ".join(f"{row.median(quantity):.2g}" for row in rows)


def _figures(rows: list[Row[Setting]]) -> dict[str, Figure]:
    """The remaining W_⊥ in each series; the norm, δ and the bound where d and Σ vary."""
    by_varied = grouped(rows, lambda setting: setting.varied)
    ramp = _series(by_varied["dimension"])[RAMP]
    given = _series(by_varied["correlation"])[f"correlated, λ = {MAIN_REGULARIZATION:g}"]

    def remaining(varied: Varied) -> dict[str, np.ndarray]:
        found = _series(by_varied[varied]).items()
        return {name: measured(each, "relative_orthogonal_norm") for name, each in found}

    def bounded(chosen: list[Row[Setting]]) -> dict[str, np.ndarray]:
        names = {"‖W⊥‖": "orthogonal_norm", "‖δ‖": "stein_defect", "bound with δ": "bound"}
        return {name: measured(chosen, quantity) for name, quantity in names.items()}

    first = ramp[0].median("relative_orthogonal_norm")
    dimension: dict[str, Any] = {"x": DIMENSIONS, "x_label": "dimension d", "log_x": True}
    correlation: dict[str, Any] = {"x": CORRELATIONS, "x_label": "correlation of x₁ and x₂"}
    share = "‖W⊥‖ / ‖W‖"
    remaining_figure = study_figure(
        Panel(
            series=remaining("angle"),
            x=ANGLES,
            x_label="angle from u to an axis (degrees)",
            y_label=share,
            title="Independent coordinates, d = 2",
            log_y=False,
        ),
        Panel(
            series=remaining("dimension"),
            **dimension,
            y_label=share,
            title="Rademacher coordinates",
            references={"∝ 1/d": first * DIMENSIONS[0] / np.array(DIMENSIONS)},
        ),
        Panel(
            series=remaining("correlation"),
            **correlation,
            y_label=share,
            title="Correlated Gaussian coordinates",
        ),
    )
    bounds_figure = study_figure(
        Panel(
            series=bounded(ramp),
            **dimension,
            y_label="norm",
            title=f"Rademacher coordinates, {RAMP}",
        ),
        Panel(
            series=bounded(given),
            **correlation,
            y_label="norm",
            title=f"Correlated Gaussian coordinates, λ = {MAIN_REGULARIZATION:g}",
        ),
    )
    return {"inputs": remaining_figure, "bounds": bounds_figure}
