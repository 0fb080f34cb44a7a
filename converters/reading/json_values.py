"""Parse JSON without losing anything: integers of any size are kept, and duplicate keys, which parsers drop silently, are found."""

import json
from typing import Any

import msgspec
import orjson

parse_json = msgspec.json.Decoder().decode  # orjson turns large integers into floats, and returns lists with holes when memory runs out
write_json = msgspec.json.Encoder(enc_hook=str).encode  # orjson refuses integers beyond 64 bits
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # raised by parse_json for invalid JSON
_BACKSLASH = ord("\\")
LARGE = 1 << 16  # bytes: orjson crashes the process if it cannot allocate its output


def duplicate_key(text: bytes, value: Any) -> str | None:
    """Return a key that occurs twice in one object of the JSON `text`, or None. `value` is the parsed text.

    Every key adds a colon, and colons within strings are written unescaped or as \\u003a: with equally many colons in `text` and `value`,
    no key was lost.
    """
    if _BACKSLASH in text and b"\\u003" in text:  # searching for one byte by its number is several times as fast
        return _found(text)
    try:
        colons = orjson.dumps(value).count(b":") if len(text) < LARGE else _colons(value)
    except orjson.JSONEncodeError:  # nested too deeply, or an integer too large
        colons = _colons(value)
    return None if text.count(b":") == colons else _found(text)


def _colons(value: Any) -> int:
    """Return the number of colons in the value as JSON: those within its strings, and one per key."""
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

    def collect(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(key)
            seen.add(key)

    try:
        json.loads(text, object_pairs_hook=collect)
    except RecursionError:
        return "an object nested too deeply to check"
    return repeated[0] if repeated else None
