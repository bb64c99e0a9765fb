"""Learning an embedding that keeps the lengths of points, or the distances of all their pairs.

The first starts at the random embedding, M = 0 and σ² = 1/k, and descends by perturbed gradient
descent. The second does so too if asked, or starts near the principal components, and continues by
L-BFGS: a step costs O(n²k) over all pairs and O(pairs·k + nk·rank) over the worst ones.
"""

import contextlib
import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from derandomization import Certificate, History, PerturbedGradientDescent, certify, descend
from derandomization.checks import require_between, require_whole
from derandomization.descent import Diverged, StepCallback
from derandomization.expectations import standard_normal
from derandomization.laboratory.checkpoints import Checkpoints, Content, resumable_descend
from derandomization.laboratory.threads import computing_threads
from derandomization.optimizers.base import GradientDescent
from JohnsonLindenstrauss.model import (
    ExceedanceProbability,
    ExpectedDistortion,
    PairDistortion,
    RandomEmbedding,
    SampledDistortion,
    UnitVectorEmbedding,
    max_distortion,
    mean_square_distortion,
)
from JohnsonLindenstrauss.pairs import (
    Embedding,
    PairBlocks,
    Points,
    RatioRange,
    Span,
    WorstPairs,
    distinct_points,
    exact_ratio_range,
    ratio_range,
    span,
    working_precision,
    worst_pairs,
)
from JohnsonLindenstrauss.settings import BLOCK_SIZE, Estimator

VANISHED = 1e-2  # σ counts as vanished at this share of its start: F7


@dataclass(frozen=True)
class DescentSettings:
    """Settings of a descent on lengths; ``scale_learning_rate`` is in units of kd/(k+3)."""

    learning_rate: float
    scale_learning_rate: float
    max_steps: int = 3_000
    momentum: float = 0.95
    decrease_threshold: float = 1e-12
    # Lemma 3.1 applies where √(Kρ) < 2λ. K ≤ 24 where ‖Mu‖ = 1: this ρ serves every kd ≤ 200 000.
    gradient_threshold: float = 1e-12
    restart: bool = False

    def parameter_groups(self, objective: RandomEmbedding) -> list[dict[str, Any]]:
        """The parameters M and s with their learning rates."""
        rate = self.scale_learning_rate * (objective.mean.numel() / (objective.num_components + 3))
        return [{"params": [objective.mean]}, {"params": [objective.scale], "lr": rate}]

    def optimizer(
        self, objective: RandomEmbedding, generator: torch.Generator
    ) -> PerturbedGradientDescent:
        return PerturbedGradientDescent(
            self.parameter_groups(objective),
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.momentum > 0,
            gradient_threshold=self.gradient_threshold,
            restart=self.restart,
            perturbation_radius=PERTURBATION_RADIUS,
            perturbation_interval=PERTURBATION_INTERVAL,
            decrease_threshold=self.decrease_threshold,
            generator=generator,
        )


# The curvature in M, and in s in its units, is at most 8 where ‖Mu‖ = 1, and Nesterov's method with
# β = 0.95 is stable below 1.34/curvature; with β = 0.9 or 0.97 the descent takes more steps.
EXACT = DescentSettings(learning_rate=0.1, scale_learning_rate=0.1)
# Steps on a maximum do not shrink with its gradient, so M ends at a distortion of 0.02.
SAMPLED = DescentSettings(
    learning_rate=0.005,
    scale_learning_rate=1e-3,
    max_steps=5_000,
    momentum=0.0,
    decrease_threshold=-math.inf,  # no decrease can be told from noise
)
# The union bound is steep in σ and, near σ = 0, in M: with longer steps σ vanishes while M is still
# 0. Below ε it does not distinguish embeddings: on figure 6 the distortion ends at 0.44.
EXCEEDANCE = DescentSettings(
    learning_rate=0.02, scale_learning_rate=1.1e-3, gradient_threshold=1e-5, restart=True
)
SETTINGS = {"exact": EXACT, "sampled": SAMPLED}

PERTURBATION_RADIUS = 1e-2  # 1% of the length of every Mu at the end; 0.1 saves 70 steps
PERTURBATION_INTERVAL = 200  # leaving the saddle lowers f by 1e-6 in as many steps
PLAIN_STEPS = 500  # in which plain descent's momentum shrinks its error to 1e-5
NUM_SNAPSHOTS = 15  # each is certified for figure 7, in 0.1 s

