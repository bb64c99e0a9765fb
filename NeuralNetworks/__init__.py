"""Networks whose first layer collapses onto the directions that matter (Theorems 4.1 and 4.2)."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from NeuralNetworks.estimator import PrincipalSubspace

__all__ = ["PrincipalSubspace"]

__getattr__ = lazy_names(__name__, {"NeuralNetworks.estimator": __all__})
