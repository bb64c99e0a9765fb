"""The optimizers leave torch's compiler alone, and are torch optimizers all the same."""

import subprocess
import sys

import torch

from derandomization.optimizers.base import PlainOptimizer

PROGRAM = """
import sys
import torch
from derandomization import PerturbedGradientDescent

optimizer = PerturbedGradientDescent(
    [torch.nn.Parameter(torch.ones(2))],
    lr=0.1,
    gradient_threshold=0.0,
    perturbation_radius=1.0,
    perturbation_interval=1,
    decrease_threshold=0.0,
)
parameter = optimizer.param_groups[0]["params"][0]
def closure():
    optimizer.zero_grad()
    value = parameter.square().sum()
    value.backward()
    return value
optimizer.step(closure)
optimizer.load_state_dict(optimizer.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_a_descent_does_not_import_torchs_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.split() == ["False"], done.stderr


def test_it_is_a_torch_optimizer() -> None:
    assert issubclass(PlainOptimizer, torch.optim.Optimizer)
    optimizer = PlainOptimizer([torch.nn.Parameter(torch.ones(1))], {"lr": 1.0})
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": 2.0})
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 2.0]
