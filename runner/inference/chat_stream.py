"""Stream replies from several models, each decoding in its own thread."""

import queue
import secrets
import time
from collections.abc import Generator, Sequence
from typing import Any

from ...schemas.base.errors import UserError
from ..worker.generation import Reply
from ..worker.loading import LoadedModel
from .batching import Batcher, StreamingDecoder
from .chat_settings import Settings


class ChatModel:
    """A model and the thread that decodes it."""

    def __init__(self, name: str, served: LoadedModel) -> None:
        self.name, self.served = name, served
        self.error: BaseException | None = None
        self.batcher = Batcher(served, 1, self._failed)

    def _failed(self, reply: Reply, error: BaseException) -> None:
        """Make the listener raise the error; called in the decoding thread."""
        self.error, reply.finish = error, "failed"
        reply.on_token(reply)


class ReplyStream:
    """A growing reply: `text` is what can be shown, `part` the newest piece, `finish` why it ended (stop, length, cancelled), `seconds` its
    time so far."""

    def __init__(self, model: ChatModel, reply: Reply) -> None:
        self.model, self.reply = model, reply
        self.decoder = StreamingDecoder(model.served.tokenizer)
        self.part, self.finish, self.seconds = "", "", 0.0
        self.token_ids: list[int] = []
        self.begun = time.monotonic()

    @property
    def text(self) -> str:
        """Return the text so far."""
        return self.decoder.text

    @property
    def shown(self) -> str:
        """Return the text without white space at its ends; while there is none "…", and at the end that there is none."""
        return self.text.strip() or ("(no text)" if self.finish else "…")

    def grow(self, token_ids: list[int], finish: str) -> None:
        """Add what the decoding thread produced. Raises the error that ended it, if any."""
        if self.model.error:
            raise self.model.error
        self.token_ids, self.finish, self.seconds = token_ids, finish, time.monotonic() - self.begun
        self.part = self.decoder.new(token_ids, bool(finish))


def new_replies(models: Sequence[ChatModel], prompt_ids: Sequence[int], settings: Settings) -> list[ReplyStream]:
    """Return a reply of each model to the same prompt, not yet started. Raises UserError if the context has no room for a reply."""
    seed = settings.seed if settings.seed is not None else secrets.randbits(63)
    streams = []
    for model in models:
        room = model.served.context - len(prompt_ids)
        if room < 1:
            what = f"the conversation has {len(prompt_ids):,} tokens; the model's context is {model.served.context:,} including the reply"
            raise UserError(what, hint="/reset starts again")
        longest = min(settings.max_new_tokens, room)
        sampling = (settings.temperature, settings.top_p, settings.repetition_penalty, seed % 2**63)
        streams.append(ReplyStream(model, Reply(list(prompt_ids), longest, *sampling)))
    return streams


def stream_replies(streams: Sequence[ReplyStream]) -> Generator[ReplyStream, None, None]:
    """Generate all replies at once; yield one each time it has grown or ended. Closing the generator stops them."""
    events: queue.SimpleQueue[tuple[ReplyStream, list[int], str]] = queue.SimpleQueue()

    def forward(stream: ReplyStream) -> Any:
        return lambda reply: events.put((stream, list(reply.token_ids), reply.finish))

    try:
        for stream in streams:
            stream.reply.on_token = forward(stream)
            stream.model.batcher.put(stream.reply)
        while not all(stream.finish for stream in streams):
            stream, token_ids, finish = events.get()
            stream.grow(token_ids, finish)
            yield stream
    finally:
        for stream in streams:
            stream.reply.cancelled = True
            stream.finish = stream.finish or "cancelled"
