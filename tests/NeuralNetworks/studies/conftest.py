"""What makes the certificates of small studies quick."""

import pytest

from derandomization import certificate


@pytest.fixture(autouse=True)
def short_estimates_of_the_lipschitz_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight products of Hessians instead of 48, which take half of a certificate's time.

    How good the estimate is, ``test_certificate.py`` asks.
    """
    monkeypatch.setattr(certificate, "LIPSCHITZ_STARTS", 1)
    monkeypatch.setattr(certificate, "LIPSCHITZ_ITERATIONS", 4)
