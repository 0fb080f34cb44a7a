"""Count generated rows by model, by prompt, by number of turns and by emotion."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

MOST = 100  # values that are listed per kind


def composition(path: Path) -> dict[str, dict[str, int]]:
    """Return the number of rows by each of these, the most frequent first; a kind that no row has is left out."""
    counts: dict[str, Counter[str]] = {"model": Counter(), "prompt": Counter(), "turns": Counter(), "emotion": Counter()}
    with path.open("rb") as stream:
        for line in stream:
            for kind, value in _facts(orjson.loads(line)):
                counts[kind][value] += 1
    return {kind: dict(found.most_common(MOST)) for kind, found in counts.items() if found}


def composition_lines(found: dict[str, dict[str, int]]) -> list[str]:
    """Return one line for each kind with several values."""
    return [f"rows by {kind}: {_listed(values)}" for kind, values in found.items() if len(values) > 1]


def _listed(values: dict[str, int]) -> str:
    first = [f"{value}: {count:,}" for value, count in list(values.items())[:8]]
    return ", ".join(first) + (f", {len(values) - 8:,} more" if len(values) > 8 else "")


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    meta = row["metadata"] if isinstance(row.get("metadata"), dict) else row
    if "model" in meta:
        yield "model", f"{meta.get('provider')}/{meta['model']}"
    emotion = meta.get("label_0", meta.get("emotion"))  # of several labels the first
    for kind, value in (("prompt", meta.get("prompt")), ("emotion", emotion)):
        if isinstance(value, str):
            yield kind, value
    if isinstance(turns := row.get("conversation"), list):
        yield "turns", str(len(turns))
    elif isinstance(messages := row.get("messages"), list):
        yield "turns", str(sum(message["role"] == "assistant" for message in messages))
