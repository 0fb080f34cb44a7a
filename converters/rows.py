"""A record's fields -> the row that is written: its id, where it came from, what it is compared and grouped by."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson

from ..schemas.sections import RecordType
from .records import Record, RecordValue
from .registry import converter


def with_system_prompt(fields: RecordValue, prompt: str | None) -> RecordValue:
    """The fields with the recipe's system prompt before a chat that has none of its own."""
    messages = fields.get("messages")
    if not prompt or not messages or messages[0].get("role") == "system":
        return fields
    return {**fields, "messages": [{"role": "system", "content": prompt}, *messages]}


def content_digest(kind: RecordType, fields: RecordValue) -> bytes:
    """16 bytes that are equal for rows of equal content. A chat's system message is left out: many rows share one."""
    if kind == "chat":
        content: Any = [(m["role"], m["content"]) for m in fields["messages"] if m["role"] != "system"]
    else:
        content = (fields["text"], fields.get("label"))
    return blake2b(orjson.dumps(content), digest_size=16).digest()


def complete_row(record: Record, fields: RecordValue, converter_name: str, prefix: str, previous_id: str) -> RecordValue:
    """The whole row. Its id is the place that it came from, numbered where one place gave several rows."""
    source = record.row
    base = f"{prefix}{source.file}:{source.line}"
    if previous_id == base or previous_id.startswith(f"{base}#"):
        number = int(previous_id.removeprefix(f"{base}#")) + 1 if "#" in previous_id[len(base) :] else 2
        identity = f"{base}#{number}"
    else:
        identity = base
    origin = {"file": source.file, "line": source.line, "converter": f"{converter_name}@{converter(converter_name).VERSION}"}
    return {"id": identity, **fields, "meta": {**record.meta, "origin": origin}}


def group_keys(row: RecordValue, group_by: Sequence[str]) -> list[bytes]:
    """A hash for each key that the row has: rows that share any of them belong together."""
    keys = []
    for name in group_by:
        value = row["meta"].get(name, row.get(name) if name == "text" else None)
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                keys.append(blake2b(orjson.dumps([name, item]), digest_size=16).digest())
    return keys
