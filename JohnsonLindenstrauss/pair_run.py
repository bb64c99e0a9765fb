"""``--pairs``: one embedding of all pairwise distances, its numbers, claims and figures."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from derandomization.laboratory.run import Run
from JohnsonLindenstrauss import pair_plot
from JohnsonLindenstrauss.baselines import guaranteed_distortion
from JohnsonLindenstrauss.distinct import distinct_points
from JohnsonLindenstrauss.pair_baselines import (
    gaussian_matrix,
    principal_components,
    random_distortions,
)
from JohnsonLindenstrauss.pair_train import PairTraining, train_pairs
from JohnsonLindenstrauss.pairs import balanced, pair_extremes
from JohnsonLindenstrauss.stages import MAX_STEPS

ROUNDING = 1e-12  # at k = d, and of two points, every embedding that fits is exact but for this
COLLAPSED = 1e-2  # σ over its start that counts as vanished
DRAWN_PAIRS = 200_000  # pairs in the histogram and the Shepard plot, where there are more


@dataclass(frozen=True)
class SampledPairs:
    """Some pairs of points, or all of them.

    Attributes:
        distances: ‖x − y‖.
        before, after: ‖A(x − y)‖²/‖x − y‖² for a Gaussian A, and for the learned one.
    """

    distances: Float[np.ndarray, " pairs"]
    before: Float[np.ndarray, " pairs"]
    after: Float[np.ndarray, " pairs"]


def embed_pairs(
    run: Run,
    points: Float[Tensor, "points dimension"],
    num_components: int,
    generator: torch.Generator,
    *,
    block_size: int,
    max_steps: int | None,
    name: str = "points",
) -> None:
    """Learn, compare, claim and draw; the embedding goes to embedding.npy.

    Args:
        run: where everything goes.
        points: n in R^d.
        num_components: k, from 1 to d.
        generator: of every random choice.
        block_size: rows of the n×n matrices held at a time.
        max_steps: most descent steps; the usual number if None.
        name: what a message calls the points.

    Raises:
        ValueError: points whose pairs can't all be compared.
    """
    distinct, copies = _distinct(run, points, name)
    with run.descent("all pairs", max_steps or MAX_STEPS) as progress:
        training = train_pairs(
            distinct,
            num_components,
            generator=generator,
            block_size=block_size,
            max_steps=max_steps,
            device=run.config.torch_device(),
            progress=progress,
            checkpoints=run.checkpoints,
        )
    random = random_distortions(
        distinct, num_components, gaussian_matrix, generator, block_size=block_size
    )
    _record(run, distinct, copies, training, random, block_size)
    _claim(run, len(random))
    _draw(run, training, random, _sample(distinct, training.embedding, generator))
    embedding = training.embedding.numpy()
    run.write("embedding.npy", lambda path: np.save(path, embedding))


def _distinct(run: Run, points: Tensor, name: str) -> tuple[Tensor, int]:
    """The points to compare, how many copies they are without, and a word about both."""
    found = distinct_points(points, name)
    if found.exponent:
        run.say(f"warning: points over 2^{found.exponent}: on that no ratio depends")
    if found.copies:
        run.say(f"warning: {found.copies} points equal earlier ones: their pairs are left out")
    return found.points, found.copies


def _record(
    run: Run,
    points: Tensor,
    copies: int,
    training: PairTraining,
    random: np.ndarray,
    block_size: int,
) -> None:
    num_components = len(training.embedding)
    low, high = pair_extremes(principal_components(points, num_components), points, block_size)
    pairs = len(points) * (len(points) - 1) // 2
    sigma = training.deviation[-1] if len(training.deviation) else 0.0
    run.results |= {
        "max_distortion": training.max_distortion,
        "random_mean": float(random.mean()),
        "random_min": float(random.min()),
        "random_draws": len(random),
        "pca": max(high - 1, 1 - low),
        "pca_rescaled": balanced(low, high)[1],
        "guaranteed_distortion": guaranteed_distortion(pairs, num_components),
        "sigma": float(sigma),
        "relative_random_weights": float(sigma) * num_components**0.5,
        "num_points": len(points),
        "copies": copies,
        "num_pairs": pairs,
        "steps": len(training.value),
        "seconds": training.seconds,
    }


def _claim(run: Run, draws: int) -> None:
    results = run.results
    distortion = results["max_distortion"]
    for id, statement, bound in (
        ("F6", f"over all pairs: below the best of {draws} Gaussian draws", results["random_min"]),
        ("F6", "over all pairs: below PCA, rescaled", results["pca_rescaled"]),
        (
            "T5.5",
            "over all pairs: at most the ε where the union bound falls below 1",
            results["guaranteed_distortion"],
        ),
    ):
        if bound > 0:  # of a single pair the union bound is below 1 at every ε > 0
            holds = distortion <= bound + ROUNDING
            run.claim(id, statement, paper=bound, measured=distortion, holds=holds)
    remaining = results["relative_random_weights"]
    run.claim(
        "F7",
        f"σ → 0: at most {COLLAPSED:g} of its start",
        paper=0.0,
        measured=remaining,
        holds=remaining <= COLLAPSED,
    )


def _sample(points: Tensor, embedding: Tensor, generator: torch.Generator) -> SampledPairs:
    """All pairs, or ``DRAWN_PAIRS`` of them with replacement."""
    n = len(points)
    if n * (n - 1) // 2 <= DRAWN_PAIRS:
        i, j = torch.triu_indices(n, n, 1)
    else:
        i = torch.randint(n, (DRAWN_PAIRS,), generator=generator)
        j = (i + torch.randint(1, n, (DRAWN_PAIRS,), generator=generator)) % n
    gaussian = gaussian_matrix(len(embedding), embedding.shape[1], generator)
    before, after = ((points @ matrix.T) for matrix in (gaussian, embedding))
    chunks = list(zip(i.split(4096), j.split(4096), strict=True))
    squares = [
        torch.cat([(x[a] - x[b]).square().sum(dim=1) for a, b in chunks])
        for x in (points, before, after)
    ]
    return SampledPairs(
        squares[0].sqrt().numpy(),
        (squares[1] / squares[0]).numpy(),
        (squares[2] / squares[0]).numpy(),
    )


def _draw(run: Run, training: PairTraining, random: np.ndarray, sample: SampledPairs) -> None:
    run.figure(
        "figure6_distortion",
        pair_plot.descent_figure(
            training.rounds, training.distortion, random, run.results["pca_rescaled"]
        ),
    )
    run.figure("figure7_variance", pair_plot.variance_figure(training.deviation**2))
    run.figure("histogram", pair_plot.histogram_figure(sample.before, sample.after))
    run.figure("shepard", pair_plot.shepard_figure(sample.distances, sample.before, sample.after))
    run.arrays |= {
        "value": training.value,
        "variance": training.deviation**2,
        "rounds": training.rounds,
        "max_distortion": training.distortion,
        "random": random,
    }
