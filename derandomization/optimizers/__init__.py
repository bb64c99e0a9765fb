"""The paper's two algorithms, which reach second-order stationary points."""

from derandomization.optimizers.hessian import HessianDescent
from derandomization.optimizers.perturbed import PerturbedGradientDescent

__all__ = ["HessianDescent", "PerturbedGradientDescent"]
