"""new-points: its sets of points, its measures against direct computation, claims that can fail."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.run import Run
from derandomization.laboratory.study import Row
from JohnsonLindenstrauss.studies import new_points as study
from JohnsonLindenstrauss.studies.point_sets import SOURCES, Halves, draw_halves


@pytest.mark.parametrize("source", SOURCES)
def test_halves_are_finite_distinct_and_repeated_by_their_seed(source: str) -> None:
    num_points, num_components = study.SIZES[source]
    halves = draw_halves(source, num_points, 3)
    points = torch.cat(halves).numpy()
    assert points.shape[0] == 2 * num_points
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == len(points)
    assert (num_points < points.shape[1]) == (source in study.WIDE)
    assert num_components <= points.shape[1]
    torch.testing.assert_close(draw_halves(source, num_points, 3), halves, rtol=0, atol=0)
    assert not torch.equal(draw_halves(source, num_points, 4).new, halves.new)


def test_measures_are_those_of_direct_computation() -> None:
    rng = torch.Generator().manual_seed(0)
    fitted, new, embedding = (
        torch.randn(n, 6, generator=rng, dtype=torch.float64) for n in (30, 20, 3)
    )
    before, after = torch.pdist(new), torch.pdist(new @ embedding.T)
    torch.testing.assert_close(study.pair_ratios(embedding, new), (after / before).square())
    nearest = [
        torch.cdist(a, b).argsort(dim=1)[:, :10].tolist()
        for a, b in ((new, fitted), (new @ embedding.T, fitted @ embedding.T))
    ]
    kept = [len({*a} & {*b}) / 10 for a, b in zip(*nearest, strict=True)]
    assert study.neighbours_kept(embedding, Halves(fitted, new)) == pytest.approx(np.mean(kept))
    assert study.neighbours_kept(torch.eye(6).double(), Halves(fitted, new)) == 1


def verdicts(changed: Mapping[str, float], folder: Path) -> list[bool | None]:
    """What the claims say of rows on which they all hold, but for some quantities."""
    good = {"largest_zero": 0.8, "mean_zero": 0.5, "gaussian": 0.6, "pca_rescaled": 0.7}
    good |= {"largest_random": 0.6, "mean_random": 0.4}
    numbers = {f"{name}_{what}": v for name, v in good.items() for what in study.QUANTITIES}
    numbers |= {"complement_change": 1e-12} | changed
    values = {name: np.full(2, value) for name, value in numbers.items()}
    rows = [Row(study.Setting(name, 9, 2, 1), name, values) for name in ("figure 6", "wine")]
    run = Run("JohnsonLindenstrauss/new-points", study.Config(output_dir=folder, quiet=True))
    study._claim(run, rows)
    return [claim.holds for claim in run.claims]


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({}, []),
        ({"largest_random_rms": 0.64}, [0]),
        ({"complement_change": 1e-6}, [1]),
        ({"largest_zero_rms": 0.55}, [2]),
        ({"largest_random_recall": 0.9}, [3]),
        ({"mean_random_rms": 0.55}, [4]),
        ({"mean_random_recall": 0.55}, [5]),
        ({"pca_rescaled_rms": 0.45}, [6]),
        ({"largest_random_rms": 0.3, "largest_zero_rms": 0.45}, [7]),
        ({"largest_random_rms": 0.3, "gaussian_rms": 0.45}, [8]),
    ],
)
def test_every_claim_can_fail(
    changed: dict[str, float], failing: list[int], tmp_path: Path
) -> None:
    held = verdicts(changed, tmp_path)
    assert len(held) == 11
    assert held[9:] == [None, None]
    assert [i for i, holds in enumerate(held) if holds is False] == failing
