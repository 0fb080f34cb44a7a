"""Apply a source's word budget: whole rows in a seeded order, until the next row would exceed it.

A larger budget keeps the rows of a smaller one. What is kept depends neither on the order of the rows nor on how they are read.
"""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from ...schemas.base.counted import counted
from ...schemas.sections import Data, RecordType
from ..reading.records import RecordValue
from .row_hashes import WIDTH
from .splits import key_at, sorted_positions

OVER_BUDGET = "over_budget"
_PURPOSE = b"budget"  # an order independent of the splits, so that no split is biased towards a source with a budget


def has_budget(data: Data) -> bool:
    """Return whether a source has a word budget. The words of every source are then counted."""
    return any(source.max_words is not None for source in data.sources)


def count_words(record_type: RecordType, fields: RecordValue) -> int:
    """Return the number of words in a record, separated by white space as `wc -w` counts them; in a chat, of all messages."""
    if record_type == "chat":
        return sum(len(message["content"].split()) for message in fields["messages"] if isinstance(message["content"], str))
    return len(fields["text"].split())


def over_budget(data: Data, sources: Sequence[int], words: Sequence[int], digests: bytes | bytearray) -> bytearray:
    """Return a flag for every row: 1 if its source's budget excludes it. Row n belongs to source `sources[n]`, has `words[n]` words, and
    the n-th of the `digests`."""
    left: dict[int, int] = {number: source.max_words for number, source in enumerate(data.sources) if source.max_words is not None}
    seed = str(data.split.seed).encode()
    gone = bytearray(len(sources))
    concerned = array("Q", (row for row, source in enumerate(sources) if source in left))
    ranks = b"".join(blake2b(key_at(digests, row), key=seed, person=_PURPOSE, digest_size=WIDTH).digest() for row in concerned)
    for position in sorted_positions(ranks):
        row = concerned[position]
        if words[row] > left[sources[row]]:
            left[sources[row]] = -1  # stop here: filling up with shorter rows would favour them
        if left[sources[row]] < 0:
            gone[row] = 1
        else:
            left[sources[row]] -= words[row]
    return gone


def composition(sources: Sequence[dict[str, Any]]) -> list[str]:
    """Return one line for each source of a manifest; empty if words were not counted."""
    total = sum(source.get("words", 0) for source in sources)
    return [_line(source, total) for source in sources if "words" in source]


def _line(source: dict[str, Any], total: int) -> str:
    files = [file["name"] for file in source["files"]]
    name = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1:,} more"
    line = f"{name}: {counted(source['rows_kept'], 'row')}, {counted(source['words'], 'word')}"
    line += f" ({100 * source['words'] / total:.1f} %)" if total else ""
    line += f", before weight {source['weight']:g}" if source["weight"] != 1 else ""
    if (most := source.get("max_words")) is None:
        return line
    if left_out := source[OVER_BUDGET]:
        return f"{line}; max_words {most:,}: {counted(left_out, 'row')} dropped"
    return f"{line}; max_words {most:,}" + (" not reached: the source has no more" if source["words"] < most else "")
