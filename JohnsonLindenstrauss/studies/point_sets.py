"""Points that need no download, drawn in two halves: fitted ones and new ones."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from sklearn import datasets
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.utils import Bunch

from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.pairs import Points

WORDS, TOPICS, TEXT_LENGTH = 1_000, 12, 80
NUM_PATCHES = 2_000  # of the image, before copies are left out
Array = Float[np.ndarray, "_ dimension"]


class Halves(NamedTuple):
    """As many new points as fitted ones, from the same source; no two points are equal."""

    fitted: Points
    new: Points


def draw_halves(source: str, num_points: int, seed: int) -> Halves:
    """Draw ``num_points`` fitted and as many new points from one of ``SOURCES``."""
    fitted, new = SOURCES[source](num_points, np.random.default_rng(seed))
    return Halves(torch.from_numpy(fitted), torch.from_numpy(new))


def _cube(num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """The paper's points, in 500 dimensions."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    points = cube_points(2 * num_points, 500, generator).numpy()
    return points[:num_points], points[num_points:]


def _text(num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """TF-IDF vectors of generated texts.

    Words have frequencies by Zipf's law. Half of a text's words are from all texts, the others
    from a few topics.
    """
    common = 1 / np.arange(1, WORDS + 1)
    common /= common.sum()
    topics = np.array([common[rng.permutation(WORDS)] for _ in range(TOPICS)])
    shares = rng.dirichlet(np.full(TOPICS, 0.2), size=2 * num_points)
    counts = rng.multinomial(TEXT_LENGTH, 0.5 * common + 0.5 * shares @ topics)
    weights = TfidfTransformer().fit(counts[:num_points])
    vectors = weights.transform(counts).toarray()
    return vectors[:num_points], vectors[num_points:]


def _decaying(num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Gaussian points in 60 dimensions, the i-th with standard deviation 1/i."""
    points = rng.normal(size=(2 * num_points, 60)) / np.arange(1, 61)
    return points[:num_points], points[num_points:]


def _patches(side: int) -> Callable[[int, np.random.Generator], tuple[Array, Array]]:
    """Square patches of scikit-learn's grey image of a temple."""

    def draw(num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
        image = datasets.load_sample_image("china.jpg").mean(axis=2)
        seed = int(rng.integers(2**31))
        patches = extract_patches_2d(
            image, (side, side), max_patches=NUM_PATCHES, random_state=seed
        )
        return _split(patches.reshape(len(patches), -1), num_points, rng)

    return draw


def _table(
    load: Callable[[], Bunch], *, standardised: bool = False
) -> Callable[[int, np.random.Generator], tuple[Array, Array]]:
    """Rows of a data set; ``standardised`` where its columns have different units."""

    def draw(num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
        fitted, new = _split(load().data, num_points, rng)
        if standardised:
            mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
            fitted, new = (fitted - mean) / spread, (new - mean) / spread
        return fitted, new

    return draw


def _split(points: Array, num_points: int, rng: np.random.Generator) -> tuple[Array, Array]:
    distinct = np.unique(points, axis=0)
    order = rng.permutation(len(distinct))
    return distinct[order[:num_points]], distinct[order[num_points : 2 * num_points]]


SOURCES = {
    "figure 6": _cube,
    "text": _text,
    "large patches": _patches(16),
    "digits": _table(datasets.load_digits),
    "breast cancer": _table(datasets.load_breast_cancer, standardised=True),
    "wine": _table(datasets.load_wine, standardised=True),
    "iris": _table(datasets.load_iris),
    "diabetes": _table(datasets.load_diabetes),
    "small patches": _patches(8),
    "decaying": _decaying,
}
