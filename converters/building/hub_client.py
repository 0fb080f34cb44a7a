"""Limits for the Hugging Face Hub's client: without them it waits forever for a hub that is silent or sends too slowly, and keeps any
reply in memory."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from typing import TypeVar

SILENT_SECONDS = 30.0  # to connect, and between two parts of a response
T = TypeVar("T")


@cache
def limit_hub_client() -> None:
    """Limit every request to the hub that this process makes: SILENT_SECONDS where it has no timeout, and ReplyLimits."""
    import httpx
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    from .hub_replies import ReplyLimits

    def client() -> httpx.Client:
        made = default_client_factory()
        made.timeout = httpx.Timeout(SILENT_SECONDS)
        limits, hooks = ReplyLimits(), made.event_hooks
        made.event_hooks = {"request": [*hooks["request"], limits.request], "response": [*hooks["response"], limits.response]}
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


def is_invalid_reply(error: BaseException) -> bool:
    """Return whether a hub was reached, and its reply was refused or had another shape than a hub's."""
    import httpx

    return isinstance(error, (httpx.RemoteProtocolError, ValueError))


def hub_reply(work: Callable[[], T]) -> T:
    """Return what `work`, a call of huggingface_hub, returns. Raises ValueError for a reply of another shape than a hub's."""
    try:
        return work()
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"unexpected reply: {type(error).__name__}: {error}") from error
