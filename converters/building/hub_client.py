"""Limits for the Hugging Face Hub's client: without them it waits forever for a hub that is silent or sends too slowly, and keeps any
reply in memory."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

SILENT_SECONDS = 30.0  # to connect, and between two parts of a response
T = TypeVar("T")


@cache
def limit_hub_client() -> None:
    """Limit every request to the hub that this process makes: SILENT_SECONDS where it has no timeout, and ReplyLimits."""
    import httpx
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    from .hub_replies import ReplyLimits, TimedHeaders

    def client() -> httpx.Client:
        made = default_client_factory()
        made.timeout = httpx.Timeout(SILENT_SECONDS)
        made._transport = TimedHeaders(made._transport)
        made._mounts = {pattern: proxy and TimedHeaders(proxy) for pattern, proxy in made._mounts.items()}
        limits, hooks = ReplyLimits(), made.event_hooks
        made.event_hooks = {"request": [*hooks["request"], limits.request], "response": [*hooks["response"], limits.response]}
        return made

    set_client_factory(client)


def names_of_files(info: Any) -> list[str]:
    """Return the names of the files of a repository, as the hub described it. Raises TypeError for a name that is no text."""
    return ["".join((file.rfilename,)) for file in info.siblings or ()]


def is_invalid_reply(error: BaseException) -> bool:
    """Return whether a hub was reached, and its reply was refused or had another shape than a hub's."""
    import httpx

    return isinstance(error, (httpx.RemoteProtocolError, ValueError))


def hub_reply(work: Callable[[], T]) -> T:
    """Return what `work`, a call of huggingface_hub, returns. Raises ValueError for a reply of another shape than a hub's."""
    import httpx

    try:
        return work()
    except (TypeError, KeyError, AttributeError, RecursionError, httpx.InvalidURL) as error:
        raise ValueError(f"unexpected reply: {type(error).__name__}: {error}") from error
    except RuntimeError as error:  # huggingface_hub closes its client when a connection is lost, and tries again with the closed one
        if "client has been closed" in str(error):
            raise ConnectionError("the connection was lost") from error
        raise
