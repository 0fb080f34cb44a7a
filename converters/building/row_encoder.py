"""Encode a record as the line to write: its id, its origin, and the hashes by which it is compared and grouped."""

import re
from collections.abc import Sequence
from typing import Any
from unicodedata import is_normalized, normalize

import orjson
from xxhash import xxh3_128_digest

from ...schemas.sections import RecordType
from ..reading.records import Record, RecordValue
from ..sources.registry import converter
from .artifacts import may_have_artifacts
from .chat_checks import plain_contents

Message = dict[str, Any]
_BOM = "\ufeff"
# Zero-width spaces, soft hyphens, marks of direction, and how an emoji is drawn; not the joiners, which emoji and some scripts need.
_INVISIBLE = re.compile(f"[\u200b\u2060{_BOM}\xad\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufe0e\ufe0f]")
_IN_ORDER = b'{"role":'  # the key order that content_digest uses; within a text the quotes are escaped


def with_system_prompt(fields: RecordValue, prompt: str | None) -> RecordValue:
    """Return the fields with the recipe's system prompt, if it has one, first in a chat that has none."""
    messages = fields.get("messages") if prompt else None
    if not messages or messages[0].get("role") == "system":
        return fields
    return {**fields, "messages": [{"role": "system", "content": prompt}, *messages]}


def row_digest(record_type: RecordType, fields: RecordValue) -> bytes:
    """Return 16 bytes that are equal for rows with the same training effect, however Unicode encodes their texts: normalised (NFC), without
    characters that nobody sees, with one kind of line end, and stripped. The written text is not changed."""
    if record_type != "chat":
        return content_digest(record_type, fields)
    plain = ("role", "content")
    flags = ({key: value for key, value in message.items() if key not in plain} for message in fields["messages"])
    texts = ({"role": message["role"], "content": _normalised(message["content"])} for message in fields["messages"])
    return xxh3_128_digest(orjson.dumps([text | more for text, more in zip(texts, flags, strict=True)]))


def leak_digest(record_type: RecordType, fields: RecordValue, digest: bytes | None = None) -> bytes:
    """Return 16 bytes that are equal for rows that must not be in two splits: the same turns of a chat, whatever its system message and
    its training flags, or the same text, whatever its label. `digest` is the row's row_digest, if known: it is often the same."""
    if record_type == "classification":
        return xxh3_128_digest(orjson.dumps(_normalised(fields["text"])))
    if digest and (record_type == "text" or _is_bare(fields["messages"])):
        return digest
    return content_digest(record_type, fields)


def _is_bare(messages: list[Message]) -> bool:
    return messages[0]["role"] != "system" and sum(map(len, messages)) == 2 * len(messages)


def question_digest(messages: list[Message]) -> bytes:
    """Return a digest of a chat without its system message and its last reply."""
    turns = (message for message in messages[:-1] if message["role"] != "system")
    return xxh3_128_digest(orjson.dumps([[message["role"], _normalised(message["content"])] for message in turns]))


def content_digest(record_type: RecordType, fields: RecordValue) -> bytes:
    """Return a digest that ignores system messages and training flags."""
    if record_type == "chat":
        turns = (message for message in fields["messages"] if message["role"] != "system")
        content: Any = [{"role": message["role"], "content": _normalised(message["content"])} for message in turns]
    else:
        content = (_normalised(fields["text"]), fields.get("label"))
    return xxh3_128_digest(orjson.dumps(content))


def _normalised(text: str) -> str:
    if not _is_normal(text):
        text = normalize("NFC", without_invisible(text)).replace("\r\n", "\n")
    return text.strip()


def without_invisible(text: str) -> str:
    """Return the text without the characters that nobody sees."""
    return _INVISIBLE.sub("", text)


def _is_normal(text: str) -> bool:
    """Return whether normalising would change the text only by stripping it, which is the usual case and avoids a copy."""
    if "\r" in text:
        return False
    return text.isascii() or not _INVISIBLE.search(text) and is_normalized("NFC", text)


