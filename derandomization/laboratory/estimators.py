"""Checks of arguments that the scikit-learn estimators of the experiments share."""

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from derandomization.checks import MAX_SEED, require_between


def validated(estimator: Any, *data: Any, **options: Any) -> Any:
    """X, or X and y, as scikit-learn's ``validate_data`` checks them, in float64 or float32.

    Its ``ValueError`` is put on one line.
    """
    try:
        # The check for NaN adds all entries, which may overflow although they are finite.
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(estimator, *data, dtype=[np.float64, np.float32], **options)
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from error


def require_one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ``ValueError`` unless a value is one of the allowed strings."""
    if not isinstance(value, str) or value not in allowed:
        *others, last = (f'"{each}"' for each in allowed)
        raise ValueError(f"{name} is {value!r}: it must be {', '.join(others)} or {last}")


def torch_seed(random_state: Any) -> int:
    """A seed for torch: the integer itself, or one drawn from the ``RandomState`` or at random."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer):
        allowed = "it must be None, an integer or a RandomState"
        raise ValueError(f"random_state is {random_state!r}: {allowed}")
    return int(require_between("random_state", int(random_state), 0, MAX_SEED))
