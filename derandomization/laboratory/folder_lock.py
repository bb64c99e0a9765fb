"""A lock on an output folder, so that two runs never write into it at the same time."""

import contextlib
import os
import platform
import tempfile
import threading
import time
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
# A process that was killed may need this long until the kernel has released its lock.
PATIENCE_SECONDS = 1.0
_held: weakref.WeakValueDictionary[Path, "FolderLock"] = weakref.WeakValueDictionary()


class FolderLock:
    """Makes a folder and locks it until ``release``, garbage collection or the end of the process.

    The kernel releases the lock of a process that is killed; the file that is left locks nothing. A
    thread that locks a folder again takes the lock over from what it ran before. File systems
    without locks are not locked.

    Raises ``ValueError`` of one line, which names the folder, if another run holds the lock or the
    folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._thread = threading.current_thread()
        earlier = _held.get(self._folder)
        if earlier and (earlier._thread is self._thread or not earlier._thread.is_alive()):
            earlier.release()
        # Path.exists raises errors about names that are too long and folders that can't be entered.
        made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            descriptor = _locked(folder / LOCK)
        except OSError as problem:
            _remove(made)
            raise unwritable(folder, problem) from None
        if descriptor is None:
            raise ValueError(
                f"output_dir is {folder}: another run{_holder(folder / LOCK)} is writing there; "
                "wait until it has ended, or choose another folder"
            )
        self._finalizer = weakref.finalize(
            self, _release, self._folder, descriptor, made, os.getpid()
        )
        _held[self._folder] = self

    def release(self) -> None:
        """Remove the lock, and the folder if nothing was written into it; once is enough."""
        self._finalizer()


def unwritable(path: Path, problem: OSError) -> ValueError:
    """The error of an output folder that can't be written."""
    return ValueError(f"output_dir is {path}: it can't be written ({problem.strerror})")


def _locked(path: Path) -> int | None:
    """The descriptor of the locked file, −1 where nothing can be locked, None if another has it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        no_link = getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | no_link, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > until:
                return None
            time.sleep(0.05)
            continue
        except OSError:  # a file system without locks
            return descriptor
        if _is_same_file(path, descriptor):
            with contextlib.suppress(OSError):  # the disk may be full; this is for people only
                os.truncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            return descriptor
        os.close(descriptor)  # the run that held it removed the file meanwhile


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    """Who holds the lock, in brackets, as the lock file says."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f" ({text})" if text and len(text) < 300 and text.isprintable() else ""


def _release(folder: Path, descriptor: int, made: list[Path], owner: int) -> None:
    """Remove the lock file, release the lock, and remove the folders made if they are empty."""
    if os.getpid() != owner:  # a process forked from the run that holds the lock
        return
    _held.pop(folder, None)
    with contextlib.suppress(OSError):
        (folder / LOCK).unlink()
    with contextlib.suppress(OSError):
        os.close(descriptor)
    _remove(made)


def _remove(folders: list[Path]) -> None:
    for path in folders:
        with contextlib.suppress(OSError):
            path.rmdir()
