"""Quadratic functions of bits or of signs, from matrices, dictionaries and dimod's models."""

import math
import sys
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from derandomization.checks import MAX_EXACT
from derandomization.files.arrays import MAX_VERTICES, sparse_entries

# With a larger sum of absolute coefficients the difference of two energies may overflow.
LARGEST_SUM = sys.float_info.max / 4

Values: TypeAlias = Int[np.ndarray, " variables"]  # 0 or 1 for each variable, or −1 or +1
Term: TypeAlias = tuple[int, int, float]


@dataclass(frozen=True)
class QuadraticModel:
    """The function Σ_k values_k · z_i · z_j, where (i, j) are the ends of the term k.

    The z of the labels are 0 or 1, or with ``spin`` −1 or +1. The index n = len(labels) stands for
    a variable that is fixed at 1: a linear term ends there once, and the offset twice. Terms may be
    listed more than once and in both orders: they add.

    Raises:
        ValueError: a coefficient is not finite, or the coefficients are so large that the
            difference of two energies may overflow.
    """

    labels: tuple[Hashable, ...]
    ends: Int[np.ndarray, "terms 2"]
    values: Float[np.ndarray, " terms"]
    spin: bool

    def __post_init__(self) -> None:
        finite = np.isfinite(self.values)
        if not finite.all():
            worst = int(finite.argmin())
            i, j = (self._name(int(end)) for end in self.ends[worst])
            found = f"the coefficient of ({i}, {j}) is {self.values[worst]}"
            raise ValueError(f"{found}: it must be a finite number")
        with np.errstate(over="ignore"):
            total = float(np.abs(self.values).sum())
        if total > LARGEST_SUM:
            raise ValueError(
                f"the absolute coefficients add up to {total:.3g}: this must be at most "
                f"{LARGEST_SUM:.3g}"
            )

    def _name(self, end: int) -> str:
        return repr(self.labels[end]) if end < len(self.labels) else "constant"

    @property
    def num_variables(self) -> int:
        """The number of variables, without the fixed one."""
        return len(self.labels)

    def is_constant(self) -> Bool[np.ndarray, " terms"]:
        """For each term, whether it has the same value for all variables."""
        i, j = self.ends.T
        return i == j if self.spin else (i == j) & (i == self.num_variables)

    def products(self, values: Values) -> Int[np.ndarray, " terms"]:
        """z_i · z_j for each term."""
        extended = np.append(values, 1)
        return extended[self.ends[:, 0]] * extended[self.ends[:, 1]]

    def exact_energy(self, values: Values) -> Fraction:
        """The function at these values of the variables, without a rounding error."""
        return exact_sum(self.values * self.products(values))

    def energy(self, values: Values) -> float:
        """The function at these values of the variables, correctly rounded."""
        return float(self.exact_energy(values))

    @classmethod
    def from_terms(
        cls, labels: Iterable[Hashable], terms: Iterable[Term], *, spin: bool
    ) -> "QuadraticModel":
        """The model of terms (i, j, coefficient), where i and j are positions of labels."""
        listed = list(terms)
        ends = np.array([(i, j) for i, j, _ in listed], dtype=np.int64).reshape(-1, 2)
        values = np.array([value for *_, value in listed], dtype=np.float64)
        return cls(tuple(labels), ends[values != 0], values[values != 0], spin)


def exact_sum(values: Float[np.ndarray, " numbers"]) -> Fraction:
    """The sum of finite floats without a rounding error."""
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    total = Fraction(0)
    for exponent in np.unique(exponents).tolist():
        total += sum(whole[exponents == exponent].tolist()) * Fraction(2) ** (exponent - 53)
    return total


def qubo_model(coefficients: object) -> QuadraticModel:
    """The model of a QUBO: xᵀQx over x in {0, 1}^n, or dimod's model of bits or of spins.

    Raises ``ValueError``, which names Q, for everything that ``minimize_qubo`` does not accept.
    """
    if isinstance(coefficients, QuadraticModel):
        return coefficients
    if _is_dimod_model(coefficients):
        return _from_dimod(coefficients)
    if _is_mapping(coefficients):
        index: dict[Hashable, int] = {}
        terms = _mapped_terms("Q", coefficients, index)
        return QuadraticModel.from_terms(index, terms, spin=False)
    return _matrix_model("Q", coefficients, spin=False)


def ising_model(
    fields: object, couplings: object = None, offset: Real | float = 0.0
) -> QuadraticModel:
    """The model Σ h_i s_i + Σ J_ij s_i s_j + offset over s in {±1}^n, or dimod's model.

    Raises ``ValueError``, which names h or J, for everything that ``minimize_ising`` does not
    accept.
    """
    constant = exact_number("offset", offset)
    if _is_dimod_model(fields) or isinstance(fields, QuadraticModel):
        if couplings is not None or constant:
            raise ValueError("h is a whole model: J and offset must be left out")
        return qubo_model(fields)
    if couplings is None or _is_mapping(couplings):
        index: dict[Hashable, int] = {}
        linear = _linear_terms(fields, index)
        terms = _mapped_terms("J", {} if couplings is None else couplings, index)
        quadratic = QuadraticModel.from_terms(index, terms, spin=True)
    else:
        quadratic = _matrix_model("J", couplings, spin=True)
        index = {label: label for label in range(quadratic.num_variables)}
        linear = _linear_terms(fields, index, among=quadratic.num_variables)
    n = len(index)
    rest = [(i, n, value) for i, value in linear] + [(n, n, constant)]
    others = QuadraticModel.from_terms(index, rest, spin=True)
    return QuadraticModel(
        others.labels,
        np.concatenate([quadratic.ends, others.ends]),
        np.concatenate([quadratic.values, others.values]),
        spin=True,
    )


