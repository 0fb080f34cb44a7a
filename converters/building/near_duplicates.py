"""Find rows with nearly equal texts: MinHash over character shingles. numpy makes the shingles, rensa (Rust) the signatures.

A signature estimates the Jaccard similarity of two sets of shingles: the share of its 128 numbers that are equal. Rows that share a band
of a few numbers are candidates, and the whole signatures decide. The bands are chosen so that a pair at the threshold is a candidate with
probability 0.995, and a more similar pair with a higher one.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import log
from pathlib import Path
from struct import Struct
from typing import Any

from ...schemas.base.errors import UserError
from ...schemas.sections import RecordType
from ..reading.records import RecordValue

SHINGLE = 4  # characters; an edit changes four shingles, so 3 % edited characters give a similarity of 0.79
PERMUTATIONS = 128
WIDTH = 4 * PERMUTATIONS  # bytes per signature
_SEED = 42
_BLOCK = 1 << 15  # hashes per step: fits the CPU cache, which halves the time
_COMPARED = 1 << 16  # pairs at once
_WANTED = 0.995
_REACH = 16  # a row is compared with the first row of its band value and with this many preceding ones
PARTNERS = _REACH + 1  # earlier rows kept for a row: the pairs of any file need at most 136 bytes per row
_NOTHING = 0xFFFFFFFF  # first number of the signature of a text too short for a shingle


def compared_text(record_type: RecordType, fields: RecordValue) -> str:
    """Return the text by which a record is compared: a chat without its system message, a classification without its label."""
    if record_type == "chat":
        return "\n".join(message["content"] for message in fields["messages"] if message["role"] != "system")
    return fields["text"]


def signatures(texts: Sequence[str]) -> bytes:
    """Return a signature of WIDTH bytes for each text; capitals and small letters make no difference."""
    np, rensa = _libraries()
    texts = [text.casefold() for text in texts]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    hashes, counts = _shingle_hashes(np, "".join(texts), lengths)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, PERMUTATIONS, _SEED)
    pack = Struct(f"={PERMUTATIONS}I").pack
    return b"".join([pack(*row) for row in matrix.to_rows()])


def _shingle_hashes(np: Any, text: str, lengths: Any) -> tuple[Any, Any]:
    """Return 64-bit hashes of the shingles of every text (`text` is all of them joined), and how many each text has."""
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    hashes = np.zeros(len(characters), np.uint64)
    for start in range(0, len(characters) - SHINGLE + 1, _BLOCK):
        stop = min(start + _BLOCK, len(characters) - SHINGLE + 1)
        part = hashes[start:stop]
        numbers = characters[start : stop + SHINGLE - 1].astype(np.uint64)
        numbers += np.uint64(1)
        for place in range(SHINGLE):
            part *= np.uint64(0x9E3779B97F4A7C15)
            part += numbers[place : place + len(part)]
        part ^= part >> np.uint64(30)
        part *= np.uint64(0xBF58476D1CE4E5B9)
        part ^= part >> np.uint64(27)
    ends = np.cumsum(lengths)
    if len(lengths) and lengths.min() >= SHINGLE:
        # A shingle that would reach into the next text is replaced by the text's last one: a repeated element does not change a set's
        # minimum.
        for back in range(1, SHINGLE):
            hashes[ends - back] = hashes[ends - SHINGLE]
        return hashes, lengths
    within = np.ones(len(hashes), bool)
    for back in range(1, SHINGLE):
        places = ends - back
        within[places[places >= ends - lengths]] = False
    return hashes[within], np.maximum(lengths - SHINGLE + 1, 0)


def bands(threshold: float) -> tuple[int, int]:
    """Return (bands, numbers per band): the longest bands that find a pair at the threshold with the wanted probability."""
    for rows in range(16, 1, -1):
        count = PERMUTATIONS // rows
        if count * log(max(1 - threshold**rows, 1e-300)) <= log(1 - _WANTED):
            return count, rows
    return PERMUTATIONS, 1


class NearPairs:
    """Pairs (earlier row, later row), sorted, in 8 bytes each; a tuple of two numbers takes 120."""

    def __init__(self, packed: Any, rows: int) -> None:
        self.packed = packed  # later row * number of rows + earlier row
        self.rows = rows

    def __len__(self) -> int:
        return len(self.packed)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for start in range(0, len(self.packed), _BLOCK):
            numbers = self.packed[start : start + _BLOCK].tolist()
            yield from ((number % self.rows, number // self.rows) for number in numbers)


def near_pairs(path: Path, threshold: float) -> NearPairs:
    """Return the pairs of signatures in the file that are similar enough, sorted by the later row.

    A row that is similar to many earlier ones is paired with the first PARTNERS of them.
    """
    np, _ = _libraries()
    pairs = np.empty(0, np.uint64)
    if not path.stat().st_size:
        return NearPairs(pairs, 0)
    table = np.memmap(path, np.uint32, "r").reshape(-1, PERMUTATIONS)
    rows = np.flatnonzero(table[:, 0] != _NOTHING)
    for candidates in _candidates(np, table, rows, *bands(threshold)):
        pairs = _merged(np, pairs, _checked(np, table, candidates, threshold), len(table))
    return NearPairs(pairs, len(table))


def _merged(np: Any, pairs: Any, more: Any, rows: int) -> Any:
    """Return the union of packed pairs, sorted, with the first PARTNERS earlier rows of each later row."""
    both = np.unique(np.concatenate((pairs, more)))
    later = both // np.uint64(rows)
    kept = np.ones(len(both), bool)
    kept[PARTNERS:] = later[PARTNERS:] != later[:-PARTNERS]  # sorted by the earlier row within a later one
    return both[kept]


def _candidates(np: Any, table: Any, rows: Any, count: int, width: int) -> Iterator[Any]:
    """Yield pairs that share a band, as later row * number of rows + earlier row; a pair may come from several bands."""
    if not len(rows):
        return
    total = np.uint64(len(table))
    low = np.uint64((1 << len(table).bit_length()) - 1)
    for band in range(count):
        numbers = table[:, band * width : (band + 1) * width][rows].astype(np.uint64)
        keys = np.zeros(len(rows), np.uint64)
        for column in range(width):
            keys ^= numbers[:, column]
            keys *= np.uint64(0x9E3779B97F4A7C15)
            keys ^= keys >> np.uint64(29)
        # Sorting key and row in one number is twenty times as fast as argsort; rows with equal keys stay in order.
        packed = np.sort((keys & ~low) | rows.astype(np.uint64))
        shared = (packed[1:] ^ packed[:-1]) <= low
        packed = packed[np.concatenate((shared, [False])) | np.concatenate(([False], shared))]
        if not len(packed):
            continue
        keys, sorted_rows = packed & ~low, packed & low
        starts = np.concatenate(([True], keys[1:] != keys[:-1]))
        first = sorted_rows[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
        parts = [(sorted_rows * total + first)[~starts]]
        for step in range(1, _REACH + 1):
            same = keys[step:] == keys[:-step]
            if not same.any():
                break
            parts.append(sorted_rows[step:][same] * total + sorted_rows[:-step][same])
        yield np.unique(np.concatenate(parts))


def _checked(np: Any, table: Any, pairs: Any, threshold: float) -> Any:
    """Return the pairs whose whole signatures are similar enough."""
    kept = []
    for start in range(0, len(pairs), _COMPARED):
        part = pairs[start : start + _COMPARED]
        earlier, later = part % np.uint64(len(table)), part // np.uint64(len(table))
        kept.append(part[(table[earlier] == table[later]).mean(axis=1) >= threshold])
    return np.concatenate(kept) if kept else pairs


def repeated_rows(pairs: Iterable[tuple[int, int]], rows: int) -> bytearray:
    """Return 1 for every row that is nearly equal to an earlier row that is kept."""
    gone = bytearray(rows)
    for earlier, later in pairs:
        gone[later] |= not gone[earlier]
    return gone


def _libraries() -> tuple[Any, Any]:
    try:
        import numpy
        import rensa
    except ImportError as error:
        raise UserError(f"near-duplicates need {error.name}", hint="pip install 'recipekit[data]'") from None
    return numpy, rensa
