"""Two runs never write into one folder at the same time."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from derandomization.laboratory.folder_lock import LOCK, FolderLock

HOLDER = """
import sys, time
from pathlib import Path
from derandomization.laboratory.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_another_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(ValueError, match="another run") as error:
            FolderLock(folder)
        holder.send_signal(signal.SIGKILL)
    assert str(error.value).startswith(f"output_dir is {folder}: another run (process {holder.pid}")
    assert str(error.value).isprintable()
    FolderLock(folder).release()  # the file that was left locks nothing
    assert list(folder.iterdir()) == []


def test_another_thread_is_refused_and_the_same_one_takes_over(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    problems: list[str] = []

    def lock() -> None:
        try:
            FolderLock(tmp_path)
        except ValueError as problem:
            problems.append(str(problem))

    thread = threading.Thread(target=lock)
    thread.start()
    thread.join()
    assert len(problems) == 1
    second = FolderLock(tmp_path)
    first.release()  # of what was taken over
    assert (tmp_path / LOCK).exists()
    second.release()
    assert not (tmp_path / LOCK).exists()


def test_what_is_forgotten_is_unlocked_and_an_empty_folder_removed(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "deep" / "folder")
    assert (tmp_path / "deep" / "folder" / LOCK).exists()
    del lock
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("whole")
    (tmp_path / LOCK).symlink_to(tmp_path / "file")
    with pytest.raises(ValueError, match=r"output_dir is .*: it can't be written"):
        FolderLock(tmp_path)
    assert (tmp_path / "file").read_text() == "whole"


def test_a_run_waits_for_one_that_just_ends(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    threading.Timer(0.2, first.release).start()
    refused: list[ValueError] = []

    def lock() -> None:
        try:
            FolderLock(tmp_path).release()
        except ValueError as problem:
            refused.append(problem)

    began = time.monotonic()
    thread = threading.Thread(target=lock)
    thread.start()
    thread.join()
    assert not refused
    assert time.monotonic() - began >= 0.1


def test_a_forked_process_leaves_the_lock_of_its_parent(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    child = os.fork()
    if child == 0:
        lock.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / ".lock").exists()
    lock.release()
    assert not (tmp_path / ".lock").exists()


def test_a_folder_may_have_two_names(tmp_path: Path) -> None:
    (tmp_path / "other").symlink_to(tmp_path)
    first = FolderLock(tmp_path)
    second = FolderLock(tmp_path / "other")  # takes the lock over
    first.release()
    assert (tmp_path / ".lock").exists()
    second.release()
