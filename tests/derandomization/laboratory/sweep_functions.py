"""What the tests sweep: importable by name, so that other processes find it too."""

import math
import os
from collections.abc import Mapping

import numpy as np
import torch

from derandomization.descent import Diverged, History


def numbers(setting: tuple[str, float], seed: int) -> dict[str, float]:
    name, scale = setting
    noise = torch.randn(4, generator=torch.Generator().manual_seed(seed)).double()
    return {
        "scaled": scale * float(noise.norm()),
        "silent": math.nan if name == "b" else 1.0,
        "seed": seed,
    }


def circumstances(setting: int, seed: int) -> Mapping[str, float]:
    return {"process": os.getpid(), "threads": torch.get_num_threads()}


def refusing(setting: str, seed: int) -> Mapping[str, float]:
    if setting == "bad" and seed == 2:
        raise ValueError(f"setting {setting} at seed {seed}")
    return {"x": 1.0}


def diverging(setting: str, seed: int) -> Mapping[str, float]:
    rows = np.array([1.0, math.inf])
    snapshots = {0: {"weight": torch.full((3,), float(seed), dtype=torch.float64)}}
    none = np.array([], dtype=np.int64)
    raise Diverged("at step 1", History(rows, rows, rows, {}, snapshots, none, False, 0.5))
