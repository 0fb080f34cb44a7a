"""The plain values of a recipe: look up, set and remove by key path, and build frozen sections. Nothing is changed in place."""

from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin

from .yaml_source import KeyPath

Section = TypeVar("Section")
_WHOLE = (int, int | None, int | Literal["auto"])


def is_written(values: Any, path: KeyPath) -> bool:
    """Return whether the values have the key at `path`, whatever its value."""
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def value_at(values: Any, path: KeyPath) -> Any:
    """Return the value at `path`; None if there is none."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def replaced_at(values: Any, path: KeyPath, value: Any) -> Any:
    """Return a copy with `value` at `path`; missing mappings are created."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(values, list):
        return [replaced_at(item, rest, value) if index == head else item for index, item in enumerate(values)]
    return {**(values or {}), head: replaced_at((values or {}).get(head), rest, value)}


def without(values: Any, path: KeyPath) -> Any:
    """Return a copy without the key at `path`."""
    parent: Any = values
    for part in path[:-1]:
        parent = parent[part]
    return replaced_at(values, path[:-1], {key: value for key, value in parent.items() if key != path[-1]})


def built(section: type[Section], values: dict[str, Any]) -> Section:
    """Return a frozen section, with those inside it, from plain values that the schema accepts: lists become tuples, and 4.0 becomes 4
    where a whole number is wanted."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        kind = section.__annotations__[key]
        if isinstance(value, list):
            inner = _section_in(kind)
            value = tuple(built(inner, item) for item in value) if inner else tuple(value)
        elif isinstance(value, dict) and (inner := _section_in(kind)):
            by_name = get_origin(kind) is dict
            value = {name: built(inner, item) for name, item in value.items()} if by_name else built(inner, value)
        elif isinstance(value, float) and kind in _WHOLE:
            value = int(value)
        found[key] = value
    return section(**found)


@cache
def _section_in(kind: Any) -> type[Any] | None:
    """Return the section in an annotation, such as `Judge | None`, `tuple[Source, ...]` or `dict[str, Gate]`; None if there is none."""
    if hasattr(kind, "_fields"):
        return kind
    return next((found for part in get_args(kind) if (found := _section_in(part))), None)
