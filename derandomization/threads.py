"""How many threads torch computes with."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Keep torch on one thread within, as a context or a decorator.

    For products too small to share: figures 6 and 7 descend in 1.1 s on one thread, in 1.0 s on
    two that have their cores to themselves, and in 1.8 s and more on two that do not.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
