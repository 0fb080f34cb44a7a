"""The converters, by name. A module is a converter: it has what `Converter` lists. Modules are imported when they are used."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from inspect import signature
from typing import Any, Protocol, cast

from ...schemas.base.errors import Problem
from ...schemas.json_schema import schema
from ...schemas.sections import RecordType
from ...schemas.validation import validator
from ..reading.readers import Picks, Reads
from ..reading.records import Drop, Record, Row

# Each is a module of this folder. A new one is a module, a line here and an example folder; `UPDATE_GOLDEN=1 pytest` writes the rest.
CONVERTERS = (
    "alpaca",
    "alpaca_emotion",
    "babylm",
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
    """What a converter module has.

    VERSION goes up whenever the same row would give another record. RECORD_TYPES are the record types that it can make, the default first.
    INPUT is how its files are read: `values` (JSON, tables, pickles: sniffed), `lines` (text lines), `files` (a whole text each), or
    a reader of its own; or what says which, given a file's first bytes.
    STATELESS says that a row's records depend on that row alone, so that rows may be converted in parallel; or what says so, given
    the options.
    ANSWER, where a module has it, says by record type which key holds what a model is to answer: the name of the option that names it, or
    the key itself. A row that is to be predicted may have a NoAnswer there, which the converter passes on.
    UNUSED_KEYS, where a module has it, are keys that its source system writes for its own use, and that say nothing about what to train.
    SIGNATURES, where a module has it, are sets of keys: rows that have all keys of one are of this source, and of no other.
    """

    VERSION: int
    RECORD_TYPES: tuple[RecordType, ...]
    INPUT: Reads | Picks
    STATELESS: bool | Callable[[dict[str, Any]], bool]

    def convert(self, rows: Iterable[Row], record_type: RecordType, **options: Any) -> Iterator[Record | Drop]:
        """Records and drops for the rows. Every row is accounted for: it gives at least one of them."""
        ...


def converter(name: str) -> Converter:
    """The converter called `name` (one of CONVERTERS)."""
    return cast(Converter, import_module(f".{name}", __package__))


def is_stateless(name: str, options: dict[str, Any]) -> bool:
    """Whether the converter, with these options, makes a row's records of that row alone."""
    local = converter(name).STATELESS
    return local(options) if callable(local) else local


def optional_meta(name: str) -> tuple[str, ...]:
    """Keys of meta that the converter gives rows of some files and not of others: OPTIONAL_META, where a module has it."""
    return getattr(converter(name), "OPTIONAL_META", ())


def signatures(name: str) -> tuple[set[str], ...]:
    """Sets of keys that rows of this converter's source have, and of no other: SIGNATURES, where a module has it."""
    return getattr(converter(name), "SIGNATURES", ())


def answer_key(name: str, record_type: RecordType, options: dict[str, Any]) -> str | None:
    """The key of a row that holds what a model is to answer; None where the converter reads no such key."""
    module = converter(name)
    keys: dict[str, str] = getattr(module, "ANSWER", {})
    if (key := keys.get(record_type)) is None:
        return None
    option = signature(module.convert).parameters.get(key)
    return options.get(key, option.default) if option else key


def option_problems(name: str, options: dict[str, Any]) -> list[str]:
    """What is wrong with options given outside a recipe, by the same schema that a recipe's are checked with."""
    from ...schemas.schema_errors import explain
    from ...schemas.yaml_source import Document

    definition = schema("recipe")["$defs"][name]
    problems: list[Problem] = explain(Document(options, {}, {}), definition)
    return [f"{p.what}" + (f" ({p.hint})" if p.hint else "") for p in problems]


def is_valid_record(record_type: RecordType, record: dict[str, Any]) -> bool:
    """Whether the record matches its JSON Schema."""
    return validator(record_type).is_valid(record)
