"""prepare_process sets glibc's two thresholds where there is a glibc, and nothing elsewhere."""

import ctypes
import platform
import types

import pytest

from derandomization.laboratory import process
from derandomization.laboratory.process import prepare_process

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # malloc.h


def test_it_sets_both_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    library = types.SimpleNamespace(mallopt=lambda *call: calls.append(call))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    prepare_process()
    assert calls == [(MMAP_THRESHOLD, 32 * 2**20), (TRIM_THRESHOLD, 2**30)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_glibc_takes_the_values() -> None:
    mallopt = ctypes.CDLL(None).mallopt
    assert mallopt(MMAP_THRESHOLD, process.LARGEST_POOLED_BLOCK) == 1
    assert mallopt(TRIM_THRESHOLD, process.KEPT_BYTES) == 1


def no_library(name: None) -> ctypes.CDLL:
    raise OSError("no C library under that name")


@pytest.mark.parametrize("loader", [no_library, lambda name: types.SimpleNamespace()])
def test_where_the_setting_is_missing_nothing_happens(
    loader: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", loader)
    prepare_process()


def test_it_may_be_called_again_and_again() -> None:
    for _ in range(3):
        prepare_process()
