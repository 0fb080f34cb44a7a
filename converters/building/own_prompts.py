"""Count the training rows with a system prompt of their own, which no recipe knows: what answers later has to be given one."""

from pathlib import Path

import orjson

_SYSTEM = b'"role":"system"'  # as a converted file writes it; within a text the quotes are escaped


def count_own_prompts(train: Path) -> int:
    """Return how many chats of a converted file begin with a system message."""
    with train.open("rb") as lines:
        return sum(_SYSTEM in line and orjson.loads(line)["messages"][0]["role"] == "system" for line in lines)
