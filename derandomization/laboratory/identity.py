"""What the numbers of a run depend on besides its settings: code, libraries, machine and inputs."""

import functools
import hashlib
import inspect
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import derandomization

LIBRARIES = ("torch", "numpy", "scipy", "networkx", "scikit-learn")


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, device and commit, on which numbers may depend as well as on the settings."""
    return {
        "python": platform.python_version(),
        **library_versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "git_commit": _git_commit(),
    }


@functools.cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that compute."""
    return {name: version(name) for name in LIBRARIES}


def code_digest(*things: Any) -> str:
    """A digest of derandomization's sources and of those that define classes, functions or modules.

    A module counts with its whole package.
    """
    roots = {_source_root(thing) for thing in (derandomization, *things)}
    return _digest_of_sources(tuple(sorted(root for root in roots if root)))


def _source_root(thing: Any) -> Path | None:
    """The outermost package of the file that defines it, or that file; None if there is none."""
    try:
        path = Path(inspect.getfile(thing)).resolve()
    except (TypeError, OSError):  # built in, or typed at a prompt
        return None
    while (path.parent / "__init__.py").exists():
        path = path.parent
    return path if path.exists() else None


@functools.cache
def _digest_of_sources(roots: tuple[Path, ...]) -> str:
    digest = hashlib.blake2b(digest_size=32)
    for root in roots:
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            _add(digest, path.relative_to(root.parent).as_posix())
            _add(digest, path.read_bytes())
    return digest.hexdigest()


def content_digest(content: Any) -> str:
    """A digest of arrays, tensors and plain values, also in sequences, mappings and dataclasses.

    Arrays count with their shape and type, other values by their ``repr``.
    """
    digest = hashlib.blake2b(digest_size=32)
    _add_content(digest, content)
    return digest.hexdigest()


def _add_content(digest: Any, content: Any) -> None:
    if isinstance(content, torch.Tensor):
        content = content.detach().cpu().numpy()
    if is_dataclass(content):
        content = {each.name: getattr(content, each.name) for each in fields(content)}
    if isinstance(content, np.ndarray) and content.dtype != object:
        _add(digest, f"{content.dtype.str} {content.shape}")
        _add(digest, np.ascontiguousarray(content).reshape(-1).view(np.uint8).data)
    elif isinstance(content, Mapping):
        _add_content(digest, list(content.items()))
    elif isinstance(content, list | tuple | np.ndarray):
        _add(digest, f"{len(content)} parts")
        for part in content:
            _add_content(digest, part)
    else:
        _add(digest, repr(content))


def _add(digest: Any, part: str | bytes | memoryview) -> None:
    """Add a part after its length, so that no two lists of parts are the same bytes."""
    data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)


def _git_commit() -> str:
    """The checked-out commit; empty outside a checkout or without git."""
    try:
        command, folder = ["git", "rev-parse", "HEAD"], Path(__file__).parent
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip()
