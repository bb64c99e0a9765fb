"""Formulas of clauses with one or two literals, from DIMACS cnf and weighted wcnf files."""

import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int

from derandomization.checks import MAX_EXACT
from derandomization.files.content import FileContent, open_regular, read_content
from derandomization.files.graphs import MAX_BYTES, most_vertices

FormulaT = TypeVar("FormulaT")

_LITERAL = re.compile(r"-?\d{1,9}", re.ASCII)
_WEIGHT = re.compile(r"\d{1,19}", re.ASCII)


class Clauses(NamedTuple):
    """The clauses of a formula on the variables 1 … num_variables.

    A literal is the number of a variable, or minus that if it is negated; the second literal of a
    clause of one is 0.
    """

    num_variables: int
    literals: Int[np.ndarray, "clauses 2"]
    weights: Float[np.ndarray, " clauses"]


def read_formula_file(
    path: str | os.PathLike[str], build: Callable[[Clauses], FormulaT]
) -> FormulaT:
    """Read a DIMACS file of clauses of one or two literals, which .gz or .bz2 may compress.

    A first line ``p cnf n m`` announces m clauses, each ended by 0, on n variables. After ``p wcnf
    n m`` or ``p wcnf n m top`` each clause starts with its weight; without a line p, as in the
    format of the MaxSAT Evaluation since 2022, each line is a weight and a clause. Lines whose
    first word is c are comments, and a line % ends the file. Weights are integers from 1 to 2^53.
    Clauses that must hold (of a weight of at least ``top``, or ``h``) are refused.

    Reading takes at most 100 times the decompressed size of the file in memory, plus 32 MiB.

    ``build`` makes the caller's formula. All errors, including those of ``build``, are a
    ``ValueError`` of one line that says where and why, or an ``OSError``.
    """
    path = Path(path)
    with open_regular(path) as file:
        content = read_content(file, path, max_bytes=MAX_BYTES)
    return content.run_reader(lambda: build(_read_clauses(content)))


class _Header(NamedTuple):
    """What the line p says."""

    weighted: bool
    num_variables: int | None  # None without a line p
    num_clauses: int | None
    top: int | None


def _read_clauses(content: FileContent) -> Clauses:
    lines = _lines(content)
    number, line = next(lines, (1, ""))
    if line.startswith("p"):
        header = _header(content, number, line)
    else:
        header = _Header(True, None, None, None)
        lines = _chained((number, line), lines)
    literals: list[tuple[int, int]] = []
    weights: list[float] = []
    for number, words in _clauses(content, lines):
        line = " ".join(words)
        weight = _weight(content, number, line, words.pop(0), header) if header.weighted else 1.0
        if not 1 <= len(words) <= 2:
            count = f"the clause has {len(words)} literals"
            raise content.error(f"{count}: it must have one or two", number, line)
        pair = [_literal(content, number, line, word, header) for word in words]
        literals.append((pair[0], pair[1] if len(pair) == 2 else 0))
        weights.append(weight)
    if header.num_clauses not in (None, len(literals)):
        promised = f"the line p promises {header.num_clauses} clauses"
        raise content.error(f"{promised}, the file has {len(literals)}")
    pairs = np.array(literals, dtype=np.int64).reshape(-1, 2)
    largest = int(np.abs(pairs).max(initial=0))
    num_variables = largest if header.num_variables is None else header.num_variables
    most = most_vertices(content)
    if not 1 <= num_variables <= most:
        raise content.error(
            f"the formula has {num_variables} variables: a file of this size may have 1 to {most}"
        )
    return Clauses(num_variables, pairs, np.array(weights, dtype=np.float64))


def _lines(content: FileContent) -> Iterator[tuple[int, str]]:
    """The lines that are no comments, until a line %."""
    for number, line in enumerate(io.StringIO(content.text(), newline=None), start=1):
        words = line.strip()
        if words.startswith("%"):
            return
        if words and words.split(None, 1)[0] != "c":
            yield number, words


def _chained(first: tuple[int, str], lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from lines


def _header(content: FileContent, number: int, line: str) -> _Header:
    words = line.split()
    kinds = {"cnf": (4,), "wcnf": (4, 5)}
    if (
        words[0] != "p"
        or len(words) < 2
        or len(words) not in kinds.get(words[1], ())
        or not all(map(_WEIGHT.fullmatch, words[2:]))
    ):
        reason = "the line p must be p cnf variables clauses, or p wcnf variables clauses [top]"
        raise content.error(reason, number, line)
    num_variables, num_clauses, *top = map(int, words[2:])
    return _Header(words[1] == "wcnf", num_variables, num_clauses, top[0] if top else None)


def _clauses(
    content: FileContent, lines: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, list[str]]]:
    """The words of each clause without its 0, and the number of the line where it ends."""
    words: list[str] = []
    number, line = 1, ""
    for number, line in lines:
        for word in line.split():
            if word == "0" and words:
                yield number, words
                words = []
            elif word == "0":
                raise content.error(
                    "the clause is empty: it must have one or two literals", number, line
                )
            else:
                words.append(word)
                if len(words) > 1000:
                    raise content.error("a clause of over 1000 words has no 0 at its end", number)
    if words:
        raise content.error("the last clause has no 0 at its end", number, line)


def _weight(content: FileContent, number: int, line: str, word: str, header: _Header) -> float:
    if word == "h" or (
        header.top is not None and _WEIGHT.fullmatch(word) and int(word) >= header.top
    ):
        reason = "the clause must hold (h, or a weight of at least top)"
        raise content.error(f"{reason}: only clauses that may fail can be read", number, line)
    if not _WEIGHT.fullmatch(word) or not 1 <= int(word) <= MAX_EXACT:
        raise content.error("the weight must be an integer from 1 to 2^53", number, line)
    return float(word)


def _literal(content: FileContent, number: int, line: str, word: str, header: _Header) -> int:
    most = header.num_variables
    literal = int(word) if _LITERAL.fullmatch(word) else 0
    if literal == 0 or (most is not None and abs(literal) > most):
        limit = "" if most is None else f" of the {most} variables"
        reason = f"{word[:20]!r} is no literal: it must be the number{limit}, or minus a number"
        raise content.error(reason, number, line)
    return literal
