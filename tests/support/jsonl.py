"""Files of JSON Lines."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_jsonl(path: Path, rows: Iterable[Any]) -> Path:
    """Write a line for each row, and the folder; text and bytes are lines as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(line_of, rows)))
    return path


def line_of(row: Any) -> bytes:
    """A row as a line; text gets its line end, bytes have theirs."""
    if isinstance(row, bytes):
        return row
    text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return text.encode() + b"\n"


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
