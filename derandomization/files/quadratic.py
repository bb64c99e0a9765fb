"""Quadratic functions of bits or of signs from files: .qubo, COO text, and dimod's BQM JSON."""

import io
import json
import math
import os
import re
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float, Int

from derandomization.checks import MAX_EXACT
from derandomization.files.content import (
    COMPRESSED,
    FileContent,
    json_label,
    open_regular,
    parse_number,
    read_content,
    unique_keys,
)
from derandomization.files.graphs import MAX_BYTES, most_vertices
from derandomization.files.number_lines import LineFormat, NumberLines

QuadraticFormat: TypeAlias = Literal["qubo", "coo", "json"]
ModelT = TypeVar("ModelT")

_LONGEST_LABEL = 18  # digits of an integer
# What follows "vartype" in a comment: SPIN, =SPIN, : "SPIN" or = Vartype.SPIN.
_VARTYPE = re.compile(r"vartype[\"']?\s*[:=]?\s*[\"']?(?:vartype\.)?(\w*)", re.IGNORECASE)


class QuadraticTerms(NamedTuple):
    """The function Σ_k values_k · z_i · z_j as a file lists it, where (i, j) are the ends of k.

    The z are 0 or 1, or with ``spin`` −1 or +1. The index len(labels) stands for a variable that is
    fixed at 1: a linear term ends there once, and the offset twice.
    """

    labels: tuple[Hashable, ...]
    ends: Int[np.ndarray, "terms 2"]
    values: Float[np.ndarray, " terms"]
    spin: bool


Reader: TypeAlias = Callable[[FileContent, bool], QuadraticTerms]


