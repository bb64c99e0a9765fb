"""Gradient descent, and the base of all optimizers here, without torch's compiler."""

import inspect
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from derandomization.checks import require_positive

_state_dict = inspect.unwrap(Optimizer.state_dict)
_load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


class PlainOptimizer(Optimizer):
    """``torch.optim.Optimizer`` without the import of ``torch._dynamo``.

    torch wraps these four methods so that they are not compiled, and the wrapper imports the
    compiler at its first call: 1.2 s, although nothing here is compiled. ``saved`` names the
    attributes that ``state_dict`` saves in addition to torch's own state.
    """

    saved: ClassVar[str] = ""
    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)

    def state_dict(self) -> dict[str, Any]:
        """Everything that another process needs to continue."""
        return {
            **_state_dict(self),
            **{name: copy(getattr(self, name)) for name in self.saved.split()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        _load_state_dict(self, {key: state_dict[key] for key in ("state", "param_groups")})
        for name in self.saved.split():
            setattr(self, name, copy(state_dict[name]))


class GradientDescent(PlainOptimizer):
    """x ← x − η∇f(x) with momentum: ``torch.optim.SGD`` with fewer imports.

    ``momentum`` is 0 ≤ β < 1, heavy ball, or Nesterov's with ``nesterov``. Further options are
    those of a subclass.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        **options: Any,
    ) -> None:
        require_positive("lr", lr)
        require_momentum(momentum)
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, **options})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step; returns f where the step began.

        ``closure`` clears the gradients, evaluates f, calls ``backward`` and returns f.
        """
        with torch.enable_grad():
            value = closure().detach()
        self._descend()
        return value

    def _descend(self) -> None:
        # Tensor by tensor: on a CPU torch's foreach kernels take longer for so few tensors.
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.requires_grad and parameter.grad is not None:
                    direction = self._direction(parameter, parameter.grad, group)
                    parameter.add_(direction, alpha=-group["lr"])

    def _direction(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        """v ← βv + ∇f; the direction is v (heavy ball) or ∇f + βv (Nesterov)."""
        if not group["momentum"]:
            return gradient
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        velocity = state["velocity"].mul_(group["momentum"]).add_(gradient)
        return gradient.add(velocity, alpha=group["momentum"]) if group["nesterov"] else velocity


def require_momentum(momentum: float) -> None:
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum is {momentum}: it must be at least 0 and below 1")


def total_norm(tensors: list[Tensor]) -> float:
    """√Σ‖x‖²: ``get_total_norm`` without its sorting by device, in half the time."""
    if not tensors:
        return 0.0
    norms = [norm.to(tensors[0].device) for norm in torch._foreach_norm(tensors)]
    return float(torch.linalg.vector_norm(torch.stack(norms)))
