"""One lemma: minimising E_x[g(Wx + b)] + λ‖W‖² to second order drives W, the randomness, to 0."""

from derandomization.checkpoints import Checkpoints
from derandomization.descent import descend, log_spaced_steps
from derandomization.expectations import (
    Antithetic,
    Expectation,
    GaussHermite,
    MonteCarlo,
    QuasiMonteCarlo,
    SimplexAcross,
)
from derandomization.history import Diverged, History
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers import HessianDescent, PerturbedGradientDescent
from derandomization.stationarity import Certificate, certify, sharp_weight_bound

__all__ = [
    "Antithetic",
    "Certificate",
    "Checkpoints",
    "DerandomizationObjective",
    "Diverged",
    "Expectation",
    "GaussHermite",
    "HessianDescent",
    "History",
    "MonteCarlo",
    "PerturbedGradientDescent",
    "QuasiMonteCarlo",
    "SimplexAcross",
    "certify",
    "descend",
    "log_spaced_steps",
    "sharp_weight_bound",
]
