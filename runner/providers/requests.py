"""Requests, the messages of a prompt for them, and replies."""

import random
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from ...converters.reading.records import Row
from ...converters.sources.turns import fill
from ...schemas.base.errors import Problem, UserError
from ...schemas.generate_sections import Sampling
from ...schemas.prompts import Prompt

Message = dict[str, str]
SEEDS = 2**31  # providers take seeds below
_ATTEMPT = 1_000_003  # between the seeds of two attempts, more than any number of repetitions


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


def seed_of(seed: int, attempt: int) -> int:
    """Return the seed of an attempt: a repeated request must not get the same reply."""
    return (seed + attempt * _ATTEMPT) % SEEDS


def messages(prompt: Prompt, values: dict[str, Any]) -> tuple[Message, ...]:
    """Return the messages of a prompt filled with `values`. Raises UserError for a placeholder without a value."""
    if missing := sorted(prompt.placeholders - set(values)):
        known = ", ".join(f"{{{name}}}" for name in sorted(values))
        raise UserError(Problem(prompt.name, f"{{{missing[0]}}} has no value", f"valid keys: {known}", "prompt-place"))
    parts = (("system", prompt.system), ("user", prompt.user))
    return tuple({"role": role, "content": fill(text, **values)} for role, text in parts if text)


def chosen_examples(prompt: Prompt, emotion: str | None, count: int, seed: str) -> str:
    """Return `count` examples, one per line: those of the emotion if the prompt has any, chosen by the seed."""
    own = [example for example in prompt.examples if example.emotion == emotion]
    fitting = own or [example for example in prompt.examples if example.emotion is None]
    picked = random.Random(seed).sample(fitting, min(count, len(fitting)))
    return "\n".join(fill(prompt.example, input=e.input, output=e.output, emotion=e.emotion or emotion or "") for e in picked)
