"""Answer waiting requests together: one thread runs the model, and all callers wait for it."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..worker.generation import Reply, generate
from ..worker.loading import LoadedModel

GATHER_SECONDS = 0.02  # requests sent together arrive within this time


class Batcher:
    """A thread that decodes batches of waiting requests. `on_failure` is called for each reply that an error ended."""

    def __init__(self, served: LoadedModel, max_batch: int, on_failure: Callable[[Reply, BaseException], object]) -> None:
        self.served, self.max_batch, self.on_failure = served, max_batch, on_failure
        self.waiting: queue.Queue[Reply | None] = queue.Queue()
        self.batches: list[int] = []
        self.thread = threading.Thread(target=self._run, name="decoding", daemon=True)
        self.thread.start()

    def put(self, reply: Reply) -> None:
        """Have the reply generated; its on_token is called in the decoding thread."""
        self.waiting.put(reply)

    def stop(self) -> None:
        """Stop after the current batch."""
        self.waiting.put(None)
        self.thread.join()

    def _run(self) -> None:
        while (first := self.waiting.get()) is not None:
            batch = [reply for reply in self._gather(first) if not reply.cancelled]
            if not batch:
                continue
            self.batches = [*self.batches[-999:], len(batch)]
            try:
                generate(self.served, batch)
            except Exception as error:  # a failure ends only its own batch; its callers are informed
                for reply in batch:
                    if not reply.finish:
                        self.on_failure(reply, error)

    def _gather(self, first: Reply) -> list[Reply]:
        """Return the first request and those that arrive within GATHER_SECONDS, up to max_batch."""
        batch, until = [first], time.monotonic() + GATHER_SECONDS
        while len(batch) < self.max_batch:
            try:
                reply = self.waiting.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                break
            if reply is None:
                self.waiting.put(None)
                break
            batch.append(reply)
        return batch


class StreamingDecoder:
    """Decodes a growing reply; `text` is what has been returned so far. An incomplete UTF-8 character waits for its remaining bytes."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.text = tokenizer, ""

    def new(self, token_ids: Sequence[int], is_complete: bool) -> str:
        """Return the text that was added since the last call."""
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        if text.endswith("\ufffd") and not is_complete:
            return ""
        shown, self.text = self.text, text
        return text[len(shown) :]
