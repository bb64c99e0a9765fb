"""MAX-2-SAT and MAX-DICUT with known optimum: the ratio of Goemans and Williamson."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from derandomization.files.edges import EdgeList
from derandomization.files.formulas import Clauses
from derandomization.laboratory.figures import Panel, study_figure
from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row, Study, StudyConfig, measured, run_study
from MAXCUT.formulas import dicut_model, two_sat_model
from MAXCUT.quadratic import QuadraticModel
from MAXCUT.qubo import minimize
from MAXCUT.sdp import GUARANTEED_RATIO, MEAN_TOLERANCE
from MAXCUT.utilities import minimum_energy

NUM_VARIABLES = 12
# min over θ of (2/π)(2π − 3θ)/(1 + 3 cos θ): the guarantee of Goemans & Williamson 1995 for
# MAX-DICUT.
DICUT_RATIO = 0.79607


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """Solve random formulas and directed graphs with known optimum, by one descent each.

    No restarts: the ratio is that of the descent alone, and of the mean of the random assignments
    that it derandomizes.
    """

    output_dir: Path = Path("results/MAXCUT/formulas")


@dataclass(frozen=True)
class FamilySetting:
    """A family of formulas or of directed graphs."""

    family: str


def main(config: Config) -> None:
    """Run the study and write everything to ``config.output_dir``."""
    study = Study(
        name="MAXCUT/formulas",
        settings={name: FamilySetting(name) for name in FAMILIES},
        measure=solve_and_enumerate,
        columns={
            "ratio": "descent/OPT",
            "value_ratio": "returned/OPT",
            "mean_ratio": "mean/OPT",
            "proven_ratio": "proven ratio",
        },
        claim=_claim,
        figures=lambda rows: {"formulas": study_figure(_panel(rows))},
    )
    run_study(study, config)


def solve_and_enumerate(setting: FamilySetting, seed: int) -> dict[str, float]:
    """Minimise minus the weight reached, and compare with the optimum."""
    model = FAMILIES[setting.family](np.random.default_rng(seed))
    optimum = -minimum_energy(model)
    solution = minimize(model, spin=False, seed=seed)
    rounding = MEAN_TOLERANCE * float(np.abs(model.values).sum())
    return {
        "ratio": -solution.derandomized_energy / optimum,
        "value_ratio": -solution.energy / optimum,
        "mean_ratio": -solution.expected_energy / optimum,
        "mean_reached": float(solution.derandomized_energy <= solution.expected_energy + rounding),
        "mean_kept": float(solution.energy <= solution.expected_energy + rounding),
        "bound_valid": float(-solution.lower_bound >= optimum),
        "proven_ratio": solution.energy / solution.lower_bound,
        "proven_optimal": float(solution.proven_optimal),
    }


def random_formula(
    num_clauses: int, rng: np.random.Generator, *, weighted: bool = False, planted: bool = False
) -> QuadraticModel:
    """Clauses of two different variables, each negated or not.

    With ``weighted`` a quarter have one literal, and weights are integers from 1 to 20. With
    ``planted`` nine in ten clauses hold at one hidden assignment.
    """
    pairs = [rng.choice(NUM_VARIABLES, 2, replace=False) + 1 for _ in range(num_clauses)]
    literals = np.array(pairs) * rng.choice([-1, 1], (num_clauses, 2))
    if planted:
        hidden = rng.choice([-1, 1], NUM_VARIABLES + 1)
        true = (np.sign(literals) == hidden[np.abs(literals)]).any(axis=1)
        flipped = ~true & (rng.random(num_clauses) < 0.9)
        literals[flipped, 0] *= -1
    weights = np.ones(num_clauses)
    if weighted:
        literals[rng.random(num_clauses) < 0.25, 1] = 0
        weights = rng.integers(1, 21, num_clauses).astype(float)
    return two_sat_model(Clauses(NUM_VARIABLES, literals, weights))


def random_digraph(arc_probability: float, rng: np.random.Generator) -> QuadraticModel:
    """Each ordered pair of vertices is an arc with the same probability, with weights 1 to 20."""
    joined = rng.random((NUM_VARIABLES, NUM_VARIABLES)) < arc_probability
    ends = np.argwhere(joined & ~np.eye(NUM_VARIABLES, dtype=bool))
    weights = rng.integers(1, 21, len(ends)).astype(float)
    return dicut_model(EdgeList(tuple(range(NUM_VARIABLES)), ends, weights))


MAX_2_SAT: Mapping[str, Callable[[np.random.Generator], QuadraticModel]] = {
    "MAX-2-SAT, 24 clauses": partial(random_formula, 24),
    "MAX-2-SAT, 60 clauses": partial(random_formula, 60),
    "MAX-2-SAT, 150 clauses": partial(random_formula, 150),
    "MAX-2-SAT, weighted": partial(random_formula, 60, weighted=True),
    "MAX-2-SAT, planted": partial(random_formula, 60, planted=True),
}
MAX_DICUT: Mapping[str, Callable[[np.random.Generator], QuadraticModel]] = {
    "MAX-DICUT, p = 0.2": partial(random_digraph, 0.2),
    "MAX-DICUT, p = 0.6": partial(random_digraph, 0.6),
}
FAMILIES = {**MAX_2_SAT, **MAX_DICUT}


def _claim(run: Run, rows: list[Row[FamilySetting]]) -> None:
    for problem, families, guaranteed in (
        ("MAX-2-SAT", MAX_2_SAT, GUARANTEED_RATIO),
        ("MAX-DICUT", MAX_DICUT, DICUT_RATIO),
    ):
        chosen = [row for row in rows if row.setting.family in families]
        for quantity, words in (("ratio", "the descent"), ("mean_ratio", "the mean hyperplane")):
            ratios = measured(chosen, quantity)
            run.claim(
                "SAT",
                f"{problem}: {words} reaches {guaranteed:.3f} of the optimum on "
                f"{int((ratios >= guaranteed).sum())} of {ratios.size}; the smallest ratio",
                bound=guaranteed,
                measured=float(ratios.min()),
                holds=bool((ratios >= guaranteed).all()),
            )
    statements: list[tuple[str, str, bool]] = [
        ("mean_kept", "what is returned is at least the mean of the hyperplanes", True),
        ("mean_reached", "the descent alone is at least the mean of the hyperplanes", False),
        ("bound_valid", "no optimum is above the proven bound", True),
        ("proven_optimal", "what is returned is proven optimal", False),
    ]
    for quantity, words, promised in statements:
        held = measured(rows, quantity) == 1
        reference: dict[str, Any] = {"bound": f"all {held.size}"} if promised else {}
        run.claim(
            "SAT",
            f"{words}: the number of problems",
            **reference,
            measured=f"{int(held.sum())} of {held.size}",
            holds=bool(held.all()) if promised else None,
        )


def _panel(rows: list[Row[FamilySetting]]) -> Panel:
    return Panel(
        series={
            "one descent": measured(rows, "ratio"),
            "mean hyperplane": measured(rows, "mean_ratio"),
        },
        x=[row.name for row in rows],
        x_label="",
        y_label="part of the optimum",
        title="Formulas and directed graphs",
        log_y=False,
    )
