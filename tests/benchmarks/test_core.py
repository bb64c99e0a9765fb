"""Both optimizers take the same step, and both ways to λ_min agree."""

import pytest
import torch

from benchmarks.core import _by_dense_solve, _by_lanczos, _pgd, _sgd, risk
from derandomization.hessian import Hessian


def test_pgd_and_sgd_are_given_the_same_step() -> None:
    ends = []
    for make in (_pgd, _sgd):
        objective = risk(5)
        optimizer = make(objective)

        def closure(objective=objective, optimizer=optimizer) -> torch.Tensor:  # type: ignore[no-untyped-def]
            optimizer.zero_grad()
            value = objective()
            value.backward()
            return value

        for _ in range(3):
            optimizer.step(closure)  # type: ignore[arg-type]
        ends.append(objective.student.weight.detach().clone())
    assert torch.equal(*ends)
    assert not torch.equal(ends[0], risk(5).student.weight)


def test_lanczos_and_the_dense_solve_find_the_same_eigenvalue() -> None:
    objective = risk(60)  # 180 parameters: past the size that is solved densely anyway
    hessian = Hessian(objective, [p for p in objective.parameters() if p.requires_grad])
    assert _by_lanczos(hessian) == pytest.approx(_by_dense_solve(hessian), abs=1e-4)
