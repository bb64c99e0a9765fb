"""One lemma: optimising E_x[g(Wx + b)] + λ‖W‖² to a second-order stationary point drives W to 0."""

from derandomization.certificate import Bounds, Certificate, certify, stein_bounds
from derandomization.descent import Descent, Diverged, History, descend
from derandomization.expectations import Expectation, GaussHermite, MonteCarlo, QuasiMonteCarlo
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers import HessianDescent, PerturbedGradientDescent

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
