"""JSON values as they are written: an integer of any size stays one, and a key that an object has twice is found, of which parsers keep the
last value without a word."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import orjson

parse_json = msgspec.json.Decoder().decode  # orjson makes floats of large integers, and lists with holes where memory runs out
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what parse_json raises for text that is not JSON
LARGE = 1 << 16  # bytes: orjson crashes the process where it gets no memory for what it writes


def duplicate_key(text: bytes, value: Any) -> str | None:
    """A key that an object in the JSON `text` has twice; None where there is none. `value` is what the parser made of it.

    Every key brings a colon, and colons in texts are written as they are, but for those that are escaped: where both sides have as many, no
    key was lost.
    """
    if b"\\" in text and b"\\u003" in text:  # looking for one byte first is quicker
        return _found(text)
    return None if text.count(b":") == _colons(text, value) else _found(text)


def _colons(text: bytes, value: Any) -> int:
    """The colons of the value as JSON: those in its texts, and one a key."""
    if len(text) < LARGE:
        with suppress(orjson.JSONEncodeError):  # nested too deeply, or an integer too large
            return orjson.dumps(value).count(b":")
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            count += item.count(":")
        elif isinstance(item, dict):
            count += len(item)
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
    return count


def _found(text: bytes) -> str | None:
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    try:
        json.loads(text, object_pairs_hook=note)
    except RecursionError:
        return "an object nested too deeply to be looked at"
    return repeated[0] if repeated else None
