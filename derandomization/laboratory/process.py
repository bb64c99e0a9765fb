"""The process of a command: its signal handlers, threads and memory, and the error of dead workers.

The command line needs this before it knows whether anything is computed, and so importing this
module imports no library.
"""

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# glibc's names (malloc.h), and the largest threshold it accepts for blocks mapped by themselves.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_POOLED_BLOCK = 32 * 2**20
KEPT_BYTES = 2**30
MEMORY_SHARE = 0.85  # of the machine's memory; the rest is for the system and other processes


class WorkerDied(RuntimeError):  # noqa: N818 - it says what happened
    """A call killed its worker every time; all other calls were completed."""


@contextlib.contextmanager
def handling_signals(
    handler: Callable[[int, FrameType | None], Any], *numbers: int
) -> Iterator[None]:
    """Within, ``handler`` handles these signals; only the main thread can, others do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def prepare_process() -> None:
    """Let this process compute on one thread, and keep the memory that it frees.

    The numbers of a run then do not depend on the number of cores, and its products are too small
    to share: a second thread does not shorten figure 3's step of 2.5 ms, and lengthens it to 28
    ms on a busy machine.

    By default glibc returns large free blocks to the system, so that every step pages its
    temporaries in again. Keeping them shortens figure 3's step from 5.1 to 2.1 ms. A C library
    without these settings is left as it is. Where there is no GPU, asking for more memory than the
    machine has raises ``MemoryError``, instead of the system's kill without a message.
    """
    import torch

    torch.set_num_threads(1)
    if not torch.cuda.is_available():  # CUDA reserves more addresses than there is memory
        _limit_memory()
    with contextlib.suppress(OSError, AttributeError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(M_MMAP_THRESHOLD, LARGEST_POOLED_BLOCK)
        allocator.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _limit_memory() -> None:
    """Limit this process to most of the machine's memory, where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        memory = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limits = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min([memory, *limits]), hard))