def _is_mapping(candidate: object) -> TypeGuard[Mapping]:
    """Whether it is a dictionary; of scipy's matrices, ``dok`` is a ``Mapping`` too."""
    return isinstance(candidate, Mapping) and not scipy.sparse.issparse(candidate)


def _is_dimod_model(candidate: object) -> bool:
    dimod = sys.modules.get("dimod")  # a caller who has such a model has imported dimod
    return dimod is not None and isinstance(candidate, dimod.BinaryQuadraticModel)


def _from_dimod(model: Any) -> QuadraticModel:
    index = {label: position for position, label in enumerate(model.variables)}
    n = len(index)
    terms = [
        (index[u], index[v], exact_number(f"the coefficient of ({u!r}, {v!r})", bias))
        for (u, v), bias in model.quadratic.items()
    ]
    terms += [
        (index[v], n, exact_number(f"the coefficient of {v!r}", bias))
        for v, bias in model.linear.items()
    ]
    terms.append((n, n, exact_number("the offset", model.offset)))
    return QuadraticModel.from_terms(index, terms, spin=model.vartype.name == "SPIN")


def _mapped_terms(name: str, coefficients: Mapping, index: dict[Hashable, int]) -> list[Term]:
    """The terms of {(i, j): coefficient}; new labels are added to ``index``."""
    terms = []
    for key, value in coefficients.items():
        if not (isinstance(key, tuple) and len(key) == 2):
            raise ValueError(f"{name} has the key {key!r}: keys must be pairs (i, j) of labels")
        i, j = (index.setdefault(label, len(index)) for label in key)
        terms.append((i, j, exact_number(f"{name}[{key!r}]", value)))
    return terms


def _linear_terms(
    fields: object, index: dict[Hashable, int], *, among: int | None = None
) -> list[tuple[int, float]]:
    """The fields h by position; new labels are added to ``index``.

    If J is a matrix of ``among`` variables, other labels are an error.
    """
    if fields is None:
        return []
    if isinstance(fields, Mapping):
        items = list(fields.items())
    elif isinstance(fields, list | tuple | np.ndarray):
        listed = _real_array("h", fields) if isinstance(fields, np.ndarray) else fields
        if isinstance(listed, np.ndarray) and listed.ndim != 1:
            raise ValueError(f"h has shape {listed.shape}: it must have one number per variable")
        if among is not None and len(listed) != among:
            raise ValueError(f"h has {len(listed)} numbers for the {among} variables of J")
        items = list(enumerate(listed))
    else:
        kind = type(fields).__name__
        raise ValueError(f"h is a {kind}: it must be a dictionary, a list or an array of numbers")
    for label, _ in items:
        if among is not None and label not in index:
            raise ValueError(f"h has the label {label!r}: J has the variables 0 to {among - 1}")
        index.setdefault(label, len(index))
    return [(index[label], exact_number(f"h[{label!r}]", value)) for label, value in items]


def _matrix_model(name: str, matrix: object, *, spin: bool) -> QuadraticModel:
    """The model of the entries of a square matrix, whose variables are 0 … n−1."""
    if not (isinstance(matrix, np.ndarray) or scipy.sparse.issparse(matrix)):
        raise ValueError(
            f"{name} is a {type(matrix).__name__}: it must be a matrix of numpy or scipy, "
            "a dictionary {(i, j): number}, or a BinaryQuadraticModel of dimod"
        )
    shape = matrix.shape  # type: ignore[attr-defined]
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] > MAX_VERTICES:
        limit = f"at most {MAX_VERTICES} variables"
        raise ValueError(f"{name} has shape {shape}: it must be square, of {limit}")
    if isinstance(matrix, np.ndarray):
        entries = scipy.sparse.coo_array(_real_array(name, matrix))
    else:
        entries = sparse_entries(matrix)
    values = _real_array(name, entries.data)
    kept = values != 0
    ends = np.stack([entries.row, entries.col], axis=1).astype(np.int64)
    return QuadraticModel(tuple(range(shape[0])), ends[kept], values[kept], spin)


def _real_array(name: str, array: np.ndarray) -> np.ndarray:
    """The array in float64; an error where it holds no real numbers or float64 can't hold them."""
    if isinstance(array, np.ma.MaskedArray):
        raise ValueError(f"{name} is masked: fill it, with 0 where there is no coefficient")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has entries of type {array.dtype}: they must be real numbers")
    plain = np.asarray(array)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = plain.astype(np.float64)
    if plain.dtype.kind in "iu":
        large = plain[np.abs(converted) >= MAX_EXACT].tolist()
        changed = next((number for number in large if int(float(number)) != number), None)
    else:
        different = plain[np.isfinite(plain) & (converted != plain)]
        changed = different[0] if different.size else None
    if changed is not None:
        raise ValueError(f"{name} has the entry {changed}, which float64 can't hold exactly")
    return converted


def exact_number(name: str, value: object) -> float:
    """The value as a float, if float64 holds it exactly."""
    found = value.item() if isinstance(value, np.bool_) else value
    if not isinstance(found, Real):
        raise ValueError(f"{name} is {value!r}: it must be a real number")
    try:
        number = float(found)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is {value!r}: it must be a finite number")
    # Python compares its integers with floats exactly, and numpy does not.
    if number != (int(found) if isinstance(found, Integral) else found):
        raise ValueError(f"{name} is {value!r}, which float64 can't hold exactly")
    return number
