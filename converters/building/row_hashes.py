"""Store 16-byte content digests of the kept rows, with an index that finds duplicates.

A Python set takes about 100 bytes per row, and is used for few rows only. For more, a table of row numbers, probed with numpy for a whole
batch at a time, takes 8 to 16 bytes per row. Without numpy (the extra `data`), the set is kept.
"""

from typing import Any

WIDTH = 16
MANY = 1 << 18
_LEAST_SLOTS = 1 << 20


class Digests:
    """Digests in row order. `bits` shortens the table's hash, so that a test can check that colliding hashes lose no row."""

    def __init__(self, many: int = MANY, bits: int = 64) -> None:
        self.kept = bytearray()
        self.few: set[bytes] = set()
        self.many = many
        self.cut = 2**bits - 1
        self.table: Any = None

    def __len__(self) -> int:
        return len(self.kept) // WIDTH

    def extend(self, digests: bytes) -> None:
        """Keep the digests of a batch, duplicates included."""
        self.kept += digests

    def add(self, digests: bytes) -> list[int]:
        """Keep a batch's digests except duplicates; return the sorted positions of the duplicates in the batch."""
        parts = [digests[start : start + WIDTH] for start in range(0, len(digests), WIDTH)]
        repeated = self._in_batch(parts) | (self._in_few(parts) if self.table is None else self._in_table(digests))
        if repeated:
            parts = [part for position, part in enumerate(parts) if position not in repeated]
        first = len(self)
        self.kept += b"".join(parts) if repeated else digests
        if self.table is None:
            self.few.update(parts)
            if len(self.few) > self.many:
                self._leave_set()
        else:
            self._index(first)
        return sorted(repeated)

    def close(self) -> None:
        """Free the index; the digests are kept."""
        self.few, self.table = set(), None

    @staticmethod
    def _in_batch(parts: list[bytes]) -> set[int]:
        if len(set(parts)) == len(parts):
            return set()
        first: dict[bytes, int] = {}
        return {position for position, part in enumerate(parts) if first.setdefault(part, position) != position}

    def _in_few(self, parts: list[bytes]) -> set[int]:
        return {position for position, part in enumerate(parts) if part in self.few}

    def _leave_set(self) -> None:
        try:
            import numpy as np
        except ImportError:
            self.many = 2**63
            return
        self.few = set()
        self.table = np.zeros(_LEAST_SLOTS, np.uint32)
        self._index(0)

    def _in_table(self, digests: bytes) -> set[int]:
        """Return the positions of digests that are already kept. A slot's row is compared in full: equal hashes prove nothing."""
        import numpy as np

        wanted = np.frombuffer(digests, np.uint64).reshape(-1, 2)
        kept = np.frombuffer(self.kept, np.uint64).reshape(-1, 2)
        slots = self._slots(wanted)
        left = np.arange(len(wanted))
        found: set[int] = set()
        while left.size:
            rows = self.table[slots[left]]
            used = rows > 0
            left, rows = left[used], rows[used]
            equal = (kept[rows - 1] == wanted[left]).all(axis=1)
            found.update(left[equal].tolist())
            left = left[~equal]
            slots[left] = (slots[left] + 1) & (len(self.table) - 1)
        return found

    def _slots(self, digests: Any) -> Any:
        return ((digests[:, 0] & self.cut) & (len(self.table) - 1)).astype("int64")

    def _index(self, first: int) -> None:
        """Index the rows from `first` on; at most half of the slots are used."""
        import numpy as np

        if 2 * len(self) > len(self.table):
            slots = len(self.table)
            while 2 * len(self) > slots:
                slots *= 2
            self.table = np.zeros(slots, np.uint32)
            first = 0
        kept = np.frombuffer(self.kept, np.uint64).reshape(-1, 2)
        for start in range(first, len(kept), self.many):
            stop = min(start + self.many, len(kept))
            rows = np.arange(start + 1, stop + 1, dtype=np.uint32)
            slots = self._slots(kept[start:stop])
            while rows.size:
                free = self.table[slots] == 0
                self.table[slots[free]] = rows[free]
                lost = self.table[slots] != rows
                rows, slots = rows[lost], (slots[lost] + 1) & (len(self.table) - 1)
