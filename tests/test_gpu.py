"""--device cuda gives the CPU's results, except for rounding from another order of sums."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import JohnsonLindenstrauss.main
import MAXCUT.main
import NeuralNetworks.main

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here"),
]
# Descents amplify rounding until they contract: values agree to a relative 1e-6, and values that
# vanish are small on both devices.
TOLERANCE, SMALL = 1e-6, 1e-8


def results(module: Any, folder: Path, device: str, **options: object) -> dict[str, Any]:
    module.main(module.Config(output_dir=folder, device=device, quiet=True, **options))
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert all(claim["holds"] is not False for claim in record["claims"])
    return record["results"]


@pytest.mark.parametrize(
    ("module", "options", "names"),
    [
        (NeuralNetworks.main, {}, ["risk", "weight_norm", "relative_orthogonal_norm"]),
        (NeuralNetworks.main, {"depth": 3, "width": 50, "frozen": ()}, ["risk", "weight_norm"]),
        (MAXCUT.main, {}, ["cut_value", "upper_bound", "relative_random_weights"]),
        (MAXCUT.main, {"graph_size": 200}, ["upper_bound", "goemans_williamson_mean"]),
        (JohnsonLindenstrauss.main, {}, ["max_distortion", "sigma", "guaranteed_distortion"]),
    ],
    ids=["network", "deep-network", "paper-graph", "larger-graph", "embedding"],
)
def test_exact_runs_agree(
    tmp_path: Path, module: Any, options: dict[str, Any], names: list[str]
) -> None:
    here = results(module, tmp_path / "cpu", "cpu", **options)
    there = results(module, tmp_path / "cuda", "cuda", **options)
    for name in names:
        np.testing.assert_allclose(there[name], here[name], rtol=TOLERANCE, atol=SMALL)


@pytest.mark.parametrize(
    ("module", "options", "name", "tolerance"),
    [
        (NeuralNetworks.main, {"estimator": "sampled", "steps": 500}, "risk", 1e-3),
        (MAXCUT.main, {"estimator": "sampled", "steps": 200}, "cut_value", 0.1),
        (
            JohnsonLindenstrauss.main,
            {"estimator": "sampled", "steps": 200},
            "random_mean",
            TOLERANCE,
        ),
        (JohnsonLindenstrauss.main, {"pairs": True}, "max_distortion", 0.05),
    ],
    ids=["network", "cut", "embedding", "pairs"],
)
def test_sampled_runs_draw_the_same_and_pairs_end_alike(
    tmp_path: Path, module: Any, options: dict[str, Any], name: str, tolerance: float
) -> None:
    here = results(module, tmp_path / "cpu", "cpu", **options)
    there = results(module, tmp_path / "cuda", "cuda", **options)
    assert there[name] == pytest.approx(here[name], rel=tolerance)
