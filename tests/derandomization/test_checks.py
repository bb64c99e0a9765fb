"""Validation returns what is allowed and names what is not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derandomization.checks import (
    require_at_least,
    require_between,
    require_positive,
    require_whole,
)


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_every_finite_number_above_zero_is_positive(value: float) -> None:
    assert require_positive("x", value) == value


@pytest.mark.parametrize("value", [0.0, -0.0, -1e-300, math.inf, -math.inf, math.nan])
def test_nothing_else_is(value: float) -> None:
    with pytest.raises(ValueError, match=rf"^rate is {value}: it must be a finite number above 0$"):
        require_positive("rate", value)


@given(st.floats(-2, 3))
def test_between_includes_both_ends_and_what_lies_inside(value: float) -> None:
    assert require_between("x", value, -2, 3) == value


@pytest.mark.parametrize("value", [math.nextafter(-2, -3), math.nextafter(3, 4), math.nan])
def test_between_refuses_what_lies_outside(value: float) -> None:
    with pytest.raises(ValueError, match=r"^p is .*: it must lie between -2 and 3$"):
        require_between("p", value, -2, 3)


@given(least=st.integers(), excess=st.integers(0, 10**6))
def test_at_least_accepts_the_least_and_more(least: int, excess: int) -> None:
    assert require_at_least("n", least + excess, least) == least + excess


@given(least=st.integers(), lack=st.integers(1, 10**6))
def test_at_least_refuses_less(least: int, lack: int) -> None:
    with pytest.raises(ValueError, match=rf"^n is {least - lack}: it must be at least {least}$"):
        require_at_least("n", least - lack, least)


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match=r"rate is '0\.1': it must be a finite"):
        require_positive("rate", "0.1")
    with pytest.raises(ValueError, match="rate is None"):
        require_positive("rate", None)
    assert require_whole("steps", 3, 1) == 3
    for value in ("3", 2.5, True, None):
        with pytest.raises(ValueError, match=f"steps is {value!r}: it must be a whole number"):
            require_whole("steps", value, 1)
    with pytest.raises(ValueError, match="steps is 0: it must be at least 1"):
        require_whole("steps", 0, 1)
