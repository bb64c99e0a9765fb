"""The experiment of figures 6 and 7: its steps, claims and figures."""

import warnings
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from derandomization.files.points import read_points
from derandomization.laboratory.run import Run, report_end
from derandomization.laboratory.trace import trace_norm
from JohnsonLindenstrauss import plot
from JohnsonLindenstrauss.baselines import (
    GaussianBaselines,
    gaussian_baselines,
    gaussian_matrix,
    guaranteed_distortion,
    principal_components,
    random_pair_distortions,
)
from JohnsonLindenstrauss.lower_bound import distortion_lower_bound, proven_ratio
from JohnsonLindenstrauss.main import Config
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pairs import distinct_points, exact_ratio_range
from JohnsonLindenstrauss.train import (
    MAX_PAIR_STEPS,
    SETTINGS,
    VANISHED,
    PairTraining,
    Training,
    plain_descent,
    train,
    train_pairs,
)

ROUNDING = 1e-12  # at k = d, and for two points, every fitted embedding is exact but for this
PLOTTED_PAIRS = 200_000  # pairs in the histogram and the Shepard plot, where there are more


def run_experiment(config: Config) -> None:
    """Run figures 6 and 7 and write everything to ``config.output_dir``."""
    generator = config.generator()
    with warnings.catch_warnings(record=True, action="always") as caught:
        points = _points(config, generator)
    run = Run("JohnsonLindenstrauss", config, inputs=points)
    for warning in caught:
        run.say(f"warning: {warning.message}")
    (_keep_distances if config.pairs else _keep_lengths)(run, config, points, generator)
    run.finish()


def _points(config: Config, generator: torch.Generator) -> Tensor:
    """The file's points, or the paper's."""
    if config.data is None:
        return cube_points(config.num_points, config.dimension, generator)
    points = read_points(config.data)
    config.require_dimension(points.shape[1])
    if config.normalize or not config.pairs:
        # First by the largest coordinate: squares of very large or small ones would leave float64.
        largest = points.abs().amax(dim=1, keepdim=True)
        if not largest.all():
            row = int((largest == 0).nonzero()[0, 0]) + 1
            raise ValueError(
                f"data is {config.data}: row {row} is all zeros: it can't be normalised"
            )
        points /= largest
        points /= points.norm(dim=1, keepdim=True)
    return points


def _keep_lengths(run: Run, config: Config, points: Tensor, generator: torch.Generator) -> None:
    """The paper's experiment: embed unit vectors so that they keep their lengths."""
    points = points.to(config.torch_device())
    epsilon = None
    if config.objective == "exceedance":
        # The ε at which the bound for twice the points is 1, so that for these points it is 1/2.
        epsilon = guaranteed_distortion(2 * len(points), config.num_components)
    baselines = gaussian_baselines(points, config.num_components, generator)
    max_steps = config.steps or SETTINGS[config.estimator].max_steps
    with run.descent("figures 6 and 7", max_steps) as progress:
        training = train(
            points,
            config.num_components,
            generator=generator,
            estimator=config.estimator,
            epsilon=epsilon,
            max_steps=max_steps,
            progress=progress,
            checkpoints=run.checkpoints,
        )
        report_end(progress, training.history)
    _record_lengths(run, training, baselines, epsilon)
    bound = "falls below 1" if epsilon is None else "starts at 1/2"
    _claim_distortion(
        run,
        random_min="distortion of M below mean and best (shown) of 1000 Gaussian draws",
        guaranteed_distortion=f"distortion of M at most the ε where the union bound {bound}",
    )
    run.claim_bounds(training.certificate, "‖W‖")
    _claim_saddle(run, training, points)
    _draw_lengths(run, training, baselines)
    embedding = training.exact_objective.mean.detach().cpu().numpy()
    run.write("embedding.npy", lambda path: np.save(path, embedding))


