"""Keys that one JSON object has twice: parsers keep the last value without a word, so that a conversation could be lost."""

import json
from typing import Any

import orjson


def duplicate_key(text: bytes, value: Any) -> str | None:
    """A key that an object in the JSON `text` has twice; None where there is none. `value` is what the parser made of it.

    Every key brings a colon, and colons in texts are written as they are, but for those that are escaped: where both sides have as many, no
    key was lost.
    """
    if b"\\" in text and b"\\u003" in text:  # looking for one byte first is quicker
        return _found(text)
    try:
        if text.count(b":") == orjson.dumps(value).count(b":"):
            return None
    except orjson.JSONEncodeError:  # nested too deeply, or a lone surrogate
        if text.count(b":") == _colons(value):
            return None
    return _found(text)


def _colons(value: Any) -> int:
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
