"""Convert Python values to JSON values, whatever their nesting and sharing: one rule for Parquet, Arrow, pickles and the hub.

Dates become ISO 8601 and exact numbers text, as in JSON files; nan becomes null. Bytes become text where they are UTF-8, and
else {"bytes": how many}, so that the key is not empty.
"""

from datetime import date, time, timedelta
from decimal import Decimal
from math import isnan
from typing import Any
from uuid import UUID

import orjson

from .json_values import parse_json

MAX_DEPTH = 64
_GROWTH = 1000
_FREE = 1 << 20


class NotPlain(Exception):
    """The value has no JSON form; `reason` and `detail` are those of the drop."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def as_json(value: Any) -> bytes:
    """Return the value of a row as JSON. Raises NotPlain."""
    try:
        return orjson.dumps(value, default=_plain)
    except TypeError as error:  # what JSON cannot hold, or nested too deep
        raise NotPlain("not_plain", str(error)[:200]) from None


def as_read(value: Any) -> Any:
    """Return the value as it would be read from a JSON file. Raises NotPlain."""
    return parse_json(as_json(value))


def _plain(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta | UUID):
        return str(value)
    if isinstance(value, bytes):
        return _text(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def _text(value: bytes) -> str | dict[str, int]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"bytes": len(value)}


class Plain:
    """Copies values. A value that is shared is copied for each use, so a small file could grow without limit: at most 1,000 times the
    `size` of the file (bytes) is made."""

    def __init__(self, size: int) -> None:
        self.left = size * _GROWTH + _FREE

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return the value with lists for tuples and sets, text for bytes, and None for nan. Raises NotPlain."""
        self.left -= 1
        if isinstance(value, str | bytes):
            return self.text(value)
        if depth > MAX_DEPTH:
            raise NotPlain("too_deep", f"nested more than {MAX_DEPTH} deep")
        if self.left < 0:
            raise NotPlain("too_large", f"the values grow to more than {_GROWTH} times the file")
        if isinstance(value, dict):
            plain = {self.key(key): self.value(item, depth + 1) for key, item in value.items()}
            if len(plain) != len(value):
                raise NotPlain("duplicate_key", "two keys are the same text, such as 1 and '1'")
            return plain
        if isinstance(value, list | tuple):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return sorted((self.value(item, depth + 1) for item in value), key=repr)
        if isinstance(value, float) and isnan(value):
            return None
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            raise NotPlain("number_too_large", f"an integer of {value.bit_length()} bits")
        if value is not None and not isinstance(value, int | float):
            raise NotPlain("not_plain", f"a {type(value).__name__}")
        return value

    def text(self, value: str | bytes) -> str | dict[str, int]:
        self.left -= len(value)
        if self.left < 0:
            raise NotPlain("too_large", f"the values grow to more than {_GROWTH} times the file")
        try:
            if isinstance(value, bytes):
                return _text(value)
            if not value.isascii():
                value.encode()
        except UnicodeError as error:
            raise NotPlain("not_utf8", str(error)[:100]) from None
        return value

    def key(self, key: Any) -> str:
        """Return a key as text; nan and None become the empty text."""
        plain = self.value(key)
        if isinstance(plain, dict):
            raise NotPlain("not_utf8", "a key of bytes that are no text")
        return plain if isinstance(plain, str) else "" if plain is None else str(plain)
