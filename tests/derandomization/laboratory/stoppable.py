"""A run to stop and to go on with: two noisy descents, one after the other."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from derandomization import DerandomizationObjective, MonteCarlo, PerturbedGradientDescent
from derandomization.laboratory.checkpoints import resumable_descend
from derandomization.laboratory.command_line import launch
from derandomization.laboratory.configs import RunConfig
from derandomization.laboratory.run import Run


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """Two descents on a sampled objective: every step draws from the run's generator."""

    output_dir: Path = Path("results/Stoppable")
    """Where it all goes."""
    steps: int = 400
    """Of each descent."""


STUDIES = {"study": "tests.derandomization.laboratory.stoppable_study"}


class NoisyRipple(DerandomizationObjective):
    """E[cos(wx + b)] from 20 fresh draws."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__(0.1)
        self.w = nn.Parameter(torch.tensor([1.0, 0.5], dtype=torch.float64))
        self.b = nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
        self.draws = MonteCarlo(2, 20, generator)

    def expected_value(self) -> Tensor:
        points, weights = self.draws()
        return weights @ torch.cos(points.to(self.w) @ self.w + self.b)

    def random_weights(self) -> Tensor:
        return self.w

    def bias(self) -> Tensor:
        return self.b


def main(config: Config) -> None:
    run = Run("Stoppable", config)
    generator = config.generator()
    for number in range(2):
        objective = NoisyRipple(generator)
        optimizer = PerturbedGradientDescent(
            objective.parameters(),
            lr=0.05,
            momentum=0.9,
            gradient_threshold=1e-1,
            perturbation_radius=1e-2,
            perturbation_interval=50,
            decrease_threshold=-math.inf,
            generator=generator,
        )
        with run.descent(f"descent {number}", config.steps) as progress:
            history = resumable_descend(
                objective,
                optimizer,
                max_steps=config.steps,
                observe=lambda objective=objective: {"b": float(objective.b.detach())},
                snapshot_steps=[0, 17],
                progress=progress,
                checkpoints=run.checkpoints,
            )
        run.arrays |= {f"{name}_{number}": array for name, array in history.arrays().items()}
        run.results[f"end_{number}"] = [float(objective.b.detach()), *objective.w.tolist()]
        run.results[f"snapshots_{number}"] = {
            str(step): {name: p.tolist() for name, p in snapshot.items()}
            for step, snapshot in history.snapshots.items()
        }
    run.finish()


if __name__ == "__main__":
    launch(main, Config, STUDIES)
