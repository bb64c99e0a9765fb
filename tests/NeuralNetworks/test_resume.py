"""A training that is interrupted and resumed, for every way to evaluate the risk."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from derandomization.laboratory.checkpoints import Checkpoints, Interrupted
from NeuralNetworks.model import Student, Teacher
from NeuralNetworks.settings import RiskEvaluation
from NeuralNetworks.train import Training, train

NAME = "checkpoint.pt"


@pytest.mark.parametrize("estimator", ["exact", "antithetic", "sampled"])
def test_a_training_resumes_bit_for_bit(tmp_path: Path, estimator: RiskEvaluation) -> None:
    def training(checkpoints: Checkpoints | None, stop: bool) -> Training:
        def progress(step: int, value: float, norm: float) -> None:
            if stop and step == 5:
                os.kill(os.getpid(), signal.SIGINT)

        generator = torch.Generator().manual_seed(0)
        return train(
            Student(2, (6,), generator),
            Teacher(2, 1),
            regularization=1e-3,
            generator=generator,
            estimator=estimator,
            max_steps=12,
            progress=progress,
            checkpoints=checkpoints,
        )

    expected = training(None, stop=False)
    with pytest.raises(Interrupted):
        training(Checkpoints(tmp_path / NAME), stop=True)
    found = training(Checkpoints(tmp_path / NAME, resume=True), stop=False)
    for name, array in expected.history.arrays().items():
        np.testing.assert_array_equal(found.history.arrays()[name], array, strict=True)
    assert torch.equal(found.first_layer, expected.first_layer)
