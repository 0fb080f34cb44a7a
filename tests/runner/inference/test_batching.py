"""Who waits while the model is at work is answered together, and who has left is not."""

import threading

import pytest

pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.inference import batching
from recipekit.runner.inference.batching import Batcher
from recipekit.runner.worker.generation import Reply

from ...support.waiting import PATIENCE


def test_requests_that_wait_for_the_model_are_answered_in_one_batch(monkeypatch) -> None:
    at_work, may_end, batches = threading.Event(), threading.Event(), []

    def generate(served, replies) -> None:
        batches.append(replies)
        at_work.set()
        assert may_end.wait(PATIENCE)

    monkeypatch.setattr(batching, "generate", generate)
    first, *waiting = replies = [Reply([number], 1) for number in range(22)]
    batcher = Batcher(None, 16, lambda reply, error: None)  # pyright: ignore[reportArgumentType]
    batcher.put(first)
    assert at_work.wait(PATIENCE)
    for reply in waiting:
        batcher.put(reply)
    waiting[3].cancelled = True
    may_end.set()
    batcher.stop()
    assert batches == [[first], [reply for reply in replies[1:17] if reply is not waiting[3]], replies[17:]]
    assert batcher.batches == [1, 15, 5]
