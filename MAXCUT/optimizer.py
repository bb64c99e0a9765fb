"""From the SDP's vectors to one cut: perturbed gradient descent on the expected cut."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from derandomization import (
    Certificate,
    History,
    PerturbedGradientDescent,
    certify,
    descend,
    log_spaced_steps,
)
from derandomization.checks import require_at_least
from derandomization.descent import ProgressCallback
from derandomization.sweep import parallel_calls, spawn_seeds
from MAXCUT.expected_cut import ExpectedCut, SampledCut
from MAXCUT.fused_cut import FusedCut
from MAXCUT.graph import Graph
from MAXCUT.polish import one_flip_optimum
from MAXCUT.restarts import Point, search
from MAXCUT.sdp import SdpSolution

Estimator = Literal["exact", "sampled"]


@dataclass(frozen=True)
class DescentSettings:
    """How a cut is derandomized; f is scaled so that these hold on every graph."""

    max_steps: int
    smoothing: float
    learning_rate: float
    momentum: float
    decrease_threshold: float


# On 60 random 15-vertex graphs these end at the optimum every time; ten times the step at four
# times the λ ends at it on 15. A smaller ε follows the true sign but stiffens the descent.
EXACT = DescentSettings(
    max_steps=2_000, smoothing=0.1, learning_rate=0.5, momentum=0.9, decrease_threshold=1e-9
)
# The published code's run: 5 000 plain steps of 100 samples with noise of deviation 0.5. Twice
# the step no longer shrinks V steadily: the estimate's variance takes over.
SAMPLED = DescentSettings(
    max_steps=5_000,
    smoothing=0.5,
    learning_rate=0.2,
    momentum=0.0,
    decrease_threshold=-math.inf,
)
SETTINGS = {"exact": EXACT, "sampled": SAMPLED}

REGULARIZATION = 0.01  # collapses V in a few hundred steps; at 0.04 quality begins to suffer
NUM_SAMPLES = 100
# ‖∇f‖ per √vertex at an SDP solution is 0.07: the saddle at μ = 0 is left at once, and from then
# on noise is added every interval, in which V shrinks far below it again: by β^(interval/2),
# enough for ρ to fall where Lemma 3.1 speaks.
GRADIENT_THRESHOLD = 0.1
PERTURBATION_RADIUS = 1e-2
PERTURBATION_INTERVAL = 250
NUM_SNAPSHOTS = 16


@dataclass(frozen=True)
class DerandomizedCut:
    """One cut and how it was reached.

    Attributes:
        signs: ±1 a vertex.
        cut_value: Σ w_ij over the edges cut.
        cut_value_before_polish: what derandomization alone achieves; ``signs`` are sign(μ) after
            every flip of a single vertex that gains.
        history: the descent from the SDP's vectors; its observations are ``cut_value`` (of
            sign(μ)) and ``largest_deviation`` (max_i ‖v_i‖).
        restart_cut_values: the best cut of each restart.
        objective: the exact objective where the descent to this cut ended.
        certificate: of that point.
    """

    signs: Float[np.ndarray, " vertices"]
    cut_value: float
    cut_value_before_polish: float
    history: History
    restart_cut_values: Float[np.ndarray, " restarts"]
    objective: ExpectedCut
    certificate: Certificate


def derandomize(
    graph: Graph,
    solution: SdpSolution,
    *,
    generator: torch.Generator,
    estimator: Estimator = "exact",
    max_steps: int | None = None,
    restarts: int = 0,
    workers: int = 1,
    device: torch.device | None = None,
    progress: ProgressCallback | None = None,
) -> DerandomizedCut:
    """Descend from (V, μ = 0) until V has vanished; sign(μ) is the cut (Theorem 5.2).

    Args:
        graph: the graph to cut.
        solution: of its SDP relaxation.
        generator: of the perturbations and samples.
        estimator: "exact" closed form, or "sampled" score-function gradients.
        max_steps: the most steps of a descent; the estimator's own number if None.
        restarts: searches from the same vectors besides (see ``restarts.search``); the best cut
            is kept, and descended to once more where a restart found it.
        workers: processes that share the restarts; what they find does not depend on it.
        device: where to compute; the CPU if None.
        progress: called with step, f and ‖V‖_F.

    Raises:
        ValueError: an argument out of its range.
    """
    require_at_least("restarts", restarts, 0)
    settings = SETTINGS[estimator]
    max_steps = max_steps or settings.max_steps

    def descent(vectors: np.ndarray, mean: np.ndarray) -> tuple[FusedCut | SampledCut, History]:
        objective = _objective(graph, vectors, settings, generator)
        with torch.no_grad():
            objective.mean.copy_(torch.from_numpy(mean))
        objective = objective.to(device)
        return objective, descend(
            objective,
            _optimizer(objective, settings, generator),
            max_steps=max_steps,
            observe=lambda: {
                "cut_value": float(graph.cut_value(objective.signs())),
                "largest_deviation": float(objective.vectors.detach().norm(dim=1).max()),
            },
            snapshot_steps=log_spaced_steps(max_steps, NUM_SNAPSHOTS),
            progress=progress,
        )

    objective, history = descent(solution.vectors, np.zeros(graph.num_vertices))
    signs = one_flip_optimum(graph, objective.signs())
    found = _restarts(graph, solution, restarts, workers, generator)
    best = max(found, key=lambda point: point.cut_value, default=None)
    if best is not None and best.cut_value > graph.cut_value(signs):
        objective, _ = descent(best.vectors, best.mean)
        signs = one_flip_optimum(graph, objective.signs())
    exact = ExpectedCut(
        graph, solution.vectors, smoothing=settings.smoothing, regularization=REGULARIZATION
    ).to(device)
    exact.load_state_dict(objective.state_dict(), strict=False)
    return DerandomizedCut(
        signs=signs,
        cut_value=float(graph.cut_value(signs)),
        cut_value_before_polish=float(graph.cut_value(objective.signs())),
        history=history,
        restart_cut_values=np.array([point.cut_value for point in found]),
        objective=exact,
        certificate=certify(exact),
    )


def _objective(
    graph: Graph, vectors: np.ndarray, settings: DescentSettings, generator: torch.Generator
) -> FusedCut | SampledCut:
    if settings is EXACT:
        return FusedCut(graph, vectors, smoothing=settings.smoothing, regularization=REGULARIZATION)
    return SampledCut(
        graph,
        vectors,
        smoothing=settings.smoothing,
        regularization=REGULARIZATION,
        num_samples=NUM_SAMPLES,
        generator=generator,
    )


def _restarts(
    graph: Graph, solution: SdpSolution, count: int, workers: int, generator: torch.Generator
) -> list[Point]:
    if count == 0:
        return []
    root = int(torch.randint(2**62, (), generator=generator))
    calls = [(graph, solution.vectors, seed) for seed in spawn_seeds(root, count)]
    found = dict(parallel_calls(search, calls, workers))
    return [found[number] for number in range(count)]


def _optimizer(
    objective: ExpectedCut, settings: DescentSettings, generator: torch.Generator
) -> PerturbedGradientDescent:
    return PerturbedGradientDescent(
        objective.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        gradient_threshold=GRADIENT_THRESHOLD * len(objective.mean) ** 0.5,
        perturbation_radius=PERTURBATION_RADIUS,
        perturbation_interval=PERTURBATION_INTERVAL,
        decrease_threshold=settings.decrease_threshold,
        generator=generator,
    )
