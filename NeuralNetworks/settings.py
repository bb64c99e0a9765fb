"""What the options of a training may be, for ``--help``, which imports no library."""

from typing import Literal

ActivationName = Literal[
    "smooth-relu", "tanh", "gelu", "erf", "softplus", "quadratic", "cubic-relu"
]
LossName = Literal["squared", "log-cosh", "logistic", "poisson"]
Part = Literal["weight", "bias", "hidden", "output"]
# How the expectation in a teacher's risk is evaluated; see ``train``.
RiskEvaluation = Literal["exact", "antithetic", "sampled"]
