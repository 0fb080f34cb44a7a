"""A limit of time for what has none."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def with_timeout(seconds: float | None, work: Callable[[], T]) -> T:
    """Return what `work` returns. Raises TimeoutError after `seconds`; the thread then ends with the process."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)