def _record_lengths(
    run: Run, training: Training, baselines: GaussianBaselines, epsilon: float | None
) -> None:
    history, objective = training.history, training.exact_objective
    num_points, k = len(objective.points), objective.num_components
    run.results |= {
        "max_distortion": float(history.observations["max_distortion"][-1]),
        "random_mean": float(baselines.single.mean()),
        "random_min": float(baselines.single.min()),
        "worst_of_20_mean": float(baselines.worst_of_20.mean()),
        "worst_of_20_min": float(baselines.worst_of_20.min()),
        "guaranteed_distortion": epsilon or guaranteed_distortion(num_points, k),
        "sigma": float(history.weight_norm[-1]) / objective.mean.numel() ** 0.5,
        "relative_random_weights": float(history.weight_norm[-1] / history.weight_norm[0]),
        "num_points": num_points,
        "steps": history.num_steps,
        "perturbations": len(history.perturbation_steps),
        "certificate": asdict(training.certificate),
        "seconds": history.seconds,
    }


def _claim_distortion(run: Run, *, rounding: float = 0.0, **statements: str) -> None:
    """Claim that the largest distortion is at most each bound plus rounding and that σ vanished.

    ``statements`` holds the claim about each bound, by the bound's name in the results.
    """
    distortion = run.results["max_distortion"]
    for name, statement in statements.items():
        bound = run.results[name]
        proven = name == "guaranteed_distortion"
        id, kind = ("T5.5", "bound") if proven else ("F6", "baseline")
        if id == "F6" or bound > 0:  # one point, or one pair, has no union bound
            strict = id == "F6" and not rounding  # strictly better than the best random draw
            holds = distortion < bound if strict else distortion <= bound + rounding
            run.claim(id, statement, **{kind: bound}, measured=distortion, holds=holds)
    remaining = run.results["relative_random_weights"]
    statement = f"σ → 0: at most {VANISHED:g} of its start"
    run.claim("F7", statement, paper=0.0, measured=remaining, holds=remaining <= VANISHED)


def _claim_saddle(run: Run, training: Training, points: Tensor) -> None:
    """Claim that descent without noise stays at M = 0 and the perturbed descent leaves it."""
    plain = plain_descent(points, training.exact_objective.num_components)
    stayed = float(plain.mean.detach().norm())
    relative = plain.weight_norm() / float(training.history.weight_norm[0])
    left = float(training.exact_objective.mean.detach().norm())
    run.results |= {"plain_mean_norm": stayed, "plain_relative_random_weights": relative}
    run.claim(
        "FOSP",
        "plain descent stays at M = 0 with σ ≠ 0, the perturbed one leaves",
        measured=f"‖M‖ = {stayed:g}, σ/σ₀ = {relative:.3f}; ‖M‖ = {left:.3g}",
        holds=stayed == 0 and relative > 0.1 and left > 0.1,
    )


def _draw_lengths(run: Run, training: Training, baselines: GaussianBaselines) -> None:
    """Figures 6 and 7, and the arrays behind them."""
    history, objective = training.history, training.exact_objective
    variance = history.weight_norm**2 / objective.mean.numel()
    trace = trace_norm(history, objective, training.certificate)
    distortion = history.observations["max_distortion"]
    figure = plot.distortion_figure(
        distortion, history.perturbation_steps, baselines.single, baselines.worst_of_20
    )
    run.figure("figure6_distortion", figure)
    run.figure("figure7_variance", plot.variance_figure(variance, trace))
    run.arrays |= history.arrays() | {
        "random_single": baselines.single,
        "random_worst_of_20": baselines.worst_of_20,
        "variance": variance,
        "sharp_bound_steps": trace.bound_steps,
        "sharp_bound": trace.sharp_bound,
    }


