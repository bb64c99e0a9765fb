"""When does the first layer collapse? Five studies that repeat one training under varied settings.

Each is a Config, whose fields are the command's options, and a function from it to a ``Study``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.settings import AtLeast, PositiveFloat, PositiveInt
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from NeuralNetworks.activations import ACTIVATIONS
from NeuralNetworks.losses import LOSSES
from NeuralNetworks.studies.training import (
    COLLAPSED,
    HEADINGS,
    Setting,
    claim_bounds,
    claim_collapse,
    train_and_certify,
)

# Steps at each λ: W_⊥ shrinks at least as exp(−cλt), so the smallest λ take longest.
BIASES_STEPS = {1e-6: 3000, 1e-5: 800} | dict.fromkeys((1e-4, 1e-3, 1e-2, 1e-1, 1.0), 300)
REGULARIZATION_STEPS = {1e-5: 8000, 3e-5: 2200} | dict.fromkeys(
    (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), 1300
)

# With frozen biases the descent continues until ‖∇f‖ ≤ 1e-12: at the default threshold up to 1e-4
# of W would still be shrinking, and could be mistaken for weights that stay.
FROZEN_GRADIENT_THRESHOLD = 1e-12
STATIONARY = 1e-6

DEPTHS = (2, 3, 4, 5, 6)
WIDTHS = (10, 30, 100, 300, 1000, 3000)
WIDTH_OF_DEEP, WIDTH_ABOVE_WIDE = 50, 20
# W_⊥ shrinks at a rate proportional to λh; this product is the same at every width.
REGULARIZATION_TIMES_WIDTH = 1.0

INDICES = (1, 2, 3, 4, 5)
INDICES_NODES = (12, 4)  # in 20 dimensions, 24 nodes along two axes would give 6 000 points

Rows = list[Row[Setting]]
# Labels of the series in the figures, and the quantities that they show.
RELATIVE = {"‖W⊥‖ / ‖W‖": "relative_orthogonal_norm"}
ORTHOGONAL = {"‖W⊥‖": "orthogonal_norm"}
SHARP_BOUND = {"sharp bound on ‖W⊥‖": "sharp_weight_bound"}
BOUND = {"Theorem 4.1's bound at ρ": "weight_bound"}


@dataclass(frozen=True)
class StudyCommand:
    """A subcommand: its options and the study that they declare."""

    Config: type[StudyConfig]
    declare: Callable[[Any], Study[Setting]]

    def main(self, config: StudyConfig) -> None:
        """Run the study and write everything to ``config.output_dir``."""
        run_study(self.declare(config), config)


def _study(
    name: str,
    settings: Mapping[str, Setting],
    shown: Sequence[str],
    claim: Callable[[Run, Rows], None],
    panels: Callable[[Rows], Sequence[Panel]],
) -> Study[Setting]:
    """A study of trainings with one figure; ``shown`` are the quantities in the printed table."""
    return Study(
        name=f"NeuralNetworks/{name}",
        settings=settings,
        measure=train_and_certify,
        columns={quantity: HEADINGS[quantity] for quantity in shown},
        claim=claim,
        figures=lambda rows: {name.replace("-", "_"): study_figure(*panels(rows))},
    )


def _panel(rows: Rows, quantities: dict[str, str], **options: Any) -> Panel:
    """A panel with one series for each quantity, by label."""
    series = {label: measured(rows, quantity) for label, quantity in quantities.items()}
    return Panel(series=series, **options)


def _claim_collapse_and_bounds(run: Run, rows: Rows, *, id: str) -> None:
    """Claim the collapse, under ``id``, and the bounds of Theorem 4.1."""
    claim_collapse(run, rows, id)
    claim_bounds(run, rows)


@dataclass(frozen=True, kw_only=True)
class BiasesConfig(StudyConfig):
    """Train with biases frozen and with biases trained, at λ from 1e-6 to 1.

    Theorem 4.1 requires trained biases and then applies at every λ > 0. With frozen biases the
    irrelevant weights stay until λ is large enough.
    """

    output_dir: Path = Path("results/NeuralNetworks/biases")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: PositiveInt = 1000
    """Hidden units h."""


def declare_biases(config: BiasesConfig) -> Study[Setting]:
    """Trained biases compared with frozen ones, over λ."""
    setting = partial(Setting, widths=(config.width,))
    by_steps = BIASES_STEPS.items()
    trained = {
        f"trained, λ = {value:g}": setting(regularization=value, max_steps=steps)
        for value, steps in by_steps
    }
    frozen = {
        f"frozen, λ = {value:g}": setting(
            regularization=value,
            frozen=("output", "bias"),
            gradient_threshold=FROZEN_GRADIENT_THRESHOLD,
            max_steps=steps,
        )
        for value, steps in by_steps
    }

    def panel(rows: Rows, quantity: str, y_label: str, title: str) -> Panel:
        by_name = {"trained": rows[: len(trained)], "frozen": rows[len(trained) :]}
        return Panel(
            series={f"{name} biases": measured(each, quantity) for name, each in by_name.items()},
            x=tuple(BIASES_STEPS),
            x_label="regularization λ",
            y_label=y_label,
            title=title,
            log_x=True,
        )

    left = "What is left of the irrelevant weights"
    return _study(
        "biases",
        trained | frozen,
        ("relative_orthogonal_norm", "remaining_orthogonal_norm", "risk", "gradient_norm"),
        _claim_biases,
        lambda rows: (
            panel(rows, "relative_orthogonal_norm", "‖W⊥‖ / ‖W‖", left),
            panel(rows, "risk", "risk", "What it costs"),
        ),
    )


def _claim_biases(run: Run, rows: Rows) -> None:
    """Claim the collapse and the bounds with trained biases; report which frozen runs keep W_⊥."""
    trained, frozen = rows[: len(BIASES_STEPS)], rows[len(BIASES_STEPS) :]
    claim_collapse(run, trained, "BIAS")
    stationary = measured(frozen, "gradient_norm") <= STATIONARY
    kept = stationary & (measured(frozen, "relative_orthogonal_norm") > COLLAPSED)
    run.claim(
        "BIAS",
        f"biases frozen: runs with ‖W⊥‖/‖W‖ > {COLLAPSED:g} where ‖∇f‖ ≤ {STATIONARY:g}, "
        f"of {kept.shape[1]} at each λ from {min(BIASES_STEPS):g}",
        paper="no guarantee",
        measured=", ".join(str(count) for count in kept.sum(axis=1)),
        holds=None,
    )
    claim_bounds(run, trained)


@dataclass(frozen=True, kw_only=True)
class RegularizationConfig(StudyConfig):
    """Train all layers of a two-layer student at λ from 1e-5 to 3e-2 until W⊥ vanishes."""

    output_dir: Path = Path("results/NeuralNetworks/regularization")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: PositiveInt = 100
    """Hidden units h."""


def declare_regularization(config: RegularizationConfig) -> Study[Setting]:
    """The smallest λ at which W_⊥ vanishes, and what λ costs."""
    setting = partial(Setting, frozen=(), widths=(config.width,))
    panel = partial(_panel, x=tuple(REGULARIZATION_STEPS), x_label="regularization λ", log_x=True)
    norms = ORTHOGONAL | {"sharp bound": "sharp_weight_bound"} | BOUND
    return _study(
        "regularization",
        {
            f"λ = {value:g}": setting(regularization=value, max_steps=steps)
            for value, steps in REGULARIZATION_STEPS.items()
        },
        ("relative_orthogonal_norm", "weight_bound", "sharp_weight_bound", "risk"),
        partial(_claim_collapse_and_bounds, id="REG"),
        lambda rows: (
            panel(rows, norms, y_label="Frobenius norm", title="Where the descent ends"),
            panel(rows, {"risk": "risk"}, y_label="risk", title="What λ costs"),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class DepthConfig(StudyConfig):
    """Train every layer of students of depth 2 to 6, and of depth 3 with a wide first layer."""

    output_dir: Path = Path("results/NeuralNetworks/depth")
    """Folder for results.json, table.csv and the figure; made if missing."""
    steps: PositiveInt = 600
    """Most descent steps of each run."""


def declare_depth(config: DepthConfig) -> Study[Setting]:
    """Depth 2 to 6, and first layers of 10 to 3 000 units."""

    def setting(*widths: int) -> Setting:
        regularization = REGULARIZATION_TIMES_WIDTH / widths[0]
        return Setting(
            widths=widths, frozen=(), regularization=regularization, max_steps=config.steps
        )

    deep = {f"depth {n}": setting(*(WIDTH_OF_DEEP,) * (n - 1)) for n in DEPTHS}
    wide = {f"width {h}": setting(h, WIDTH_ABOVE_WIDE) for h in WIDTHS}
    norms, title = RELATIVE | ORTHOGONAL | SHARP_BOUND, "The irrelevant weights at the end"
    panel = partial(_panel, quantities=norms, y_label="norm", title=title)
    of_depth = f"depth, {WIDTH_OF_DEEP} units a layer"
    of_width = "width of the first layer, depth 3, λ = 1/width"
    return _study(
        "depth",
        deep | wide,
        ("relative_orthogonal_norm", "sharp_weight_bound", "rho", "risk", "seconds"),
        partial(_claim_collapse_and_bounds, id="DEPTH"),
        lambda rows: (
            panel(rows[: len(DEPTHS)], x=DEPTHS, x_label=of_depth),
            panel(rows[len(DEPTHS) :], x=WIDTHS, x_label=of_width, log_x=True),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class LossesConfig(StudyConfig):
    """Train with each loss, and the squared one with each activation, all layers trained."""

    output_dir: Path = Path("results/NeuralNetworks/losses")
    """Folder for results.json, table.csv and the figure; made if missing."""
    width: PositiveInt = 100
    """Hidden units h."""
    regularization: PositiveFloat = 1e-2
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 1200
    """Most descent steps of each run."""


def declare_losses(config: LossesConfig) -> Study[Setting]:
    """Every loss with the smooth ReLU, and every other activation with the squared loss."""
    setting = partial(
        Setting,
        widths=(config.width,),
        frozen=(),
        regularization=config.regularization,
        max_steps=config.steps,
    )
    losses = {f"{loss} loss": setting(loss=loss) for loss in LOSSES}
    others = [name for name in ACTIVATIONS if name != "smooth-relu"]
    panel = partial(
        _panel,
        quantities=RELATIVE | SHARP_BOUND,
        x_label="loss with smooth ReLU; activation with squared loss",
        y_label="norm",
        title="The irrelevant weights at the end",
    )
    return _study(
        "losses",
        losses | {name: setting(activation=name) for name in others},
        ("relative_orthogonal_norm", "sharp_weight_bound", "rho", "risk", "steps"),
        partial(_claim_collapse_and_bounds, id="LOSS"),
        lambda rows: (panel(rows, x=[row.name for row in rows]),),
    )


@dataclass(frozen=True, kw_only=True)
class MultiIndexConfig(StudyConfig):
    """Learn from teachers that depend on k = 1 to 5 of 20 directions.

    The risk is computed at fixed points: a quadrature (k = 1, 2) or 256 Sobol points (k from 3)
    along the teacher's directions and a simplex across them, exact as W⊥ → 0.
    """

    output_dir: Path = Path("results/NeuralNetworks/multi-index")
    """Folder for results.json, table.csv and the figure; made if missing."""
    dimension: Annotated[int, AtLeast(max(INDICES) + 1)] = 20
    """Dimension d of the input, above 5."""
    width: PositiveInt = 30
    """Hidden units h."""
    regularization: PositiveFloat = 3e-4
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 600
    """Most descent steps of each run."""


def declare_multi_index(config: MultiIndexConfig) -> Study[Setting]:
    """Teachers with several directions, and the subspace that the rows of W learn."""
    setting = partial(
        Setting,
        dimension=config.dimension,
        widths=(config.width,),
        regularization=config.regularization,
        nodes=INDICES_NODES,
        max_steps=config.steps,
    )
    angle = {"largest principal angle (rad)": "principal_angle"}
    panel = partial(
        _panel,
        quantities=RELATIVE | angle | SHARP_BOUND | BOUND,
        x=INDICES,
        x_label=f"directions k that the teacher sees, of d = {config.dimension}",
        y_label="norm or angle",
        title="The rows of W end in the teacher's subspace",
    )
    bounds = ("weight_bound", "sharp_weight_bound")
    return _study(
        "multi-index",
        {f"k = {indices}": setting(indices=indices) for indices in INDICES},
        ("relative_orthogonal_norm", "principal_angle", "rank", *bounds, "risk"),
        _claim_learned_subspace,
        lambda rows: (panel(rows),),
    )


def _claim_learned_subspace(run: Run, rows: Rows) -> None:
    """Claim the collapse, that W keeps no other directions than the teacher's, and the bounds."""
    claim_collapse(run, rows, "T4.1")
    angles = measured(rows, "principal_angle")
    run.claim(
        "T4.1",
        f"the directions that W keeps lie in the teacher's subspace, to {COLLAPSED:g} rad",
        paper=0.0,
        measured=float(angles.max()),
        holds=bool((angles <= COLLAPSED).all()),
    )
    kept = [np.mean(row.measured["rank"] == row.setting.indices) for row in rows]
    run.claim(
        "T4.1",
        "and span all of it: share of runs in which W keeps k directions, by k",
        paper="not claimed",
        measured=", ".join(f"{share:g}" for share in kept),
        holds=None,
    )
    claim_bounds(run, rows)


biases = StudyCommand(BiasesConfig, declare_biases)
regularization = StudyCommand(RegularizationConfig, declare_regularization)
depth = StudyCommand(DepthConfig, declare_depth)
losses = StudyCommand(LossesConfig, declare_losses)
multi_index = StudyCommand(MultiIndexConfig, declare_multi_index)
