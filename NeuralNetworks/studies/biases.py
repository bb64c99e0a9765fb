"""Do trained biases matter? Frozen against trained ones, λ over six decades."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from derandomization.checks import require_at_least
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, StudyConfig, measure_rows, tabulate
from NeuralNetworks.studies.trial import Trial, claim_bounds, claim_collapse, measure

REGULARIZATIONS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
COLLAPSED = 1e-6
# A frozen run goes on until W_⊥ is what stationarity leaves, not what stopping early does: at the
# default threshold up to 1e-4 of W would still be on its way to 0.
FROZEN_GRADIENT_THRESHOLD = 1e-12
STATIONARY = 1e-6


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Train with biases frozen and with biases trained, at λ from 1e-6 to 1.

    Theorem 4.1 needs the biases trained and then speaks at every λ > 0; with them frozen the
    irrelevant weights stay until λ is large enough.
    """

    output_dir: Path = Path("results/NeuralNetworks/biases")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: int = 1000
    """Hidden units h."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("width", self.width, 1)


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run = Run("NeuralNetworks/biases", config)
    settings = {
        f"{name}, λ = {value:g}": Trial(
            regularization=value,
            frozen=frozen,
            widths=(config.width,),
            gradient_threshold=threshold,
            max_steps=_steps(value),
        )
        for name, frozen, threshold in (
            ("trained", ("output",), None),
            ("frozen", ("output", "bias"), FROZEN_GRADIENT_THRESHOLD),
        )
        for value in REGULARIZATIONS
    }
    rows = measure_rows(run, config, measure, settings)
    trained, frozen = rows[: len(REGULARIZATIONS)], rows[len(REGULARIZATIONS) :]
    tabulate(
        run,
        rows,
        {
            "relative_orthogonal_norm": "‖W⊥‖/‖W‖",
            "remaining_orthogonal_norm": "‖W⊥‖/start",
            "risk": "risk",
            "gradient_norm": "‖∇f‖",
        },
    )
    claim_collapse(run, trained, "BIAS", COLLAPSED)
    kept = [_kept(row) for row in frozen]
    run.claim(
        "BIAS",
        f"biases frozen: runs with ‖W⊥‖/‖W‖ > {COLLAPSED:g} where ‖∇f‖ ≤ {STATIONARY:g}, "
        f"of {config.seeds} at each λ from {REGULARIZATIONS[0]:g}",
        paper="no guarantee",
        measured=", ".join(str(count) for count in kept),
        holds=None,
    )
    claim_bounds(run, trained)
    run.figure("biases", _figure(trained, frozen))
    run.finish()


def _kept(row: Row[Trial]) -> int:
    """Runs that are stationary to ``STATIONARY`` and have kept some of W_⊥."""
    stationary = row.measured["gradient_norm"] <= STATIONARY
    return int((stationary & (row.measured["relative_orthogonal_norm"] > COLLAPSED)).sum())


def _steps(regularization: float) -> int:
    """W_⊥ shrinks as exp(−cλt) at the least: the smallest λ take longest."""
    if regularization < 1e-5:
        return 3000
    return 800 if regularization < 1e-4 else 300


def _figure(trained: list[Row[Trial]], frozen: list[Row[Trial]]) -> Figure:
    both = {"trained biases": trained, "frozen biases": frozen}

    def panel(quantity: str, y_label: str, title: str) -> Panel:
        return Panel(
            series={
                name: np.array([row.measured[quantity] for row in rows])
                for name, rows in both.items()
            },
            x=REGULARIZATIONS,
            x_label="regularization λ",
            y_label=y_label,
            title=title,
            log_x=True,
        )

    return study_figure(
        panel("relative_orthogonal_norm", "‖W⊥‖ / ‖W‖", "What is left of the irrelevant weights"),
        panel("risk", "risk", "What it costs"),
    )
