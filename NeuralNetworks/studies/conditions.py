"""When does the first layer collapse? Six studies that repeat one training under varied settings.

Each is a Config: its fields are the command's options, and its ``study`` is the study.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    BOUNDS,
    COLLAPSED,
    HEADINGS,
    Setting,
    accuracy_for,
    claim_bounds,
    claim_collapse,
    claim_norm_falls,
    claim_second_order,
    train_and_certify,
)

# At λ = 1e-8 Newton's method takes 100 to 800 steps, and the fewer the larger λ is.
NEWTON_STEPS = 5000
REGULARIZATIONS = (1e-8, 1e-6, 1e-4, 1e-2)
# Where PGD stops, at λ = 0.03: the lemma gives a bound for ρ < 4λ²/K, which is about 0.03.
ACCURACIES = (1e-2, 3e-3, 1e-3, 3e-4)
ACCURACIES_REGULARIZATION = 3e-2

BIASES_REGULARIZATIONS = (1e-5, 1e-3, 1e-2)
# Where W_⊥ stays it is O(1) and needs more nodes across: 16, and twice as many to check that.
NODES_IF_FROZEN, NODES_DOUBLED = (24, 16), (24, 32)
KEPT = 0.01  # ‖W⊥‖/‖W‖ above which W_⊥ stays

SHARPNESSES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, math.inf)
NODES_IF_SHARP = (200, 12)  # a smooth ReLU with ι = 64 bends within 0.06

DEPTHS = (2, 3, 4, 6)
WIDTHS = (10, 100, 1000)
DEPTHS_IN_20_DIMENSIONS = (2, 4)
WIDTH_OF_DEEP, WIDTH_ABOVE_WIDE = 30, 20
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
    claim: Callable[[Run, list[Row[Setting]]], None] | None = None,
) -> Study[Setting]:
    """A study with one figure, whose table has the quantities ``shown``.

    It makes ``claim``, by default that every first layer collapses, and then Theorem 4.1's.
    """

    def claim_all(run: Run, rows: list[Row[Setting]]) -> None:
        if claim:
            claim(run, rows)
        else:
            claim_collapse(run, rows, id)
        claim_bounds(run, [row for row in rows if "bias" not in row.setting.frozen])

    return Study(
        name=f"NeuralNetworks/{name}",
        settings=settings,
        measure=train_and_certify,
        columns={quantity: HEADINGS[quantity] for quantity in shown},
        claim=claim_all,
        figures=lambda rows: {name.replace("-", "_"): study_figure(*panels(rows))},
    )


def _newton(regularization: float, **options: Any) -> Setting:
    """A descent by Newton's method to a point at which the lemma's bound is small."""
    options = {"max_steps": NEWTON_STEPS, **options}
    accuracy = accuracy_for(regularization)
    return Setting(regularization=regularization, accuracy=accuracy, optimizer="Newton", **options)


def _panel(rows: list[Row[Setting]], quantities: dict[str, str], **options: Any) -> Panel:
    """A panel with one series for each quantity, by label."""
    series = {label: measured(rows, quantity) for label, quantity in quantities.items()}
    return Panel(series=series, **options)


@dataclass(frozen=True, kw_only=True)
class BiasesConfig(ConditionConfig):
    """Train with biases N(0, 1) that are frozen, and with the same biases trained.

    Theorem 4.1 requires trained biases and then applies at every λ > 0. With frozen biases W⊥ stays
    at stationary points until λ is large enough. Every descent (Newton's method) ends at a
    second-order stationary point in the parameters that are trained.
    """

    output_dir: Path = Path("results/NeuralNetworks/biases")
    width: PositiveInt = 20
    """Hidden units h."""

    def study(self) -> Study[Setting]:
        setting = partial(_newton, widths=(self.width,), bias_deviation=1.0)
        smallest, fixed = min(BIASES_REGULARIZATIONS), ("output", "bias")
        trained = {f"trained, λ = {value:g}": setting(value) for value in BIASES_REGULARIZATIONS}
        frozen = {
            f"frozen, λ = {value:g}": setting(value, frozen=fixed, nodes=NODES_IF_FROZEN)
            for value in BIASES_REGULARIZATIONS
        }
        frozen[f"frozen, λ = {smallest:g}, nodes doubled"] = setting(
            smallest, frozen=fixed, nodes=NODES_DOUBLED
        )

        def series(rows: list[Row[Setting]], quantity: str) -> dict[str, np.ndarray]:
            both = np.split(measured(rows[:-1], quantity), 2)  # without the doubled nodes
            return dict(zip(("trained biases", "frozen biases"), both, strict=True))

        x = BIASES_REGULARIZATIONS
        panel = partial(Panel, x=x, x_label="regularization λ", log_x=True)
        quantity, left = "relative_orthogonal_norm", "What is left of the irrelevant weights"
        return _study(
            "biases",
            trained | frozen,
            ("relative_orthogonal_norm", *BOUNDS, "min_curvature", "gradient_norm", "risk"),
            lambda rows: (
                panel(series(rows, quantity), y_label="‖W⊥‖ / ‖W‖", title=left),
                panel(series(rows, "risk"), y_label="risk", title="What it costs"),
            ),
            id="BIAS",
            claim=_claim_biases,
        )


def _claim_biases(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that trained biases let W_⊥ vanish, and that frozen ones do not guarantee it."""
    claim_second_order(run, [row for row in rows if "bias" not in row.setting.frozen], "BIAS")
    frozen = [row for row in rows if "bias" in row.setting.frozen]
    smallest = [row for row in frozen if row.setting.regularization == min(BIASES_REGULARIZATIONS)]
    shares = np.array([certain_shares(row) for row in smallest])
    nodes = " and ".join(str(row.setting.nodes[1]) for row in smallest)
    run.claim(
        "BIAS",
        f"biases frozen, λ = {min(BIASES_REGULARIZATIONS):g}: a strict local minimiser with "
        f"‖W⊥‖/‖W‖ > {KEPT:g} within 2‖∇f‖/λ_min of the end, on {(shares > KEPT).sum()} of "
        f"{shares.size} runs, with {nodes} nodes across; the share",
        measured=f"{shares.min():.2g} to {shares.max():.2g}",
        holds=bool((shares > KEPT).any(axis=1).all()),
    )
    medians = [
        f"{row.median('relative_orthogonal_norm'):.2g} at λ = {row.setting.regularization:g}"
        for row in frozen
        if row.setting.nodes == NODES_IF_FROZEN
    ]
    run.claim("BIAS", "biases frozen: median ‖W⊥‖/‖W‖", measured=", ".join(medians))


def certain_shares(row: Row[Any]) -> np.ndarray:
    """A lower bound on ‖W_⊥‖/‖W‖ at a strict local minimiser near the end; 0 if none is certain.

    Where λ_min > 0 and ‖∇f‖ ≤ λ_min²/(2K), one lies within r = 2‖∇f‖/λ_min (Newton–Kantorovich).
    """
    of = row.measured
    gradient, norm = of["gradient_norm"], of["orthogonal_norm"]
    curvature = of["min_curvature"] - of["min_curvature_residual"]
    certain = (curvature > 0) & (gradient <= curvature**2 / (2 * of["hessian_lipschitz"]))
    radius = 2 * gradient / np.where(certain, curvature, 1.0)
    shares = (norm - radius) / (norm / of["relative_orthogonal_norm"] + radius)
    return np.where(certain, np.maximum(shares, 0.0), 0.0)


@dataclass(frozen=True, kw_only=True)
class RegularizationConfig(ConditionConfig):
    """Descend to second-order points at λ from 1e-8 to 1e-2, and by PGD to several accuracies.

    The first descents end where ‖∇f‖ ≤ ρ = λ·min(1e-6, 10λ): there the lemma's bound on ‖W⊥‖ is
    at most ρ/λ if K ≤ 0.1. They use Newton's method with cubic regularization, because PGD
    needs O(1/λ) steps: about 1e9 at λ = 1e-8. The others stop PGD at ρ from 1e-2 to 3e-4.
    """

    output_dir: Path = Path("results/NeuralNetworks/regularization")
    width: PositiveInt = 10
    """Hidden units h."""
    steps: PositiveInt = NEWTON_STEPS
    """Maximum number of steps of each descent, which should end before."""

    def study(self) -> Study[Setting]:
        newton = {
            f"λ = {value:g}": _newton(value, widths=(self.width,), max_steps=self.steps)
            for value in REGULARIZATIONS
        }
        stopped = {
            f"PGD, λ = {ACCURACIES_REGULARIZATION:g}, ρ = {accuracy:g}": Setting(
                widths=(self.width,),
                regularization=ACCURACIES_REGULARIZATION,
                accuracy=accuracy,
                max_steps=self.steps,
            )
            for accuracy in ACCURACIES
        }
        norms = ORTHOGONAL | SHARP_BOUND | BOUND
        panel = partial(_panel, quantities=norms, y_label="Frobenius norm", log_x=True)

        def claim(run: Run, rows: list[Row[Setting]]) -> None:
            claim_second_order(run, rows[: len(newton)], "REG")
            claim_norm_falls(run, rows[len(newton) :])

        return _study(
            "regularization",
            newton | stopped,
            (*BOUNDS, "hessian_lipschitz", "rho", "risk", "steps"),
            lambda rows: (
                panel(
                    rows[: len(newton)],
                    x=REGULARIZATIONS,
                    x_label="regularization λ",
                    title="At second-order points",
                ),
                panel(
                    rows[len(newton) :],
                    x=ACCURACIES,
                    x_label=f"accuracy ρ, λ = {ACCURACIES_REGULARIZATION:g}",
                    title="Where PGD stops",
                ),
            ),
            id="REG",
            claim=claim,
        )


@dataclass(frozen=True, kw_only=True)
class SmoothingConfig(ConditionConfig):
    """Train with smooth ReLUs that approach ReLU, ι = 2 to 64, and with ReLU itself.

    Theorem 4.1 is for a smooth ReLU. Its constant K depends on ι. ReLU has no second derivative at
    0: there the Stein defect δ, which both bounds include, need not vanish.
    """

    output_dir: Path = Path("results/NeuralNetworks/smoothing")
    width: PositiveInt = 10
    """Hidden units h."""
    regularization: PositiveFloat = 1e-2
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 150
    """Maximum number of steps of each descent."""

    def study(self) -> Study[Setting]:
        settings = {
            "ReLU" if math.isinf(sharpness) else f"ι = {sharpness:g}": _newton(
                self.regularization,
                widths=(self.width,),
                sharpness=sharpness,
                nodes=NODES_IF_SHARP,
                equally_spaced=True,
                max_steps=self.steps,
            )
            for sharpness in SHARPNESSES
        }
        panel = partial(_panel, x=tuple(settings), x_label="activation")
        norms = ORTHOGONAL | SHARP_BOUND | BOUND
        constants = {"K, estimated": "hessian_lipschitz", "‖δ‖": "stein_defect"}
        return _study(
            "smoothing",
            settings,
            (*BOUNDS, "hessian_lipschitz", "stein_defect", "rho", "second_order", "risk"),
            lambda rows: (
                panel(rows, norms, y_label="Frobenius norm", title="Where the descent ends"),
                panel(rows, constants, y_label="K or norm", title="What the bounds depend on"),
            ),
            id="IOTA",
            claim=_claim_smoothing,
        )


def _claim_smoothing(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim the theorem at every finite ι; report K as ι grows, and what ReLU does."""
    smooth = [row for row in rows if math.isfinite(row.setting.sharpness or 0)]
    claim_second_order(run, smooth, "IOTA")
    run.claim(
        "IOTA",
        f"median K (estimated) at ι = {', '.join(f'{row.setting.sharpness:g}' for row in smooth)}: "
        "the lemma needs ρ < 4λ²/K",
        measured=", ".join(f"{row.median('hessian_lipschitz'):.2g}" for row in smooth),
    )
    for row in rows:
        if row not in smooth:
            run.claim(
                "IOTA",
                f"{row.name}: largest ‖W⊥‖; largest Stein defect; runs that end at a second-order "
                f"point, of {len(row.measured['second_order'])}",
                measured=f"{row.measured['orthogonal_norm'].max():.2g}; "
                f"{row.measured['stein_defect'].max():.2g}; "
                f"{row.measured['second_order'].sum():.0f}",
            )


@dataclass(frozen=True, kw_only=True)
class DepthConfig(ConditionConfig):
    """Train every layer of students of depth 2 to 6, at d = 2 and 20, and with a wide first layer.

    The output weights are not regularized: f has no minimiser, ‖∇f‖ falls slowly, and at the end ρ
    is too large for the lemma's own bound on some runs. The sharp bound exists on all.
    """

    output_dir: Path = Path("results/NeuralNetworks/depth")
    steps: PositiveInt = 400
    """Maximum number of descent steps of each run."""

    def study(self) -> Study[Setting]:
        setting = partial(Setting, frozen=(), max_steps=self.steps)
        deep = {f"depth {n}": (2, (WIDTH_OF_DEEP,) * (n - 1)) for n in DEPTHS}
        wide = {f"width {h}": (2, (h, WIDTH_ABOVE_WIDE)) for h in WIDTHS}
        high = {
            f"depth {n}, d = 20": (20, (WIDTH_OF_DEEP,) * (n - 1)) for n in DEPTHS_IN_20_DIMENSIONS
        }
        norms = RELATIVE | ORTHOGONAL | SHARP_BOUND
        panel = partial(_panel, quantities=norms, y_label="norm", title=END)
        of_depth = f"depth, {WIDTH_OF_DEEP} units a layer"
        of_width = "width of the first layer, depth 3, λ = 1/width"
        return _study(
            "depth",
            {
                name: setting(
                    dimension=dimension,
                    widths=widths,
                    regularization=REGULARIZATION_TIMES_WIDTH / widths[0],
                )
                for name, (dimension, widths) in (deep | wide | high).items()
            },
            ("relative_orthogonal_norm", *BOUNDS, "rho", "risk", "seconds"),
            lambda rows: (
                panel(rows[: len(deep)], x=DEPTHS, x_label=of_depth),
                panel(rows[len(deep) : -len(high)], x=WIDTHS, x_label=of_width, log_x=True),
                panel(
                    rows[-len(high) :],
                    x=DEPTHS_IN_20_DIMENSIONS,
                    x_label=f"{of_depth}, d = 20",
                ),
            ),
            id="DEPTH",
        )


@dataclass(frozen=True, kw_only=True)
class LossesConfig(ConditionConfig):
    """Train with each loss, at d = 2 and 20, and the squared loss with each activation.

    Output weights are frozen, and the descents use Newton's method as in the study regularization.
    With the activations z² and ReLU³ some reach the limit of steps: their biases keep growing.
    """

    output_dir: Path = Path("results/NeuralNetworks/losses")
    width: PositiveInt = 10
    """Hidden units h."""
    regularization: PositiveFloat = 1e-2
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 150
    """Maximum number of steps of each descent."""

    def study(self) -> Study[Setting]:
        setting = partial(_newton, self.regularization, widths=(self.width,), max_steps=self.steps)
        losses = {f"{loss} loss": setting(loss=loss) for loss in LOSSES}
        high = {f"{loss} loss, d = 20": setting(loss=loss, dimension=20) for loss in LOSSES}
        others = {name: setting(activation=name) for name in ACTIVATIONS if name != "smooth-relu"}
        x_label = "loss with smooth ReLU; activation with squared loss"
        panel = partial(
            _panel, quantities=RELATIVE | SHARP_BOUND | BOUND, y_label="norm", title=END
        )
        return _study(
            "losses",
            losses | high | others,
            ("relative_orthogonal_norm", *BOUNDS, "second_order", "risk", "steps"),
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
    regularization: PositiveFloat = 1e-3
    """Weight λ > 0 of ‖W‖²."""
    steps: PositiveInt = 400
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
        return _study(
            "multi-index",
            {f"k = {indices}": setting(indices=indices) for indices in INDICES},
            ("relative_orthogonal_norm", "principal_angle", "rank", *BOUNDS, "risk"),
            lambda rows: (panel(rows),),
            id="T4.1",
            claim=_claim_learned_subspace,
        )


def _claim_learned_subspace(run: Run, rows: list[Row[Setting]]) -> None:
    """Claim that W keeps no other directions than the teacher's; report whether it keeps all."""
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
        measured=", ".join(f"{share:g}" for share in kept),
    )


biases = SimpleNamespace(Config=BiasesConfig, main=main)
regularization = SimpleNamespace(Config=RegularizationConfig, main=main)
smoothing = SimpleNamespace(Config=SmoothingConfig, main=main)
depth = SimpleNamespace(Config=DepthConfig, main=main)
losses = SimpleNamespace(Config=LossesConfig, main=main)
multi_index = SimpleNamespace(Config=MultiIndexConfig, main=main)
