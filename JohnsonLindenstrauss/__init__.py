"""Johnson–Lindenstrauss without the randomness: one learned embedding (Theorem 5.5)."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from JohnsonLindenstrauss.estimator import LearnedProjection

__all__ = ["LearnedProjection"]

__getattr__ = lazy_names(__name__, {"JohnsonLindenstrauss.estimator": __all__})
