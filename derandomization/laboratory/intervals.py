"""A mean over seeds and how well it is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """A mean and its 95% confidence interval; one value alone has no interval (NaN)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.low) or self.low == self.high:
            return f"{self.mean:.3g}"
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def confidence_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Student's t interval for the mean of independent values; NaNs among them are left out."""
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else math.nan
    if len(known) < 2:
        return Interval(mean, math.nan, math.nan)
    error = float(known.std(ddof=1)) / len(known) ** 0.5
    reach = float(stdtrit(len(known) - 1, 0.975)) * error
    return Interval(mean, mean - reach, mean + reach)


def log_log_slope(
    x: Sequence[float] | np.ndarray, y: Float[np.ndarray, "positions seeds"]
) -> Interval:
    """s of y ∝ x^s, by least squares for each seed; seeds with a NaN are left out."""
    slopes, _ = np.polyfit(np.log(x), np.log(y), 1)
    return confidence_interval(slopes)
