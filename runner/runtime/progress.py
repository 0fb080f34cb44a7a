"""Lines that one process appends and another follows: how a child tells the runner what it is doing."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Progress:
    """Appends one JSON line an event, flushed at once; only the first process of several writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.enabled = int(os.environ.get("RANK", "0")) == 0

    def event(self, kind: str, **facts: Any) -> None:
        """Append an event with the time it happened."""
        if self.enabled:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"event": kind, "time": round(time.time(), 3), **facts}, ensure_ascii=False) + "\n")


class Follower:
    """Reads what was appended since the last look; a line that is not complete yet waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = path.stat().st_size if path.exists() else 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The events since the last call."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self.offset += len(line)
                yield json.loads(line)


def cut_torn_line(path: Path) -> None:
    """Take off a last line that was not written to its end, so that the next one is not glued to it."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        kept = stream.read().rfind(b"\n") + 1
        stream.truncate(kept)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every complete line of a JSON Lines file; a torn last line is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
