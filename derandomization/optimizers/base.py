"""What both algorithms are: a torch optimizer that does not wait for torch's compiler."""

import inspect

import torch
from torch import Tensor
from torch.optim import Optimizer


class PlainOptimizer(Optimizer):
    """``torch.optim.Optimizer`` without the import of ``torch._dynamo``.

    torch keeps these methods out of what it compiles by a wrapper that imports its compiler when
    the first of them is called. That takes 1.2 s of one core, a quarter of a whole experiment, and
    nothing here is compiled. Where torch has no such wrapper these are its methods as they are.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


def total_norm(tensors: list[Tensor]) -> float:
    """√Σ‖x‖²: ``get_total_norm``, but for its sorting by device, which takes twice as long."""
    if not tensors:
        return 0.0
    norms = [norm.to(tensors[0].device) for norm in torch._foreach_norm(tensors)]
    return float(torch.linalg.vector_norm(torch.stack(norms)))
