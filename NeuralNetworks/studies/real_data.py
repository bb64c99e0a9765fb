"""How much of W⊥ stays on real inputs, when the labels depend on two known directions?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn.datasets
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from derandomization import descend
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, grouped, measured, run_study
from NeuralNetworks.model import Student
from NeuralNetworks.risk import Dataset, PopulationRisk
from NeuralNetworks.studies.inputs import claim_bound, norm_and_bound
from NeuralNetworks.train import EXACT, descent_optimizer

# The loader of each data set, all part of scikit-learn, and the principal components kept.
DATA: dict[str, tuple[Callable[..., tuple[np.ndarray, np.ndarray]], int]] = {
    "digits": (sklearn.datasets.load_digits, 40),  # standardised pixels would have heavy tails
    "breast cancer": (sklearn.datasets.load_breast_cancer, 30),
    "wine": (sklearn.datasets.load_wine, 13),
    "diabetes": (sklearn.datasets.load_diabetes, 10),
}
REGULARIZATIONS = (1e-3, 1e-2)
INDICES = 2


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train on whitened real inputs x with labels sin(u₁·x) + cos(u₂·x), u₁ and u₂ random.

    The labels depend on the span of u₁ and u₂ alone, but the inputs are a finite sample of a
    distribution that is not Gaussian: W⊥ need not vanish. A whitened Gaussian sample of the same
    size and dimension says how much the finite sample leaves. The bound with Stein's defect δ holds
    on any sample.
    """

    output_dir: Path = Path("results/NeuralNetworks/real-data")
    width: PositiveInt = 40
    """Hidden units h."""
    steps: PositiveInt = 200
    """Maximum number of descent steps; five times as many change ‖W⊥‖/‖W‖ by 5% at most."""


@dataclass(frozen=True)
class Setting:
    """The data set, or a Gaussian sample of its size, and λ."""

    data: str
    gaussian: bool
    regularization: float
    width: int
    steps: int

    @property
    def series(self) -> str:
        return f"{'Gaussian sample' if self.gaussian else 'real'}, λ = {self.regularization:g}"


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    settings = [
        Setting(data, gaussian, regularization, config.width, config.steps)
        for data in DATA
        for regularization in REGULARIZATIONS
        for gaussian in (False, True)
    ]
    study = Study(
        name="NeuralNetworks/real-data",
        settings={f"{each.data}, {each.series}": each for each in settings},
        measure=train_on_data,
        columns={
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "parallel_norm": "‖W∥‖",
            "orthogonal_norm": "‖W⊥‖",
            "stein_defect": "‖δ‖",
            "bound": "bound with δ",
            "risk": "risk",
        },
        claim=_claims,
        figures=lambda rows: {"real_data": _figure(rows)},
    )
    run_study(study, config)


def train_on_data(setting: Setting, seed: int) -> dict[str, float]:
    """Train once on the whole sample; the directions depend on the seed, not on the inputs."""
    generator = torch.Generator().manual_seed(seed)
    inputs = real_inputs(setting.data)
    directions = torch.randn(INDICES, inputs.shape[1], generator=generator, dtype=torch.float64)
    student = Student(inputs.shape[1], setting.width, generator)
    if setting.gaussian:
        drawn = torch.randn(inputs.shape, generator=generator, dtype=torch.float64)
        inputs = whitened(drawn, inputs.shape[1])
    data = labelled(inputs, directions)
    objective = PopulationRisk(student, data, setting.regularization)
    descend(objective, descent_optimizer(objective, EXACT, generator), max_steps=setting.steps)
    with torch.no_grad():
        along, risk = student.weight @ data.directions.T, objective.risk()
    return {
        "relative_orthogonal_norm": objective.weight_norm() / float(student.weight.detach().norm()),
        "parallel_norm": float(along.norm()),
        "risk": float(risk),
        **norm_and_bound(objective),
    }


def real_inputs(name: str) -> Float[Tensor, "points d"]:
    """The whitened inputs of a data set."""
    load, components = DATA[name]
    return whitened(torch.from_numpy(load(return_X_y=True)[0]).double(), components)


def whitened(
    inputs: Float[Tensor, "points columns"], components: int
) -> Float[Tensor, "points components"]:
    """The first principal components, with mean 0 and the sample covariance I."""
    centred = inputs - inputs.mean(dim=0)
    left = torch.linalg.svd(centred, full_matrices=False).U
    return left[:, :components] * len(inputs) ** 0.5


def mean_kurtosis(inputs: Float[Tensor, "points d"]) -> float:
    """E(u·x)⁴ over the whitened inputs x and all directions u: 3 for Gaussian x, to O(d/n)."""
    dimension = inputs.shape[1]
    return 3 * float(inputs.square().sum(dim=1).square().mean()) / (dimension * (dimension + 2))


def labelled(inputs: Float[Tensor, "points d"], directions: Float[Tensor, "2 d"]) -> Dataset:
    """The inputs with labels sin(u₁·x) + cos(u₂·x), for an orthonormal basis u₁, u₂."""
    basis = torch.linalg.qr(directions.T).Q.T
    first, second = inputs @ basis.T[:, :1], inputs @ basis.T[:, 1:]
    return Dataset(inputs, (first.sin() + second.cos())[:, 0], basis)


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim the bound, and report what stays; how much that is is an open question."""
    claim_bound(run, "REAL", rows)
    values = ", ".join(f"{value:g}" for value in REGULARIZATIONS)
    for data, each in grouped(rows, lambda setting: setting.data).items():
        inputs = real_inputs(data)
        run.claim(
            "REAL",
            f"{data}, n = {len(inputs)}, d = {inputs.shape[1]}, mean kurtosis "
            f"{mean_kurtosis(inputs):.1f} (Gaussian: 3), λ = {values}: median "
            "‖W⊥‖/‖W‖, compared with a Gaussian sample",
            measured=_medians([row for row in each if not row.setting.gaussian]),
            baseline=_medians([row for row in each if row.setting.gaussian]),
        )


def _medians(rows: list[Row[Setting]]) -> str:
    return ", ".join(f"{row.median('relative_orthogonal_norm'):.1%}" for row in rows)


def _figure(rows: list[Row[Setting]]) -> Figure:
    """The remaining share of W_⊥ on each data set; the norm, δ and the bound at the larger λ."""
    by_series = grouped(rows, lambda setting: setting.series)
    bounded = [
        row
        for row in rows
        if not row.setting.gaussian and row.setting.regularization == REGULARIZATIONS[-1]
    ]
    names = {"‖W⊥‖": "orthogonal_norm", "‖δ‖": "stein_defect", "bound with δ": "bound"}
    return study_figure(
        Panel(
            series={
                series: measured(each, "relative_orthogonal_norm")
                for series, each in by_series.items()
            },
            x=list(DATA),
            x_label="inputs",
            y_label="‖W⊥‖ / ‖W‖",
            title="Irrelevant weights at the end",
            log_y=False,
        ),
        Panel(
            series={name: measured(bounded, quantity) for name, quantity in names.items()},
            x=list(DATA),
            x_label="inputs",
            y_label="norm",
            title=f"The bound on real inputs, λ = {REGULARIZATIONS[-1]:g}",
        ),
    )
