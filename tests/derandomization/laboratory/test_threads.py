"""One thread unless told, and the caller's settings afterwards."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from derandomization.laboratory.threads import computing_threads
from JohnsonLindenstrauss import lower_bound, numax
from JohnsonLindenstrauss.estimator import LearnedProjection
from JohnsonLindenstrauss.model import cube_points
from JohnsonLindenstrauss.train import train


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


def threads() -> set[int]:
    """Torch's number and the largest of all BLAS libraries: one built for one thread stays at 1."""
    blas = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
    return {torch.get_num_threads(), max(blas)}


@computing_threads()
def inside() -> set[int]:
    return threads()


def test_one_thread_unless_the_caller_asks_for_more() -> None:
    assert inside() == {1}
    with computing_threads(3):
        assert inside() == threads() == {3}
        with computing_threads(1):
            assert inside() == {1}
        assert threads() == {3}
    assert inside() == {1}
    assert threads() == {2}


def test_the_caller_s_settings_are_restored_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), computing_threads():
        raise ZeroDivisionError
    assert threads() == {2}
    assert inside() == {1}
    with pytest.raises(ValueError, match="count is 0"), computing_threads(0):
        pass


def test_the_digits_of_a_fit_do_not_depend_on_the_caller_s_threads() -> None:
    points = np.random.default_rng(0).normal(size=(600, 30))  # split among threads if allowed

    def fitted() -> LearnedProjection:
        return LearnedProjection(4, max_iter=2, random_state=0).fit(points)

    on_two = fitted()
    assert threads() == {2}
    torch.set_num_threads(1)
    np.testing.assert_array_equal(on_two.components_, fitted().components_)


def test_a_descent_on_lengths_is_one_thread_s() -> None:
    points = cube_points(40, 60, torch.Generator().manual_seed(0))
    seen: list[int] = []
    train(
        points,
        5,
        generator=torch.Generator().manual_seed(0),
        max_steps=3,
        progress=lambda *_: seen.append(torch.get_num_threads()),
    )
    assert set(seen) == {1}
    assert threads() == {2}


def test_bounds_and_numax_compute_on_one_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for module in (lower_bound, numax):
        inner = module.distinct_points

        def noted(*arguments: object, inner: Callable = inner) -> object:
            seen.append(threads())
            return inner(*arguments)

        monkeypatch.setattr(module, "distinct_points", noted)
    points = cube_points(8, 5, torch.Generator().manual_seed(0))
    lower_bound.distortion_lower_bound(points, 2, max_steps=2)
    lower_bound.smallest_possible_components(points, 0.5, 4, max_steps=2)
    numax.numax(points, 0.5)
    assert len(seen) >= 3
    assert all(each == {1} for each in seen)
