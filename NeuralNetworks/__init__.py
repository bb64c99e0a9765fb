"""Networks whose first layer collapses onto the directions that matter (Theorems 4.1 and 4.2)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from NeuralNetworks.estimator import PrincipalSubspace

__all__ = ["PrincipalSubspace"]


def __getattr__(name: str) -> Any:
    """Import the estimator when it is asked for: the commands do not need scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from NeuralNetworks.estimator import PrincipalSubspace

    return PrincipalSubspace
