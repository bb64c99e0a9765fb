"""From the SDP's vectors to one cut: perturbed gradient descent on the expected cut."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from derandomization import Certificate, History, PerturbedGradientDescent, certify
from derandomization.checks import require_at_least
from derandomization.descent import StepCallback
from derandomization.hessian import Hessian
from derandomization.laboratory.checkpoints import Checkpoints, Content, resumable_descend
from derandomization.laboratory.trace import NUM_BOUNDS
from derandomization.laboratory.workers import parallel_calls, spawn_seeds
from MAXCUT.expected_cut import (
    ExpectedCut,
    ScoreFunction,
    conditional_rounding,
    degree_scales,
)
from MAXCUT.graph import Graph, Signs, Vectors
from MAXCUT.limits import Limits
from MAXCUT.sdp import SdpSolution, good_hyperplane
from MAXCUT.search import combine_cuts, one_flip_optima, one_flip_optimum, search
from MAXCUT.settings import Estimator


@dataclass(frozen=True)
class DescentSettings:
    """Settings of a descent; f is scaled so that they hold for every graph of a size."""

    max_steps: int
    smoothing: float  # ε
    regularization: float  # λ
    learning_rate: float
    momentum: float
    perturbation_radius: float  # divided by √vertices
    perturbation_interval: int  # steps; longer in proportion if the learning rate is lowered
    decrease_threshold: float  # divided by vertices
    initial_level: float = 0.0  # |μ_i| / (ε t_i), with the signs of a hyperplane's cut
    gradient_dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        if self.gradient_dtype == torch.float32 and self.smoothing < FLOAT32_SMOOTHING:
            raise ValueError(
                f"smoothing is {self.smoothing:g}: with gradients in float32 it must be at least "
                f"{FLOAT32_SMOOTHING:g}"
            )


# With these settings 596 of 600 graphs of 15 vertices end at the optimum (study ``guarantee``). K
# grows as 1/ε³: with half this ε the lemma gives a bound on fewer graphs.
EXACT = DescentSettings(
    max_steps=2_100,  # a multiple of the interval: the last perturbation is long before the end
    smoothing=0.1,
    regularization=0.005,
    learning_rate=0.5,
    momentum=0.9,
    perturbation_radius=2.5e-3,
    perturbation_interval=300,
    decrease_threshold=1e-13,
)
# A smaller ε is closer to the true sign but makes the problem stiffer. On seven G-set graphs,
# λ = 0.004 reaches 0.9937 of the best known cuts, and λ = 0.01 0.9927 in half the steps. From
# μ = 0, V first shrinks to rank one: a third of the steps pass near that saddle, where only a sign
# common to all vertices is random. A hyperplane's signs choose it at once: on 51 Biq Mac instances
# 527 steps instead of 781, with cuts as good (0.9969 and 0.9964 of the best known).
EXACT_LARGE = replace(
    EXACT,
    max_steps=4_050,
    smoothing=0.05,
    learning_rate=0.3,
    perturbation_radius=1e-2,
    perturbation_interval=150,
    decrease_threshold=1e-9,
    initial_level=1.0,
)
LARGE_GRAPH = 100  # vertices
# From here on gradients are in float32. On graphs of fewer edges its rounding errors cancel less in
# f, whose decrease is tested, and most of the time is overhead. Sums over more neighbours than this
# would lose too many digits, and with a smaller ε so would 1 − r² (it is 0 from 3e-4 on).
FLOAT32_EDGES, FLOAT32_DEGREE, FLOAT32_SMOOTHING = 10_000, 10_000, 0.01
# The published code's run: 5 000 plain steps of 100 samples with noise of deviation 0.5. With twice
# the learning rate the variance of the estimate dominates, and V no longer shrinks steadily.
SAMPLED = replace(
    EXACT,
    max_steps=5_000,
    smoothing=0.5,
    regularization=0.01,
    learning_rate=0.2,
    momentum=0.0,
    decrease_threshold=-math.inf,
)
NUM_SAMPLES = 100
# Heavy-ball momentum is stable below 2(1 + β)/curvature = 3.8/curvature. Where the ends of an edge
# are almost antipodal in the SDP's solution, the curvature is 1/ε and more: 18 on G48, 30 on G70.
MAX_RELATIVE_STEP = 3.0
CURVATURE_ITERATIONS = 10  # within 5% of the curvature on the G-set
# On dense graphs the curvature may grow on the way, until f rises: such a descent starts again.
MOST_HALVINGS = 3  # of its learning rate
# ‖∇f‖/√vertices is 0.07 at an SDP solution, so the saddle at μ = 0 is perturbed at once.
GRADIENT_THRESHOLD = 0.1
# Initial μ_i/ε, with V = 0, of the descent that starts at a cut of the restarts: signs of 0.95.
FOUND_LEVEL = 2.0
# Evenly spaced; fewer where V is large, so that its copies take no more than this in a checkpoint.
# The vertices' norms, of which figures show the noise and its decay, are kept more often.
NUM_SNAPSHOTS, NUM_NORMS, SNAPSHOT_BYTES = NUM_BOUNDS, 80, 2**22
VANISHED = 1e-3  # ‖V‖ over its start is at most this where a descent has converged
# The parts of a time limit after which the descent and the search stop.
DESCENT_SHARE, SEARCH_SHARE = 0.6, 0.9
# Hyperplanes that are polished and whose better parts the cut takes: as many as have this many
# vertices together. 256 of them raise the cuts of 51 Biq Mac instances from 0.9971 to 0.9991.
POLISHED_VERTICES, FEWEST_HYPERPLANES, MOST_HYPERPLANES = 2**15, 8, 256
HYPERPLANES_PER_CUT = 8  # at least, where several cuts are asked for


def settings_for(graph: Graph, estimator: Estimator) -> DescentSettings:
    """The settings for an estimator and a graph of this size."""
    if estimator == "sampled":
        return SAMPLED
    if graph.num_vertices < LARGE_GRAPH:
        return EXACT
    is_single = len(graph.weights) >= FLOAT32_EDGES and _largest_degree(graph) <= FLOAT32_DEGREE
    return replace(EXACT_LARGE, gradient_dtype=torch.float32 if is_single else torch.float64)


def _largest_degree(graph: Graph) -> int:
    """The most neighbours of a vertex."""
    return int(np.bincount(graph.ends.ravel()).max())


def stable_settings(settings: DescentSettings, objective: ExpectedCut) -> DescentSettings:
    """Lower the learning rate if the curvature at the objective's current point requires it."""
    hessian = Hessian(objective, objective.parameters())
    curvature = hessian.spectral_norm(iterations=CURVATURE_ITERATIONS)
    rate = min(settings.learning_rate, MAX_RELATIVE_STEP / curvature)
    interval = round(settings.perturbation_interval * settings.learning_rate / rate)
    return replace(settings, learning_rate=rate, perturbation_interval=interval)


