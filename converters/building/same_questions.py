"""Count chats that ask what a row of an earlier split asks, and answer it otherwise."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from ...schemas.sections import SPLITS
from .near_leaks import MAX_ROWS
from .row_encoder import question_digest


def count_same_questions(folder: Path, splits: Mapping[str, int]) -> dict[str, int]:
    """Return, for each split, the rows whose question (all but the last reply) occurs in an earlier split (train, validation, test). Equal
    chats were refused before, so the answers differ. Empty beyond the number of rows for which near-duplicates are counted."""
    if sum(splits.values()) > MAX_ROWS:
        return {}
    seen: set[bytes] = set()
    counts: dict[str, int] = {}
    for split in (name for name in SPLITS if splits.get(name)):
        with (folder / f"{split}.jsonl").open("rb") as lines:
            digests = [question_digest(orjson.loads(line)["messages"]) for line in lines]
        if count := sum(digest in seen for digest in digests):
            counts[split] = count
        seen.update(digests)
    return counts
