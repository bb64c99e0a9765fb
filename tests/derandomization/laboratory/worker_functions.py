"""What the tests have workers do: importable by name, so that other processes find it too."""

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np


def square(number: int) -> dict[str, float]:
    return {"square": float(number) ** 2, "process": float(os.getpid())}


def counted(folder: str, number: int) -> dict[str, float]:
    """Leaves a file for every time it is called."""
    (Path(folder) / f"{number}.{time.time_ns()}").touch()
    return {"half": number / 2}


def dies_once(folder: str, number: int) -> int:
    """Number 1 kills its process the first time it is called."""
    mark = Path(folder) / "died"
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def always_dies(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


class TwoArgumentsError(Exception):
    """An error that pickle can store and not restore."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def raises_two_arguments(number: int) -> None:
    raise TwoArgumentsError("first", "second")


def raises_pickle_attribute(number: int) -> None:
    raise AttributeError("module x has no attribute pickle")


def exits(number: int) -> int:
    if number == 1:
        raise SystemExit(3)
    return number


def unpicklable(number: int) -> object:
    return lambda: number


def everything(number: int) -> tuple[np.ndarray, np.float64, list[int], str]:
    return np.arange(number), np.float64(1.5), [number], "text"


def sleeps(folder: str, seconds: int) -> None:
    """Leaves a file named after its process, then sleeps as a long call in C does.

    No other thread of the process can run meanwhile.
    """
    (Path(folder) / str(os.getpid())).touch()
    ctypes.PyDLL(None).sleep(seconds)


def slowly(folder: str, number: int) -> int:
    """Takes a second; says in which process."""
    (Path(folder) / f"{number}.{os.getpid()}").touch()
    time.sleep(1)
    return number