def _half_as_fast(settings: DescentSettings) -> DescentSettings:
    """Half of the learning rate for twice the steps, with gradients in float64."""
    return replace(
        settings,
        max_steps=2 * settings.max_steps,
        learning_rate=settings.learning_rate / 2,
        perturbation_interval=2 * settings.perturbation_interval,
        gradient_dtype=torch.float64,
    )


@dataclass(frozen=True)
class DerandomizedCut:
    """A cut and how it was found.

    Attributes:
        signs, cut_value: the best of all cuts that were computed.
        derandomized_cut_value: of the rounding where the first descent ended. Theorem 5.2 is about
            this cut. Where V has vanished it is sign(μ).
        polished_cut_value: of that cut after single vertices were moved as long as this gained.
        search_cut_value: of the best cut that a restart found; None without restarts.
        cuts: distinct cuts, best first: the one returned and as many others as were asked for.
        guaranteed: a lower bound on the derandomized cut: ``ExpectedCut.guaranteed_cut``.
        history: of the first descent; it observes ``cut_value`` (of sign(μ)) and
            ``largest_deviation`` (max_i ‖v_i‖/t_i).
        vertex_norms: ‖v_i‖ of every vertex before some steps of it, and where it ended.
        restart_cut_values: their combination may be better.
        objective, certificate: in closed form, at the point where the last descent ended; a second
            descent is made if the restarts found a better cut. The certificate is None if a time
            limit left no time for it.
    """

    signs: Signs
    cut_value: float
    derandomized_cut_value: float
    polished_cut_value: float
    search_cut_value: float | None
    cuts: Float[np.ndarray, "cuts vertices"]
    guaranteed: float | None
    history: History
    vertex_norms: Mapping[int, Float[np.ndarray, " vertices"]]
    restart_cut_values: Float[np.ndarray, " restarts"]
    objective: ExpectedCut
    certificate: Certificate | None

    @property
    def not_converged(self) -> str:
        """Why the first descent did not remove the randomness; empty if it did."""
        norms = self.history.weight_norm
        if _has_vanished(self.history):
            return ""
        return (
            f"after {self.history.num_steps} steps ‖V‖ is {norms[-1] / norms[0]:.2g} of its start, "
            f"above {VANISHED:g}"
        )


