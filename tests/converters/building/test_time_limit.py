"""What is waited for has an end."""

import threading

import pytest
from recipekit.converters.building.time_limit import with_timeout


def test_work_that_ends_in_time_gives_its_result_or_its_error() -> None:
    assert with_timeout(30, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(30, lambda: 1 // 0)


def test_work_that_does_not_end_times_out() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        with_timeout(0.05, never.wait)
    never.set()
