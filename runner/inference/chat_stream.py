"""Models that answer: each decodes in a thread of its own, and whoever listens hears of every part of every reply as it comes."""

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
        """In the decoding thread: have whoever listens raise the error."""
        self.error, reply.finish = error, "failed"
        reply.on_token(reply)


class ReplyStream:
    """A reply as it grows: `text` is what can be shown of it, `part` what came last, `finish` why it ended (stop, length,
    cancelled), `seconds` how long it has taken."""

    def __init__(self, speaker: ChatModel, reply: Reply) -> None:
        self.speaker, self.reply = speaker, reply
        self.growing = StreamingDecoder(speaker.served.tokenizer)
        self.part, self.finish, self.seconds = "", "", 0.0
        self.token_ids: list[int] = []
        self.begun = time.monotonic()

    @property
    def text(self) -> str:
        """What has come so far."""
        return self.growing.text

    def grow(self, token_ids: list[int], finish: str) -> None:
        """Take what the decoding thread told. Raises the error that ended it, where one did."""
        if self.speaker.error:
            raise self.speaker.error
        self.token_ids, self.finish, self.seconds = token_ids, finish, time.monotonic() - self.begun
        self.part = self.growing.new(token_ids, bool(finish))


def speeches(speakers: Sequence[ChatModel], prompt_ids: Sequence[int], settings: Settings) -> list[ReplyStream]:
    """A reply of each speaker to the same prompt, not begun yet. Raises UserError where there is no room for any."""
    seed = settings.seed if settings.seed is not None else secrets.randbits(63)
    made = []
    for speaker in speakers:
        room = speaker.served.context - len(prompt_ids)
        if room < 1:
            what = f"the conversation is {len(prompt_ids):,} tokens long, and the model takes {speaker.served.context:,} with its reply"
            raise UserError(what, hint="/reset begins anew")
        longest = min(settings.max_new_tokens, room)
        sampling = (settings.temperature, settings.top_p, settings.repetition_penalty, seed % 2**63)
        made.append(ReplyStream(speaker, Reply(list(prompt_ids), longest, *sampling)))
    return made


def listen(made: Sequence[ReplyStream]) -> Generator[ReplyStream, None, None]:
    """Have the replies generated, all at once; yield one each time that it has grown or ended. Whoever stops listening stops them."""
    told: queue.SimpleQueue[tuple[ReplyStream, list[int], str]] = queue.SimpleQueue()

    def telling(speech: ReplyStream) -> Any:
        return lambda reply: told.put((speech, list(reply.token_ids), reply.finish))

    try:
        for speech in made:
            speech.reply.on_token = telling(speech)
            speech.speaker.batcher.put(speech.reply)
        while not all(speech.finish for speech in made):
            speech, token_ids, finish = told.get()
            speech.grow(token_ids, finish)
            yield speech
    finally:
        for speech in made:
            speech.reply.cancelled = True
            speech.finish = speech.finish or "cancelled"
