"""The converters by name. A converter is a module with the members of `Converter`; it is imported when it is used."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from inspect import signature
from typing import Any, Protocol, cast

from ...schemas.base.errors import Problem
from ...schemas.json_schema import schema
from ...schemas.sections import RecordType
from ..reading.readers import Picks, Reads
from ..reading.records import Drop, Part, Record, Row

# Each is a module in this folder. To add one: a module, a line here and an example folder; `UPDATE_GOLDEN=1 pytest` writes the rest.
CONVERTERS = (
    "alpaca",
    "alpaca_emotion",
    "babylm",
    "chat_log",
    "chatgpt",
    "emogpt",
    "emollm",
    "introspection",
    "lmsys",
    "mbti",
    "messages",
    "prompt_completion",
    "sharegpt",
    "table",
    "text",
)


class Converter(Protocol):
    """The members of a converter module.

    VERSION goes up whenever the same row would give a different record. RECORD_TYPES are the record types that it makes, the default first.

    INPUT is how its files are read: `values` (JSON, tables, pickles: detected), `lines` (text lines), `files` (each file one text), or a
    reader of its own; or a function that returns one of these for a file's first bytes.

    STATELESS is true if a row's records depend only on that row, so that rows may be converted in parallel; or a function of the options.

    ANSWER (optional) maps a record type to the key of the answer: the name of the option that names the key, or the key itself. In a row to
    predict it may be a NoAnswer, which the converter passes on.

    UNUSED_KEYS (optional) are keys that the source system writes for its own use, and that do not affect training.

    SIGNATURES (optional) are sets of keys: rows with all keys of one set come from this source, and from no other.

    row_of_text (optional) returns the row of this text without an answer, for a classifier that is given a text alone; None if a row
    needs more, with these options.

    recognise_rows, recognise_text (optional) return why rows, or a text's first bytes and the suffixes of its files, come from this source;
    "" if they do not. They are for sources that keys do not tell apart.
    """

    VERSION: int
    RECORD_TYPES: tuple[RecordType, ...]
    INPUT: Reads | Picks
    STATELESS: bool | Callable[[dict[str, Any]], bool]

    def convert(self, rows: Iterable[Row], record_type: RecordType, **options: Any) -> Iterator[Record | Drop | Part]:
        """Yield records and drops for the rows. Every row gives at least one of them, or is a part of one."""
        ...


def converter(name: str) -> Converter:
    """Return the converter called `name` (one of CONVERTERS)."""
    return cast(Converter, import_module(f".{name}", __package__))


def is_stateless(name: str, options: dict[str, Any]) -> bool:
    """Return whether the converter, with these options, makes a row's records from that row alone."""
    local = converter(name).STATELESS
    return local(options) if callable(local) else local


def optional_meta(name: str) -> tuple[str, ...]:
    """Return the meta keys that the converter adds to rows of some files only: OPTIONAL_META, if the module has it."""
    return getattr(converter(name), "OPTIONAL_META", ())


def signatures(name: str) -> tuple[set[str], ...]:
    """Return the sets of keys by which rows of this converter's source are recognised: SIGNATURES, if the module has it."""
    return getattr(converter(name), "SIGNATURES", ())


def recognise_rows(name: str, rows: list[dict[str, Any]]) -> str:
    """Return why the rows come from this converter's source; "" if they do not, or the converter cannot tell."""
    return getattr(converter(name), "recognise_rows", lambda rows: "")(rows)


def recognise_text(name: str, head: bytes, suffixes: set[str]) -> str:
    """Return why text files come from this converter's source; "" if they do not, or the converter cannot tell."""
    return getattr(converter(name), "recognise_text", lambda head, suffixes: "")(head, suffixes)


def answer_key(name: str, record_type: RecordType, options: dict[str, Any]) -> str | None:
    """Return the key of a row's answer; None if the converter reads no such key."""
    module = converter(name)
    keys: dict[str, str] = getattr(module, "ANSWER", {})
    if (key := keys.get(record_type)) is None:
        return None
    option = signature(module.convert).parameters.get(key)
    return options.get(key, option.default) if option else key


def row_of_text(name: str, options: dict[str, Any], text: str) -> dict[str, Any] | None:
    """Return the row that has this text and no answer; None if the converter makes no record of a text alone."""
    return getattr(converter(name), "row_of_text", lambda text, **options: None)(text, **options)


def takes_text(name: str, option: str) -> bool:
    """Return whether the option's value can only be text."""
    return schema("recipe")["$defs"][name].get("properties", {}).get(option, {}).get("type") == "string"


def option_problems(name: str, options: dict[str, Any]) -> list[str]:
    """Return what is wrong with options given outside a recipe, checked with the same schema as a recipe's."""
    from ...schemas.schema_errors import explain
    from ...schemas.yaml_source import Document

    definition = schema("recipe")["$defs"][name]
    problems: list[Problem] = explain(Document(options, {}, {}), definition)
    return [f"{p.what}" + (f" ({p.hint})" if p.hint else "") for p in problems]