def read_quadratic_file(
    path: str | os.PathLike[str],
    build: Callable[[QuadraticTerms], ModelT],
    *,
    spin: bool = False,
    format: str | None = None,
) -> ModelT:
    """Read a quadratic function in the given format, or in the one that the suffix tells.

    ======  ==========  ===================================================================
    format  suffix      content
    ======  ==========  ===================================================================
    qubo    .qubo       ``n m``, then m lines ``i j q`` with i ≤ j from 1 to n: the function
                        Σ q_ii x_i + 2 Σ q_ij x_i x_j of bits (the Biq Mac library); or
                        ``p qubo 0 n nodes couplers``, then lines ``i j q`` with i ≤ j from 0 to
                        n − 1: the function Σ q_ij x_i x_j, each pair once (qbsolv)
    coo     .coo .txt   ``i j bias``, and ``i i bias`` for linear terms; a comment with
                        ``vartype=SPIN`` or BINARY says which (dimod's COO text); labels are
                        integers
    json    .json       what ``BinaryQuadraticModel.to_serializable()`` of dimod returns
    ======  ==========  ===================================================================

    .gz or .bz2 after the suffix says that the file is compressed. COO text without a vartype is
    read as a function of spins with ``spin``, else of bits. Terms that are listed twice add.
    Reading takes at most 100 times the decompressed size of the file in memory, plus 32 MiB. A
    warning says how many coefficients are 2^53 or more, where float64 rounds.

    ``build`` makes the caller's model. All errors, including those of ``build``, are a
    ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    path = Path(path)
    suffix = Path(path.stem if path.suffix.lower() in COMPRESSED else path.name).suffix.lower()
    name = SUFFIXES.get(suffix) if format is None else format
    if name not in READERS:
        if format is not None:
            raise ValueError(f"format is {format!r}: it must be one of {', '.join(READERS)}")
        allowed = ", ".join(SUFFIXES)
        raise FileContent(str(path)).error(f"the suffix is {suffix!r}: it must be one of {allowed}")
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)
    return content.run_reader(lambda: build(_checked(content, READERS[name](content, spin))))


def _checked(content: FileContent, terms: QuadraticTerms) -> QuadraticTerms:
    content.warn_of_rounding(terms.values, "coefficients")
    return terms


LOOKED_AT = 2**16  # bytes in which qbsolv's header follows its comments


def _read_qubo(content: FileContent, _: bool) -> QuadraticTerms:
    words = (line.split()[:1] for line in content.data[:LOOKED_AT].splitlines())
    if next((each for each in words if each and each[0].lower() not in (b"c", b"#")), []) == [b"p"]:
        return _read_qbsolv(content)
    lines = NumberLines(content, ("variables", "entries"))
    num_variables, num_entries = lines.header
    most = most_vertices(content)
    if not 1 <= num_variables <= most:
        raise lines.error(f"a file of this size may have 1 to {most} variables")
    variable = ("variable", num_variables)
    line = LineFormat((variable, variable), "coefficient", valued=True)
    entries = lines.entries(num_entries, "entries", line)
    ends = entries[:, :2].astype(np.int64)
    below = ends[:, 0] > ends[:, 1]
    if below.any():
        i, j = ends[below.argmax()].tolist()
        raise content.error(f"the entry ({i}, {j}) is below the diagonal: i must be at most j")
    twice = np.where(ends[:, 0] < ends[:, 1], 2.0, 1.0)
    with np.errstate(over="ignore"):
        values = twice * entries[:, 2]
    return QuadraticTerms(tuple(range(1, num_variables + 1)), ends - 1, values, False)


def _read_qbsolv(content: FileContent) -> QuadraticTerms:
    """``p qubo topology n nodes couplers``, nodes lines ``i i q``, couplers lines ``i j q``."""
    sizes: list[int] = []
    pairs: list[tuple[int, int]] = []
    values: list[float] = []
    for number, line in enumerate(io.StringIO(content.text(), newline=None), start=1):
        fields = line.split()
        if not fields or fields[0].lower() in ("c", "#"):
            continue
        if not sizes:
            known = len(fields) == 6 and [each.lower() for each in fields[:2]] == ["p", "qubo"]
            if not known or not all(map(_is_count, fields[3:])):
                raise content.error("the header must be p qubo 0 n nodes couplers", number, line)
            sizes = [int(field) for field in fields[3:]]
            most = most_vertices(content)
            if not 1 <= sizes[0] <= most:
                reason = f"a file of this size may have 1 to {most} variables"
                raise content.error(reason, number, line)
            continue
        if len(fields) != 3 or not all(map(_is_count, fields[:2])):
            raise content.error("the line must be i j q", number, line)
        i, j = int(fields[0]), int(fields[1])
        value = parse_number(fields[2])
        if not i <= j < sizes[0]:
            reason = f"the variables must be 0 to {sizes[0] - 1}, the first at most the second"
            raise content.error(reason, number, line)
        if not math.isfinite(value):
            raise content.error("the coefficient must be a finite number", number, line)
        pairs.append((i, j))
        values.append(value)
    n, num_nodes, num_couplers = sizes
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    linear = ends[:, 0] == ends[:, 1]
    found = int(linear.sum()), int((~linear).sum())
    if found != (num_nodes, num_couplers):
        raise content.error(
            f"the header counts {num_nodes} nodes and {num_couplers} couplers, "
            f"and the file has {found[0]} and {found[1]}"
        )
    ends[linear, 1] = n
    return QuadraticTerms(tuple(range(n)), ends, np.array(values, dtype=np.float64), False)


def _is_count(field: str) -> bool:
    return field.isascii() and field.isdecimal() and len(field) <= _LONGEST_LABEL


def _read_coo(content: FileContent, spin: bool) -> QuadraticTerms:
    vartypes = {
        word
        for line in io.StringIO(content.text(), newline=None)
        if line.lstrip()[:1] in ("#", "%")
        for word in _VARTYPE.findall(line)
    }
    if len(vartypes) > 1:
        raise content.error(f"the file names several vartypes: {', '.join(sorted(vartypes))}")
    for vartype in vartypes:
        spin = _is_spin(content, vartype)
    pairs: list[tuple[int, int]] = []
    values: list[float] = []
    for number, line in content.uncommented_lines():
        fields = line.split()
        if len(fields) != 3:
            raise content.error("the line must be i j bias", number, line)
        for field in fields[:2]:
            if not _is_count(field):
                digits = f"at most {_LONGEST_LABEL} digits"
                raise content.error(f"a label must be an integer of {digits}", number, line)
        value = parse_number(fields[2])
        if not math.isfinite(value):
            raise content.error("the bias must be a finite number", number, line)
        pairs.append((int(fields[0]), int(fields[1])))
        values.append(value)
    if not pairs:
        raise content.error("the file has no line i j bias")
    labels, positions = np.unique(np.array(pairs, dtype=np.int64), return_inverse=True)
    ends = positions.reshape(-1, 2).astype(np.int64)
    linear = ends[:, 0] == ends[:, 1]
    ends[linear, 1] = len(labels)
    return QuadraticTerms(tuple(labels.tolist()), ends, np.array(values), spin)


def _read_json(content: FileContent, _: bool) -> QuadraticTerms:
    record = json.loads(content.text(), object_pairs_hook=unique_keys)
    if not isinstance(record, dict) or record.get("type") != "BinaryQuadraticModel":
        raise content.error('the file must hold an object of "type": "BinaryQuadraticModel"')
    if record.get("use_bytes"):
        raise content.error("the numbers are bytes: write them by to_serializable(use_bytes=False)")
    spin = _is_spin(content, record.get("variable_type"))
    labels = tuple(map(json_label, _listed(content, record, "variable_labels")))
    n = len(labels)
    if len(set(labels)) < n:
        raise content.error("variable_labels has a label twice")
    linear = _numbers(content, record, "linear_biases")
    quadratic = _numbers(content, record, "quadratic_biases")
    heads, tails = (_positions(content, record, f"quadratic_{end}", n) for end in ("head", "tail"))
    if len(linear) != n:
        raise content.error(f"linear_biases has {len(linear)} numbers for {n} variables")
    if not len(heads) == len(tails) == len(quadratic):
        raise content.error("quadratic_biases, quadratic_head and quadratic_tail differ in length")
    offset = _number(content, "offset", record.get("offset", 0.0))
    ends = np.concatenate(
        [
            np.stack([heads, tails], axis=1),
            np.stack([np.arange(n), np.full(n, n)], axis=1),
            np.array([[n, n]]),
        ]
    ).astype(np.int64)
    return QuadraticTerms(labels, ends, np.concatenate([quadratic, linear, [offset]]), spin)


def _is_spin(content: FileContent, vartype: object) -> bool:
    if vartype not in ("SPIN", "BINARY"):
        raise content.error(f"the vartype is {vartype!r}: it must be SPIN or BINARY")
    return vartype == "SPIN"


def _listed(content: FileContent, record: dict, name: str) -> list:
    found = record.get(name)
    if not isinstance(found, list):
        raise content.error(f"{name} must be a list")
    return found


def _numbers(content: FileContent, record: dict, name: str) -> Float[np.ndarray, " numbers"]:
    found = [_number(content, name, each) for each in _listed(content, record, name)]
    return np.array(found, dtype=np.float64)


def _number(content: FileContent, name: str, value: object) -> float:
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e308 else math.inf
    if not math.isfinite(number):
        raise content.error(f"{name} has {str(value)[:60]!r}: it must be a finite number")
    return number


def _positions(
    content: FileContent, record: dict, name: str, count: int
) -> Int[np.ndarray, " positions"]:
    found = _listed(content, record, name)
    for each in found:
        if isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < count:
            reason = f"it must be an integer from 0 to {count - 1}"
            raise content.error(f"{name} has {str(each)[:60]!r}: {reason}")
    return np.array(found, dtype=np.int64)


READERS: dict[str, Reader] = {"qubo": _read_qubo, "coo": _read_coo, "json": _read_json}
SUFFIXES = {".qubo": "qubo", ".coo": "coo", ".txt": "coo", ".json": "json"}


def write_quadratic_file(path: Path, terms: QuadraticTerms) -> None:
    """Write a function in the format that the suffix tells; terms of the same ends are summed.

    Raises ``ValueError`` where the format can't hold it: an offset in .qubo and COO text, spins in
    .qubo, and labels other than integers from 0 in COO text. The labels of .qubo files are 1 … n.
    """
    name = SUFFIXES.get(path.suffix.lower())
    if name is None:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")
    path.write_text(WRITERS[name](path, terms), encoding="utf-8")


def _summed(
    terms: QuadraticTerms,
) -> tuple[dict[int, float], dict[tuple[int, int], float], float]:
    """The linear coefficients, the quadratic ones with i < j, and the offset, correctly rounded."""
    n = len(terms.labels)
    linear: dict[int, list[float]] = {i: [] for i in range(n)}
    quadratic: dict[tuple[int, int], list[float]] = {}
    offset: list[float] = []
    ends = np.sort(terms.ends, axis=1).tolist()
    for (i, j), value in zip(ends, terms.values.tolist(), strict=True):
        if i == n or (i == j and terms.spin):
            offset.append(value)
        elif j in (i, n):
            linear[i].append(value)
        else:
            quadratic.setdefault((i, j), []).append(value)
    return (
        {i: math.fsum(values) for i, values in linear.items()},
        {pair: math.fsum(values) for pair, values in quadratic.items()},
        math.fsum(offset),
    )


def _written_qubo(path: Path, terms: QuadraticTerms) -> str:
    linear, quadratic, offset = _summed(terms)
    if terms.spin or offset:
        kind = "spins" if terms.spin else "an offset"
        raise ValueError(f"{path}: .qubo can't hold {kind}: choose .json")
    lines = [f"{i + 1} {i + 1} {_text(value)}" for i, value in linear.items() if value]
    lines += [f"{i + 1} {j + 1} {_text(v / 2)}" for (i, j), v in sorted(quadratic.items()) if v]
    return "\n".join([f"{len(terms.labels)} {len(lines)}", *lines, ""])


def _written_coo(path: Path, terms: QuadraticTerms) -> str:
    linear, quadratic, offset = _summed(terms)
    labels = terms.labels
    if offset:
        raise ValueError(f"{path}: COO text can't hold an offset: choose .json")
    for label in labels:
        if isinstance(label, bool) or not isinstance(label, int) or label < 0:
            raise ValueError(f"{path}: COO text can't hold the label {label!r}: choose .json")
    lines = [f"{labels[i]} {labels[i]} {_text(value)}" for i, value in linear.items()]
    lines += [f"{labels[i]} {labels[j]} {_text(v)}" for (i, j), v in sorted(quadratic.items())]
    return "\n".join([f"# vartype={'SPIN' if terms.spin else 'BINARY'}", *lines, ""])


def _written_json(path: Path, terms: QuadraticTerms) -> str:
    linear, quadratic, offset = _summed(terms)
    record = {
        "type": "BinaryQuadraticModel",
        "version": {"bqm_schema": "3.0.0"},
        "use_bytes": False,
        "index_type": "int32",
        "bias_type": "float64",
        "num_variables": len(linear),
        "num_interactions": len(quadratic),
        "variable_labels": list(terms.labels),
        "variable_type": "SPIN" if terms.spin else "BINARY",
        "offset": offset,
        "info": {},
        "linear_biases": list(linear.values()),
        "quadratic_biases": list(quadratic.values()),
        "quadratic_head": [i for i, _ in quadratic],
        "quadratic_tail": [j for _, j in quadratic],
    }
    try:
        return json.dumps(record) + "\n"
    except TypeError as problem:
        raise ValueError(f"{path}: JSON can't hold the labels ({problem})") from None


def _text(value: float) -> str:
    """The shortest decimal number that is read as this float; integers without a point."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < MAX_EXACT else repr(value)


WRITERS: dict[str, Callable[[Path, QuadraticTerms], str]] = {
    "qubo": _written_qubo,
    "coo": _written_coo,
    "json": _written_json,
}
