"""The shape of a row: its keys, and those of the objects in it, in order."""

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

MAX_DEPTH = 16  # no converter reads deeper; a row may be nested a thousand levels
CONTAINERS = frozenset((dict, list))
Shape = tuple[Any, ...] | frozenset[Any]


def common_shape(rows: Sequence[Any]) -> Shape | None:
    """Return the shape of all the rows, or None if they may have several. It takes less time than the shape of each."""
    if not rows or type(rows[0]) is not dict or (len(rows) > 1 and not _are_alike(rows)):
        return None
    return shape_of(rows[0])


def _are_alike(values: Collection[Any], depth: int = 0) -> bool:
    """Return whether the values, which are rows or what rows have in one place, certainly have the same shape."""
    types = {*map(type, values)}
    if depth > MAX_DEPTH or types.isdisjoint(CONTAINERS):
        return depth <= MAX_DEPTH
    if types == {dict}:
        places = zip(*map(dict.values, values), strict=True)
        return len({*map(tuple, values)}) == 1 and all(_are_alike(place, depth + 1) for place in places)
    if types != {list}:
        return False
    items = [*chain.from_iterable(values)]
    return _are_alike(items, depth + 1) and (all(values) or CONTAINERS.isdisjoint(map(type, items)))


def shape_of(row: dict[str, Any], depth: int = 0) -> Shape:
    """Return the shape of the row."""
    if depth > MAX_DEPTH or CONTAINERS.isdisjoint(map(type, row.values())):
        return tuple(row)
    inner = [(key, _shape(value, depth + 1)) for key, value in row.items() if type(value) in CONTAINERS]
    return (tuple(row), *inner)


def _shape(value: Any, depth: int) -> Shape:
    if type(value) is dict:
        return shape_of(value, depth)
    if not value or depth > MAX_DEPTH or (types := {*map(type, value)}).isdisjoint(CONTAINERS):
        return ()
    if types == {dict} and CONTAINERS.isdisjoint(map(type, chain.from_iterable(map(dict.values, value)))):
        return frozenset(map(tuple, value))  # a list of flat objects, such as messages: saves a call for each
    return frozenset(_shape(item, depth + 1) for item in value if type(item) in CONTAINERS)
