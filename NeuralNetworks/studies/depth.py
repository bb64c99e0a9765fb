"""Does depth or width matter? Depth 2 to 6, first layers of 10 to 3 000 units, all trained."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from derandomization.checks import require_at_least
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, StudyConfig, measure_rows, tabulate
from NeuralNetworks.studies.trial import Trial, claim_bounds, claim_collapse, measure

DEPTHS = (2, 3, 4, 5, 6)
WIDTHS = (10, 30, 100, 300, 1000, 3000)
WIDTH_OF_DEEP, WIDTH_ABOVE_WIDE = 50, 20
# W_⊥ shrinks by the product λh, which is the same at every width.
REGULARIZATION_TIMES_WIDTH = 1.0
COLLAPSED = 1e-6


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train every layer of students of depth 2 to 6, and of depth 3 with a wide first layer."""

    output_dir: Path = Path("results/NeuralNetworks/depth")
    """Folder for results.json, table.csv and the figure; made if missing."""
    steps: int = 600
    """Most descent steps of each run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("steps", self.steps, 1)


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/depth", config)

    def trial(*widths: int) -> Trial:
        regularization = REGULARIZATION_TIMES_WIDTH / widths[0]
        return Trial(
            widths=widths, frozen=(), regularization=regularization, max_steps=config.steps
        )

    deep = {f"depth {n}": trial(*(WIDTH_OF_DEEP,) * (n - 1)) for n in DEPTHS}
    wide = {f"width {h}": trial(h, WIDTH_ABOVE_WIDE) for h in WIDTHS}
    rows = measure_rows(run, config, measure, deep | wide)
    tabulate(
        run,
        rows,
        {
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "sharp_weight_bound": "sharp bound",
            "rho": "ρ",
            "risk": "risk",
            "seconds": "seconds",
        },
    )
    claim_collapse(run, rows, "DEPTH", COLLAPSED)
    claim_bounds(run, rows)
    by_depth = _panel(rows[: len(DEPTHS)], DEPTHS, f"depth, {WIDTH_OF_DEEP} units a layer")
    by_width = _panel(
        rows[len(DEPTHS) :], WIDTHS, "width of the first layer, depth 3, λ = 1/width", log_x=True
    )
    run.figure("depth", study_figure(by_depth, by_width))
    run.finish()


def _panel(
    rows: list[Row[Trial]], x: tuple[int, ...], x_label: str, *, log_x: bool = False
) -> Panel:
    def values(quantity: str) -> np.ndarray:
        return np.array([row.measured[quantity] for row in rows])

    return Panel(
        series={
            "‖W⊥‖ / ‖W‖": values("relative_orthogonal_norm"),
            "‖W⊥‖": values("orthogonal_norm"),
            "sharp bound on ‖W⊥‖": values("sharp_weight_bound"),
        },
        x=x,
        x_label=x_label,
        y_label="norm",
        title="The irrelevant weights at the end",
        log_x=log_x,
    )
