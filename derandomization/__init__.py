"""One lemma: minimising E_x[g(Wx + b)] + λ‖W‖² to second order drives W, the randomness, to 0."""

from derandomization.descent import History, descend, log_spaced_steps
from derandomization.expectations import Expectation, GaussHermite, MonteCarlo
from derandomization.objective import DerandomizationObjective
from derandomization.optimizers import PerturbedGradientDescent
from derandomization.stationarity import Certificate, certify, sharp_weight_bound

__all__ = [
    "Certificate",
    "DerandomizationObjective",
    "Expectation",
    "GaussHermite",
    "History",
    "MonteCarlo",
    "PerturbedGradientDescent",
    "certify",
    "descend",
    "log_spaced_steps",
    "sharp_weight_bound",
]
