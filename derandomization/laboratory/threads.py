"""How many threads a computation uses, so that neither its time nor its digits follow the machine.

The products of the experiments are too small to share: on two cores a fit gains a tenth, and on a
busy machine the threads wait for each other for most of the time. Sums are also split among
threads, so that the last digits differ with their number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from threadpoolctl import threadpool_limits

from derandomization.checks import require_at_least

_requested: ContextVar[int | None] = ContextVar("requested", default=None)


@contextmanager
def computing_threads(count: int | None = None) -> Iterator[None]:
    """Within, torch and BLAS compute on ``count`` threads; the caller's numbers are restored.

    Gradients are recorded within, whether the caller records them or not.

    None is the number that the caller asked for by a ``with computing_threads(count)`` around the
    call, else 1. Also a decorator: ``@computing_threads()`` makes a function compute on one thread
    unless its caller asks for more. Raises ``ValueError`` if ``count`` is below 1.
    """
    count = (_requested.get() or 1) if count is None else require_at_least("count", count, 1)
    requested, before = _requested.set(count), torch.get_num_threads()
    try:
        torch.set_num_threads(count)
        with (
            threadpool_limits(count, user_api="blas"),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield
    finally:
        torch.set_num_threads(before)
        _requested.reset(requested)