def _keep_distances(run: Run, config: Config, points: Tensor, generator: torch.Generator) -> None:
    """``--pairs``: embed points so that the distances of all pairs are kept."""
    origin = f"num_points is {config.num_points}, dimension is {config.dimension}"
    found = distinct_points(points, f"data is {config.data}" if config.data else origin)
    if found.exponent:
        run.say(f"warning: points over 2^{found.exponent}: on that no ratio depends")
    if found.copies:
        run.say(f"warning: {found.copies} points equal earlier ones: they are left out")
    k, points = config.num_components, found.points
    with run.descent("all pairs", config.steps or MAX_PAIR_STEPS) as progress:
        training = train_pairs(
            points,
            k,
            generator=generator,
            block_size=config.block_size,
            start="random",
            max_steps=config.steps,
            device=config.torch_device(),
            progress=progress,
            checkpoints=run.checkpoints,
        )
    if (rank := len(training.embedding)) < k:
        run.say(f"warning: the points span {rank} dimensions: {rank} components keep all distances")
    random = random_pair_distortions(
        points, k, gaussian_matrix, generator, block_size=config.block_size
    )
    pca = exact_ratio_range(principal_components(points, k), points, config.block_size)
    lower_bound = distortion_lower_bound(points, k, max_steps=config.steps)
    ratio = proven_ratio(lower_bound, training.max_distortion)
    pairs = len(points) * (len(points) - 1) // 2
    sigma = float(training.deviation[-1]) if len(training.deviation) else 0.0
    run.results |= {
        "max_distortion": training.max_distortion,
        "random_mean": float(random.mean()),
        "random_min": float(random.min()),
        "random_draws": len(random),
        "pca": pca.distortion,
        "pca_rescaled": pca.balanced_distortion,
        "lower_bound": lower_bound,
        "proven_ratio": ratio,
        "guaranteed_distortion": guaranteed_distortion(pairs, k),
        "sigma": sigma,
        "relative_random_weights": sigma * k**0.5,
        "num_points": len(points),
        "copies": found.copies,
        "num_pairs": pairs,
        "steps": len(training.value),
        "seconds": training.seconds,
    }
    _claim_distortion(
        run,
        random_min=f"over all pairs: below the best of {len(random)} Gaussian draws",
        pca_rescaled="over all pairs: below PCA, rescaled",
        guaranteed_distortion="over all pairs: at most the ε where the union bound falls below 1",
        rounding=ROUNDING,
    )
    run.claim(
        "F6",
        f"over all pairs: no map, linear or not, is below the bound; proven ratio {ratio:.3f}",
        bound=lower_bound,
        measured=training.max_distortion,
        holds=training.max_distortion >= lower_bound,
    )
    _draw_distances(run, training, points, random, k, generator)
    run.write("embedding.npy", lambda path: np.save(path, training.embedding.numpy()))


def _draw_distances(
    run: Run,
    training: PairTraining,
    points: Tensor,
    random: np.ndarray,
    num_components: int,
    generator: torch.Generator,
) -> None:
    """Figures 6 and 7 for pairs, and all pairs before and after, or some of them if many."""
    n, embedding = len(points), training.embedding
    if n * (n - 1) // 2 <= PLOTTED_PAIRS:
        i, j = torch.triu_indices(n, n, 1)
    else:
        i = torch.randint(n, (PLOTTED_PAIRS,), generator=generator)
        j = (i + torch.randint(1, n, (PLOTTED_PAIRS,), generator=generator)) % n
    gaussian = gaussian_matrix(num_components, points.shape[1], generator)
    chunks = list(zip(i.split(4096), j.split(4096), strict=True))
    squares, squares_before, squares_after = (
        torch.cat([(x[a] - x[b]).square().sum(dim=1) for a, b in chunks]).numpy()
        for x in (points, points @ gaussian.T, points @ embedding.T)
    )
    before, after = squares_before / squares, squares_after / squares
    pca, bound = run.results["pca_rescaled"], run.results["lower_bound"]
    variance = training.deviation**2
    figure6 = plot.pair_distortion_figure(training.rounds, training.distortion, random, pca, bound)
    run.figure("figure6_distortion", figure6)
    run.figure("figure7_variance", plot.variance_figure(variance, None))
    run.figure("histogram", plot.histogram_figure(before, after))
    run.figure("shepard", plot.shepard_figure(np.sqrt(squares), before, after))
    run.arrays |= {
        "value": training.value,
        "variance": variance,
        "rounds": training.rounds,
        "max_distortion": training.distortion,
        "random": random,
    }
