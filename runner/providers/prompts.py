"""Prompt files: YAML with a system and a user message, and examples to choose from. `{name}` is filled from the row."""

import random
import re
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.sources.turns import fill
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.extends import SHIPPED, SUFFIXES
from ...schemas.validation import check_document
from ...schemas.yaml_source import parse_yaml, read_text
from .requests import Message

PROMPTS = SHIPPED / "prompts"
_PLACE = re.compile(r"\{(\w+)\}")


class Example(NamedTuple):
    """An example to show."""

    input: str
    output: str
    emotion: str | None = None


class Prompt(NamedTuple):
    """A prompt file's content; `name` is for messages to people."""

    name: str
    user: str
    system: str | None = None
    example: str = "{input} => {output}"
    examples: tuple[Example, ...] = ()

    @property
    def places(self) -> set[str]:
        """The names in braces that are filled."""
        return set(_PLACE.findall(self.user + (self.system or "")))


def load_prompt(name: str) -> Prompt:
    """The prompt at a path, or the shipped one of that name. Raises UserError with every problem."""
    path = Path(name) if Path(name).suffix in SUFFIXES else PROMPTS / f"{name}.yml"
    if path.parent == PROMPTS and not path.is_file():
        shipped = ", ".join(sorted(found.stem for found in PROMPTS.glob("*.yml")))
        raise UserError(Problem(Location(name), "no such prompt", f"give a .yml file, or one of: {shipped}", "no-such-prompt"))
    document = parse_yaml(read_text(path), str(path))
    if problems := check_document(document, "prompt"):
        raise UserError(*problems)
    values: dict[str, Any] = {key: value for key, value in document.data.items() if key not in ("prompt", "description")}
    values["examples"] = tuple(Example(**example) for example in values.get("examples", ()))
    return Prompt(str(path), **values)


def messages(prompt: Prompt, places: dict[str, Any]) -> tuple[Message, ...]:
    """The prompt filled with the places. Raises UserError for a place that nothing fills."""
    if missing := sorted(prompt.places - set(places)):
        known = ", ".join(f"{{{name}}}" for name in sorted(places))
        what = f"{{{missing[0]}}} is filled by nothing"
        raise UserError(Problem(Location(prompt.name), what, f"known here: {known}", "prompt-place"))
    parts = (("system", prompt.system), ("user", prompt.user))
    return tuple({"role": role, "content": fill(text, **places)} for role, text in parts if text)


def chosen_examples(prompt: Prompt, emotion: str | None, count: int, seed: str) -> str:
    """`count` examples, a line each: those of the emotion where the prompt has any, the choice a function of the seed."""
    own = [example for example in prompt.examples if example.emotion == emotion]
    fitting = own or [example for example in prompt.examples if example.emotion is None]
    picked = random.Random(seed).sample(fitting, min(count, len(fitting)))
    return "\n".join(fill(prompt.example, input=e.input, output=e.output, emotion=e.emotion or emotion or "") for e in picked)
