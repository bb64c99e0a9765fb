"""One lemma: optimising E_x[g(Wx + b)] + λ‖W‖² to a second-order stationary point drives W to 0."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from derandomization.certificate import Bounds, Certificate, certify, stein_bounds
    from derandomization.descent import Descent, Diverged, History, descend
    from derandomization.expectations import (
        Expectation,
        GaussHermite,
        MonteCarlo,
        QuasiMonteCarlo,
    )
    from derandomization.objective import DerandomizationObjective
    from derandomization.optimizers import HessianDescent, PerturbedGradientDescent

__version__ = "0.1.0"

__all__ = [
    "Bounds",
    "Certificate",
    "DerandomizationObjective",
    "Descent",
    "Diverged",
    "Expectation",
    "GaussHermite",
    "HessianDescent",
    "History",
    "MonteCarlo",
    "PerturbedGradientDescent",
    "QuasiMonteCarlo",
    "certify",
    "descend",
    "stein_bounds",
]

__getattr__ = lazy_names(
    __name__,
    {
        "derandomization.certificate": ("Bounds", "Certificate", "certify", "stein_bounds"),
        "derandomization.descent": ("Descent", "Diverged", "History", "descend"),
        "derandomization.expectations": (
            "Expectation",
            "GaussHermite",
            "MonteCarlo",
            "QuasiMonteCarlo",
        ),
        "derandomization.objective": ("DerandomizationObjective",),
        "derandomization.optimizers": ("HessianDescent", "PerturbedGradientDescent"),
    },
)
