"""Track which keys of a source's rows its converter reads. Unread keys are counted and named, at every depth that it reaches.

Rows are grouped by shape: their keys, and those of the objects in them. Rows of a shape are passed to the converter as mappings that record
reads, until every key of the shape was read; later rows of that shape are passed unchanged, so that only the first rows of an ordinary
source are slower. An object that the converter took whole, without reading a key, counts as read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from ..reading.records import Drop, Record, Row
from .row_shapes import CONTAINERS, MAX_DEPTH, Shape, common_shape, shape_of

Matters = Callable[[dict[str, Any]], tuple[str, ...]]
_Read = TypeVar("_Read", Row, Row | Drop)
MANY_SHAPES = 10_000
LISTED = 100  # unread keys listed by name
OTHERS = "(other keys)"


class UnreadKeys(NamedTuple):
    """The unread keys of one shape in a batch: whether a row became a record, whether one was dropped, and rows by unread key.

    `inside` are the keys within an unread object, which alone is named: a later row may read it, and leave some of them unread.
    """

    kept: bool
    dropped: bool
    rows: dict[str, int]
    inside: dict[str, int]

    def join(self, other: "UnreadKeys") -> "UnreadKeys":
        """Return the keys that neither of two batches has read."""
        ours, theirs = self.rows | self.inside, other.rows | other.inside
        both = {path: count + theirs[path] for path, count in ours.items() if path in theirs}
        inside = {path: count for path, count in both.items() if path in self.inside and path in other.inside}
        rows = {path: count for path, count in both.items() if path not in inside}
        return UnreadKeys(self.kept or other.kept, self.dropped or other.dropped, rows, inside)


class ShapeKeys:
    """The keys of the rows of one shape, and which of them the converter has read.

    A key has a path: `text`, `metadata.id`, `messages[].role`. An object has the path that its keys begin with: `""` (the row),
    `metadata.`, `messages[].`.
    """

    def __init__(self) -> None:
        self.kept = self.dropped = False  # whether such a row became a record, and whether one was dropped
        self.keys: dict[str, dict[str, None]] = {}  # by the path of their object, in order
        self.read: set[str] = set()  # paths of keys
        self.opened: set[str] = {""}  # paths of objects of which a key was read
        self.rows: Counter[str] = Counter()  # by the path of a key, the rows in which it is not null
        self.watched: set[str] | None = None  # paths of the keys that are still unread after a record; None before the first
        self.watched_objects: set[str] = set()  # paths of the objects around these
        self.narrowed_at = -1  # how many keys had been read when they were found

    def unread(self, ignored: frozenset[str]) -> UnreadKeys:
        """Return the keys that were never read, with the number of rows that have a value there."""
        found = UnreadKeys(self.kept, self.dropped, {}, {})
        for path, keys in self.keys.items():  # an object precedes the objects in it
            place = _place(path)
            if path in self.opened or place in found.rows or place in found.inside:
                unread = (path + key for key in keys if path + key not in self.read and not is_ignored(path + key, ignored))
                (found.rows if path in self.opened else found.inside).update((key, self.rows[key]) for key in unread)
        return found

    def narrow(self, ignored: frozenset[str]) -> None:
        """After a record, watch only the keys that are still unread."""
        if self.narrowed_at != len(self.read):
            self.narrowed_at = len(self.read)
            unread = self.unread(ignored)
            self.watched = {*unread.rows, *unread.inside}
            self.watched_objects = {path[: end + 1] for path in self.watched for end, sign in enumerate(path) if sign == "."}

    def wrap(self, row: dict[str, Any], matters: tuple[str, ...] = ()) -> "TrackedRow":
        """Return the row as a mapping that records reads; `matters` are the keys that must be read in this row."""
        if self.watched is None or self.watched:
            found: set[str] = set()
            tracked = self._object(row, "", found, 0)
            self.rows.update(found)
        else:
            tracked = TrackedRow(row)
            tracked.shape, tracked.path = self, ""
        tracked.must_read = {*matters}
        return tracked

    def _object(self, value: dict[str, Any], path: str, found: set[str], depth: int) -> "TrackedRow":
        tracked = TrackedRow()
        tracked.shape, tracked.path, tracked.must_read = self, path, _NONE
        keys = self.keys.setdefault(path, {}) if self.watched is None else {}
        for key, item in value.items():
            keys[key] = None
            if item is not None:
                place = path + key
                if self.watched is None or place in self.watched:
                    found.add(place)
                if type(item) in CONTAINERS:
                    item = self._inner(item, place, found, depth + 1)
            dict.__setitem__(tracked, key, item)
        return tracked

    def _inner(self, value: Any, path: str, found: set[str], depth: int) -> Any:
        path = f"{path}." if type(value) is dict else f"{path}[]."
        if depth > MAX_DEPTH or (self.watched is not None and path not in self.watched_objects):
            return value
        if type(value) is dict:
            return self._object(value, path, found, depth)
        inner = path[:-1]  # a list in a list: `turns[][].`
        return [
            self._object(item, path, found, depth + 1)
            if type(item) is dict
            else self._inner(item, inner, found, depth + 1)
            if type(item) is list
            else item
            for item in value
        ]


class TrackedRow(dict[str, Any]):
    """An object in a row that records which of its keys were read. Testing for a key, or listing the keys, reads nothing."""

    __slots__ = ("must_read", "path", "shape")
    must_read: set[str]
    path: str
    shape: ShapeKeys

    def _record_read(self, key: object) -> None:
        if self.must_read:
            self.must_read.discard(str(key))
        self.shape.opened.add(self.path)
        self.shape.read.add(f"{self.path}{key}")

    def __getitem__(self, key: str) -> Any:
        self._record_read(key)
        return dict.__getitem__(self, key)

    def get(self, key: str, default: Any = None, /) -> Any:
        self._record_read(key)
        return dict.get(self, key, default)

    def __iter__(self) -> Iterator[str]:  # defined so that `{**row}` and `row | other` read every value
        return dict.__iter__(self)

    def _all(self) -> None:
        for key in dict.__iter__(self):
            self._record_read(key)

    def items(self) -> Any:
        self._all()
        return dict.items(self)

    def values(self) -> Any:
        self._all()
        return dict.values(self)

    def copy(self) -> dict[str, Any]:
        return dict(self.items())


_NONE: set[str] = set()  # for objects within a row; never mutated


def plain(value: Any) -> Any:
    """Return the value with plain dicts in place of tracked ones."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in dict.items(value)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _place(path: str) -> str:
    """Return the key that holds the objects of this path: `messages` for `messages[].`."""
    place = path.removesuffix(".")
    while place.endswith("[]"):
        place = place.removesuffix("[]")
    return place


