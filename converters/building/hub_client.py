"""Time limits for the Hugging Face Hub's client: without them it waits forever for a hub that is silent or sends too slowly."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import TypeVar

SILENT_SECONDS = 30.0  # to connect, and between two parts of a response
T = TypeVar("T")


@cache
def limit_hub_client() -> None:
    """Set a timeout of SILENT_SECONDS for every request to the hub that this process makes without one."""
    import httpx
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def client() -> httpx.Client:
        made = default_client_factory()
        made.timeout = httpx.Timeout(SILENT_SECONDS)
        return made

    set_client_factory(client)


def with_timeout(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns. Raises TimeoutError after `seconds`; the thread then ends with the process."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)
