"""When does the first layer collapse? Five studies that repeat one training under varied settings.

Each is a Config: its fields are the command's options, and its ``study`` is the study.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
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

# Labels of the series in the figures, and the quantities that they show.
RELATIVE = {"‖W⊥‖ / ‖W‖": "relative_orthogonal_norm"}
ORTHOGONAL = {"‖W⊥‖": "orthogonal_norm"}
SHARP_BOUND = {"sharp bound on ‖W⊥‖": "sharp_weight_bound"}
BOUND = {"Theorem 4.1's bound at ρ": "weight_bound"}
END = "The irrelevant weights at the end"


class ConditionConfig(StudyConfig):
    """Options of a study of trainings."""

    @abstractmethod
    def study(self) -> Study[Setting]:
        """The study that the options declare."""


def main(config: ConditionConfig) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    run_study(config.study(), config)


def _study(
    name: str,
    settings: Mapping[str, Setting],
    shown: Sequence[str],
    panels: Callable[[list[Row[Setting]]], Sequence[Panel]],
    *,
    id: str,
    report: Callable[[Run, list[Row[Setting]]], None] | None = None,
) -> Study[Setting]:
    """A study with one figure, whose table has the quantities ``shown``; claims Theorem 4.1."""

    def claim(run: Run, rows: list[Row[Setting]]) -> None:
        guaranteed = [row for row in rows if "bias" not in row.setting.frozen]
        claim_collapse(run, guaranteed, id)
        if report:
            report(run, rows)
        claim_bounds(run, guaranteed)

    return Study(
        name=f"NeuralNetworks/{name}",
        settings=settings,
        measure=train_and_certify,
        columns={quantity: HEADINGS[quantity] for quantity in shown},
        claim=claim,
        figures=lambda rows: {name.replace("-", "_"): study_figure(*panels(rows))},
    )


def _panel(rows: list[Row[Setting]], quantities: dict[str, str], **options: Any) -> Panel:
    """A panel with one series for each quantity, by label."""
    series = {label: measured(rows, quantity) for label, quantity in quantities.items()}
    return Panel(series=series, **options)


@dataclass(frozen=True, kw_only=True)
class BiasesConfig(ConditionConfig):
    """Train with biases frozen and with biases trained, at λ from 1e-6 to 1.

    Theorem 4.1 requires trained biases and then applies at every λ > 0. With frozen biases the
    irrelevant weights stay until λ is large enough.
    """

    output_dir: Path = Path("results/NeuralNetworks/biases")
    width: PositiveInt = 1000
    """Hidden units h."""

    def study(self) -> Study[Setting]:
        trained = {
            f"trained, λ = {value:g}": Setting(
                widths=(self.width,), regularization=value, max_steps=steps
            )
            for value, steps in BIASES_STEPS.items()
        }
        frozen = {
            name.replace("trained", "frozen"): replace(
                setting,
                frozen=("output", "bias"),
                gradient_threshold=FROZEN_GRADIENT_THRESHOLD,
            )
            for name, setting in trained.items()
        }

        def series(rows: list[Row[Setting]], quantity: str) -> dict[str, np.ndarray]:
            both = np.split(measured(rows, quantity), 2)
            return dict(zip(("trained biases", "frozen biases"), both, strict=True))

        x = tuple(BIASES_STEPS)
        panel = partial(Panel, x=x, x_label="regularization λ", log_x=True)
        quantity, left = "relative_orthogonal_norm", "What is left of the irrelevant weights"
        return _study(
            "biases",
            trained | frozen,
            ("relative_orthogonal_norm", "remaining_orthogonal_norm", "risk", "gradient_norm"),
            lambda rows: (
                panel(series(rows, quantity), y_label="‖W⊥‖ / ‖W‖", title=left),
                panel(series(rows, "risk"), y_label="risk", title="What it costs"),
            ),
            id="BIAS",
            report=_report_frozen_biases,
        )


def _report_frozen_biases(run: Run, rows: list[Row[Setting]]) -> None:
    """Report in how many runs with frozen biases W_⊥ stays."""
    frozen = [row for row in rows if "bias" in row.setting.frozen]
    stationary = measured(frozen, "gradient_norm") <= STATIONARY
    kept = stationary & (measured(frozen, "relative_orthogonal_norm") > COLLAPSED)
    run.claim(
        "BIAS",
        f"biases frozen: runs with ‖W⊥‖/‖W‖ > {COLLAPSED:g} where ‖∇f‖ ≤ {STATIONARY:g}, "
        f"of {kept.shape[1]} at each λ from {min(BIASES_STEPS):g}",
        measured=", ".join(str(count) for count in kept.sum(axis=1)),
    )


@dataclass(frozen=True, kw_only=True)
class RegularizationConfig(ConditionConfig):
    """Train all layers of a two-layer student at λ from 1e-5 to 3e-2 until W⊥ vanishes."""

    output_dir: Path = Path("results/NeuralNetworks/regularization")
    width: PositiveInt = 100
    """Hidden units h."""

    def study(self) -> Study[Setting]:
        setting = partial(Setting, frozen=(), widths=(self.width,))
        x = tuple(REGULARIZATION_STEPS)
        panel = partial(_panel, x=x, x_label="regularization λ", log_x=True)
        norms = ORTHOGONAL | {"sharp bound": "sharp_weight_bound"} | BOUND
        return _study(
            "regularization",
            {
                f"λ = {value:g}": setting(regularization=value, max_steps=steps)
                for value, steps in REGULARIZATION_STEPS.items()
            },
            ("relative_orthogonal_norm", "weight_bound", "sharp_weight_bound", "risk"),
            lambda rows: (
                panel(rows, norms, y_label="Frobenius norm", title="Where the descent ends"),
                panel(rows, {"risk": "risk"}, y_label="risk", title="What λ costs"),
            ),
            id="REG",
        )


@dataclass(frozen=True, kw_only=True)
class DepthConfig(ConditionConfig):
    """Train every layer of students of depth 2 to 6, and of depth 3 with a wide first layer."""

    output_dir: Path = Path("results/NeuralNetworks/depth")
    steps: PositiveInt = 600
    """Maximum number of descent steps of each run."""

    def study(self) -> Study[Setting]:
        setting = partial(Setting, frozen=(), max_steps=self.steps)
        deep = {f"depth {n}": (WIDTH_OF_DEEP,) * (n - 1) for n in DEPTHS}
        wide = {f"width {h}": (h, WIDTH_ABOVE_WIDE) for h in WIDTHS}
        norms = RELATIVE | ORTHOGONAL | SHARP_BOUND
        panel = partial(_panel, quantities=norms, y_label="norm", title=END)
        of_depth = f"depth, {WIDTH_OF_DEEP} units a layer"
        of_width = "width of the first layer, depth 3, λ = 1/width"
        return _study(
            "depth",
            {
                name: setting(widths=widths, regularization=REGULARIZATION_TIMES_WIDTH / widths[0])
                for name, widths in (deep | wide).items()
            },
            ("relative_orthogonal_norm", "sharp_weight_bound", "rho", "risk", "seconds"),
            lambda rows: (
                panel(rows[: len(DEPTHS)], x=DEPTHS, x_label=of_depth),
                panel(rows[len(DEPTHS) :], x=WIDTHS, x_label=of_width, log_x=True),
            ),
            id="DEPTH",
        )


@dataclass(frozen=True, kw_only=True)
class LossesConfig(ConditionConfig):
    """Train with each loss, and the squared one with each activation, all layers trained."""

    output_dir: Path = Path("results/NeuralNetworks/losses")
    width: PositiveInt = 100
    """Hidden units h."""
    regularization: PositiveFloat = 1e-2
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 1200
    """Maximum number of descent steps of each run."""

    def study(self) -> Study[Setting]:
        setting = partial(
            Setting,
            widths=(self.width,),
            frozen=(),
            regularization=self.regularization,
            max_steps=self.steps,
        )
        losses = {f"{loss} loss": setting(loss=loss) for loss in LOSSES}
        others = {name: setting(activation=name) for name in ACTIVATIONS if name != "smooth-relu"}
        x_label = "loss with smooth ReLU; activation with squared loss"
        panel = partial(_panel, quantities=RELATIVE | SHARP_BOUND, y_label="norm", title=END)
        return _study(
            "losses",
            losses | others,
            ("relative_orthogonal_norm", "sharp_weight_bound", "rho", "risk", "steps"),
            lambda rows: (panel(rows, x=[row.name for row in rows], x_label=x_label),),
            id="LOSS",
        )


@dataclass(frozen=True, kw_only=True)
class MultiIndexConfig(ConditionConfig):
    """Learn from teachers that depend on k = 1 to 5 of 20 directions.

    The risk is computed at fixed points: a quadrature (k = 1, 2) or 256 Sobol points (k from 3)
    along the teacher's directions and a simplex across them, exact as W⊥ → 0.
    """

    output_dir: Path = Path("results/NeuralNetworks/multi-index")
    dimension: Annotated[int, AtLeast(max(INDICES) + 1)] = 20
    """Dimension d of the input, above 5."""
    width: PositiveInt = 30
    """Hidden units h."""
    regularization: PositiveFloat = 3e-4
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 600
    """Maximum number of descent steps of each run."""

    def study(self) -> Study[Setting]:
        setting = partial(
            Setting,
            dimension=self.dimension,
            widths=(self.width,),
            regularization=self.regularization,
            nodes=INDICES_NODES,
            max_steps=self.steps,
        )
        angle = {"largest principal angle (rad)": "principal_angle"}
        panel = partial(
            _panel,
            quantities=RELATIVE | angle | SHARP_BOUND | BOUND,
            x=INDICES,
            x_label=f"directions k that the teacher sees, of d = {self.dimension}",
            y_label="norm or angle",
            title="The rows of W end in the teacher's subspace",
        )
        bounds = ("weight_bound", "sharp_weight_bound")
        return _study(
            "multi-index",
            {f"k = {indices}": setting(indices=indices) for indices in INDICES},
            ("relative_orthogonal_norm", "principal_angle", "rank", *bounds, "risk"),
            lambda rows: (panel(rows),),
            id="T4.1",
            report=_claim_learned_subspace,
        )


def _claim_learned_subspace(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that W keeps no other directions than the teacher's; report whether it keeps all."""
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
        measured=", ".join(f"{share:g}" for share in kept),
    )


biases = SimpleNamespace(Config=BiasesConfig, main=main)
regularization = SimpleNamespace(Config=RegularizationConfig, main=main)
depth = SimpleNamespace(Config=DepthConfig, main=main)
losses = SimpleNamespace(Config=LossesConfig, main=main)
multi_index = SimpleNamespace(Config=MultiIndexConfig, main=main)