def is_ignored(path: str, ignored: frozenset[str]) -> bool:
    """Return whether the key, or an object that contains it, is in the recipe's `ignore_keys`."""
    return path in ignored or any(path.startswith((f"{key}.", f"{key}[]")) for key in ignored)


class KeyUse:
    """The shapes of the rows in a batch or stream.

    A key counts as unread only if every row of a shape leaves it unread: these are the keys that a converter does not know. Keys that must
    be read because of their value (`matters` returns them for a row) are checked in each row.
    """

    def __init__(self, ignored: Iterable[str] = (), matters: Matters = lambda row: ()) -> None:
        self.ignored = frozenset(ignored)
        self.matters = matters
        self.shapes: dict[Shape, ShapeKeys] = {}

    def track(self, rows: Iterable[_Read], together: int = 1) -> Iterator[_Read]:
        """Yield the rows, wrapped for the converter. The shapes of `together` rows are compared at once: they are all read first."""
        shapes, rows = self.shapes, iter(rows)
        while part := [*islice(rows, together)]:
            common = common_shape([row[0] for row in part if type(row) is Row])
            for row in part:
                value = row[0]
                if type(value) is dict:
                    shape = common or shape_of(value)
                    if (keys := shapes.get(shape)) is None:
                        keys = shapes[shape] = ShapeKeys()
                    matters = self.matters(value)
                    if matters or keys.watched is None or keys.watched:
                        row = row._replace(value=keys.wrap(value, matters))
                yield row

    def untracked(self, record: Record, shapes: Iterable[ShapeKeys]) -> Record:
        """Return a record made from tracked rows, with plain values."""
        for shape in shapes:
            shape.narrow(self.ignored)
        return record._replace(fields=plain(record.fields), meta=plain(record.meta))

    def paths(self) -> set[str]:
        """Return the paths of all keys of the rows."""
        return {path + key for shape in self.shapes.values() for path, keys in shape.keys.items() for key in keys}

    def result(self) -> dict[Shape, UnreadKeys]:
        """Return the unread keys by shape."""
        return {shape: keys.unread(self.ignored) for shape, keys in self.shapes.items()}


class KeyCounts:
    """The unread keys of all batches of a source. A key is unread in a shape only if no batch read it."""

    def __init__(self) -> None:
        self.shapes: dict[Shape, UnreadKeys] = {}
        self.settled: Counter[str] = Counter()

    def add(self, part: dict[Shape, UnreadKeys]) -> None:
        """Add a batch's unread keys."""
        for shape, found in part.items():
            self.shapes[shape] = before.join(found) if (before := self.shapes.get(shape)) else found
        if len(self.shapes) > MANY_SHAPES:  # the keys are data: the number of shapes is unbounded
            self.settled = self._counts()
            self.shapes.clear()

    def as_json(self) -> dict[str, int]:
        """Return rows by unread key, most frequent first. Shapes whose rows were all dropped are left out: the drops are reported
        anyway."""
        counts = sorted(self._counts().items(), key=lambda item: (-item[1], item[0]))
        more = sum(count for _, count in counts[LISTED:])
        return dict(counts[:LISTED]) | ({OTHERS: more} if more else {})

    def _counts(self) -> Counter[str]:
        counts = self.settled.copy()
        for found in self.shapes.values():
            if found.kept or not found.dropped:
                counts.update({path: rows for path, rows in found.rows.items() if rows})
        return counts
