"""How small may λ be? ‖W_⊥‖ where the descent ends, over λ, with every layer trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derandomization.checks import require_at_least
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, StudyConfig, measure_rows, tabulate
from NeuralNetworks.studies.trial import Trial, claim_bounds, claim_collapse, measure

REGULARIZATIONS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
COLLAPSED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train all layers of a two-layer student at λ over the decades, until ‖W⊥‖ is gone."""

    output_dir: Path = Path("results/NeuralNetworks/regularization")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: int = 100
    """Hidden units h."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("width", self.width, 1)


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/regularization", config)
    settings = {
        f"λ = {value:g}": Trial(
            regularization=value, frozen=(), widths=(config.width,), max_steps=_steps(value)
        )
        for value in REGULARIZATIONS
    }
    rows = measure_rows(run, config, measure, settings)
    tabulate(
        run,
        rows,
        {
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "weight_bound": "bound at ρ",
            "sharp_weight_bound": "sharp bound",
            "risk": "risk",
        },
    )
    claim_collapse(run, rows, "REG", COLLAPSED)
    claim_bounds(run, rows)

    norms = {
        "‖W⊥‖": "orthogonal_norm",
        "sharp bound": "sharp_weight_bound",
        "Theorem 4.1's bound at ρ": "weight_bound",
    }
    run.figure(
        "regularization",
        study_figure(
            _panel(rows, norms, "Frobenius norm", "Where the descent ends"),
            _panel(rows, {"risk": "risk"}, "risk", "What λ costs"),
        ),
    )
    run.finish()


def _panel(
    rows: list[Row[Trial]], quantities: Mapping[str, str], y_label: str, title: str
) -> Panel:
    return Panel(
        series={
            name: np.array([row.measured[quantity] for row in rows])
            for name, quantity in quantities.items()
        },
        x=REGULARIZATIONS,
        x_label="regularization λ",
        y_label=y_label,
        title=title,
        log_x=True,
    )


def _steps(regularization: float) -> int:
    """W_⊥ shrinks as exp(−cλt) at the least: the smallest λ take longest."""
    if regularization < 3e-5:
        return 8000
    return 2200 if regularization < 1e-4 else 1300
