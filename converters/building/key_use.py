"""Which keys of a source's rows its converter reads. What it leaves unread is counted and named, at every depth that it looks at.

Rows are told apart by their shape: their keys, and those of the objects inside. The rows of a shape are handed to the converter as
mappings that remember what was read, until every key of the shape was; from then on rows of that shape pass as they are, so that an
ordinary source pays for its first rows only. An object that the converter took whole, without reading a key of it, counts as read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from ..reading.records import Record, Row

Matters = Callable[[dict[str, Any]], tuple[str, ...]]
MANY_SHAPES = 10_000
LISTED = 100  # keys that are named
OTHERS = "(other keys)"
MAX_DEPTH = 16  # no converter looks deeper; a row may nest a thousand deep
_CONTAINERS = frozenset((dict, list))
Shape = tuple[Any, ...] | frozenset[Any]


class UnreadKeys(NamedTuple):
    """What a batch found about the rows of one shape: whether any became a record, whether any was dropped, rows by unread key.

    `inside` are those of the keys within an unread object, which alone is named: a later row may read it, and leave some of them unread.
    """

    kept: bool
    dropped: bool
    rows: dict[str, int]
    inside: dict[str, int]

    def join(self, other: "UnreadKeys") -> "UnreadKeys":
        """What neither of two batches has read."""
        ours, theirs = self.rows | self.inside, other.rows | other.inside
        both = {path: count + theirs[path] for path, count in ours.items() if path in theirs}
        inside = {path: count for path, count in both.items() if path in self.inside and path in other.inside}
        rows = {path: count for path, count in both.items() if path not in inside}
        return UnreadKeys(self.kept or other.kept, self.dropped or other.dropped, rows, inside)


def shape_of(row: dict[str, Any], depth: int = 0) -> Shape:
    """The keys of the row and of the objects in it, in order."""
    if depth > MAX_DEPTH or _CONTAINERS.isdisjoint(map(type, row.values())):
        return tuple(row)
    inner = [(key, _shape(value, depth + 1)) for key, value in row.items() if type(value) in _CONTAINERS]
    return (tuple(row), *inner)


def _shape(value: Any, depth: int) -> Shape:
    if type(value) is dict:
        return shape_of(value, depth)
    if not value or depth > MAX_DEPTH or (types := {*map(type, value)}).isdisjoint(_CONTAINERS):
        return ()
    if types == {dict} and _CONTAINERS.isdisjoint(map(type, chain.from_iterable(map(dict.values, value)))):
        return frozenset(map(tuple, value))  # a list of flat objects, as messages are: no call a message
    return frozenset(_shape(item, depth + 1) for item in value if type(item) in _CONTAINERS)


class ShapeUse:
    """The rows of one shape. `names` are the keys by the path of their object (`""`, `metadata.`, `messages[].`); `rows` counts, by the
    path of a key, the rows where it is not null. `watched` are the keys still unread after the first record, None before it."""

    def __init__(self) -> None:
        self.kept = self.dropped = False
        self.names: dict[str, dict[str, None]] = {}
        self.read: set[str] = set()
        self.entered: set[str] = {""}
        self.rows: Counter[str] = Counter()
        self.watched: set[str] | None = None
        self.objects: set[str] = set()  # the paths of the objects that hold a watched key
        self.checked = -1

    def unread(self, ignored: frozenset[str]) -> UnreadKeys:
        """The keys that nothing has read, with the rows that have a value there."""
        found = UnreadKeys(self.kept, self.dropped, {}, {})
        for path, names in self.names.items():  # an object comes before those in it
            place = _place(path)
            if path in self.entered or place in found.rows or place in found.inside:
                unread = (path + name for name in names if path + name not in self.read and not is_ignored(path + name, ignored))
                (found.rows if path in self.entered else found.inside).update((key, self.rows[key]) for key in unread)
        return found

    def narrow(self, ignored: frozenset[str]) -> None:
        """After a record: watch only what is unread still."""
        if self.checked != len(self.read):
            self.checked = len(self.read)
            unread = self.unread(ignored)
            self.watched = {*unread.rows, *unread.inside}
            self.objects = {path[: end + 1] for path in self.watched for end, sign in enumerate(path) if sign == "."}

    def wrap(self, row: dict[str, Any], matters: tuple[str, ...] = ()) -> "TrackedRow":
        """The row as a mapping that remembers what is read, and which of the keys that matter are not read of this row."""
        if self.watched is None or self.watched:
            found: set[str] = set()
            tracked = self._object(row, "", found, 0)
            self.rows.update(found)
        else:
            tracked = TrackedRow(row)
            tracked.use, tracked.path = self, ""
        tracked.must_read = {*matters}
        return tracked

    def _object(self, value: dict[str, Any], path: str, found: set[str], depth: int) -> "TrackedRow":
        tracked = TrackedRow()
        tracked.use, tracked.path, tracked.must_read = self, path, _NONE
        names = self.names.setdefault(path, {}) if self.watched is None else {}
        for key, item in value.items():
            names[key] = None
            if item is not None:
                place = path + key
                if self.watched is None or place in self.watched:
                    found.add(place)
                if type(item) in _CONTAINERS:
                    item = self._inner(item, place, found, depth + 1)
            dict.__setitem__(tracked, key, item)
        return tracked

    def _inner(self, value: Any, path: str, found: set[str], depth: int) -> Any:
        path = f"{path}." if type(value) is dict else f"{path}[]."
        if depth > MAX_DEPTH or (self.watched is not None and path not in self.objects):
            return value
        if type(value) is dict:
            return self._object(value, path, found, depth)
        inner = path[:-1]  # a list within a list: `turns[][].`
        return [
            self._object(item, path, found, depth + 1)
            if type(item) is dict
            else self._inner(item, inner, found, depth + 1)
            if type(item) is list
            else item
            for item in value
        ]


class TrackedRow(dict[str, Any]):
    """An object of a row that remembers which of its keys were read. Asking whether a key is there, or for the names, reads nothing."""

    __slots__ = ("must_read", "path", "use")
    must_read: set[str]
    path: str
    use: ShapeUse

    def _note(self, key: object) -> None:
        if self.must_read:
            self.must_read.discard(str(key))
        self.use.entered.add(self.path)
        self.use.read.add(f"{self.path}{key}")

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return dict.__getitem__(self, key)

    def get(self, key: str, default: Any = None, /) -> Any:
        self._note(key)
        return dict.get(self, key, default)

    def __iter__(self) -> Iterator[str]:  # defined, so that `{**row}` and `row | other` ask for every value
        return dict.__iter__(self)

    def _all(self) -> None:
        for key in dict.__iter__(self):
            self._note(key)

    def items(self) -> Any:
        self._all()
        return dict.items(self)

    def values(self) -> Any:
        self._all()
        return dict.values(self)

    def copy(self) -> dict[str, Any]:
        return dict(self.items())


_NONE: set[str] = set()  # of objects within a row; never changed


def plain(value: Any) -> Any:
    """The value with ordinary mappings for the tracked ones."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in dict.items(value)}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _place(path: str) -> str:
    """The key that holds the objects of this path: `messages` for `messages[].`."""
    place = path.removesuffix(".")
    while place.endswith("[]"):
        place = place.removesuffix("[]")
    return place


