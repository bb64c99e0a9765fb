"""The paper's two algorithms: gradient descent that leaves saddle points, to second order."""

from derandomization.optimizers.hessian import HessianDescent
from derandomization.optimizers.perturbed import PerturbedGradientDescent

__all__ = ["HessianDescent", "PerturbedGradientDescent"]
