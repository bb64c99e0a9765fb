"""Does the loss matter? Squared, log-cosh, logistic and Poisson, with every activation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derandomization.checks import require_at_least, require_positive
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import StudyConfig, measure_rows, tabulate
from NeuralNetworks.activations import ACTIVATIONS, ActivationName
from NeuralNetworks.losses import LOSSES, LossName
from NeuralNetworks.studies.trial import Trial, claim_bounds, claim_collapse, measure

COLLAPSED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train with each loss, and the squared one with each activation, all layers trained."""

    output_dir: Path = Path("results/NeuralNetworks/losses")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: int = 100
    """Hidden units h."""
    regularization: float = 1e-2
    """Weight λ > 0 of ‖W‖²."""
    steps: int = 1200
    """Most descent steps of each run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("width", self.width, 1)
        require_positive("regularization", self.regularization)
        require_at_least("steps", self.steps, 1)


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/losses", config)

    def trial(loss: LossName = "squared", activation: ActivationName = "smooth-relu") -> Trial:
        return Trial(
            loss=loss,
            activation=activation,
            widths=(config.width,),
            frozen=(),
            regularization=config.regularization,
            max_steps=config.steps,
        )

    settings = {f"{loss} loss": trial(loss=loss) for loss in LOSSES}
    settings |= {name: trial(activation=name) for name in ACTIVATIONS if name != "smooth-relu"}
    rows = measure_rows(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "sharp_weight_bound": "sharp bound",
            "rho": "ρ",
            "risk": "risk",
            "steps": "steps",
        },
    )
    claim_collapse(run, rows, "LOSS", COLLAPSED)
    claim_bounds(run, rows)
    panel = Panel(
        series={
            "‖W⊥‖ / ‖W‖": np.array([row.measured["relative_orthogonal_norm"] for row in rows]),
            "sharp bound on ‖W⊥‖": np.array([row.measured["sharp_weight_bound"] for row in rows]),
        },
        x=[row.name for row in rows],
        x_label="loss with smooth ReLU; activation with squared loss",
        y_label="norm",
        title="The irrelevant weights at the end",
    )
    run.figure("losses", study_figure(panel))
    run.finish()
