"""What users meet: the code without the check of types that only the tests make."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def unchecked() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function, or the constructor of a class, as it runs outside the tests."""

    def bare(function: Callable[..., Any]) -> Callable[..., Any]:
        if not isinstance(function, type):
            return getattr(function, "__wrapped__", function)
        initialise = function.__init__

        def build(*arguments: Any, **options: Any) -> Any:
            built = function.__new__(function)
            getattr(initialise, "__wrapped__", initialise)(built, *arguments, **options)
            return built

        return build

    return bare
