"""What the hub's client waits for has an end."""

import threading

import pytest
from recipekit.converters.building.hub_client import SILENT_SECONDS, limit_hub_client, with_timeout


def test_work_that_ends_in_time_gives_its_result_or_its_error() -> None:
    assert with_timeout(30, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        with_timeout(30, lambda: 1 // 0)


def test_work_that_does_not_end_times_out() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        with_timeout(0.05, never.wait)
    never.set()


def test_every_hub_client_has_a_timeout() -> None:
    utils = pytest.importorskip("huggingface_hub.utils", reason="needs the extra [data]: huggingface_hub")
    limit_hub_client()
    assert utils.get_session().timeout.read == SILENT_SECONDS
    utils.close_session()
    assert utils.get_session().timeout.connect == SILENT_SECONDS
