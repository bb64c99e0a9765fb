"""From the SDP's vectors to one cut: perturbed gradient descent on the expected cut.

A step costs O(edges · (rank + quadrature nodes)). Up to a thousand edges that is what a hundred
torch calls cost from Python, 0.5 ms; beyond, arithmetic, until the vectors outgrow the cache.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from derandomization import (
    Certificate,
    History,
    PerturbedGradientDescent,
    certify,
)
from derandomization.checks import require_at_least
from derandomization.descent import StepCallback
from derandomization.laboratory.checkpoints import Checkpoints, resumable_descend
from derandomization.laboratory.study import spawn_seeds
from derandomization.laboratory.workers import parallel_calls
from MAXCUT.crossover import combined
from MAXCUT.expected_cut import ExpectedCut, SampledCut
from MAXCUT.fused_cut import FusedCut
from MAXCUT.graph import Graph
from MAXCUT.polish import one_flip_optimum
from MAXCUT.restarts import Cut, search
from MAXCUT.sdp import SdpSolution
from MAXCUT.settings import DescentSettings, Estimator, settings_for, stable_settings

NUM_SAMPLES = 100
# ‖∇f‖ per √vertex at an SDP solution is 0.07: the saddle at μ = 0 is left at once.
GRADIENT_THRESHOLD = 0.1
# μ_i/ε of a cut that restarts found, V = 0: the smoothed signs are all but decided, 0.95 of ±1,
# and still have a slope to descend by.
FOUND_LEVEL = 2.0
NUM_SNAPSHOTS = 80  # of max_steps, evenly: noise and its decay show in figures of V


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
        restart_cut_values: the best cut of each restart; combined they may be worth more.
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
    settings: DescentSettings | None = None,
    restarts: int = 0,
    workers: int = 1,
    scheduler: str | None = None,
    device: torch.device | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> DerandomizedCut:
    """Descend from (V, μ = 0) until V has vanished; sign(μ) is the cut (Theorem 5.2).

    Args:
        graph: the graph to cut.
        solution: of its SDP relaxation.
        generator: of the perturbations and samples.
        estimator: "exact" closed form, or "sampled" score-function gradients.
        settings: of the descent; those for the graph's size if None.
        restarts: searches from that cut and the vectors (see ``restarts.search``); what all of
            them found is combined, and descended to once more where it is better.
        crew: processes, or a Dask scheduler's address, that share the restarts; what they find
            does not depend on it.
        device: where to compute; the CPU if None.
        progress: called with step, f and ‖V‖_F.
        checkpoints: where to keep the descents, and to go on from.

    Raises:
        ValueError: an argument out of its range.
    """
    require_at_least("restarts", restarts, 0)
    settings = settings or settings_for(graph, estimator)
    exact = _exact(graph, solution, settings).to(device)
    if estimator == "exact":
        settings = stable_settings(settings, exact)
    descent = functools.partial(
        _descend, graph, estimator, settings, generator, exact.mean.device, checkpoints
    )
    objective, history = descent(solution.vectors, progress=progress)
    signs = one_flip_optimum(graph, objective.signs())
    found = _restarts(graph, solution, signs, restarts, workers, scheduler, generator, checkpoints)
    best = combined(graph, np.array([signs, *(cut.signs for cut in found)]))
    if graph.cut_value(best) > graph.cut_value(signs):
        level = FOUND_LEVEL * settings.smoothing
        objective, _ = descent(np.zeros_like(solution.vectors), level * best)
        reached = one_flip_optimum(graph, objective.signs())
        signs = max(best, reached, key=graph.cut_value)
    exact.load_state_dict(objective.state_dict(), strict=False)
    return DerandomizedCut(
        signs=signs,
        cut_value=float(graph.cut_value(signs)),
        cut_value_before_polish=float(graph.cut_value(objective.signs())),
        history=history,
        restart_cut_values=np.array([cut.value for cut in found]),
        objective=exact,
        certificate=certify(exact),
    )


def _exact(graph: Graph, solution: SdpSolution, settings: DescentSettings) -> ExpectedCut:
    return ExpectedCut(
        graph,
        solution.vectors,
        smoothing=settings.smoothing,
        regularization=settings.regularization,
    )


def _descend(
    graph: Graph,
    estimator: Estimator,
    settings: DescentSettings,
    generator: torch.Generator,
    device: torch.device,
    checkpoints: Checkpoints | None,
    vectors: Float[np.ndarray, "vertices rank"],
    mean: Float[np.ndarray, " vertices"] | None = None,
    progress: StepCallback | None = None,
) -> tuple[ExpectedCut, History]:
    """Descend from (V, μ), by default μ = 0."""
    objective = _objective(graph, vectors, estimator, settings, generator)
    if mean is not None:
        objective.mean.data.copy_(torch.from_numpy(mean))
    objective, max_steps = objective.to(device), settings.max_steps
    return objective, resumable_descend(
        objective,
        descent_optimizer(objective, settings, generator),
        max_steps=max_steps,
        observe=lambda: {
            "cut_value": float(graph.cut_value(objective.signs())),
            "largest_deviation": float(objective.vectors.detach().norm(dim=1).max()),
        },
        snapshot_steps=range(0, max_steps, max(1, max_steps // NUM_SNAPSHOTS)),
        progress=progress,
        checkpoints=checkpoints,
    )


def _objective(
    graph: Graph,
    vectors: Float[np.ndarray, "vertices rank"],
    estimator: Estimator,
    settings: DescentSettings,
    generator: torch.Generator,
) -> ExpectedCut:
    if estimator == "exact":
        return FusedCut(
            graph, vectors, smoothing=settings.smoothing, regularization=settings.regularization
        )
    return SampledCut(
        graph,
        vectors,
        smoothing=settings.smoothing,
        regularization=settings.regularization,
        num_samples=NUM_SAMPLES,
        generator=generator,
    )


def _restarts(
    graph: Graph,
    solution: SdpSolution,
    signs: Float[np.ndarray, " vertices"],
    count: int,
    workers: int,
    scheduler: str | None,
    generator: torch.Generator,
    checkpoints: Checkpoints | None,
) -> list[Cut]:
    if count == 0:
        return []
    root = int(torch.randint(2**62, (), generator=generator))
    calls = [(graph, solution.vectors, signs, seed) for seed in spawn_seeds(root, count)]
    found = dict(
        parallel_calls(search, calls, workers=workers, scheduler=scheduler, checkpoints=checkpoints)
    )
    cuts = (found[number] for number in range(count))
    return [Cut(np.asarray(signs), value) for signs, value in cuts]


def descent_optimizer(
    objective: ExpectedCut, settings: DescentSettings, generator: torch.Generator
) -> PerturbedGradientDescent:
    """PGD with thresholds in proportion to the graph."""
    num_vertices = len(objective.mean)
    return PerturbedGradientDescent(
        objective.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        gradient_threshold=GRADIENT_THRESHOLD * num_vertices**0.5,
        perturbation_radius=settings.perturbation_radius * num_vertices**0.5,
        perturbation_interval=settings.perturbation_interval,
        decrease_threshold=settings.decrease_threshold * num_vertices,
        generator=generator,
    )
