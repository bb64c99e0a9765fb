"""What can be minimised: numbers that float64 holds, in matrices, dictionaries and models."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from MAXCUT.quadratic import LARGEST_SUM, exact_sum, ising_model, qubo_model


@settings(max_examples=100, derandomize=True, database=None, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_sums_are_exact(values: list[float]) -> None:
    assert exact_sum(np.array(values)) == sum(map(Fraction, values), Fraction(0))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("ab", "Q is a str: it must be a matrix of numpy or scipy, a dictionary"),
        ([[1, 2], [3, 4]], "Q is a list: it must be a matrix"),
        (None, "Q is a NoneType: it must be a matrix"),
        (np.zeros(3), r"Q has shape \(3,\): it must be square"),
        (np.zeros((2, 3)), r"Q has shape \(2, 3\): it must be square"),
        (np.array([[1j]]), "Q has entries of type complex128: they must be real numbers"),
        (np.array([[1]], dtype=object), "Q has entries of type object: they must be real"),
        (np.ma.masked_array(np.eye(2)), "Q is masked: fill it, with 0 where"),
        (np.array([[np.nan]]), r"the coefficient of \(0, 0\) is nan: it must be a finite"),
        (np.array([[0, np.inf], [0, 0]]), r"the coefficient of \(0, 1\) is inf: it must be"),
        (np.array([[2**53 + 1]]), "Q has the entry 9007199254740993, which float64 can't hold"),
        (np.array([[2**64 - 1]], dtype=np.uint64), "Q has the entry 18446744073709551615, which"),
        (np.array([[np.longdouble(1) / 3]]), "Q has the entry 0.333.*, which float64 can't hold"),
        (np.full((3, 3), 1e308), r"the absolute coefficients add up to inf: this must be at"),
        (scipy.sparse.coo_array([[1j]]), "the matrix has entries of type complex128"),
        ({"ab": 1}, "Q has the key 'ab': keys must be pairs"),
        ({("a",): 1}, r"Q has the key \('a',\): keys must be pairs"),
        ({("a", "b"): "1"}, r"Q\[\('a', 'b'\)\] is '1': it must be a real number"),
        ({("a", "b"): Decimal(1)}, "it must be a real number"),
        ({("a", "b"): 1j}, "is 1j: it must be a real number"),
        ({("a", "b"): float("nan")}, "is nan: it must be a finite number"),
        ({("a", "b"): 10**400}, "it must be a finite number"),
        ({("a", "b"): 2**53 + 1}, "is 9007199254740993, which float64 can't hold exactly"),
        ({("a", "b"): Fraction(1, 3)}, "which float64 can't hold exactly"),
    ],
)
def test_what_is_no_function_of_bits(model: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        qubo_model(model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "couplings", "reason"),
    [
        ("a", None, "h is a str: it must be a dictionary, a list or an array"),
        ([1, "x"], None, r"h\[1\] is 'x': it must be a real number"),
        (np.zeros((2, 2)), None, r"h has shape \(2, 2\): it must have one number per variable"),
        ([1], np.zeros((2, 2)), "h has 1 numbers for the 2 variables of J"),
        ({2: 1}, np.zeros((2, 2)), "h has the label 2: J has the variables 0 to 1"),
        ({}, {"ab": 1}, "J has the key 'ab': keys must be pairs"),
        ({}, 7, "J is a int: it must be a matrix"),
        (np.array([2**53 + 1]), None, "h has the entry 9007199254740993, which float64"),
    ],
)
def test_what_is_no_function_of_spins(fields: Any, couplings: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ising_model(fields, couplings)


def test_offsets_are_checked() -> None:
    with pytest.raises(ValueError, match="offset is inf: it must be a finite number"):
        ising_model({}, {}, float("inf"))
    with pytest.raises(ValueError, match="h is a whole model: J and offset must be left out"):
        ising_model(qubo_model({}), {})


def test_equal_numbers_of_every_type_are_one_model() -> None:
    expected = qubo_model(np.array([[1.0, 2.0], [0.0, 0.0]]))
    for kind in (np.int8, np.uint8, np.int64, np.float16, np.float32, np.longdouble):
        found = qubo_model(np.array([[1, 2], [0, 0]], dtype=kind))
        assert (found.ends == expected.ends).all()
        assert (found.values == expected.values).all()
    booleans = qubo_model(np.array([[True, False], [False, True]]))
    assert booleans.values.tolist() == [1, 1]
    numbers = [1, 1.0, np.int8(1), np.float32(1), True, np.True_, Fraction(1)]
    for number in numbers:
        assert qubo_model({("a", "b"): number}).values.tolist() == [1]


def test_sums_may_be_as_large_as_is_said() -> None:
    qubo_model({("a", "b"): LARGEST_SUM})
    with pytest.raises(ValueError, match="the absolute coefficients add up to"):
        qubo_model({("a", "b"): LARGEST_SUM, ("a", "a"): -LARGEST_SUM})
