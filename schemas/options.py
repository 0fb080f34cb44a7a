"""Options of converters and tasks: keyword-only arguments, whose annotations give their JSON Schema.

    def convert(rows, record_type="chat", *, question_key: Annotated[Text, "The key of the question."] = "question"): ...

A string in `Annotated` describes the option, a Keyword limits it. schemas/recipe.schema.json holds the result, so that `recipe check`
imports no converter.
"""

import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from .sections import RecordType


class Keyword(NamedTuple):
    """A keyword of JSON Schema."""

    name: str
    value: Any


Text = Annotated[str, Keyword("minLength", 1)]
Positive = Annotated[int, Keyword("minimum", 1)]
Natural = Annotated[int, Keyword("minimum", 0)]
Share = Annotated[float, Keyword("minimum", 0), Keyword("maximum", 1)]

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def template(*names: str) -> Keyword:
    """Return the pattern of a text that contains each of `{names}`."""
    return Keyword("pattern", "".join(rf"(?=[\s\S]*\{{{name}\}})" for name in names))


def only_for(*record_types: RecordType) -> Keyword:
    """Return the keyword of an option that affects these record types only."""
    return Keyword("x-record-types", record_types)


def options_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the JSON Schema of a function's options."""
    hints = get_type_hints(function, include_extras=True)
    defaults = function.__kwdefaults__ or {}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: _schema(hints[name]) | ({} if default is None else {"default": _plain(default)}) for name, default in defaults.items()
        },
    }


def _schema(hint: Any) -> dict[str, Any]:
    """Return the JSON Schema of an annotation. Raises TypeError for one that no option can have."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        described = [Keyword("description", item) if isinstance(item, str) else item for item in hint.__metadata__]
        return _schema(arguments[0]) | {name: _plain(value) for name, value in described}
    if origin in (Union, types.UnionType):
        choices = [_schema(argument) for argument in arguments if argument is not type(None)]
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    if origin is Literal:
        return {"enum": list(arguments)}
    if hint in _TYPES:
        return {"type": _TYPES[hint]}
    if origin is not None and issubclass(origin, dict):
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is not None and len(arguments) == 1:
        return {"type": "array", "items": _schema(arguments[0])}
    raise TypeError(f"{hint} is not the type of an option")


def _plain(value: Any) -> Any:
    """Return a value as JSON represents it."""
    return list(value) if isinstance(value, tuple) else value
