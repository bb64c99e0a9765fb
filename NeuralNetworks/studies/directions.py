"""Are the directions on which labels depend found better by a trained network than by others?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.intervals import confidence_interval
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from NeuralNetworks.baselines import minimum_average_variance, sliced_inverse_regression
from NeuralNetworks.estimator import PrincipalSubspace
from NeuralNetworks.links import LINKS, draw_sample, principal_angle_sine

METHODS = {
    "network": "PrincipalSubspace",
    "local_linear": "rMAVE",
    "sliced": "SIR",
}
NOISE = 0.2


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Find the directions from few Gaussian points, with their number given.

    The error is the sine of the largest angle between the span found and the true one. No theorem
    says how small it is for a finite sample: nothing is claimed.
    """

    output_dir: Path = Path("results/NeuralNetworks/directions")
    dimension: Annotated[int, AtLeast(4)] = 10
    """Dimension d of the inputs; a link has up to four directions."""
    points: Annotated[int, AtLeast(20)] = 100
    """Number n of points."""


@dataclass(frozen=True)
class Setting:
    """A link, and the size of the sample."""

    link: str
    dimension: int
    points: int


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="NeuralNetworks/directions",
        settings={link: Setting(link, config.dimension, config.points) for link in LINKS},
        measure=find_directions,
        columns={name: f"sine, {heading}" for name, heading in METHODS.items()},
        claim=_claims,
        figures=lambda rows: {"directions": _figure(rows)},
    )
    run_study(study, config)


def find_directions(setting: Setting, seed: int) -> dict[str, float]:
    """The error of each method on one sample."""
    generator = np.random.default_rng(seed)
    inputs, labels, truth = draw_sample(
        setting.link, "gaussian", setting.points, setting.dimension, NOISE, generator
    )
    count = len(truth)
    seed_of_network = int(generator.integers(2**31))
    # Without a descent after the fit, which serves the certificate alone.
    network = PrincipalSubspace(count, descent_steps=1, random_state=seed_of_network)
    found = {
        "network": network.fit(inputs, labels).components_,
        "local_linear": minimum_average_variance(inputs, labels, count, generator),
        "sliced": sliced_inverse_regression(inputs, labels, count),
    }
    return {name: principal_angle_sine(truth, each) for name, each in found.items()}


def _claims(run: Run, rows: list[Row[Setting]]) -> None:
    """Report the errors; how small they are is an open question."""
    first = rows[0].setting
    size = f"d = {first.dimension}, n = {first.points}, noise {NOISE:.0%}"
    for other in ("local_linear", "sliced"):
        ratios = np.log([row.median("network") / row.median(other) for row in rows])
        lost = [row.name for row in rows if row.median("network") > row.median(other)]
        run.claim(
            "DIR",
            f"{size}: error of PrincipalSubspace over that of {METHODS[other]}, geometric mean of "
            f"the medians over {len(rows)} links {np.exp(confidence_interval(ratios).mean):.2f}; "
            f"larger on: {', '.join(lost) or 'none'}; the median errors over the links",
            measured=float(np.median([row.median("network") for row in rows])),
            baseline=float(np.median([row.median(other) for row in rows])),
        )


def _figure(rows: list[Row[Setting]]) -> Figure:
    """The errors of every method on every link."""
    return study_figure(
        Panel(
            series={heading: measured(rows, name) for name, heading in METHODS.items()},
            x=[row.name for row in rows],
            x_label="labels without noise",
            y_label="sine of the largest principal angle",
            title=f"Gaussian inputs, d = {rows[0].setting.dimension}, n = {rows[0].setting.points}",
        )
    )
