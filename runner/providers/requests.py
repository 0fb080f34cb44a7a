"""What is asked and what is answered."""

from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from ...converters.reading.records import Row
from ...schemas.generate_sections import Sampling

Message = dict[str, str]
SEEDS = 2**31  # providers take seeds below


class Request(NamedTuple):
    """One thing to ask. `repetition` counts the times that a task asks the same, each with a seed of its own.

    `about` is what the task needs to make rows of the reply.
    """

    row: Row
    messages: tuple[Message, ...]
    repetition: int
    about: dict[str, Any]


class Reply(NamedTuple):
    """What a model said. `finish` is stop, length or content_filter. `metered` says that the provider counted the tokens itself,
    `redacted` that what looks like a secret was replaced in the text.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    metered: bool = True
    redacted: bool = False


class ProviderRequest(NamedTuple):
    """A request as it goes to one provider: everything that decides about the reply."""

    provider: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int

    @property
    def key(self) -> str:
        """The request's name in the log: a hash of provider, model, prompt and sampling."""
        return sha256(orjson.dumps([self.provider, self.model, self.messages, self.sampling._asdict(), self.seed])).hexdigest()

    def most_prompt_tokens(self) -> int:
        """More tokens than the prompt can have: no tokenizer makes more than one of a byte, and templates add a few a message."""
        return sum(len(message["content"].encode()) + 16 for message in self.messages)

    def most_tokens(self) -> int:
        """More tokens than the request can use."""
        return self.most_prompt_tokens() + self.sampling.max_new_tokens