def plain_chat(messages: list[Message]) -> tuple[bytes, bytes, bool] | None:
    """Return (JSON of its field, digest, whether a text may have artifacts) of a valid chat with only roles and contents; None for any
    other record, which may still be valid.

    One encoding serves both: row_digest is taken over the same JSON. The contents are searched as one text: that takes a quarter of the
    time of searching the JSON, and if the whole is normalised, so are its parts.
    """
    has_system = bool(messages) and messages[0].get("role") == "system"
    if not (contents := plain_contents(messages, messages[1:] if has_system else messages)):
        return None
    stripped = [*map(str.strip, contents)]
    text, shortest = "".join(contents), min(map(len, stripped))
    if not shortest or _BOM in text:  # a content may be blank: record_fault decides
        return None
    body = orjson.dumps(messages)
    has_digest_of_body = body.count(_IN_ORDER) == len(messages) and contents == stripped and _is_normal(text)
    digest = xxh3_128_digest(body) if has_digest_of_body else row_digest("chat", {"messages": messages})
    return b'"messages":' + body, digest, may_have_artifacts(body, text, contents, shortest)


def reserved_key(meta: RecordValue) -> tuple[str, str] | None:
    """Return why the meta of a row cannot be written, as (reason, detail): it has another `origin` than an earlier conversion's."""
    origin = meta.get("origin")
    if origin is None or isinstance(origin, dict) and "converter" in origin:
        return None
    return "reserved_key", "'origin' in meta is where the row comes from: rename the key"


class Lines:
    """Writes a source's records as JSON lines. A record's id is its location, with a number if one location gave several records."""

    def __init__(self, converter_name: str, prefix: str) -> None:
        self.end = b',"converter":%b}}}\n' % orjson.dumps(f"{converter_name}@{converter(converter_name).VERSION}")
        self.prefix = prefix
        self.file = ""
        self.head = self.origin = b""
        self.last = (0, 0)
        self.number = 1

    def line(self, record: Record, body: bytes) -> bytes:
        """Return the line; `body` is the JSON of the fields without its braces."""
        (_, file, line, item), _, meta, _ = record
        if file != self.file:
            self._enter(file)
        at = b"%d" % line
        place = at if item == 1 else b"%b.%d" % (at, item)
        if self.last == (line, item):
            self.number += 1
            place = b"%b#%d" % (place, self.number)
        else:
            self.last = (line, item)
            self.number = 1
        if "origin" in meta:
            meta = {key: value for key, value in meta.items() if key != "origin"}
        extra = orjson.dumps(meta)[1:-1] + b"," if meta else b""
        return b"".join((self.head, place, b'",', body, b',"meta":{', extra, self.origin, at, self.end))

    def _enter(self, file: str) -> None:
        self.file = file
        self.last = (0, 0)
        self.head = b'{"id":' + orjson.dumps(f"{self.prefix}{file}:")[:-1]
        self.origin = b'"origin":{"file":%b,"line":' % orjson.dumps(file)


def group_keys(fields: RecordValue, meta: RecordValue, group_by: Sequence[str]) -> list[bytes]:
    """Return a hash for each group key of the record: rows that share one belong together. A missing value, as the empty cell of a table,
    is no group."""
    keys = []
    for name in group_by:
        value = meta.get(name, fields.get(name) if name == "text" else None)
        for item in value if isinstance(value, list) else [value]:
            if (group := _group_value(item)) not in (None, ""):
                keys.append(xxh3_128_digest(orjson.dumps([name, group])))
    return keys


def _group_value(item: Any) -> Any:
    """Return a group's value without the form in which a file writes it: 17, 17.0 and "17 " are one author, as are NFC and NFD."""
    if isinstance(item, str):
        return _normalised(item)
    if isinstance(item, float) and item.is_integer():
        return str(int(item))
    is_missing = isinstance(item, float) and item != item
    return None if is_missing else str(item) if type(item) is int else item
