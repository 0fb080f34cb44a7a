"""A prompt -> the messages of a request."""

import random
from typing import Any

from ...converters.sources.turns import fill
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.prompts import Prompt
from .requests import Message


def messages(prompt: Prompt, places: dict[str, Any]) -> tuple[Message, ...]:
    """The prompt filled with the places. Raises UserError for a place that nothing fills."""
    if missing := sorted(prompt.placeholders - set(places)):
        known = ", ".join(f"{{{name}}}" for name in sorted(places))
        what = f"{{{missing[0]}}} is filled by nothing"
        raise UserError(Problem(Location(prompt.name), what, f"valid keys: {known}", "prompt-place"))
    parts = (("system", prompt.system), ("user", prompt.user))
    return tuple({"role": role, "content": fill(text, **places)} for role, text in parts if text)


def chosen_examples(prompt: Prompt, emotion: str | None, count: int, seed: str) -> str:
    """`count` examples, a line each: those of the emotion where the prompt has any, the choice a function of the seed."""
    own = [example for example in prompt.examples if example.emotion == emotion]
    fitting = own or [example for example in prompt.examples if example.emotion is None]
    picked = random.Random(seed).sample(fitting, min(count, len(fitting)))
    return "\n".join(fill(prompt.example, input=e.input, output=e.output, emotion=e.emotion or emotion or "") for e in picked)
