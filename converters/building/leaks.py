"""Find rows and groups in two splits by comparing what was written, independently of how it was divided; count near-duplicates of a row of
an earlier split, and chats that answer its question otherwise."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import orjson

from ...schemas.base.counted import counted
from ...schemas.base.errors import GateError, Problem
from ...schemas.sections import SPLITS, RecordType, SplitName
from .manifest import NearDuplicates
from .near_duplicates import compared_text, near_pairs, signatures
from .row_encoder import question_digest
from .row_hashes import WIDTH
from .splits import key_at, sorted_positions, split_name

SHOWN = 20
# Near-duplicates are counted up to this size: 11 microseconds of CPU time per kB of a row, and 512 bytes of a temporary file per row.
MAX_ROWS = 200_000
MAX_BYTES = 256 << 20
LISTED = 5  # near-duplicates
_BATCH = 512
_NEEDED = ("numpy", "rensa")

# What must not be in two splits: a chat's turns whatever its system message, a text whatever its label.
COMPARED: dict[RecordType, str] = {"chat": "conversation", "classification": "text", "text": "text"}


class Leak(NamedTuple):
    """Two rows in different splits that belong together. `kind` is conversation, text, group or near-duplicate."""

    kind: str
    first: str
    first_split: str
    second: str
    second_split: str

    def __str__(self) -> str:
        return f"the same {self.kind} is in {self.first_split} ({self.first}) and {self.second_split} ({self.second})"


class Pair(NamedTuple):
    """Two rows, by number, in different splits that belong together."""

    kind: str
    first: int
    second: int


def find_leaks(kind: str, keys: bytes | bytearray, owners: Sequence[int], splits: Sequence[int]) -> Iterator[Pair]:
    """Yield a pair for every row with a key (of 16 bytes) whose first row is in another split."""
    first = -1
    order = sorted_positions(keys)
    if order:
        first = order[0]
    for before, after in pairwise(order):
        if key_at(keys, before) != key_at(keys, after):
            first = after
        elif splits[owners[first]] != splits[owners[after]]:
            yield Pair(kind, owners[first], owners[after])


def removed_duplicates(removed: Mapping[SplitName, bytes | bytearray], kept: bytes | bytearray, splits: Sequence[int]) -> dict[str, int]:
    """Count the duplicates that were removed from the sources of one split because their equal is in another split.

    `removed` are their digests by split, `kept` the digests of the rows that were kept.
    """
    counts: dict[str, int] = {}
    for split, digests in removed.items():
        wanted = Counter(bytes(key_at(digests, number)) for number in range(len(digests) // WIDTH))
        others = (row for row, place in enumerate(splits) if split_name(place) != split)
        if count := sum(wanted[bytes(key_at(kept, row))] for row in others):
            counts[split] = count
    return counts


def refuse(pairs: Iterable[Pair], lines: Path, splits: Sequence[int]) -> None:
    """Raise GateError if there are leaks; the first pairs are listed by the ids of their rows, which are read from the file `lines`."""
    remaining = iter(pairs)
    shown = list(islice(remaining, SHOWN))
    if not shown:
        return
    count = len(shown) + sum(1 for _ in remaining)
    ids = ids_of([lines], {row for pair in shown for row in (pair.first, pair.second)})
    leaks = [Leak(kind, ids[first], split_name(splits[first]), ids[second], split_name(splits[second])) for kind, first, second in shown]
    hint = "group the rows with data.split.group_by, remove duplicates with data.dedup, or remove the fixed split of a source"
    raise leak_error(leaks, count, f"{counted(count, 'leak')} between splits", hint)


def leak_error(shown: Iterable[Leak], count: int, what: str, hint: str) -> GateError:
    """Return the error for `count` leaks, of which the first SHOWN are given."""
    more = f" (the first {SHOWN} are listed)" if count > SHOWN else ""
    listed = [Problem("", str(leak), rule="leak") for leak in shown]
    return GateError(*listed, Problem("", f"{what}{more}", hint, "leak"))


def ids_of(files: Iterable[Path], wanted: set[int]) -> dict[int, str]:
    """Return the ids of rows by their number, counted through all files."""
    ids: dict[int, str] = {}
    number = 0
    for file in files if wanted else ():
        with file.open("rb") as stream:
            for line in stream:
                if number in wanted:
                    ids[number] = orjson.loads(line)["id"]
                number += 1
    return ids


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