def derandomize(
    graph: Graph,
    solution: SdpSolution,
    *,
    generator: torch.Generator,
    estimator: Estimator = "exact",
    settings: DescentSettings | None = None,
    initial_cuts: Sequence[Signs] = (),
    restarts: int = 0,
    num_cuts: int = 1,
    limits: Limits | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    device: torch.device | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> DerandomizedCut:
    """Descend from V and μ near 0 until V vanishes, and round what is left (Theorem 5.2).

    The descent starts at μ = 0 or, on large graphs, at μ_i = ±ε t_i with the signs of a
    hyperplane's cut. The signs of μ are fixed by conditional expectations, so that their cut is
    worth at least ``guaranteed``. That cut, with single vertices moved as long as this gains, is
    combined with a hyperplane's cut that reaches the hyperplanes' mean, with those of other
    hyperplanes, polished too, the initial cuts and the empty cut.

    A restart is a call of ``search`` from that cut and V; ``parallel_calls`` shares the restarts.
    The cuts they find are combined too. If the result is better, a second descent starts there.
    Other processes stop at the time limit; a target or the callback is asked between restarts.
    """
    require_at_least("restarts", restarts, 0)
    require_at_least("num_cuts", num_cuts, 1)
    limits = limits or Limits()
    settings = settings or settings_for(graph, estimator)
    # The published code, whose estimator is "sampled", treats all vertices alike.
    scales = degree_scales(graph) if estimator == "exact" else np.ones(graph.num_vertices)
    start = scales[:, None] * solution.vectors
    objective = ExpectedCut(
        graph,
        start,
        smoothing=settings.smoothing,
        regularization=settings.regularization,
        vertex_scales=scales,
    ).to(device)
    if estimator == "exact":
        settings = stable_settings(settings, objective)
    evaluation = None if estimator == "exact" else ScoreFunction(NUM_SAMPLES, generator)
    draws = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    hyperplane = good_hyperplane(graph, solution.vectors, draws)
    levels = settings.initial_level * torch.from_numpy(hyperplane).to(objective.mean)
    descend = partial(_descend, graph, objective, evaluation, generator=generator, limits=limits)
    seen: list[Signs] = []  # the best of each descent: a limit's callback was told of them
    for _ in range(1 + MOST_HALVINGS):
        objective.vectors.data.copy_(torch.from_numpy(start))
        objective.mean.data.copy_(objective.noise * levels)
        history, watch = descend(settings, progress=progress, checkpoints=checkpoints)
        seen.append(watch.best)
        has_stopped = history.reason == "no decrease" and limits.stopped_by is None
        if _has_vanished(history) or not has_stopped:
            break
        settings = _half_as_fast(settings)
    descent_seconds = limits.seconds
    guaranteed = objective.guaranteed_cut(start)
    derandomized = conditional_rounding(graph, objective.mean_signs())
    polished = one_flip_optimum(graph, derandomized)
    pool = [polished, hyperplane, np.ones(graph.num_vertices), *seen, *initial_cuts]
    combined = POLISHED_VERTICES // graph.num_vertices
    combined = min(max(combined, FEWEST_HYPERPLANES), MOST_HYPERPLANES)
    wanted = max(combined, HYPERPLANES_PER_CUT * (num_cuts - 1))
    polished_draws = _polished_hyperplanes(graph, solution.vectors, wanted, draws, limits)
    signs = combine_cuts(graph, np.array(pool + polished_draws[:combined]))
    limits.offer(graph.cut_value(signs))
    found: list[Signs] = []
    if restarts and not limits.reached("search"):
        root = int(torch.randint(2**62, (), generator=generator))
        alone = workers == 1 and scheduler is None
        told = limits if alone else limits.deadline(SEARCH_SHARE)
        calls = [
            (graph, solution.vectors, signs, seed, told) for seed in spawn_seeds(root, restarts)
        ]
        numbered: dict[int, Signs] = {}
        for number, cut in parallel_calls(
            _search, calls, workers=workers, scheduler=scheduler, checkpoints=checkpoints
        ):
            numbered[number] = np.asarray(cut)  # checkpoints store tensors
            limits.offer(graph.cut_value(numbered[number]))
            if limits.reached("search", SEARCH_SHARE):
                break
        found = [numbered[number] for number in sorted(numbered)]
    best = combine_cuts(graph, np.array([signs, *found]))
    # A descent takes as long as the first one, and a certificate about as long.
    if graph.cut_value(best) > graph.cut_value(signs) and limits.left() > 2 * descent_seconds:
        objective.vectors.data.zero_()
        levels = FOUND_LEVEL * torch.from_numpy(best).to(objective.mean)
        objective.mean.data.copy_(objective.noise * levels)
        _, second_watch = descend(settings, checkpoints=checkpoints)
        reached = one_flip_optimum(graph, conditional_rounding(graph, objective.mean_signs()))
        best = max(best, reached, second_watch.best, key=graph.cut_value)
    return DerandomizedCut(
        signs=best,
        cut_value=float(graph.cut_value(best)),
        derandomized_cut_value=float(graph.cut_value(derandomized)),
        polished_cut_value=float(graph.cut_value(polished)),
        search_cut_value=max((float(graph.cut_value(each)) for each in found), default=None),
        cuts=distinct_cuts(graph, np.array([best, *pool, *found, *polished_draws]), num_cuts),
        guaranteed=guaranteed,
        history=history,
        vertex_norms=watch.norms_along(history),
        restart_cut_values=np.array([float(graph.cut_value(each)) for each in found]),
        objective=objective,
        certificate=certify(objective) if limits.left() > descent_seconds else None,
    )


def _descend(
    graph: Graph,
    objective: ExpectedCut,
    evaluation: nn.Module | None,
    settings: DescentSettings,
    *,
    generator: torch.Generator,
    limits: Limits,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> tuple[History, "_Watch"]:
    """Descend until the optimizer or a limit ends it; also return what was seen on the way."""
    optimizer = descent_optimizer(objective, settings, generator)
    watch = _Watch(graph, objective, limits, settings.max_steps)

    def on_step(step: int, value: float, weight_norm: float) -> None:
        if progress:
            progress(step, value, weight_norm)
        if limits.reached("descent", DESCENT_SHARE):
            optimizer.terminated = True

    size = objective.vectors.numel() * objective.vectors.element_size()
    objective.evaluation, objective.gradient_dtype = evaluation, settings.gradient_dtype
    history = resumable_descend(
        objective,
        optimizer,
        max_steps=settings.max_steps,
        observe=watch,
        snapshot_steps=_even_steps(settings.max_steps, NUM_SNAPSHOTS, size),
        progress=on_step,
        checkpoints=checkpoints,
        verify=False,  # ``certify`` follows
    )
    objective.evaluation = None
    return history, watch


def _has_vanished(history: History) -> bool:
    """Whether V became small beside its start."""
    return bool(history.weight_norm[-1] <= VANISHED * history.weight_norm[0])


def _even_steps(max_steps: int, most: int, size: int) -> range:
    """Evenly spaced steps: as many as have copies of ``size`` bytes in ``SNAPSHOT_BYTES``."""
    count = max(1, min(most, SNAPSHOT_BYTES // size))
    return range(0, max_steps, max(1, max_steps // count))


class _Watch:
    """Measures a descent before every step: the cut of sign(μ) and the largest ‖v_i‖.

    It remembers the best of those cuts and, at some steps, the norms of all v_i.
    """

    def __init__(
        self, graph: Graph, objective: ExpectedCut, limits: Limits, max_steps: int
    ) -> None:
        self._graph, self._objective, self._limits = graph, objective, limits
        self._scales = objective.noise / objective.smoothing
        self._norm_steps = _even_steps(max_steps, NUM_NORMS, 8 * graph.num_vertices)
        self._step = 0
        self._norms: dict[int, Tensor] = {}
        self.best: Signs = np.ones(graph.num_vertices)
        self._highest = 0.0

    def __call__(self) -> dict[str, float]:
        norms = self._objective.vectors.detach().norm(dim=1)
        if self._step in self._norm_steps:
            self._norms[self._step] = norms.cpu()
        self._step += 1
        signs = self._objective.signs()
        cut_value = float(self._graph.cut_value(signs))
        if cut_value > self._highest:
            self.best, self._highest = signs, cut_value
            self._limits.offer(cut_value)
        return {"cut_value": cut_value, "largest_deviation": float((norms / self._scales).max())}

    def norms_along(self, history: History) -> dict[int, Float[np.ndarray, " vertices"]]:
        """The norms of all v_i at some steps of the descent, the last one included."""
        (*_, end) = history.snapshots.values()
        kept = {s: norms for s, norms in self._norms.items() if s < history.num_steps}
        kept[history.num_steps] = end["vectors"].norm(dim=1)
        return {step: norms.numpy() for step, norms in kept.items()}

    def state_dict(self) -> Content:
        """What it remembers, and what ended the descent: plain types and tensors."""
        return {
            "step": self._step,
            "norms": self._norms,
            "best": torch.from_numpy(self.best),
            "highest": self._highest,
            "limits": self._limits.state_dict(),
        }

    def load_state_dict(self, state: Content) -> None:
        """Restore what ``state_dict`` returned."""
        self._step, self._norms = state["step"], state["norms"]
        self.best, self._highest = state["best"].numpy(), state["highest"]
        self._limits.load_state_dict(state["limits"])


def _polished_hyperplanes(
    graph: Graph, vectors: Vectors, count: int, rng: np.random.Generator, limits: Limits
) -> list[Signs]:
    """The cuts of random hyperplanes, each with single vertices moved as long as this gains."""
    normals = rng.standard_normal((count, vectors.shape[1]))
    allowed = takewhile(lambda _: not limits.reached("search", SEARCH_SHARE), normals)
    cuts = (np.where(vectors @ normal >= 0, 1.0, -1.0) for normal in allowed)
    return list(one_flip_optima(graph, cuts))


def _search(
    graph: Graph,
    vectors: Vectors,
    signs: Signs,
    seed: int,
    limits: Limits | Callable[[], bool],
) -> Signs:
    """A search that stops at the limits, or in another process at the deadline."""
    if not isinstance(limits, Limits):
        return search(graph, vectors, signs, seed, stop=limits)
    return search(
        graph,
        vectors,
        signs,
        seed,
        stop=lambda: limits.reached("search", SEARCH_SHARE),
        on_cut=lambda cut: limits.offer(graph.cut_value(cut)),
    )


def distinct_cuts(
    graph: Graph, cuts: Float[np.ndarray, "cuts vertices"], count: int
) -> Float[np.ndarray, "distinct vertices"]:
    """At most ``count`` different cuts, best first, of equal ones the first of ``cuts``.

    A cut and its mirror image are one.
    """
    mirrored = cuts * cuts[:, :1]
    # Packed into bits, the cuts are sorted ten times as fast.
    _, first = np.unique(np.packbits(mirrored > 0, axis=1), axis=0, return_index=True)
    different = mirrored[first]
    order = np.lexsort((first, -graph.cut_value(different)))
    return different[order[:count]]


def descent_optimizer(
    objective: ExpectedCut, settings: DescentSettings, generator: torch.Generator
) -> PerturbedGradientDescent:
    """Perturbed gradient descent with thresholds in proportion to the size of the graph."""
    num_vertices = len(objective.mean)
    scales = objective.noise / objective.smoothing
    return PerturbedGradientDescent(
        [
            {"params": [objective.vectors], "perturbation_scales": scales[:, None]},
            {"params": [objective.mean], "perturbation_scales": scales},
        ],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        gradient_threshold=GRADIENT_THRESHOLD * num_vertices**0.5,
        perturbation_radius=settings.perturbation_radius * num_vertices**0.5,
        perturbation_interval=settings.perturbation_interval,
        decrease_threshold=settings.decrease_threshold * num_vertices,
        generator=generator,
    )
