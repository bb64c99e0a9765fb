"""Johnson–Lindenstrauss without the randomness: one learned embedding (Theorem 5.5)."""

from typing import TYPE_CHECKING

from derandomization.lazy import lazy_names

if TYPE_CHECKING:
    from JohnsonLindenstrauss.estimator import LearnedProjection
    from JohnsonLindenstrauss.lower_bound import distortion_lower_bound

__all__ = ["LearnedProjection", "distortion_lower_bound"]

__getattr__ = lazy_names(
    __name__,
    {
        "JohnsonLindenstrauss.estimator": ["LearnedProjection"],
        "JohnsonLindenstrauss.lower_bound": ["distortion_lower_bound"],
    },
)
