"""What only Matrix Market files have: a first line of five words, and symmetric matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from derandomization.files.content import FileContent

_LONGEST_LINE = 1000
_FIELDS = {"real": True, "double": True, "integer": True, "pattern": False}
_SYMMETRIES = ("general", "symmetric")


@dataclass(frozen=True)
class Banner:
    """The first line of a Matrix Market file."""

    layout: str  # coordinate or array
    valued: bool  # whether the lines end with a value; the entries of a pattern are 1
    symmetric: bool  # whether the file holds one triangle only


def read_banner(content: FileContent, layouts: Sequence[str]) -> Banner:
    """Read the first line of a Matrix Market file of real numbers in one of the layouts."""
    banner = content.data[:_LONGEST_LINE].decode(errors="replace").partition("\n")[0]
    words = banner.lower().split()
    if (
        len(words) != 5
        or words[:2] != ["%%matrixmarket", "matrix"]
        or words[2] not in layouts
        or words[3] not in _FIELDS
        or words[2:4] == ["array", "pattern"]
        or words[4] not in _SYMMETRIES
    ):
        reason = (
            f"the first line must be %%MatrixMarket matrix {' or '.join(layouts)}, then real, "
            "integer or pattern, then general or symmetric"
        )
        raise content.error(reason, 1, banner)
    return Banner(words[2], _FIELDS[words[3]], words[4] == "symmetric")


def require_each_entry_once(
    content: FileContent, ends: Int[np.ndarray, "entries 2"], size: int
) -> None:
    """Raise ``ValueError`` if a symmetric file has an entry both above and below the diagonal.

    ``ends`` are the rows and columns of the entries, from 0, of a matrix with ``size`` rows.
    """
    places = ends @ np.array([size, 1])
    mirrored = ends[:, ::-1] @ np.array([size, 1])
    twice = np.intersect1d(places[places > mirrored], mirrored[places < mirrored])
    if len(twice):
        i, j = (int(index) + 1 for index in divmod(twice[0], size))
        raise content.error(
            f"a symmetric file holds each entry once, but this one has both ({i}, {j}) and "
            f"({j}, {i}): leave one out, or write general in the first line"
        )
