"""Quadratic functions drawn by hypothesis, and all their energies."""

from fractions import Fraction
from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st

from MAXCUT.quadratic import QuadraticModel

INTEGERS = st.integers(-6, 6).map(float)
FLOATS = st.floats(-10, 10, allow_subnormal=False)
# Among them sums that float64 can't hold, and numbers whose squares overflow or vanish.
NASTY = st.sampled_from([1.0, -1.0, 0.1, 1e300, -1e300, 1e-300, 2.0**53, 2.0**53 - 1, 5e-324])


Drawn: TypeAlias = tuple[int, list[tuple[int, int, float]], bool]


@st.composite
def drawn_models(
    draw: st.DrawFn, coefficients: st.SearchStrategy[float] = INTEGERS, most: int = 10
) -> Drawn:
    """Up to ``most`` variables and 30 terms: linear, quadratic and constant, some of them twice."""
    n = draw(st.integers(0, most))
    end = st.integers(0, n)
    terms = draw(st.lists(st.tuples(end, end, coefficients), max_size=30))
    return n, terms, draw(st.booleans())


def built(drawn: Drawn) -> QuadraticModel:
    """The model that was drawn."""
    num_variables, terms, spin = drawn
    return QuadraticModel.from_terms(range(num_variables), terms, spin=spin)


def assignments(num_variables: int, *, spin: bool) -> np.ndarray:
    """All of them, one per row."""
    bits = (np.arange(2**num_variables)[:, None] >> np.arange(num_variables)) & 1
    return 2 * bits - 1 if spin else bits


def energies(model: QuadraticModel) -> list[Fraction]:
    """The exact energy of each assignment, term by term."""
    n = model.num_variables
    terms = [
        (*ends, Fraction(value))
        for ends, value in zip(model.ends.tolist(), model.values.tolist(), strict=True)
    ]
    found = []
    for row in assignments(n, spin=model.spin).tolist():
        z = [*row, 1]
        found.append(sum((value * z[i] * z[j] for i, j, value in terms), Fraction(0)))
    return found