# Pairs: from the random embedding, first a stage of perturbed descent, whose step √(k·rank)/(5β) is
# halved until f ends below where it began. Then stages of L-BFGS at growing sharpness β.
PAIR_MOMENTUM = 0.98
PAIR_LEARNING_RATE = 0.2
MAX_ATTEMPTS = 12
FIRST_STAGE = (10.0, 300)  # β and steps in which M leaves 0 and σ vanishes
ALL_PAIRS, ALL_PAIRS_STEPS = np.geomspace(20, 300, 10), 40
# From β = 300 on the worst pairs have nearly all of the softmax weight. A pair of a list takes ten
# times as long as one of a block.
WORST_PAIRS, WORST_PAIRS_STEPS, LISTED = np.geomspace(300, 15_000, 28), 80, 10_000
MAX_PAIR_STEPS = 2_940  # of all stages, the first one included
MAX_MEAN_SQUARE_STEPS = 200
CORRECTIONS = 20  # pairs of vectors that L-BFGS keeps; with 10 digits end at 0.2744 for 0.2736
WARM_STAGES = 3  # of the stages over all pairs, when the descent starts from a given embedding
CLOSE_TO_TARGET = 0.999  # a margin for float32; the final check is in float64
FAR_FROM_BEST = 1.05  # a round that ends above this multiple of the best distortion is taken back
# With more points a pass over all pairs takes longer than a round. So a sample of them comes first,
# at fewer and lower β, and then rounds at lower β on longer lists.
SAMPLE = 5_000
MANY_SAMPLE, MANY_SAMPLE_STAGES = 2_000, np.geomspace(10, 55, 7)
MANY_ROUNDS, MANY_LISTED = np.geomspace(30, 800, 10), 50_000
FLATTEST = 0.05  # coordinates with less than this share of the largest spread are not stretched


@dataclass(frozen=True)
class Training:
    """The history of a descent on lengths, and the exact objective at its end, certified."""

    history: History
    exact_objective: UnitVectorEmbedding
    certificate: Certificate


