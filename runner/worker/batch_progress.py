"""How far the answers to a file's rows are: the answered rows and, while a batch of replies is generated, its tokens."""

import time
from collections.abc import Sequence
from typing import Any

from ..runtime.progress import Progress
from .generation import Reply

EVERY_S = 2.0  # seconds between two events of a batch: on a CPU its replies take minutes, in which no row is complete


class BatchProgress:
    """Appends an event for each answered batch, and during a batch one every few seconds. `facts` are part of every event."""

    def __init__(self, progress: Progress, kind: str, total: int, done: int = 0) -> None:
        self.progress, self.kind, self.total, self.done = progress, kind, total, done
        self.facts: dict[str, Any] = {}

    def add(self, rows: int) -> None:
        """Count the rows of a batch as answered."""
        self.done += rows
        self._event()

    def watch(self, replies: Sequence[Reply]) -> None:
        """Report the tokens of these replies, all together, while they are generated."""
        last = time.monotonic()

        def on_token(reply: Reply) -> None:
            nonlocal last
            if time.monotonic() - last >= EVERY_S:
                last = time.monotonic()
                self._event(written=sum(len(each.token_ids) for each in replies))

        for reply in replies:
            reply.on_token = on_token

    def _event(self, **facts: int) -> None:
        self.progress.event(self.kind, **self.facts, done=self.done, total=self.total, **facts)
