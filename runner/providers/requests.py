"""Requests and replies."""

from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from ...converters.reading.records import Row
from ...schemas.generate_sections import Sampling

Message = dict[str, str]
SEEDS = 2**31  # providers take seeds below


class Request(NamedTuple):
    """One request. `repetition` counts repeats of the same request in a task, each with its own seed.

    `about` is what the task needs to make rows from the reply.
    """

    row: Row
    messages: tuple[Message, ...]
    repetition: int
    about: dict[str, Any]


class Reply(NamedTuple):
    """A model's reply. `finish` is stop, length or content_filter; `metered`: the provider counted the tokens; `redacted`: something that
    looks like a secret was replaced in the text.
    """

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    metered: bool = True
    redacted: bool = False


class ProviderRequest(NamedTuple):
    """A request to one provider, with everything that affects the reply."""

    provider: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int

    @property
    def key(self) -> str:
        """Return the request's key in the log: a hash of provider, model, prompt, sampling and seed."""
        return sha256(orjson.dumps([self.provider, self.model, self.messages, self.sampling._asdict(), self.seed])).hexdigest()

    def most_prompt_tokens(self) -> int:
        """Return an upper bound for the prompt's tokens: at most one per byte, and a few per message for the template."""
        return sum(len(message["content"].encode()) + 16 for message in self.messages)

    def most_tokens(self) -> int:
        """Return an upper bound for the tokens that the request can use."""
        return self.most_prompt_tokens() + self.sampling.max_new_tokens
