"""The content digests of the rows kept so far: 16 bytes a row, and an index that finds a repeated one.

A Python set costs about 100 bytes a row; here it serves only until there are many. Then a table of row numbers, probed for a whole batch
at a time with numpy, takes its place: 8 to 16 bytes a row. Without numpy (the extra `data`) the set goes on.
"""

from typing import Any

WIDTH = 16
MANY = 1 << 18
_LEAST_SLOTS = 1 << 20


class Digests:
    """Digests in the order of the rows. `bits` cuts the table's hash short, to let a test see that equal hashes lose no row."""

    def __init__(self, many: int = MANY, bits: int = 64) -> None:
        self.kept = bytearray()
        self.few: set[bytes] = set()
        self.many = many
        self.cut = 2**bits - 1
        self.table: Any = None

    def __len__(self) -> int:
        return len(self.kept) // WIDTH

    def extend(self, digests: bytes) -> None:
        """Keep the digests of a batch, repeated or not."""
        self.kept += digests

    def add(self, digests: bytes) -> list[int]:
        """Keep a batch's digests but the repeated ones; the positions in the batch of those, sorted."""
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
        """Free the index; the digests stay."""
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
        """Positions of the digests that are kept already. A slot's row is compared in full: an equal hash alone proves nothing."""
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
        """Put the rows from `first` on into the table; at most half of its slots are ever used."""
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