def is_ignored(path: str, ignored: frozenset[str]) -> bool:
    """Whether the key, or an object that it lies in, is in the recipe's `ignore_keys`."""
    return path in ignored or any(path.startswith((f"{key}.", f"{key}[]")) for key in ignored)


class KeyUse:
    """The shapes of a batch's rows, or of a stream's.

    A key that one row of a shape leaves unread is unread only where all do: what is counted is the keys that a converter does not know. A
    key whose value matters is another thing: each row has to have it read, whatever its neighbours are. `matters` names these of a row.
    """

    def __init__(self, ignored: Iterable[str] = (), matters: Matters = lambda row: ()) -> None:
        self.ignored = frozenset(ignored)
        self.matters = matters
        self.shapes: dict[Shape, ShapeUse] = {}

    def track(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, to be handed to the converter."""
        shapes = self.shapes
        for row in rows:
            value = row[0]
            if type(value) is dict:
                shape = shape_of(value)
                if (use := shapes.get(shape)) is None:
                    use = shapes[shape] = ShapeUse()
                matters = self.matters(value)
                if matters or use.watched is None or use.watched:
                    row = row._replace(value=use.wrap(value, matters))
            yield row

    def untracked(self, record: Record, uses: Iterable[ShapeUse]) -> Record:
        """A record that came of tracked rows, without what tracks them."""
        for use in uses:
            use.narrow(self.ignored)
        return record._replace(fields=plain(record.fields), meta=plain(record.meta))

    def result(self) -> dict[Shape, UnreadKeys]:
        """What was left unread, by shape."""
        return {shape: use.unread(self.ignored) for shape, use in self.shapes.items()}


class KeyCounts:
    """What all batches of a source left unread. A key is unread in a shape only when no batch read it."""

    def __init__(self) -> None:
        self.shapes: dict[Shape, UnreadKeys] = {}
        self.settled: Counter[str] = Counter()

    def add(self, part: dict[Shape, UnreadKeys]) -> None:
        """Count a batch's findings."""
        for shape, found in part.items():
            self.shapes[shape] = before.join(found) if (before := self.shapes.get(shape)) else found
        if len(self.shapes) > MANY_SHAPES:  # rows whose keys are data: their shapes never end
            self.settled = self._counts()
            self.shapes.clear()

    def as_json(self) -> dict[str, int]:
        """Rows by unread key, most frequent first. Rows that gave no record are left out: why they were dropped is told elsewhere."""
        counts = sorted(self._counts().items(), key=lambda item: (-item[1], item[0]))
        more = sum(count for _, count in counts[LISTED:])
        return dict(counts[:LISTED]) | ({OTHERS: more} if more else {})

    def _counts(self) -> Counter[str]:
        counts = self.settled.copy()
        for found in self.shapes.values():
            if found.kept or not found.dropped:
                counts.update({path: rows for path, rows in found.rows.items() if rows})
        return counts
