"""Fill a prompt to make the messages of a request."""

import random
from typing import Any

from ...converters.sources.turns import fill
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.prompts import Prompt
from .requests import Message


def messages(prompt: Prompt, values: dict[str, Any]) -> tuple[Message, ...]:
    """Return the messages of a prompt filled with `values`. Raises UserError for a placeholder without a value."""
    if missing := sorted(prompt.placeholders - set(values)):
        known = ", ".join(f"{{{name}}}" for name in sorted(values))
        what = f"{{{missing[0]}}} has no value"
        raise UserError(Problem(Location(prompt.name), what, f"valid keys: {known}", "prompt-place"))
    parts = (("system", prompt.system), ("user", prompt.user))
    return tuple({"role": role, "content": fill(text, **values)} for role, text in parts if text)


def chosen_examples(prompt: Prompt, emotion: str | None, count: int, seed: str) -> str:
    """Return `count` examples, one per line: those of the emotion if the prompt has any, chosen by the seed."""
    own = [example for example in prompt.examples if example.emotion == emotion]
    fitting = own or [example for example in prompt.examples if example.emotion is None]
    picked = random.Random(seed).sample(fitting, min(count, len(fitting)))
    return "\n".join(fill(prompt.example, input=e.input, output=e.output, emotion=e.emotion or emotion or "") for e in picked)