@computing_threads()
def train(
    points: Points,
    num_components: int,
    *,
    generator: torch.Generator,
    estimator: Estimator = "exact",
    epsilon: float | None = None,
    max_steps: int | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> Training:
    """Minimise the distortion of A = M + σZ over (M, σ), and certify the point where it ends.

    On one thread, unless called within ``computing_threads(count)``.
    Starts at M = 0, σ² = 1/k, a saddle in M, which only the perturbation leaves. An argument
    outside its range, or points that are no unit vectors, raise ``ValueError``.

    Args:
        points: u, n unit vectors in R^d, on the device to compute on.
        num_components: k, from 1 to d.
        generator: of the perturbations and the draws.
        estimator: "exact" closed form, or "sampled": the published loss, from batches of 20 draws.
        epsilon: minimise the union bound on Pr(some |‖Au‖² − 1| > ε) at this ε instead of the
            second moments; exact only. It should start below 1, see ``guaranteed_distortion``.
        max_steps: the most steps; the estimator's own number if None.
        progress: called with step, f and ‖W‖_F.
        checkpoints: where to store the descent, and to resume it from.
    """
    settings = SETTINGS[estimator] if epsilon is None else EXCEEDANCE
    if epsilon is None:
        exact: UnitVectorEmbedding = ExpectedDistortion(points, num_components)
    elif estimator == "exact":
        exact = ExceedanceProbability(points, num_components, epsilon)
    else:
        raise ValueError(f"estimator is {estimator}: the exceedance probability is exact only")
    objective = exact
    if estimator == "sampled":
        objective = SampledDistortion(points, num_components, generator)
    max_steps = settings.max_steps if max_steps is None else max_steps
    history = resumable_descend(
        objective,
        settings.optimizer(objective, generator),
        max_steps=max_steps,
        observe=lambda: {"max_distortion": max_distortion(objective.mean, points)},
        snapshot_steps=range(0, max_steps, math.ceil(max_steps / NUM_SNAPSHOTS)),
        progress=progress,
        checkpoints=checkpoints,
    )
    exact.load_state_dict(objective.state_dict())
    return Training(history, exact, certify(exact))


def plain_descent(points: Points, num_components: int) -> ExpectedDistortion:
    """The saddle with σ > 0 where gradient descent without noise ends: from M = 0, M stays 0."""
    objective = ExpectedDistortion(points, num_components)
    groups, rate = EXACT.parameter_groups(objective), EXACT.learning_rate
    optimizer = GradientDescent(groups, lr=rate, momentum=EXACT.momentum, nesterov=True)
    descend(objective, optimizer, max_steps=PLAIN_STEPS)
    return objective


@dataclass(frozen=True)
class PairTraining:
    """A learned embedding of all pairs and the record of its descent."""

    embedding: Embedding  # A, min(k, rank) rows; of ``train_pairs`` balanced about ratio 1
    basis: Float[Tensor, "rank dimension"]  # orthonormal, of the span of the centred points
    ratios: RatioRange  # of all pairs, in float64
    value: Float[np.ndarray, " steps"]  # f before each step, of the pairs used in that step
    deviation: Float[np.ndarray, " random"]  # σ before each step until it is set to 0
    rounds: Int[np.ndarray, " rounds"]  # steps at which all pairs, or a sample's, were evaluated
    distortion: Float[np.ndarray, " rounds"]  # the largest distortion there, after balancing
    seconds: float  # processor time of the descent, without the final check

    @property
    def max_distortion(self) -> float:
        """max |‖A(x − y)‖²/‖x − y‖² − 1| over all pairs."""
        return self.ratios.distortion


@computing_threads()
def train_pairs(
    points: Points,
    num_components: int,
    *,
    generator: torch.Generator,
    block_size: int = BLOCK_SIZE,
    start: Float[Tensor, "warm dimension"] | Literal["random"] | None = None,
    target: float = 0.0,
    max_steps: int | None = None,
    device: torch.device | None = None,
    progress: StepCallback | None = None,
    checkpoints: Checkpoints | None = None,
) -> PairTraining:
    """Minimise the largest distortion of all pairwise distances.

    Where the points nearly lie in k dimensions, the principal components, scaled, may be better
    than the descent, which is in float32. They are returned then, unless there are more than
    5 000 points or the start is random.

    An argument outside its range, or points that are all equal, raise ``ValueError``. On one
    thread, unless called within ``computing_threads(count)``.

    Args:
        points: n in R^d; copies of a point are left out.
        num_components: k, from 1 to d. The rank of the centred points is enough to keep every
            distance: the embedding never has more rows.
        generator: of the perturbation and of the sample of points used first when n is large.
        block_size: rows of the n×n matrices held at a time.
        start: an embedding to start from; near the principal components if None. With "random" the
            start is the random embedding, M = 0 and σ² = 1/k, and a perturbed gradient descent in
            which σ vanishes comes first.
        target: the descent stops when the largest distortion is at most this.
        max_steps: the most steps; fewer than the usual 2 940 shorten every stage in proportion,
            but not the one that leaves the random embedding.
        device: where to compute; where the points are if None.
        progress, checkpoints: as for ``train``.
    """
    require_between("num_components", num_components, 1, points.shape[1])
    distinct = distinct_points(points, "points").points.to(device)
    began, inside = time.process_time(), span(distinct)
    limit = MAX_PAIR_STEPS if max_steps is None else require_whole("max_steps", max_steps, 1)
    descent = StagedDescent(generator, limit, progress, checkpoints)
    if num_components >= inside.basis.shape[0]:
        mean = torch.eye(inside.basis.shape[0], dtype=distinct.dtype)
    else:
        mean = _learn_mean(inside, num_components, descent, block_size, start, target)
    seconds = time.process_time() - began
    embedding = mean.to(inside.basis) @ inside.basis
    found = exact_ratio_range(embedding, distinct, block_size)
    if start != "random" and len(distinct) <= SAMPLE:
        components = inside.basis[: len(embedding)].clone()
        theirs = exact_ratio_range(components, distinct, block_size)
        if theirs.balanced_distortion < found.balanced_distortion:
            embedding, found = components, theirs
    factor = found.balancing_factor
    embedding *= factor
    ratios = RatioRange(factor**2 * found.low, factor**2 * found.high)
    basis = inside.basis.to(points.device)
    return PairTraining(embedding.to(points.device), basis, ratios, *descent.record(), seconds)


@computing_threads()
def train_mean_square(
    points: Points,
    num_components: int,
    *,
    generator: torch.Generator,
    block_size: int = BLOCK_SIZE,
    max_steps: int | None = None,
    progress: StepCallback | None = None,
) -> PairTraining:
    """Minimise the mean of (‖A(x − y)‖²/‖x − y‖² − 1)² over all pairs, by L-BFGS.

    Starts near the principal components, but not at them: they are a saddle if the points are
    symmetric in a direction that is left out. Of more than 5 000 points a sample is used. Errors
    and arguments are those of ``train_pairs``; ``max_steps`` is 200 if None.
    """
    limit = MAX_MEAN_SQUARE_STEPS if max_steps is None else require_whole("max_steps", max_steps, 1)
    require_between("num_components", num_components, 1, points.shape[1])
    distinct = distinct_points(points, "points").points
    began, inside = time.process_time(), span(distinct)
    values: list[float] = []  # one for each step
    num_rows = min(num_components, len(inside.basis))
    mean = torch.eye(num_rows, len(inside.basis), dtype=distinct.dtype)
    if num_components < len(inside.basis):
        coordinates = inside.coordinates[_sample(len(distinct), generator)]
        coordinates = coordinates / coordinates.square().sum(dim=1).mean().sqrt()
        blocks = PairBlocks(coordinates, block_size)
        start = _near_components(mean.shape, generator, like=mean)
        mean, values = _minimise_mean_square(coordinates, blocks, start, limit, progress)
    seconds = time.process_time() - began
    embedding = mean @ inside.basis
    return PairTraining(
        embedding,
        inside.basis,
        ratios=exact_ratio_range(embedding, distinct, block_size),
        value=np.array(values),
        deviation=np.zeros(0),
        rounds=np.zeros(0, np.int64),
        distortion=np.zeros(0),
        seconds=seconds,
    )


def _near_components(
    shape: tuple[int, ...], generator: torch.Generator, *, like: Tensor
) -> Float[Tensor, "components rank"]:
    """The principal components in the points' own basis, moved by noise of length 1%."""
    normal = standard_normal(*shape, generator=generator, like=like)
    components = torch.eye(*shape, dtype=like.dtype, device=like.device)
    return components.add_(normal, alpha=PERTURBATION_RADIUS / normal.numel() ** 0.5)


def _minimise_mean_square(
    coordinates: Tensor,
    blocks: PairBlocks,
    start: Tensor,
    max_steps: int,
    progress: StepCallback | None,
) -> tuple[Float[Tensor, "components rank"], list[float]]:
    """The M where L-BFGS ends, and the objective before each step."""

    def objective(entries: np.ndarray) -> tuple[float, np.ndarray]:
        images = coordinates @ torch.from_numpy(entries).view_as(start).T
        value, slope = mean_square_distortion(images, blocks)
        return value, (slope.T @ coordinates).numpy().ravel()

    def after_step(step: int, value: float) -> None:
        if progress:
            progress(step, value, 0.0)  # nothing is random, so ‖W‖ is 0

    entries, values = _lbfgs(objective, start.numpy().ravel(), max_steps, after_step)
    return torch.from_numpy(entries).view_as(start), values


def _lbfgs(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    max_steps: int,
    after_step: Callable[[int, float], None],
) -> tuple[np.ndarray, list[float]]:
    """Where L-BFGS ends, and the value before each step; after it, step and value are reported."""
    from scipy import optimize  # imported here because it takes 0.1 s, which --help does not need

    values = [value_and_slope(start)[0]]

    def callback(intermediate_result: optimize.OptimizeResult) -> None:
        after_step(len(values) - 1, values[-1])
        values.append(float(intermediate_result.fun))

    found = optimize.minimize(
        value_and_slope,
        start,
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={"maxiter": max_steps, "gtol": 1e-7, "maxcor": CORRECTIONS},
    )
    return found.x, values[:-1]


def _sample(num_points: int, generator: torch.Generator) -> Int[Tensor, " sample"]:
    """All points, or ``SAMPLE`` of them at random if there are more."""
    if num_points <= SAMPLE:
        return torch.arange(num_points)
    return torch.randperm(num_points, generator=generator)[:SAMPLE]


def _learn_mean(
    inside: Span,
    num_components: int,
    descent: "StagedDescent",
    block_size: int,
    start: Tensor | Literal["random"] | None,
    target: float,
) -> Float[Tensor, "components rank"]:
    """Descend on all pairs, of a sample if there are many points, then on the worst of all."""
    coordinates = inside.coordinates / inside.coordinates.square().sum(dim=1).mean().sqrt()
    units = _coordinate_units(coordinates)
    num_points = len(coordinates)
    many = num_points > SAMPLE
    chosen = _sample(num_points, descent.generator)
    stages, rounds = ALL_PAIRS, WORST_PAIRS
    # Fewer pairs than M has entries would be fitted at the cost of all others.
    listed = LISTED if num_components * len(units) <= LISTED else None
    if many:
        chosen = chosen[:MANY_SAMPLE]
        stages, rounds, listed = MANY_SAMPLE_STAGES, MANY_ROUNDS, MANY_LISTED
    dtype = working_precision(coordinates, block_size)
    sampled = PairBlocks(coordinates[chosen], block_size, dtype)
    in_units = (coordinates / units).to(dtype)
    objective = PairDistortion(in_units[chosen], num_components, sampled, FIRST_STAGE[0])
    if start == "random":
        descent.leave_saddle(objective)
    else:
        if start is None:
            rows = _near_components(objective.mean.shape, descent.generator, like=units)
        else:
            rows, stages = start.to(units) @ inside.basis.T, stages[-WARM_STAGES:]
        objective.mean.data.copy_(rows * units)
    objective.scale.data.zero_()
    for sharpness in stages:
        descent.sharpen(objective, sharpness, ALL_PAIRS_STEPS)
        descent.record_round(ratio_range(objective.images(), sampled).balanced_distortion)
    blocks = PairBlocks(coordinates, block_size, dtype) if many else sampled
    objective.points = in_units
    return _refine(objective, blocks, descent, target, rounds, listed).double() / units


def _refine(
    objective: PairDistortion,
    blocks: PairBlocks,
    descent: "StagedDescent",
    target: float,
    rounds: Float[np.ndarray, " rounds"],
    listed: int | None,
) -> Float[Tensor, "components rank"]:
    """The best M of rounds, each on the pairs that are worst at its start or were at an earlier.

    If ``listed``, the number of pairs that a round adds, is None, every round is on all pairs.
    """
    best, best_mean = math.inf, objective.mean.detach().clone()
    for sharpness in (*rounds, None):
        worst = worst_pairs(objective.images(), blocks, listed or 1)
        distortion = worst.ratios.balanced_distortion
        descent.record_round(distortion)
        if distortion < best:
            best, best_mean = distortion, objective.mean.detach().clone()
        elif distortion > FAR_FROM_BEST * best:
            with torch.no_grad():
                objective.mean.copy_(best_mean)
        if sharpness is None or best <= CLOSE_TO_TARGET * target or descent.is_over:
            break
        earlier = objective.pairs
        if listed is None:
            objective.pairs = blocks
        else:
            objective.pairs = worst.joined(earlier) if isinstance(earlier, WorstPairs) else worst
        descent.sharpen(objective, sharpness, WORST_PAIRS_STEPS)
    return best_mean


def _coordinate_units(coordinates: Tensor) -> Float[Tensor, " rank"]:
    """The spread of each coordinate: divided by these, all are learned equally fast."""
    spread = coordinates.square().mean(dim=0).sqrt()
    units = spread.clamp(min=FLATTEST * float(spread.max()))
    return units * (coordinates / units).square().sum(dim=1).mean().sqrt()


class Stage(NamedTuple):
    """Where a minimisation at one sharpness ended, and f before each of its steps."""

    mean: Float[Tensor, "components rank"]
    values: Float[np.ndarray, " steps"]

    @classmethod
    def of(cls, content: Content, like: Tensor) -> "Stage":
        """The stage that a checkpoint holds; of another shape it raises ``ValueError``."""
        mean, values = content["mean"], content["values"]
        if mean.shape != like.shape or values.ndim != 1:
            raise ValueError
        return cls(mean, values.numpy())


@dataclass
class StagedDescent:
    """A perturbed gradient descent, and minimisations at growing sharpness, with their record.

    Minimisations are by L-BFGS, whose state is not stored: a resumed run repeats the last one.
    """

    generator: torch.Generator
    max_steps: int
    progress: StepCallback | None = None
    checkpoints: Checkpoints | None = None
    steps: int = 0
    values: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    deviations: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    rounds: list[int] = field(default_factory=list)
    distortions: list[float] = field(default_factory=list)

    def leave_saddle(self, objective: PairDistortion) -> None:
        """Descend from M = 0 until σ vanishes; if f ends higher than it began, with half the rate.

        M and σ are then where the last such descent ends.
        """
        before = copy.deepcopy(objective.state_dict())
        for attempt in range(MAX_ATTEMPTS):
            steps = min(FIRST_STAGE[1], self.max_steps - self.steps)
            if steps < 1:
                return
            try:
                history = resumable_descend(
                    objective,
                    self._optimizer(objective, PAIR_LEARNING_RATE / 2**attempt, steps),
                    max_steps=steps,
                    progress=self._report,
                    checkpoints=self.checkpoints,
                )
            except Diverged as stop:
                history = stop.history
            self._add(history.value[:-1])
            self.deviations.append(history.weight_norm[:-1] / objective.mean.numel() ** 0.5)
            if history.value[-1] <= history.value[0]:
                return
            objective.load_state_dict(before)

    def sharpen(self, objective: PairDistortion, sharpness: float, steps: int) -> None:
        """Minimise f over M at this β by L-BFGS, or take the M that a resumed run found."""
        steps = self._steps_left(steps)
        if steps < 1:
            return
        objective.sharpness = float(sharpness)
        slot = self.checkpoints.slot("stage") if self.checkpoints else None
        stage = slot.restored(lambda content: Stage.of(content, objective.mean)) if slot else None
        if stage is None:
            stage = self._minimised(objective, steps)
            if slot:
                slot.keep({"mean": stage.mean, "values": torch.from_numpy(stage.values)})
        with torch.no_grad():
            objective.mean.copy_(stage.mean)
        self._add(stage.values)

    def _minimised(self, objective: PairDistortion, steps: int) -> Stage:
        """The stage that ends at the minimum over M."""
        mean = objective.mean

        def value_and_slope(entries: np.ndarray) -> tuple[float, np.ndarray]:
            with torch.no_grad():
                mean.copy_(torch.from_numpy(entries).view_as(mean))
            objective.zero_grad()
            value = objective()
            value.backward()
            assert mean.grad is not None
            return float(value.detach()), mean.grad.double().cpu().numpy().ravel()

        def after_step(step: int, value: float) -> None:
            self._report(step, value, 0.0)
            if self.checkpoints is not None:  # a step cannot be stored, the stages before it can
                self.checkpoints.write_if_due()

        start = mean.detach().double().cpu().numpy().ravel()
        with contextlib.ExitStack() as stack:
            if self.checkpoints:
                stack.enter_context(self.checkpoints.deferring_signals())
            entries, values = _lbfgs(value_and_slope, start, steps, after_step)
        return Stage(torch.from_numpy(entries).view_as(mean), np.array(values))

    @property
    def is_over(self) -> bool:
        """Whether all steps have been taken."""
        return self.steps >= self.max_steps

    def _steps_left(self, usual: int) -> int:
        """The usual number of steps, or fewer because all together must be."""
        shortened = math.ceil(usual * min(1.0, self.max_steps / MAX_PAIR_STEPS))
        return min(shortened, self.max_steps - self.steps)

    def _add(self, values: np.ndarray) -> None:
        """Record f before each of some steps."""
        self.steps += len(values)
        self.values.append(values)

    def _optimizer(
        self, objective: PairDistortion, pace: float, steps: int
    ) -> PerturbedGradientDescent:
        size, k = objective.mean.numel(), objective.num_components
        rate = pace * math.sqrt(size) / objective.sharpness
        return PerturbedGradientDescent(
            [
                {"params": [objective.mean]},
                {"params": [objective.scale], "lr": 0.1 * rate * size / (k + 3)},
            ],
            lr=rate,
            momentum=PAIR_MOMENTUM,
            nesterov=True,
            restart=True,
            gradient_threshold=math.inf,
            perturbation_radius=PERTURBATION_RADIUS,
            perturbation_interval=steps + 1,
            decrease_threshold=-math.inf,
            generator=self.generator,
        )

    def _report(self, step: int, value: float, norm: float) -> None:
        if self.progress:
            self.progress(self.steps + step, value, norm)

    def record_round(self, distortion: float) -> None:
        """Record the largest distortion of all pairs at the current step."""
        self.rounds.append(self.steps)
        self.distortions.append(distortion)

    def record(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """f and σ before each step, then the steps of the rounds and their distortions."""
        values, deviations = np.concatenate(self.values), np.concatenate(self.deviations)
        return values, deviations, np.array(self.rounds, np.int64), np.array(self.distortions)
