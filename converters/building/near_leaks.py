"""Count rows of a split that nearly equal a row of an earlier one, and chats that answer its question otherwise; by default only if that
takes seconds.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import orjson

from ...schemas.sections import SPLITS, RecordType
from .leaks import ids_of
from .manifest import NearDuplicates
from .near_duplicates import compared_text, near_pairs, signatures
from .row_encoder import question_digest

MAX_ROWS = 200_000  # about 3 seconds of CPU time for rows of 1 kB: 11 microseconds per kB, and a temporary file of 512 bytes per row
MAX_BYTES = 256 << 20
LISTED = 5
_BATCH = 512
_NEEDED = ("numpy", "rensa")


def count_near_leaks(folder: Path, splits: Mapping[str, int], record_type: RecordType, threshold: float) -> NearDuplicates:
    """Count the rows of each split that are nearly equal to a row of an earlier split (train, validation, test), or say why not.

    The splits' files in `folder` are read in that order, so that a row is compared with the training rows first.
    """
    files = [(name, folder / f"{name}.jsonl") for name in SPLITS if splits.get(name)]
    if reason := _reason_against(sum(splits.values()), sum(file.stat().st_size for _, file in files)):
        return {"not_checked": reason}
    scratch = folder / "signatures"
    with scratch.open("wb") as stream:
        for _, file in files:
            for texts in _batches(file, record_type):
                stream.write(signatures(texts))
    owners = [name for name, _ in files for _ in range(splits[name])]
    partners: dict[int, int] = {}
    for first, second in near_pairs(scratch, threshold):
        if owners[first] != owners[second]:
            partners.setdefault(second, first)
    scratch.unlink()
    rows = {name: count for name, _ in files if (count := sum(owners[row] == name for row in partners))}
    listed = [(partners[row], row) for row in sorted(partners)[:LISTED]]
    ids = ids_of([file for _, file in files], {row for pair in listed for row in pair})
    return {"threshold": threshold, "rows": rows, "examples": [[ids[first], ids[second]] for first, second in listed]}


def _reason_against(rows: int, size: int) -> str:
    if rows > MAX_ROWS or size > MAX_BYTES:
        return f"more than {MAX_ROWS:,} rows or {MAX_BYTES >> 20} MB; data.check_leaks: near has no limit"
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        return f"needs {' and '.join(missing)}: pip install 'recipekit[data]'"
    return ""


def _batches(file: Path, record_type: RecordType) -> Iterator[list[str]]:
    with file.open("rb") as stream:
        while lines := list(islice(stream, _BATCH)):
            yield [compared_text(record_type, orjson.loads(line)) for line in lines]


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
