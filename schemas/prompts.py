"""Prompt files: YAML with a system message, a user message, and examples. `{name}` is replaced by a value of the row."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from .base.errors import Problem, UserError
from .extends import SHIPPED
from .paths import SUFFIXES
from .validation import check_document
from .yaml_source import parse_yaml, read_text

PROMPTS = SHIPPED / "prompts"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Example(NamedTuple):
    """An example to show."""

    input: str
    output: str
    emotion: str | None = None


class Prompt(NamedTuple):
    """The content of a prompt file; `name` is for messages."""

    name: str
    user: str
    system: str | None = None
    example: str = "{input} => {output}"
    examples: tuple[Example, ...] = ()
    scales: dict[str, tuple[float, float]] = {}  # each score of a judge with its lowest and highest value

    @property
    def placeholders(self) -> set[str]:
        """Return the names in braces."""
        return set(_PLACEHOLDER.findall(self.user + (self.system or "")))


def load_prompt(name: str) -> Prompt:
    """Return the prompt at a path, or the shipped one with that name. Raises UserError with every problem."""
    path = Path(name) if Path(name).suffix in SUFFIXES else PROMPTS / f"{name}.yml"
    if path.parent == PROMPTS and not path.is_file():
        shipped = ", ".join(sorted(found.stem for found in PROMPTS.glob("*.yml")))
        raise UserError(Problem(name, "no such prompt", f"give a .yml file, or one of: {shipped}", "no-such-prompt"))
    document = parse_yaml(read_text(path), str(path))
    if problems := check_document(document, "prompt"):
        raise UserError(*problems)
    values: dict[str, Any] = {key: value for key, value in document.data.items() if key not in ("prompt", "description")}
    values["examples"] = tuple(Example(**example) for example in values.get("examples", ()))
    values["scales"] = {name: (low, high) for name, (low, high) in values.get("scales", {}).items()}
    return Prompt(str(path), **values)
